"""Items of an input or an output, read.

Contract: messages, calls, results and reasoning become canonical items; an item of any other type is a ``VendorPart`` that
holds it whole, at its place. Rules: ids, statuses, phases and everything else that only this wire knows ride in the item's
extensions. A lone text is written as a string, but as an array in a message that has an id or a status; where it came in an array
without them, the wire's own message is kept beside it, to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import MessageRole
from ...types.message import Message, RawMessage, RequestItem
from ...types.parts import MessagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, VendorPart
from .._fields import Fields
from .._plain import read_plain
from ._content import INPUT, OUTPUT, is_plain_text, needs_output_form, read_parts
from ._own import PROTOCOL, WIRE

_ROLES = {
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "system": MessageRole.SYSTEM,
    "developer": MessageRole.DEVELOPER,
}


def read_items(values: list[Any], pointer: str) -> tuple[RequestItem, ...]:
    """Read an array of items."""
    return tuple([read_item(value, f"{pointer}/{i}") for i, value in enumerate(values)])


def read_item(value: Any, pointer: str) -> RequestItem:
    """Read one item."""
    usual = read_plain(value, _ROLES)
    if usual is not None:
        return usual
    fields = Fields(value, pointer)
    kind = fields.peek("type")
    if kind is None or kind == "message":
        role = fields.peek("role")
        known = _ROLES.get(role) if isinstance(role, str) else None
        return VendorPart(PROTOCOL, value) if known is None else _read_message(fields, known, value)
    if not isinstance(kind, str):
        fields.refuse("type", "a string")
    read = _READERS.get(kind)
    part = read(fields) if read is not None else None
    return VendorPart(PROTOCOL, value) if part is None else part


def _read_message(fields: Fields, role: MessageRole, value: Any) -> Message:
    fields.take("role")
    if fields.peek("type") is not None:
        fields.spell("type", fields.take("type"))
    content = fields.take("content")
    text_type = OUTPUT if role is MessageRole.ASSISTANT else INPUT
    raw = None
    if isinstance(content, str):
        parts: tuple[MessagePart, ...] = (TextPart(content),)
        if is_whole(fields):
            fields.spell("content", "text")
    elif isinstance(content, list):
        parts = read_parts(content, fields.at("content"), text_type)
        if len(content) == 1 and is_plain_text(content[0], text_type) and not is_whole(fields):
            raw = RawMessage(PROTOCOL, value)
        elif text_type == OUTPUT and needs_output_form(content) and not is_whole(fields):
            fields.spell("parts", "bare")
    elif content is None:
        raise MissingFieldError("content: required, and not there", pointer=fields.at("content"))
    else:
        raise InvalidShapeError("content: expected a string or an array", pointer=fields.at("content"))
    return Message(role, parts, raw_message=raw, vendor_extensions=fields.extensions(WIRE))


def is_whole(fields: Fields | Mapping[str, Any]) -> bool:
    """Tell a message as the API has it, whose content is an array, from the short form of one."""
    return "id" in fields or "status" in fields


def _read_call(fields: Fields) -> ToolCallPart | None:
    """Read a call of a function, whose arguments are JSON, or of a custom tool, whose input is any text."""
    if not isinstance(fields.peek("name"), str):
        return None
    custom = fields.take("type") == "custom_tool_call"
    if custom:
        fields.spell("type", "custom_tool_call")
    name, call_id = fields.required_text("name"), _call_id(fields)
    given = fields.take("input" if custom else "arguments")
    if not isinstance(given, str):
        fields.spell("arguments", "absent" if given is None else "value")
        return ToolCallPart(call_id, name, {} if given is None else given, vendor_extensions=fields.extensions(WIRE))
    if custom:
        return ToolCallPart(call_id, name, given, given, vendor_extensions=fields.extensions(WIRE))
    return ToolCallPart.from_text(call_id, name, given, vendor_extensions=fields.extensions(WIRE))


def _call_id(fields: Fields) -> str:
    """Take the call's id; how it is missing stays, so that none is made up for it."""
    call_id = fields.text("call_id")
    if not call_id:
        fields.spell("call_id", call_id)
    return call_id or ""


def _read_result(fields: Fields) -> ToolResultPart:
    kind = fields.take("type")
    if kind != "function_call_output":
        fields.spell("type", kind)
    call_id, name = _call_id(fields), fields.maybe_text("name")
    if name is not None:
        fields.spell("name", "name")
    output = fields.take("output")
    if isinstance(output, list):
        output = read_parts(output, fields.at("output"), INPUT)
        if len(output) == 1 and isinstance(output[0], TextPart):
            fields.spell("output", "array")
    elif output is None:
        fields.spell("output", "absent")
        output = ""
    elif not isinstance(output, str):
        fields.spell("output", "value")
    return ToolResultPart(call_id, output, name, vendor_extensions=fields.extensions(WIRE))


def _read_reasoning(fields: Fields) -> ReasoningPart | None:
    summary, content = _texts(fields.peek("summary"), "summary_text"), _texts(fields.peek("content"), "reasoning_text")
    if summary is None or content is None:
        return None
    fields.take("type")
    if fields.take("summary") is None:
        fields.spell("summary", None)
    if fields.take("content") is not None and (len(content) != 1 or not content[0]):
        fields.spell("text", [len(text) for text in content])
    return ReasoningPart(
        "".join(content),
        tuple(summary),
        encrypted_content=fields.maybe_text("encrypted_content"),
        protocol=PROTOCOL,
        vendor_extensions=fields.extensions(WIRE),
    )


def _texts(given: Any, kind: str) -> list[str] | None:
    """Give the texts of an array of parts of that type and nothing else; ``None`` where it is none."""
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(part, dict) and is_plain_text(part, kind) for part in given):
        return None
    return [part["text"] for part in given]


_READERS: dict[str, Callable[[Fields], RequestItem | None]] = {
    "function_call": _read_call,
    "custom_tool_call": _read_call,
    "function_call_output": _read_result,
    "custom_tool_call_output": _read_result,
    "reasoning": _read_reasoning,
}
