"""Messages of Chat Completions, of requests and of replies.

Contract: ``read_message`` gives the canonical item of a request's message, ``read_reply`` the message of a choice;
``write_items`` and ``write_reply`` are the ways back. A message of an unknown role is a ``VendorPart``, whole.
Rules: an assistant's message reads as reasoning, content, refusal, sound, calls. What its parts cannot rebuild keeps the wire's
own message beside them, which counts for as long as reading it again gives the same message. A reply's calls without an id are given
one by position, so that results can name them; a request's are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ... import _json
from ...types.enums import MessageRole
from ...types.message import Message, RawMessage, RequestItem
from ...types.parts import (
    MessagePart,
    RefusalPart,
    TextPart,
    ToolResultPart,
    VendorPart,
)
from .._fields import Emission, Fields, spelling
from ._assistant import read_assistant, write_assistant
from ._content import CHAT, TEXT_ROLE, USER_ROLE, WIRE, Placed, read_content, read_part, text_or_empty, write_content

_ROLES = {
    "system": MessageRole.SYSTEM,
    "developer": MessageRole.DEVELOPER,
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "tool": MessageRole.TOOL,
    "function": MessageRole.TOOL,
}


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_message(value: Any, pointer: str) -> RequestItem:
    """Read a message of a request."""
    fields = Fields(value, pointer)
    role = _ROLES.get(fields.required_text("role"))
    if role is None:
        return VendorPart(CHAT, value)
    message, plain = _read(fields, role, value["role"])
    return message if plain else _with_raw(message, value, reply=False)


def read_reply(value: Any, pointer: str) -> Message:
    """Read the message of a choice."""
    fields = Fields(value, pointer)
    if fields.peek("role") == "assistant":
        fields.take("role")
    return _with_raw(read_assistant(fields, reply=True), value, reply=True)


def _read(fields: Fields, role: MessageRole, name: str) -> tuple[Message, bool]:
    """Give a message and whether its shape was the plain one, which parts rebuild."""
    content = fields.peek("content")
    if role is MessageRole.ASSISTANT:
        calls = "tool_calls" in fields or "function_call" in fields or "annotations" in fields
        plain = isinstance(content, str) and not calls
        return read_assistant(fields, reply=False), plain
    fields.take("content")
    if role is MessageRole.TOOL:
        return _read_result(fields, content, legacy=name == "function"), isinstance(content, str)
    parts = read_content(content, fields.at("content"))
    return Message(role, parts, vendor_extensions=fields.extensions(WIRE)), isinstance(content, str)


def _read_result(fields: Fields, content: Any, *, legacy: bool) -> Message:
    name = fields.text("name")
    if legacy:
        fields.spell("role", "function")
        call_id = f"call_{name}" if name else ""  # as the call before it: see _assistant
    else:
        call_id = text_or_empty(fields, "tool_call_id")
    output: Any = content
    if isinstance(content, list):
        output = tuple(read_part(part, f"{fields.at('content')}/{i}") for i, part in enumerate(content))
    elif content is None:
        output = ""
    result = ToolResultPart(call_id, output, name)
    return Message(MessageRole.TOOL, (result,), vendor_extensions=fields.extensions(WIRE))


def _with_raw(message: Message, value: Any, *, reply: bool) -> Message:
    """Keep the wire's own message where the parts cannot rebuild it."""
    rebuilt = [write_reply(message, Emission(WIRE))] if reply else list(_write_message(message, Emission(WIRE), ""))
    if rebuilt == [value]:
        return message
    return replace(message, raw_message=RawMessage(CHAT, value))


def _raw(message: Message, *, reply: bool) -> Any:
    """Give the wire's own message where it still says what the message says, else ``None``."""
    raw = message.raw_message
    if raw is None or raw.protocol is not CHAT or not isinstance(raw.payload, dict):
        return None
    again = read_reply(raw.payload, "") if reply else read_message(raw.payload, "")
    if not isinstance(again, Message) or again != message:
        return None
    # equality takes 1 for True and 1.0: only the written form tells them apart
    same = repr(again.parts) == repr(message.parts) and repr(again.vendor_extensions) == repr(message.vendor_extensions)
    return raw.payload if same else None


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_items(items: Iterable[RequestItem], emission: Emission) -> list[Any]:
    """Write a request's items as messages; loose parts of an assistant's turn join the assistant's message next to them."""
    out: list[Any] = []
    turn = _Turn()
    for i, item in enumerate(items):
        pointer = f"/input/{i}"
        if isinstance(item, Message):
            if item.role is MessageRole.ASSISTANT and turn.takes(item, pointer):
                continue
            out.extend(turn.close(emission))
            if item.role is MessageRole.ASSISTANT:
                turn.takes(item, pointer)
            else:
                out.extend(_message(item, emission, pointer))
        elif isinstance(item, ToolResultPart):
            out.extend(turn.close(emission))
            out.append(_write_result(item, emission, pointer))
        elif isinstance(item, VendorPart):
            out.extend(turn.close(emission))
            if item.protocol is CHAT:
                out.append(item.payload)
            else:
                emission.lose(pointer, f"an item that only {item.protocol.value} knows")
        else:
            turn.add(item, pointer)
    out.extend(turn.close(emission))
    return out


