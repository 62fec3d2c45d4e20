"""One content block while it streams: what opened it, and the pieces that have come since."""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import InvalidJsonError, InvalidShapeError
from ...types.events import (
    AnnotationAdded,
    ContentPartAdded,
    LlmStreamEvent,
    ReasoningDelta,
    ToolCallDelta,
)
from ...types.parts import TextPart, ToolCallPart
from .._base64 import join_base64
from .._plain import text_delta
from ._citations import is_citation, read_citation
from ._own import WIRE, Block
from ._read import read_streamed

_OPENERS = ("toolUse", "toolResult", "image")


class StreamBlock:
    """Gather a block; every method gives the events that its frame means. Texts and reasoning are opened by their first piece."""

    __slots__ = ("_call", "_citations", "_content", "_pieces", "_signature", "_start", "kind")

    def __init__(self) -> None:
        self.kind: str | None = None
        self._start: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._citations: list[Any] = []
        self._content: list[Any] = []
        self._signature: str | None = None
        self._call: tuple[str, str] | None = None

    def opened(self, start: dict[str, Any]) -> list[LlmStreamEvent] | None:
        """Take what opens the block; ``None`` for what nobody knows."""
        kind = next((name for name in _OPENERS if isinstance(start.get(name), dict)), None)
        if kind is None:
            return None
        self.kind, self._start = kind, start[kind]
        if kind == "toolUse" and self._start.get("type") != "server_tool_use":
            self._call = text_of(self._start, "toolUseId"), text_of(self._start, "name")
            beside = {name: value for name, value in self._start.items() if name not in ("toolUseId", "name")}
            part = ToolCallPart(*self._call, {}, vendor_extensions={WIRE.value: beside})
            return [*([ContentPartAdded(part)] if beside else []), ToolCallDelta(*self._call, "")]
        return []

    def added(self, delta: dict[str, Any], *, after_text: bool) -> list[LlmStreamEvent] | None:
        """Take a delta; ``None`` for one that means nothing to this block."""
        for name, value in delta.items():
            taker = _TAKERS.get(name)
            if taker is not None and value is not None:
                events: list[LlmStreamEvent] | None = taker(self, value)
                if events is not None and after_text and self.kind == "text" and len(self._pieces) + len(self._citations) == 1:
                    return [ContentPartAdded(TextPart("")), *events]  # nothing else tells the two texts apart
                return events
        return None

    def grow(self, piece: str) -> None:
        """Add to a text that was begun."""
        self._pieces.append(piece)

    def _is(self, kind: str) -> bool:
        """Tell whether the block is of a kind, which it becomes where nothing opened it."""
        if self.kind is None:
            self.kind = kind
        return self.kind == kind

    def _text(self, piece: Any) -> list[LlmStreamEvent] | None:
        if not self._is("text"):
            return None
        self._pieces.append(_checked(piece, "text"))
        return [text_delta(piece)] if piece else []

    def _citation(self, citation: Any) -> list[LlmStreamEvent] | None:
        if not self._is("text"):
            return None
        self._citations.append(citation)
        return [AnnotationAdded(read_citation(citation))] if is_citation(citation) else []

    def _reasoning(self, given: Any) -> list[LlmStreamEvent] | None:
        if not isinstance(given, dict):
            return None
        if isinstance(given.get("redactedContent"), str):
            if not self._is("redacted"):
                return None
            self._pieces.append(given["redactedContent"])
            return []  # its pieces mean something together alone
        if not self._is("reasoning"):
            return None
        if given.get("signature") is not None:
            self._signature = (self._signature or "") + text_of(given, "signature")
            return [ReasoningDelta("", signature=given["signature"])]
        self._pieces.append(piece := text_of(given, "text"))
        return [ReasoningDelta(piece)] if piece else []

    def _tool_use(self, given: Any) -> list[LlmStreamEvent] | None:
        if not isinstance(given, dict) or self.kind != "toolUse":
            return None
        self._pieces.append(piece := text_of(given, "input"))
        return [ToolCallDelta(*self._call, piece)] if piece and self._call is not None else []

    def _tool_result(self, given: Any) -> list[LlmStreamEvent] | None:
        if not isinstance(given, list) or self.kind != "toolResult":
            return None
        for block in given:
            last: Any = self._content[-1] if self._content else None
            if _is_text(block) and _is_text(last):
                self._content[-1] = {"text": last["text"] + block["text"]}
            else:
                self._content.append(block)
        return []

    def _image(self, given: Any) -> list[LlmStreamEvent] | None:
        if not isinstance(given, dict) or self.kind != "image":
            return None
        source = given.get("source")
        data = source.get("bytes") if isinstance(source, dict) else None
        if isinstance(data, str):
            self._pieces.append(data)
        else:
            self._start = {**self._start, **given}
        return []

    def closed(self) -> list[LlmStreamEvent]:
        """End the block; one without deltas of its own is given whole."""
        if self.kind == "redacted":
            return [ReasoningDelta("", encrypted_content=join_base64(self._pieces))]
        if self.kind in (None, "text", "reasoning") or self._call is not None:
            return []
        return [ContentPartAdded(read_streamed(self.payload()))]

    def payload(self) -> Block | None:
        """Give the block as a response without a stream would have it; ``None`` where nothing of it came."""
        text = "".join(self._pieces)
        match self.kind:
            case "text":
                if self._citations:
                    return {"citationsContent": {"content": [{"text": text}], "citations": self._citations}}
                return {"text": text} if text else None  # some models open with an empty one, which the API takes back from none
            case "reasoning":
                signature = {} if self._signature is None else {"signature": self._signature}
                return {"reasoningContent": {"reasoningText": {"text": text, **signature}}}
            case "redacted":
                return {"reasoningContent": {"redactedContent": join_base64(self._pieces)}}
            case "toolUse":
                return {"toolUse": {**self._start, "input": _json_or_text(text) if text else {}}}
            case "toolResult":
                return {"toolResult": {**self._start, "content": self._content}}
            case "image":
                source = {"source": {"bytes": join_base64(self._pieces)}} if self._pieces else {}
                return {"image": {**self._start, **source}}
        return None


_TAKERS: dict[str, Any] = {
    "text": StreamBlock._text,
    "citation": StreamBlock._citation,
    "reasoningContent": StreamBlock._reasoning,
    "toolUse": StreamBlock._tool_use,
    "toolResult": StreamBlock._tool_result,
    "image": StreamBlock._image,
}


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and len(block) == 1 and isinstance(block.get("text"), str)


def _json_or_text(text: str) -> Any:
    try:
        return _json.loads(text)
    except InvalidJsonError:
        return text


def text_of(given: dict[str, Any], name: str) -> str:
    """Give a field's text, empty where there is none."""
    value = given.get(name)
    return "" if value is None else _checked(value, name)


def _checked(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidShapeError(f"{name}: expected a string, got {type(value).__name__}", pointer=f"/{name}")
    return value
