"""One output item of a stream while it grows: pieces in, events out, and the item that a response would have had.

Rules: a piece belongs to a text of the item, found by its field and number; pieces are joined once, at the end. What the
finished item says and no delta did is told then. The finished item is the truth: the pieces make one up only where it never
came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...types.events import (
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    ToolCallDelta,
    ToolResultAdded,
)
from ...types.parts import ReasoningPart, TextPart, ToolResultPart
from .._pieces import Pieces
from .._plain import text_delta
from ._own import Item
from ._read import read_item

Events = list[LlmStreamEvent]

TEXT, REFUSAL, SUMMARY, REASONING, ARGUMENTS, INPUT = "text", "refusal", "summary", "reasoning", "arguments", "input"
_EMPTY: dict[str, Item] = {
    "message": {"role": "assistant", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}
_CALLS = {"function_call": ARGUMENTS, "custom_tool_call": INPUT}
_PARTS = {
    TEXT: ("content", "output_text", "text"),
    REFUSAL: ("content", "refusal", "refusal"),
    REASONING: ("content", "reasoning_text", "text"),
    SUMMARY: ("summary", "summary_text", "text"),
}


class StreamItem:
    """Gather an item; ``is_whole`` tells whether its end came."""

    __slots__ = ("_annotations", "_announced", "_call", "_pieces", "_start", "index", "is_whole", "kind")

    def __init__(self, start: Item, index: int) -> None:
        kind = start.get("type")
        self.kind = kind if isinstance(kind, str) else "message"
        self.index = index
        self.is_whole = False
        self._start = start
        self._pieces: dict[tuple[str, int], list[str]] = {}
        self._annotations: dict[int, list[Any]] = {}
        self._announced = False
        self._call = ("", "")

    @property
    def is_ours_alone(self) -> bool:
        """Tell whether the item is of a type that only this protocol knows."""
        return self.kind not in _EMPTY and not self.kind.endswith(("function_call_output", "custom_tool_call_output"))

    def announce(self, events: Events) -> None:
        """Tell that the item is there; a call waits for its name."""
        if self._announced:
            return
        head = {**self._start, **_EMPTY.get(self.kind, {})}
        if self.kind in _CALLS:
            name, call_id = head.get("name"), head.get("call_id") or head.get("id") or f"call_{self.index}"
            if not isinstance(name, str) or not name or not isinstance(call_id, str):
                return
            self._call = call_id, name
        elif self.kind == "reasoning":
            head.pop("content", None)
            head.pop("encrypted_content", None)
        self._announced = True
        events.append(OutputItemAdded(read_item(head, f"/output/{self.index}"), self.index))
        field = _CALLS.get(self.kind)
        if field is not None:
            events.append(ToolCallDelta(*self._call, "".join(self._pieces.get((field, 0), ())), self.index))

    def grow(self, field: str, number: int, piece: str, events: Events) -> None:
        """Take a piece of one of the item's texts."""
        pieces = self._pieces.get((field, number))
        if pieces is None:
            if field == SUMMARY:
                events.append(ContentPartAdded(ReasoningPart(summary=("",)), self.index))
            elif field == TEXT and self._pieces:
                events.append(ContentPartAdded(TextPart(""), self.index))
            elif field == REASONING and self._pieces:
                events.append(ContentPartAdded(ReasoningPart(), self.index))
            pieces = self._pieces[field, number] = Pieces()
        if not piece:
            return
        pieces.append(piece)
        if field == TEXT:
            events.append(text_delta(piece, self.index))
        elif field == REFUSAL:
            events.append(RefusalDelta(piece, self.index))
        elif field in (SUMMARY, REASONING):
            events.append(ReasoningDelta(piece, self.index))
        elif self._announced:
            events.append(ToolCallDelta(*self._call, piece, self.index))

    def annotate(self, number: int, annotation: Any) -> None:
        """Take an annotation of one of the item's texts."""
        self._annotations.setdefault(number, []).append(annotation)

    def complete(self, field: str, number: int, text: Any, events: Events) -> None:
        """Take one of the item's texts as a whole; tell what no delta did."""
        if isinstance(text, str):
            pieces = self._pieces.get((field, number))
            told = "".join(pieces or ())
            if pieces:
                pieces[:] = [told]  # joined once, however often its end is told
            if text.startswith(told) and (text != told or pieces is None):
                self.grow(field, number, text[len(told) :], events)

    def finish(self, whole: Item, events: Events) -> None:
        """Take the item as it is at its end."""
        if self.is_whole:
            return
        before, self._start, self.is_whole = self._start, whole, True
        if not whole.get("type"):
            self._start = {**before, **whole}
        self.announce(events)
        for field, number, text in _texts(self._start, self.kind):
            self.complete(field, number, text, events)
        if self.kind == "reasoning":
            encrypted = whole.get("encrypted_content")
            if encrypted and isinstance(encrypted, str):
                events.append(ReasoningDelta("", self.index, encrypted_content=encrypted))
        elif self.kind.endswith("_call_output"):
            result = read_item(self._start, f"/output/{self.index}")
            if isinstance(result, ToolResultPart):
                events.append(ToolResultAdded(result))

    def payload(self) -> Item:
        """Give the item as a response has it."""
        if self.is_whole or not self._pieces:
            return self._start
        out: Item = {}
        for (field, number), pieces in sorted(self._pieces.items(), key=lambda text: text[0][1]):
            if field in (ARGUMENTS, INPUT):
                out[field] = "".join(pieces)
                continue
            array, kind, name = _PARTS[field]
            part: Item = {"type": kind, name: "".join(pieces)}
            if field == TEXT:
                part["annotations"] = list(self._annotations.get(number, ()))
            out.setdefault(array, []).append(part)
        return {**self._start, **out}


def _texts(item: Item, kind: str) -> Iterator[tuple[str, int, Any]]:
    """Give every text of an item, with its field and number."""
    if kind in _CALLS:
        yield _CALLS[kind], 0, item.get(_CALLS[kind])
        return
    fields = (TEXT, REFUSAL) if kind == "message" else (SUMMARY, REASONING) if kind == "reasoning" else ()
    for field in fields:
        array, type_name, name = _PARTS[field]
        given = item.get(array)
        for number, part in enumerate(given if isinstance(given, list) else ()):
            if isinstance(part, dict) and part.get("type") == type_name:
                yield field, number, part.get(name)
