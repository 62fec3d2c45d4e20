"""One choice of a stream while it grows: deltas in, events out, and the message that the SDK would have accumulated.

Rules: pieces are kept in lists and joined once, at the end. A call's fragments belong together by ``index``, else by id, else to the
last call; fragments wait until id and name are known, and a call that never gets an id is given the one that its position gives it
in a response. Fields nobody knows: the last value that is not null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _json
from ...errors import InvalidJsonError, InvalidShapeError
from ...types.enums import MessageRole
from ...types.events import (
    AnnotationAdded,
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from ...types.message import Message
from ...types.parts import VendorPart
from ._annotations import read_annotations
from ._content import CHAT

Events = list[LlmStreamEvent]

_MERGED = frozenset({"reasoning.text", "reasoning.summary"})
_JOINED = ("text", "summary")


def join(pieces: dict[str, list[str]]) -> dict[str, str]:
    """Join every list of pieces."""
    return {name: "".join(found) for name, found in pieces.items()}


class Call:
    """A tool call while its fragments come."""

    __slots__ = ("announced", "call_id", "inner", "kind", "name", "pieces", "rest")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.kind = "function"
        self.pieces: list[str] = []
        self.rest: dict[str, Any] = {}
        self.inner: dict[str, Any] = {}
        self.announced = False

    def add(self, fragment: dict[str, Any], events: Events) -> None:
        """Take a fragment."""
        piece = ""
        for name, item in fragment.items():
            if name in ("function", "custom") and isinstance(item, dict):
                if item:
                    self.kind = "custom" if name == "custom" and "function" not in fragment else "function"
                piece = self.add_body(item) or piece
            elif name == "id":
                if isinstance(item, str) and not self.call_id:
                    self.call_id = item
            elif name not in ("index", "type") and (item is not None or name not in self.rest):
                self.rest[name] = item
        self.tell(piece, events)

    def add_body(self, body: dict[str, Any]) -> str:
        """Take a fragment's function; gives the piece of arguments in it."""
        piece = ""
        for name, item in body.items():
            if name == "name":
                if isinstance(item, str) and not self.name:
                    self.name = item
            elif name in ("arguments", "input"):
                if item is not None and item != "":
                    piece = item if isinstance(item, str) else _json.dumps(item)
                    self.pieces.append(piece)
            elif item is not None or name not in self.inner:
                self.inner[name] = item
        return piece

    def tell(self, piece: str, events: Events) -> None:
        """Give the delta of a piece, or of all so far where the call was not announced yet."""
        if self.announced:
            if piece:
                events.append(ToolCallDelta(self.call_id, self.name, piece))
        elif self.call_id and self.name:
            self.announced = True
            events.append(ToolCallDelta(self.call_id, self.name, "".join(self.pieces)))

    def is_complete(self) -> bool:
        """Tell whether the arguments are whole JSON."""
        try:
            _json.loads("".join(self.pieces))
        except InvalidJsonError:
            return False
        return True

    def body(self) -> dict[str, Any]:
        """Give the call as a message has it."""
        text = "input" if self.kind == "custom" else "arguments"
        out: dict[str, Any] = {"id": self.call_id} if self.call_id else {}
        out["type"] = self.kind
        out[self.kind] = {"name": self.name, text: "".join(self.pieces), **self.inner}
        return {**out, **self.rest}


