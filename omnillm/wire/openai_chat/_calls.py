"""The tool calls of a streamed choice: fragments in, deltas out.

Rules: a call's fragments belong together by ``index``, else by id, else to the last call. They wait until id and name are known;
a call that never gets an id is announced under the one that its position gives it in a response. The first id and the first name
count, since servers repeat them. Another id and name under a taken index, once the call there is whole, is another call.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import InvalidJsonError, InvalidShapeError
from ...types.events import LlmStreamEvent, ToolCallDelta

Events = list[LlmStreamEvent]


class Call:
    """A tool call while its fragments come."""

    __slots__ = ("_announced", "_inner", "_rest", "call_id", "kind", "name", "pieces")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.kind = "function"
        self.pieces: list[str] = []
        self._announced = ""  # the id that the deltas name
        self._rest: dict[str, Any] = {}
        self._inner: dict[str, Any] = {}

    def add(self, fragment: dict[str, Any], events: Events) -> None:
        """Take a fragment."""
        piece = ""
        for name, item in fragment.items():
            if name == "function" and isinstance(item, dict):
                piece += self.add_body(item)
            elif name == "custom" and isinstance(item, dict) and not fragment.get("function"):
                self.kind = "custom"
                piece += self.add_body(item)
            elif name == "id":
                if isinstance(item, str) and not self.call_id:
                    self.call_id = item
            elif name not in ("index", "type") and (item is not None or name not in self._rest):
                self._rest[name] = item
        self.tell(piece, events)

    def add_body(self, body: dict[str, Any]) -> str:
        """Take what a fragment says of the function; gives the piece of arguments in it."""
        piece = ""
        for name, item in body.items():
            if name == "name":
                if isinstance(item, str) and not self.name:
                    self.name = item
            elif name in ("arguments", "input"):
                if item is not None and item != "":
                    piece = item if isinstance(item, str) else _json.dumps(item)
                    self.pieces.append(piece)
            elif item is not None or name not in self._inner:
                self._inner[name] = item
        return piece

    def tell(self, piece: str, events: Events, *, instead: str = "") -> None:
        """Give the delta of a piece, or of all so far where the call was not announced; ``instead`` is the id for want of one."""
        if self._announced:
            if piece:
                events.append(ToolCallDelta(self._announced, self.name, piece))
        elif self.name and (self.call_id or instead):
            self._announced = self.call_id or instead
            events.append(ToolCallDelta(self._announced, self.name, "".join(self.pieces)))

    def is_whole(self) -> bool:
        """Tell whether the arguments are complete JSON."""
        try:
            _json.loads("".join(self.pieces))
        except InvalidJsonError:
            return False
        return True

    def body(self) -> dict[str, Any]:
        """Give the call as a message has it; an id that came after its announcement is too late."""
        text = "input" if self.kind == "custom" else "arguments"
        out: dict[str, Any] = {"type": self.kind, self.kind: {"name": self.name, text: "".join(self.pieces), **self._inner}}
        if self.call_id and self._announced in ("", self.call_id):
            out["id"] = self.call_id
        return {**out, **self._rest}


class Calls:
    """The calls of a choice."""

    __slots__ = ("_by_key", "_calls", "_legacy")

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._by_key: dict[int | str, Call] = {}
        self._legacy: Call | None = None  # the deprecated single call

    def add(self, fragments: Any, events: Events) -> None:
        """Take a delta's fragments."""
        if not isinstance(fragments, list):
            raise InvalidShapeError("tool_calls: expected an array", pointer="/choices/0/delta/tool_calls")
        for i, fragment in enumerate(fragments):
            if not isinstance(fragment, dict):
                raise InvalidShapeError("tool_calls: expected objects", pointer=f"/choices/0/delta/tool_calls/{i}")
            self._call_of(fragment, events).add(fragment, events)

    def _call_of(self, fragment: dict[str, Any], events: Events) -> Call:
        index, call_id = fragment.get("index"), fragment.get("id")
        if not isinstance(call_id, str):
            call_id = ""
        key: int | str = index if type(index) is int else call_id
        found = self._by_key.get(key)
        if found is None and key == "" and self._calls and not _is_named(fragment):
            found = self._calls[-1]
        if found is not None:
            another = call_id and found.call_id and call_id != found.call_id and _is_named(fragment)
            if not another or not found.is_whole():
                return found
        self.flush(events)
        call = Call()
        self._calls.append(call)
        if key != "":
            self._by_key[key] = call
        if call_id:
            self._by_key.setdefault(call_id, call)
        return call

    def add_function_call(self, fragment: Any, events: Events) -> None:
        """Take a fragment of the deprecated single call."""
        if isinstance(fragment, dict):
            call = self._legacy = self._legacy or Call()
            piece = call.add_body(fragment)
            call.tell(piece, events, instead=f"call_{call.name}")

    def flush(self, events: Events) -> None:
        """Announce the calls that are still waiting for an id."""
        for i, call in enumerate(self._calls):
            call.tell("", events, instead=f"call_{i}")

    def last(self) -> ToolCallDelta | None:
        """Give the last call so far as one delta, whatever of it is known."""
        if not self._calls:
            return None
        call = self._calls[-1]
        return ToolCallDelta(call.call_id, call.name, "".join(call.pieces))

    def write(self, message: dict[str, Any]) -> None:
        """Write the calls into a message."""
        if self._legacy is not None:
            message["function_call"] = {"name": self._legacy.name, "arguments": "".join(self._legacy.pieces)}
        if self._calls:
            message["tool_calls"] = [call.body() for call in self._calls]


def _is_named(fragment: dict[str, Any]) -> bool:
    body = fragment.get("function") or fragment.get("custom")
    return isinstance(body, dict) and bool(body.get("name"))
