"""One choice of a stream while it grows: deltas in, events out, and in the end the message that the SDK would have accumulated.

Contract: any JSON object as a delta either is taken or raises ``ProtocolError``. Rules: pieces are kept in lists and joined once,
at the end. Of fields nobody knows the last value that is not null counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import InvalidShapeError
from ...types.enums import MessageRole
from ...types.events import AnnotationAdded, ContentPartAdded, OutputItemAdded, ReasoningDelta, RefusalDelta
from ...types.message import Message
from .._pieces import Pieces
from .._plain import text_delta
from ._annotations import read_annotations
from ._calls import Calls, Events
from ._content import read_part

_GROWING = ("text", "summary")  # what comes in pieces of a reasoning detail
_EMPTY = Message(MessageRole.ASSISTANT, ())


class _Piecewise:
    """An object of which some fields come in pieces."""

    __slots__ = ("pieces", "rest")

    def __init__(self) -> None:
        self.rest: dict[str, Any] = {}
        self.pieces: dict[str, list[str]] = {}

    def add(self, given: dict[str, Any], growing: tuple[str, ...]) -> None:
        for name, value in given.items():
            if name in growing and isinstance(value, str):
                self.pieces.setdefault(name, []).append(value)
            elif value is not None or name not in self.rest:
                self.rest[name] = value

    def whole(self) -> dict[str, Any]:
        return {**self.rest, **{name: "".join(pieces) for name, pieces in self.pieces.items()}}


class Choice:
    """A choice while its deltas come."""

    __slots__ = (
        "_annotations",
        "_audio",
        "_content",
        "_details",
        "_logprobs",
        "_reasoning",
        "_refusal",
        "_rest",
        "_role",
        "_text",
        "_told",
        "calls",
        "rest",
        "started",
        "word",
    )

    def __init__(self) -> None:
        self.started = False
        self.word: str | None = None
        self.rest: dict[str, Any] = {}
        self.calls = Calls()
        self._role = "assistant"
        self._rest: dict[str, Any] = {}
        # content parts in order: a kind ("text", "thinking" or "whole"), its pieces and what else the part says
        self._content: list[tuple[str, list[Any], dict[str, Any]]] = []
        self._text: list[str] | None = None  # the pieces of the text part that is growing
        self._reasoning: dict[str, list[str]] = {}
        self._told = ""  # what the delta has told of it
        self._refusal: list[str] = []
        self._details: list[_Piecewise] = []
        self._audio = _Piecewise()
        self._annotations: list[Any] = []
        self._logprobs: Any = None

    def add(self, delta: dict[str, Any], events: Events) -> None:
        """Take a delta."""
        if not self.started:
            self.started = True
            events.append(OutputItemAdded(_EMPTY, 0))
        self._told = ""
        for name, item in delta.items():
            take = _TAKERS.get(name)
            if take is None:
                if item is not None or name not in self._rest:
                    self._rest[name] = item
            elif item is None:
                self._rest.setdefault(name, None)
            else:
                take(self, item, events)

    def _take_role(self, item: Any, _events: Events) -> None:
        if isinstance(item, str) and item:
            self._role = item

    # --- content --------------------------------------------------------------------------------------------------------------

    def _take_content(self, item: Any, events: Events) -> None:
        if isinstance(item, str):
            if item:
                self.grow(item)
                events.append(text_delta(item))
        elif isinstance(item, list):
            for part in item:
                self._take_part(part, events)
        else:
            raise InvalidShapeError("content: expected a string or an array", pointer="/choices/0/delta/content")

    def grow(self, piece: str) -> None:
        """Let the text grow."""
        if self._text is None:
            self._text = Pieces()
            self._content.append(("text", self._text, {}))
        self._text.append(piece)

    def _take_part(self, part: Any, events: Events) -> None:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            self._take_content(part["text"], events)
            return
        self._text = None
        if kind == "thinking":
            self._take_thinking(part, events)
        else:
            events.append(ContentPartAdded(read_part(part, "/choices/0/delta/content")))
            self._content.append(("whole", [part], {}))

    def _take_thinking(self, part: dict[str, Any], events: Events) -> None:
        given = part.get("thinking")
        chunks = given if isinstance(given, list) else [{"text": given}]
        texts = [chunk["text"] for chunk in chunks if isinstance(chunk, dict) and isinstance(chunk.get("text"), str)]
        if not self._content or self._content[-1][0] != "thinking":
            self._content.append(("thinking", [], {}))
        _, pieces, rest = self._content[-1]
        pieces.extend(texts)
        rest.update((name, item) for name, item in part.items() if name not in ("type", "thinking") and item is not None)
        events.extend(ReasoningDelta(text) for text in texts if text)

    def _take_refusal(self, item: Any, events: Events) -> None:
        if isinstance(item, str) and item:
            self._refusal.append(item)
            events.append(RefusalDelta(item))

    def _take_annotations(self, item: Any, events: Events) -> None:
        if isinstance(item, list):
            self._annotations.extend(item)
            events.extend(AnnotationAdded(annotation) for annotation in read_annotations(item) or ())

    def _take_audio(self, item: Any, _events: Events) -> None:
        if isinstance(item, dict):
            self._audio.add(item, ("data", "transcript"))

    # --- reasoning ------------------------------------------------------------------------------------------------------------

    def take_reasoning(self, name: str, item: Any, events: Events) -> None:
        """Take a piece of reasoning; what a second field of the same delta repeats is kept, not told."""
        if not isinstance(item, str):
            self._rest[name] = item
        elif item:
            self._reasoning.setdefault(name, []).append(item)
            if item != self._told:
                self._told = item
                events.append(ReasoningDelta(item))

    def _take_details(self, item: Any, _events: Events) -> None:
        for detail in item if isinstance(item, list) else ():
            if not isinstance(detail, dict):
                continue
            last = self._details[-1] if self._details else None
            if last is None or not _continues(last.rest, detail):
                last = _Piecewise()
                self._details.append(last)
            last.add(detail, _GROWING)

    # --- calls ----------------------------------------------------------------------------------------------------------------

    def _take_calls(self, item: Any, events: Events) -> None:
        self.calls.add(item, events)

    def _take_function_call(self, item: Any, events: Events) -> None:
        self.calls.add_function_call(item, events)

    # --- the whole ------------------------------------------------------------------------------------------------------------

    def add_logprobs(self, item: Any) -> None:
        """Take log probabilities: lists grow, anything else is replaced."""
        if isinstance(item, dict):
            grown = self._logprobs = self._logprobs if isinstance(self._logprobs, dict) else {}
            for name, value in item.items():
                if isinstance(value, list):
                    found = grown.get(name)
                    if isinstance(found, list):
                        found.extend(value)
                    else:
                        grown[name] = list(value)
                elif value is not None or name not in grown:
                    grown[name] = value
        elif item is not None:
            self._logprobs = item

    def body(self, index: int) -> dict[str, Any]:
        """Give the choice as a response has it."""
        return {"index": index, "message": self._message(), "logprobs": self._logprobs, "finish_reason": self.word, **self.rest}

    def _message(self) -> dict[str, Any]:
        out: dict[str, Any] = {"role": self._role, **self._rest, "content": self._whole_content()}
        for name, pieces in (("refusal", self._refusal), *self._reasoning.items()):
            if pieces:
                out[name] = "".join(pieces)
        if self._details:
            out["reasoning_details"] = [detail.whole() for detail in self._details]
        if self._annotations:
            out["annotations"] = list(self._annotations)
        audio = self._audio.whole()
        if audio:
            out["audio"] = audio
        self.calls.write(out)
        return out

    def _whole_content(self) -> Any:
        parts: list[Any] = []
        for kind, pieces, rest in self._content:
            if kind == "text":
                parts.append({"type": "text", "text": "".join(pieces)})
            elif kind == "thinking":
                parts.append({"type": "thinking", "thinking": [{"type": "text", "text": "".join(pieces)}], **rest})
            else:
                parts.extend(pieces)
        if not parts:
            return None
        return parts[0]["text"] if len(parts) == 1 and self._text is not None else parts


def _continues(last: dict[str, Any], detail: dict[str, Any]) -> bool:
    """Tell whether a reasoning detail goes on with the one before: opaque ones are whole, texts go by type and index."""
    kind = detail.get("type")
    return kind in ("reasoning.text", "reasoning.summary") and (kind, detail.get("index")) == (
        last.get("type"),
        last.get("index"),
    )


def _reasoning_taker(name: str) -> Callable[[Choice, Any, Events], None]:
    return lambda choice, item, events: choice.take_reasoning(name, item, events)


_TAKERS: dict[str, Callable[[Choice, Any, Events], None]] = {
    "role": Choice._take_role,
    "content": Choice._take_content,
    "refusal": Choice._take_refusal,
    "reasoning_content": _reasoning_taker("reasoning_content"),
    "reasoning": _reasoning_taker("reasoning"),
    "reasoning_details": Choice._take_details,
    "tool_calls": Choice._take_calls,
    "function_call": Choice._take_function_call,
    "audio": Choice._take_audio,
    "annotations": Choice._take_annotations,
}