class Choice:
    """A choice while its deltas come."""

    __slots__ = (
        "_annotations",
        "_audio",
        "_by_key",
        "_content",
        "_details",
        "_legacy",
        "_pieces",
        "_reasoning",
        "_refusal",
        "_rest",
        "calls",
        "logprobs",
        "rest",
        "role",
        "started",
        "word",
    )

    def __init__(self) -> None:
        self.started = False
        self.role = "assistant"
        self.word: str | None = None
        self.rest: dict[str, Any] = {}
        self.logprobs: Any = None
        self.calls: list[Call] = []
        self._by_key: dict[Any, Call] = {}
        self._legacy: Call | None = None
        self._content: list[Any] = []  # dictionaries of parts; a part's text is a list of pieces
        self._pieces: list[str] | None = None  # of the text part that is growing
        self._reasoning: dict[str, list[str]] = {}
        self._refusal: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._audio: dict[str, Any] = {}
        self._annotations: list[Any] = []
        self._rest: dict[str, Any] = {}

    # --- deltas ---------------------------------------------------------------------------------------------------------------

    def add(self, delta: dict[str, Any], events: Events) -> None:
        """Take a delta."""
        if not self.started:
            self.started = True
            events.append(OutputItemAdded(Message(MessageRole.ASSISTANT, ()), 0))
        for name, item in delta.items():
            add = _ADDERS.get(name)
            if add is not None and item is not None:
                add(self, item, events)
            elif add is not None:
                self._rest.setdefault(name, None)
            elif item is not None or name not in self._rest:
                self._rest[name] = item

    def add_role(self, item: Any, events: Events) -> None:
        """Take the role."""
        if isinstance(item, str) and item:
            self.role = item

    def add_content(self, item: Any, events: Events) -> None:
        """Take content: a piece of text, or a list of parts."""
        if isinstance(item, str):
            if item:
                self._add_text(item)
                events.append(TextDelta(item))
        elif isinstance(item, list):
            for part in item:
                self._add_part(part, events)
        else:
            raise InvalidShapeError("content: expected a string or an array")

    def _add_text(self, text: str) -> None:
        if self._pieces is None:
            self._pieces = []
            self._content.append({"type": "text", "text": self._pieces})
        self._pieces.append(text)

    def _add_part(self, part: Any, events: Events) -> None:
        if not isinstance(part, dict):
            raise InvalidShapeError("content: expected objects in the array")
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            if part["text"]:
                self._add_text(part["text"])
                events.append(TextDelta(part["text"]))
            return
        self._pieces = None
        if part.get("type") == "thinking":
            self._add_thinking(part, events)
        else:
            self._content.append(part)
            events.append(ContentPartAdded(VendorPart(CHAT, part)))

    def _add_thinking(self, part: dict[str, Any], events: Events) -> None:
        given = part.get("thinking")
        chunks = given if isinstance(given, list) else [{"text": given}]
        text = "".join(chunk["text"] for chunk in chunks if isinstance(chunk, dict) and isinstance(chunk.get("text"), str))
        last = self._content[-1] if self._content else None
        if not isinstance(last, dict) or last.get("type") != "thinking":
            last = {"type": "thinking", "thinking": []}
            self._content.append(last)
        last["thinking"].append(text)
        last.update((name, item) for name, item in part.items() if name not in ("type", "thinking") and item is not None)
        if text:
            events.append(ReasoningDelta(text))

    def add_refusal(self, item: Any, events: Events) -> None:
        """Take a piece of a refusal."""
        if isinstance(item, str) and item:
            self._refusal.append(item)
            events.append(RefusalDelta(item))

    def add_reasoning(self, name: str, item: Any, events: Events) -> None:
        """Take a piece of reasoning; what a second field repeats is kept, not told."""
        if not isinstance(item, str):
            self._rest[name] = item
        elif item:
            if not self._reasoning or name in self._reasoning and next(iter(self._reasoning)) == name:
                events.append(ReasoningDelta(item))
            self._reasoning.setdefault(name, []).append(item)

    def add_details(self, item: Any, events: Events) -> None:
        """Take reasoning details; pieces of one text go together by type and index."""
        for detail in item if isinstance(item, list) else ():
            if not isinstance(detail, dict):
                continue
            kind, index = detail.get("type"), detail.get("index")
            last = self._details[-1] if self._details else None
            joins = last is not None and kind in _MERGED and last.get("type") == kind and last.get("index") == index
            if last is None or not joins:
                last = {}
                self._details.append(last)
            for name, value in detail.items():
                if name in _JOINED and isinstance(value, str):
                    pieces = last.get(name)
                    if isinstance(pieces, list):
                        pieces.append(value)
                    else:
                        last[name] = [value]
                elif value is not None or name not in last:
                    last[name] = value

    def add_audio(self, item: Any, events: Events) -> None:
        """Take a piece of sound."""
        for name, value in item.items() if isinstance(item, dict) else ():
            if name in ("data", "transcript") and isinstance(value, str):
                self._audio.setdefault(name, []).append(value)
            else:
                self._audio[name] = value

    def add_annotations(self, item: Any, events: Events) -> None:
        """Take annotations."""
        if isinstance(item, list):
            self._annotations.extend(item)
            events.extend(AnnotationAdded(annotation) for annotation in read_annotations(item) or ())

    # --- calls ----------------------------------------------------------------------------------------------------------------

    def add_calls(self, item: Any, events: Events) -> None:
        """Take fragments of calls."""
        if not isinstance(item, list):
            raise InvalidShapeError("tool_calls: expected an array")
        for fragment in item:
            if not isinstance(fragment, dict):
                raise InvalidShapeError("tool_calls: expected objects")
            self._call_of(fragment, events).add(fragment, events)

    def _call_of(self, fragment: dict[str, Any], events: Events) -> Call:
        index, call_id = fragment.get("index"), fragment.get("id")
        body = fragment.get("function") or fragment.get("custom")
        named = isinstance(body, dict) and bool(body.get("name"))
        key: Any = index if type(index) is int else (call_id if isinstance(call_id, str) and call_id else None)
        found = self._by_key.get(key) if key is not None else (self.calls[-1] if self.calls and not named else None)
        if found is not None and not (named and call_id and found.call_id not in ("", call_id) and found.is_complete()):
            return found
        # a new call; also another id under an index that is taken (Gemini's compatible route says 0 for each)
        self.flush(events)
        call = Call()
        self.calls.append(call)
        if key is not None:
            self._by_key[key] = call
        return call

    def flush(self, events: Events) -> None:
        """Announce the calls that were waiting for an id."""
        for i, call in enumerate(self.calls):
            if not call.announced and call.name:
                call.announced = True
                events.append(ToolCallDelta(call.call_id or f"call_{i}", call.name, "".join(call.pieces)))

    def add_function_call(self, item: Any, events: Events) -> None:
        """Take a fragment of the deprecated single call."""
        if not isinstance(item, dict):
            return
        if self._legacy is None:
            self._legacy = Call()
        piece = self._legacy.add_body(item)
        if self._legacy.name:
            self._legacy.call_id = f"call_{self._legacy.name}"
        self._legacy.tell(piece, events)

    # --- the whole ------------------------------------------------------------------------------------------------------------

    def add_logprobs(self, item: Any) -> None:
        """Take log probabilities: lists grow, anything else is replaced."""
        if isinstance(item, dict) and isinstance(self.logprobs, dict):
            for name, value in item.items():
                if isinstance(value, list) and isinstance(self.logprobs.get(name), list):
                    self.logprobs[name].extend(value)
                elif value is not None or name not in self.logprobs:
                    self.logprobs[name] = list(value) if isinstance(value, list) else value
        elif isinstance(item, dict):
            self.logprobs = {name: list(value) if isinstance(value, list) else value for name, value in item.items()}
        elif item is not None:
            self.logprobs = item

    def body(self, index: int) -> dict[str, Any]:
        """Give the choice as a response has it."""
        return {"index": index, "message": self._message(), "logprobs": self.logprobs, "finish_reason": self.word, **self.rest}

    def _message(self) -> dict[str, Any]:
        out: dict[str, Any] = {"role": self.role, **self._rest, "content": self._whole_content()}
        if self._refusal:
            out["refusal"] = "".join(self._refusal)
        out.update(join(self._reasoning))
        if self._details:
            out["reasoning_details"] = [
                {name: "".join(value) if name in _JOINED and isinstance(value, list) else value for name, value in detail.items()}
                for detail in self._details
            ]
        if self._annotations:
            out["annotations"] = list(self._annotations)
        if self._audio:
            out["audio"] = {name: "".join(value) if isinstance(value, list) else value for name, value in self._audio.items()}
        if self._legacy is not None:
            out["function_call"] = {"name": self._legacy.name, "arguments": "".join(self._legacy.pieces)}
        if self.calls:
            out["tool_calls"] = [call.body() for call in self.calls]
        return out

    def _whole_content(self) -> Any:
        if not self._content:
            return None
        parts = [_whole(part) for part in self._content]
        return parts[0]["text"] if len(parts) == 1 and self._pieces is not None else parts


def _whole(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text" and isinstance(part.get("text"), list):
        return {**part, "text": "".join(part["text"])}
    if part.get("type") == "thinking":
        return {**part, "thinking": [{"type": "text", "text": "".join(part["thinking"])}]}
    return part


def _reasoning_adder(name: str) -> Callable[[Choice, Any, Events], None]:
    return lambda choice, item, events: choice.add_reasoning(name, item, events)


_ADDERS: dict[str, Callable[[Choice, Any, Events], None]] = {
    "role": Choice.add_role,
    "content": Choice.add_content,
    "refusal": Choice.add_refusal,
    "reasoning_content": _reasoning_adder("reasoning_content"),
    "reasoning": _reasoning_adder("reasoning"),
    "reasoning_details": Choice.add_details,
    "tool_calls": Choice.add_calls,
    "function_call": Choice.add_function_call,
    "audio": Choice.add_audio,
    "annotations": Choice.add_annotations,
}
