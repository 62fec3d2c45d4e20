"""One candidate of a stream while it grows: chunks in, events out, and in the end the candidate of a response without a stream.

Contract: any JSON object as a candidate either is taken or raises ``ProtocolError``.
Rules: texts that follow one another are one part, as long as neither has a side field: a signature keeps its own part. Arguments
that come in pieces, each at a path of its own, are told once they are whole.
"""

from __future__ import annotations

import re
from typing import Any

from ... import _json
from ...errors import InvalidShapeError
from ...types.events import ContentPartAdded, LlmStreamEvent, ReasoningDelta, TextDelta, ToolCallDelta, ToolResultAdded
from ...types.parts import MessagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from .._pieces import Pieces
from .._plain import text_delta
from ._own import fields_of, plain
from ._read import PartReader

Events = list[LlmStreamEvent]

_PLAIN = (frozenset({"text"}), frozenset({"text", "thought"}))
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_MAX_GAP = 100  # empty items before one that has a value are not sent
_JOINED = {"groundingMetadata": (), "citationMetadata": ("citations",), "logprobsResult": ("chosenCandidates", "topCandidates")}
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


class Candidate:
    """A candidate while its chunks come."""

    __slots__ = ("_call", "_content", "_growing", "_lists", "_parts", "_reader", "_rest", "word")

    def __init__(self) -> None:
        self.word: Any = None
        self._parts: list[Any] = []
        self._growing: tuple[bool, list[str]] | None = None  # the text at the end: whether it is a thought, and its pieces
        self._call: dict[str, Any] | None = None  # the call whose arguments are still coming
        self._reader = PartReader()
        self._content: dict[str, Any] = {}
        self._rest: dict[str, Any] = {}
        self._lists: dict[tuple[str, str], list[Any]] = {}  # what grows from chunk to chunk, by the field and the field within

    def add(self, value: dict[str, Any], events: Events) -> None:
        """Take what a chunk says of the candidate."""
        for name, item in fields_of(value).items():
            if name == "content":
                if item is not None:
                    self._add_content(item, events)
            elif name == "finishReason":
                self.word = item if item is not None else self.word
            elif name in _JOINED and isinstance(item, dict):
                self._join(name, item)
            elif name[:1] != "@" and (item is not None or name not in self._rest):
                self._rest[name] = item

    def grow(self, text: str, events: Events) -> None:
        """Take a text of the model's with nothing beside it."""
        if self._growing is not None and not self._growing[0]:
            self._growing[1].append(text)
        else:
            self._grow(False, text, events)
        events.append(text_delta(text))
        self._content["role"] = "model"

    def _join(self, name: str, item: dict[str, Any]) -> None:
        """Join what two chunks say: lists of log probabilities and of citations grow, anything else is replaced."""
        before = self._rest.get(name)
        self._rest[name] = {**before, **item} if isinstance(before, dict) else item
        for field in _JOINED[name]:
            if isinstance(item.get(field), list):
                self._lists.setdefault((name, field), []).extend(item[field])

    def _add_content(self, content: Any, events: Events) -> None:
        fields = fields_of(content, "/candidates/0/content")
        parts = fields.get("parts")
        if isinstance(parts, dict):
            parts = [parts]
        elif not isinstance(parts, list | None):
            raise InvalidShapeError("parts: expected an array", pointer="/candidates/0/content/parts")
        for part in parts or ():
            if not isinstance(part, dict):
                raise InvalidShapeError("parts: expected objects", pointer="/candidates/0/content/parts")
            self._add_part(part, events)
        for name, item in fields.items():
            if item is not None and name != "parts":
                self._content[name] = item

    def _add_part(self, part: dict[str, Any], events: Events) -> None:
        text = part.get("text")
        if isinstance(text, str) and part.keys() in _PLAIN:
            thought = part.get("thought") is True
            if text:
                self._grow(thought, text, events)
                events.append(ReasoningDelta(text) if thought else TextDelta(text))
            return
        call = plain(part.get("functionCall", part.get("function_call")))
        if self._call is not None and not call.get("name") and ("functionCall" in part or "function_call" in part):
            self._continue(call, events)
        elif call.get("partialArgs") or call.get("willContinue") is True:
            self._end_call(events)
            self._call = dict(part)
            self._call["functionCall"] = {**call, "args": dict(call["args"]) if isinstance(call.get("args"), dict) else {}}
            self._call.pop("function_call", None)
            self._continue(call, events)
        else:
            self._end_call(events)
            self._add_whole(part, events)

    def _grow(self, thought: bool, text: str, events: Events) -> None:
        if self._growing is None or self._growing[0] is not thought:
            if not thought and self._parts and isinstance(self._parts[-1], dict) and "text" in self._parts[-1]:
                events.append(ContentPartAdded(TextPart("")))  # nothing else tells it from the text before
            self._growing = thought, Pieces()
            self._parts.append(self._growing)
        self._growing[1].append(text)

    def _add_whole(self, value: dict[str, Any], events: Events) -> None:
        self._growing = None
        self._parts.append(value)
        part = self._reader.read(value, "/candidates/0/content/parts")
        events.extend(told(part))

    def _continue(self, call: dict[str, Any], events: Events) -> None:
        """Take a piece of a call's arguments; the last one says that nothing follows."""
        whole = self._call["functionCall"] if self._call is not None else {}
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            _put(whole["args"], plain(piece) or {})
        if call.get("willContinue") is not True:
            self._end_call(events)

    def _end_call(self, events: Events) -> None:
        if self._call is None:
            return
        part, self._call = self._call, None
        call = {name: item for name, item in part["functionCall"].items() if name not in ("partialArgs", "willContinue")}
        self._add_whole({**part, "functionCall": call}, events)

    def end(self, events: Events) -> None:
        """Tell what is still waiting."""
        self._end_call(events)

    def body(self) -> dict[str, Any]:
        """Give the candidate as a response has it."""
        content = {"parts": [_whole(part) for part in self._parts], "role": "model", **self._content}
        out = {"content": content, "index": 0, **self._rest}
        for (name, field), items in self._lists.items():
            if isinstance(out[name], dict):
                out[name] = {**out[name], field: list(items)}
        return out if self.word is None else {**out, "finishReason": self.word}


