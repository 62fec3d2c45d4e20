"""One output item while it is written to a stream: which frames open it, carry its texts and close it.

Contract: every method adds frames, as pairs of the event's type and its fields, to the list that it is given. A text of an
item (a part of a message, of reasoning, a call's arguments) is opened, grown and closed; one of them is open at a time. What
the finished item says and no delta did is written when it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._own import Item, type_of

Frames = list[tuple[str, dict[str, Any]]]

TEXT, REFUSAL, SUMMARY, REASONING, ARGUMENTS, INPUT = "text", "refusal", "summary", "reasoning", "arguments", "input"
CALLS = {"function_call": ARGUMENTS, "custom_tool_call": INPUT}

_EVENTS = {
    TEXT: "response.output_text",
    REFUSAL: "response.refusal",
    SUMMARY: "response.reasoning_summary_text",
    REASONING: "response.reasoning_text",
    ARGUMENTS: "response.function_call_arguments",
    INPUT: "response.custom_tool_call_input",
}
_TYPES = {TEXT: "output_text", REFUSAL: "refusal", SUMMARY: "summary_text", REASONING: "reasoning_text"}
_FIELD_OF_TYPE = {kind: field for field, kind in _TYPES.items()}
_NAMES = {REFUSAL: "refusal", ARGUMENTS: "arguments", INPUT: "input"}  # of the whole text; the others say text


class _Text:
    """A text of an item while it grows."""

    __slots__ = ("annotations", "field", "is_open", "length", "number", "pieces")

    def __init__(self, field: str, number: int) -> None:
        self.field = field
        self.number = number
        self.pieces: list[str] = []
        self.length = 0
        self.annotations: list[Item] = []
        self.is_open = True

    def where(self) -> Item:
        """Give the field that numbers the text within its item."""
        if self.field in (ARGUMENTS, INPUT):
            return {}
        return {"summary_index" if self.field == SUMMARY else "content_index": self.number}

    def part(self, text: str) -> Item:
        """Give the part that the text is."""
        out: Item = {"type": _TYPES[self.field], _NAMES.get(self.field, "text"): text}
        return {**out, "annotations": list(self.annotations), "logprobs": []} if self.field == TEXT else out


class WrittenItem:
    """Write one item; ``start`` is the item as it is announced."""

    __slots__ = ("_numbers", "_start", "_texts", "field", "index", "is_closed", "kind", "state")

    def __init__(self, start: Item, index: int, out: Frames) -> None:
        self.kind = type_of(start)
        self.index = index
        self.is_closed = False
        self.field = CALLS.get(self.kind, REASONING)  # what the next piece belongs to, where the event does not say
        self.state: str | None = None  # encrypted reasoning
        self._start = start
        self._texts: list[_Text] = []
        self._numbers: dict[str, int] = {}  # of the texts in each of the item's arrays
        out.append(("response.output_item.added", {"output_index": index, "item": start}))

    @property
    def call_id(self) -> Any:
        """Give the id of the call that the item is."""
        return self._start.get("call_id")

    @property
    def id(self) -> Any:
        """Give the item's id."""
        return self._start.get("id")

    def told(self) -> str:
        """Give all that was written of the item's texts, as one."""
        return "".join(piece for text in self._texts for piece in text.pieces)

    def grow(self, field: str, piece: str, out: Frames) -> None:
        """Write a piece of the open text, which is opened where there is none of that kind."""
        text = self._texts[-1] if self._texts else None
        if text is None or not text.is_open or text.field != field:
            text = self._open_text(field, out)
        if piece:
            text.pieces.append(piece)
            text.length += len(piece)
            more: Item = {"logprobs": []} if field == TEXT else {}
            out.append((_EVENTS[field] + ".delta", {**self._where(text), "delta": piece, **more}))

    def annotate(self, annotation: Item, out: Frames) -> None:
        """Write an annotation of the open text."""
        text = self._texts[-1]
        more: Item = {"annotation_index": len(text.annotations), "annotation": annotation}
        text.annotations.append(annotation)
        out.append(("response.output_text.annotation.added", {**self._where(text), **more}))

    def open_length(self) -> int | None:
        """Give the length of the open output text; ``None`` where none is open."""
        text = self._texts[-1] if self._texts else None
        return text.length if text is not None and text.is_open and text.field == TEXT else None

    def reopen(self) -> None:
        """Take up an item that was closed; its last text goes on."""
        if self.is_closed:
            self.is_closed = False
            for text in self._texts[-1:]:
                text.is_open = True

    def _where(self, text: _Text) -> Item:
        return {"item_id": self.id, "output_index": self.index, **text.where()}

    def _open_text(self, field: str, out: Frames) -> _Text:
        self.close_text(out)
        array = "summary" if field == SUMMARY else "content"
        text = _Text(field, self._numbers.get(array, 0))
        self._numbers[array] = text.number + 1
        self._texts.append(text)
        if field in _TYPES:
            kind = "response.reasoning_summary_part.added" if field == SUMMARY else "response.content_part.added"
            out.append((kind, {**self._where(text), "part": text.part("")}))
        return text

    def close_text(self, out: Frames) -> None:
        """Write the end of the open text."""
        text = self._texts[-1] if self._texts else None
        if text is None or not text.is_open:
            return
        text.is_open = False
        whole = "".join(text.pieces)
        more: Item = {"logprobs": []} if text.field == TEXT else {}
        out.append((_EVENTS[text.field] + ".done", {**self._where(text), _NAMES.get(text.field, "text"): whole, **more}))
        if text.field in _TYPES:
            kind = "response.reasoning_summary_part.done" if text.field == SUMMARY else "response.content_part.done"
            out.append((kind, {**self._where(text), "part": text.part(whole)}))

    def close(self, out: Frames, whole: Item | None = None) -> Item:
        """Write the end of the item, and before that what ``whole`` says and no delta did; give the item as it is then."""
        if self.is_closed:
            return self.payload() if whole is None else whole
        texts = [] if whole is None else list(texts_of(whole))
        if "".join(said for _, said in texts) != self.told():
            for position, (field, said) in enumerate(texts):
                self._supply(position, field, said, out)
        if self.kind in CALLS and not self._texts:
            self._open_text(CALLS[self.kind], out)
        self.close_text(out)
        self.is_closed = True
        item = self.payload() if whole is None else whole
        out.append(("response.output_item.done", {"output_index": self.index, "item": item}))
        return item

    def _supply(self, position: int, field: str, said: str, out: Frames) -> None:
        if position < len(self._texts):
            text = self._texts[position]
            told = "".join(text.pieces)
            if text.is_open and text.field == field and said.startswith(told):
                self.grow(field, said[len(told) :], out)
            return
        self._open_text(field, out)
        self.grow(field, said, out)

    def payload(self) -> Item:
        """Give the item that was written so far, as a finished one."""
        out: Item = {"status": "completed"} if "status" in self._start else {}
        for text in self._texts:
            whole = "".join(text.pieces)
            if text.field in (ARGUMENTS, INPUT):
                out[text.field] = whole
                continue
            out.setdefault("summary" if text.field == SUMMARY else "content", []).append(text.part(whole))
        if self.state is not None:
            out["encrypted_content"] = self.state
        return {**self._start, **out}


def texts_of(item: Item) -> Iterator[tuple[str, str]]:
    """Give the texts of an item in the order in which they are streamed."""
    kind = type_of(item)
    field = CALLS.get(kind)
    if field is not None:
        yield field, _text(item.get(field))
    elif kind in ("message", "reasoning"):
        for name in ("summary", "content"):
            given = item.get(name)
            for part in given if isinstance(given, list) else ():
                field = _FIELD_OF_TYPE.get(type_of(part))
                if field is not None:
                    yield field, _text(part.get(_NAMES.get(field, "text")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