class _Turn:
    """The assistant's turn being gathered: at most one message, and the loose parts around it."""

    __slots__ = ("_at", "_message", "_placed")

    def __init__(self) -> None:
        self._message: Message | None = None
        self._at = ""
        self._placed: list[Placed] = []

    def takes(self, message: Message, pointer: str) -> bool:
        """Take a message where there is none yet."""
        if self._message is not None:
            return False
        self._message, self._at = message, pointer
        self._placed.extend(_placed(message, pointer))
        return True

    def add(self, part: MessagePart, pointer: str) -> None:
        """Take a loose part."""
        self._placed.append((part, pointer))

    def close(self, emission: Emission) -> Iterator[Any]:
        """Give the message of the turn, if there is one, and start anew."""
        message, at, placed = self._message, self._at, self._placed
        if message is None and not placed:
            return
        self._message, self._placed = None, []
        if message is not None and len(placed) == len(message.parts):
            yield from _message(message, emission, at)
            return
        out = write_assistant(placed, emission, reply=False)
        if message is not None:
            emission.lay(out, message.vendor_extensions, at)
        yield out


def _placed(message: Message, pointer: str) -> list[Placed]:
    return [(part, f"{pointer}/parts/{i}") for i, part in enumerate(message.parts)]


def _message(message: Message, emission: Emission, pointer: str) -> Iterable[Any]:
    raw = _raw(message, reply=False)
    return _write_message(message, emission, pointer) if raw is None else (raw,)


def _write_message(message: Message, emission: Emission, pointer: str) -> Iterator[dict[str, Any]]:
    if message.role is MessageRole.ASSISTANT:
        out = write_assistant(_placed(message, pointer), emission, reply=False, array=_was_array(message))
        yield emission.lay(out, message.vendor_extensions, pointer)
        return
    results = [(part, at) for part, at in _placed(message, pointer) if isinstance(part, ToolResultPart)]
    others = [(part, at) for part, at in _placed(message, pointer) if not isinstance(part, ToolResultPart)]
    legacy = spelling(message.vendor_extensions, WIRE).get("role") == "function"
    written = [_write_result(part, emission, at, legacy=legacy) for part, at in results]
    if message.role is MessageRole.TOOL:
        for _, at in others:
            emission.lose(at, "a tool's message of Chat Completions holds results only")
    elif others or not results:
        written.append(_write_other(message, others, emission))
    for i, out in enumerate(written):
        # the message's own fields go with its content, else with its first result
        if (out["role"] == message.role.value) if others and message.role is not MessageRole.TOOL else i == 0:
            emission.lay(out, message.vendor_extensions, pointer)
    yield from written


def _write_other(message: Message, placed: list[Placed], emission: Emission) -> dict[str, Any]:
    allowed = USER_ROLE if message.role is MessageRole.USER else TEXT_ROLE
    spoken = [(TextPart(part.text), at) if isinstance(part, RefusalPart) else (part, at) for part, at in placed]
    content = write_content(spoken, emission, allowed, array=_was_array(message))
    out: dict[str, Any] = {"role": message.role.value}
    if content is not None:
        out["content"] = content
    return out


def _was_array(message: Message) -> bool:
    raw = message.raw_message
    return raw is not None and raw.protocol is CHAT and isinstance(raw.payload, dict) and type(raw.payload.get("content")) is list


def _write_result(result: ToolResultPart, emission: Emission, pointer: str, *, legacy: bool = False) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "function" if legacy else "tool"}
    if result.call_id and not legacy:
        out["tool_call_id"] = result.call_id
    if result.name is not None:
        out["name"] = result.name
    out["content"] = _write_output(result.output, emission, pointer)
    if result.is_error:
        emission.lose(f"{pointer}/is_error", "Chat Completions does not say that a tool failed")
    return emission.lay(out, result.vendor_extensions, pointer)


def _write_output(output: Any, emission: Emission, pointer: str) -> Any:
    if isinstance(output, tuple):
        placed = [(part, f"{pointer}/output/{i}") for i, part in enumerate(output)]
        content = write_content(placed, emission, TEXT_ROLE)
        return "" if content is None else content
    if not isinstance(output, str):
        output = _json.dumps(output)
    return [{"type": "text", "text": output}] if emission.text_content == "array" else output


def write_reply(message: Message, emission: Emission) -> dict[str, Any]:
    """Write the message of a choice."""
    raw = _raw(message, reply=True)
    if raw is not None:
        return dict(raw)
    out = write_assistant(_placed(message, "/output/0"), emission, reply=True)
    return emission.lay(out, message.vendor_extensions, "/output/0")


def write_reply_parts(placed: list[Placed], emission: Emission) -> dict[str, Any]:
    """Write the message of a choice from the parts of several items."""
    return write_assistant(placed, emission, reply=True)
