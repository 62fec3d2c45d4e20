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
    TextDelta,
    ToolCallDelta,
)
from ...types.parts import TextPart, ToolCallPart
from .._pieces import Pieces
from .._plain import text_delta
from ._citations import is_citation, read_citation
from ._own import WIRE
from ._read import read_block

_GROWS = {"text": "text", "thinking": "thinking"}
_SAID = {"text": {"type", "text", "citations"}, "tool_use": {"type", "id", "name", "input"}}  # in events of their own


class StreamBlock:
    """Gather a block; every method gives the events that its frame means."""

    __slots__ = ("_call", "_citations", "_overlay", "_pieces", "_start", "kind")

    def __init__(self, start: dict[str, Any]) -> None:
        kind = start.get("type")
        if not isinstance(kind, str):
            raise InvalidShapeError("type: expected a string", pointer="/content_block/type")
        self.kind = kind
        self._start = start
        self._pieces = Pieces()
        self._citations: list[Any] = []
        self._overlay: dict[str, Any] = {}
        self._call = (_text(start, "id"), _text(start, "name")) if kind == "tool_use" else ("", "")

    def opened(self, *, after_text: bool) -> list[LlmStreamEvent]:
        """Announce the block, a text only behind another, where nothing else tells them apart, or with what is beside it."""
        start, kind = self._start, self.kind
        said = _SAID.get(kind, start)
        beside = {name: value for name, value in start.items() if name not in said or (name == "citations" and not value)}
        extensions = {WIRE.value: beside} if beside else {}
        if kind == "text":
            announces = after_text or beside
            events: list[LlmStreamEvent] = [ContentPartAdded(TextPart("", vendor_extensions=extensions))] if announces else []
            if _text(start, "text"):
                events.append(TextDelta(start["text"]))
            cited = start.get("citations")
            events += [AnnotationAdded(read_citation(c)) for c in cited if is_citation(c)] if isinstance(cited, list) else []
            return events
        if kind == "thinking":
            text, signature = _text(start, "thinking"), start.get("signature")
            given = signature if isinstance(signature, str) and signature else None
            return [ReasoningDelta(text, signature=given)] if text or given else []
        if kind == "redacted_thinking":
            return [ReasoningDelta("", encrypted_content=_text(start, "data"))]
        if kind != "tool_use":
            return []
        announced = [ContentPartAdded(ToolCallPart(*self._call, {}, vendor_extensions=extensions))] if beside else []
        return [*announced, ToolCallDelta(*self._call, "")]

    def added(self, delta: dict[str, Any]) -> list[LlmStreamEvent] | None:
        """Take a delta; ``None`` for one that means nothing to this block."""
        kind, own = delta.get("type"), self.kind
        if own == "text":
            if kind == "text_delta":
                return self._grown(text_delta(_text(delta, "text")))
            return self._cited(delta.get("citation")) if kind == "citations_delta" else None
        if own == "thinking":
            if kind == "thinking_delta":
                return self._grown(ReasoningDelta(_text(delta, "thinking")))
            if kind == "signature_delta":
                self._overlay["signature"] = signature = _text(delta, "signature")
                return [ReasoningDelta("", signature=signature)]
            return None
        if kind == "input_json_delta":
            self._pieces.append(piece := _text(delta, "partial_json"))
            return [ToolCallDelta(*self._call, piece)] if own == "tool_use" and piece else []
        if kind == "compaction_delta":
            self._overlay.update((name, value) for name, value in delta.items() if name != "type")
            return []
        return None

    def _grown(self, event: TextDelta | ReasoningDelta) -> list[LlmStreamEvent]:
        if not event.delta:
            return []
        self._pieces.append(event.delta)
        return [event]

    def _cited(self, citation: Any) -> list[LlmStreamEvent]:
        self._citations.append(citation)
        return [AnnotationAdded(read_citation(citation))] if is_citation(citation) else []

    def closed(self) -> list[LlmStreamEvent]:
        """End the block; one without deltas of its own is given whole."""
        if self.kind in ("text", "thinking", "redacted_thinking"):
            return []
        if self.kind != "tool_use":
            return [ContentPartAdded(read_block(self.payload(), "/content_block"))]
        given = self._start.get("input")
        return [ToolCallDelta(*self._call, _json.dumps(given))] if given and not any(self._pieces) else []

    def payload(self) -> dict[str, Any]:
        """Give the block as a response without a stream would have it; the input of a tool call is its text."""
        block = {**self._start, **self._overlay}
        if self._citations:
            before = block.get("citations")
            block["citations"] = [*(before if isinstance(before, list) else ()), *self._citations]
        text = "".join(self._pieces)
        if text:
            name = _GROWS.get(self.kind)
            if name is not None:
                block[name] = _text(block, name) + text
            else:
                block["input"] = text if self.kind == "tool_use" else _json_or_text(text)
        return block


def _json_or_text(text: str) -> Any:
    try:
        return _json.loads(text)
    except InvalidJsonError:
        return text


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidShapeError(f"{name}: expected a string, got {type(value).__name__}", pointer=f"/{name}")
    return value