def told(part: MessagePart) -> Events:
    """Give the events of a part that came whole; what its deltas cannot say is in the part that announces them."""
    if isinstance(part, ReasoningPart):
        return [ReasoningDelta(part.text, signature=part.signature)]
    if isinstance(part, TextPart):
        announced: Events = [ContentPartAdded(TextPart("", vendor_extensions=part.vendor_extensions))]
        return [*announced, TextDelta(part.text)] if part.text else announced
    if isinstance(part, ToolCallPart):
        opening: Events = []
        if part.vendor_extensions:
            opening = [ContentPartAdded(ToolCallPart(part.call_id, part.name, {}, vendor_extensions=part.vendor_extensions))]
        return [*opening, ToolCallDelta(part.call_id, part.name, _json.dumps(part.arguments))]
    return [ToolResultAdded(part) if isinstance(part, ToolResultPart) else ContentPartAdded(part)]


def _whole(part: Any) -> Any:
    if not isinstance(part, tuple):
        return part
    thought, pieces = part
    return {"text": "".join(pieces), "thought": True} if thought else {"text": "".join(pieces)}


def _put(args: dict[str, Any], piece: dict[str, Any]) -> None:
    """Put a piece of the arguments at its path; texts at the same path grow."""
    path, value = piece.get("jsonPath"), None
    for name in _VALUES:
        if name in piece:
            value = None if name == "nullValue" else piece[name]
    steps = [
        name or quoted or other or int(index)
        for name, index, quoted, other in _STEP.findall(path if isinstance(path, str) else "")
    ]
    if not steps:
        return
    here: Any = args
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(here, list) and isinstance(step, int) and step <= len(here) + _MAX_GAP:
            here += [None] * (step + 1 - len(here))
        elif not isinstance(here, dict) or isinstance(step, int):
            raise InvalidShapeError(f"jsonPath: {path!r:.80} leads nowhere", pointer="/functionCall/partialArgs")
        before = here[step] if isinstance(here, list) else here.get(step)
        if following is None:
            here[step] = before + value if isinstance(before, str) and isinstance(value, str) else value
        elif before is None:
            here[step] = [] if isinstance(following, int) else {}
        here = here[step]
