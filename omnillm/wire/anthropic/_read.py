"""Content blocks and messages read into parts and messages.

Purpose: the one reader of blocks, for requests, responses and the end of a stream.
Contract: a block that the canonical parts can hold becomes one, its other fields riding in the part's extensions; every other
block, and an image or document whose source has a shape nobody knows, is a ``VendorPart`` that holds it whole.
Rules: nothing is coerced; a value equal to what emission leaves out (``is_error: false``, ``content: ""``) stays untaken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import MessageRole
from ...types.message import Message, RawMessage
from ...types.parts import (
    Annotation,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    MessagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .._base64 import encode_text
from .._fields import Fields
from ._citations import is_citation, read_citation
from ._own import PROTOCOL, WIRE

_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT, "system": MessageRole.SYSTEM}
PLAIN_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}


def read_message(value: Any, pointer: str) -> Message:
    """Read one message, plain or not; a shape that its parts cannot rebuild is kept beside them."""
    fields = Fields(value, pointer)
    role = _ROLES.get(fields.required_text("role"))
    if role is None:
        expected = ", ".join(_ROLES)
        raise InvalidShapeError(f"role: expected one of {expected}, got {value['role']!r:.80}", pointer=f"{pointer}/role")
    content = fields.take("content")
    parts: tuple[MessagePart, ...]
    if isinstance(content, str):
        parts = (TextPart(content),)
    elif isinstance(content, list):
        parts = read_blocks(content, f"{pointer}/content")
    elif content is None:
        raise MissingFieldError("content: required, and not there", pointer=f"{pointer}/content")
    else:
        raise InvalidShapeError("content: expected a string or an array", pointer=f"{pointer}/content")
    if role is MessageRole.SYSTEM:
        fields.spell("role", "system")  # inside the conversation, where emission puts no other
    raw = None if _rebuilds(content, parts) else RawMessage(PROTOCOL, value)
    return Message(role, parts, raw_message=raw, vendor_extensions=fields.extensions(WIRE))


def _rebuilds(content: str | list[Any], parts: tuple[MessagePart, ...]) -> bool:
    """Tell whether emission gives the content back: it writes a lone text as a string and leaves empty texts out."""
    if not content or any(map(_holds_empty_text, parts)):
        return False
    return isinstance(content, str) or len(parts) > 1 or content[0].keys() != {"type", "text"}


def _holds_empty_text(part: MessagePart) -> bool:
    if isinstance(part, ToolResultPart) and isinstance(part.output, tuple):
        return any(map(_holds_empty_text, part.output))
    return isinstance(part, TextPart) and not part.text


def read_blocks(blocks: list[Any], pointer: str) -> tuple[MessagePart, ...]:
    """Read an array of blocks."""
    return tuple(read_block(block, f"{pointer}/{i}") for i, block in enumerate(blocks))


def read_block(block: Any, pointer: str) -> MessagePart:
    """Read one block."""
    fields = Fields(block, pointer)
    kind = fields.required_text("type")
    reader = _READERS.get(kind)
    part = reader(fields) if reader is not None else None
    return VendorPart(PROTOCOL, block) if part is None else part


def _text(fields: Fields) -> MessagePart:
    text = fields.required_text("text")
    cited = fields.peek("citations")
    annotations: tuple[Annotation, ...] = ()
    if isinstance(cited, list) and cited and all(map(is_citation, cited)):
        fields.take("citations")
        annotations = tuple(map(read_citation, cited))
    return TextPart(text, annotations, vendor_extensions=fields.extensions(WIRE))


def _thinking(fields: Fields) -> MessagePart:
    text, signature = fields.required_text("thinking"), fields.text("signature")
    return ReasoningPart(text, signature=signature, protocol=PROTOCOL, vendor_extensions=fields.extensions(WIRE))


def _redacted_thinking(fields: Fields) -> MessagePart:
    data = fields.required_text("data")
    return ReasoningPart(encrypted_content=data, protocol=PROTOCOL, vendor_extensions=fields.extensions(WIRE))


def _tool_use(fields: Fields) -> MessagePart:
    call_id, name, given = fields.required_text("id"), fields.required_text("name"), fields.take("input")
    extensions = fields.extensions(WIRE)
    if isinstance(given, str):  # what a stream left unfinished, or a gateway that passes on text
        return ToolCallPart.from_text(call_id, name, given, vendor_extensions=extensions)
    return ToolCallPart(call_id, name, {} if given is None else given, vendor_extensions=extensions)


def take_flag(fields: Fields, name: str) -> bool:
    """Take true or false, an explicit false being how the wire spelled it; any other value stays."""
    if not isinstance(fields.peek(name), bool):
        return False
    flag = bool(fields.take(name))
    if not flag:
        fields.spell(name, flag)
    return flag


def _tool_result(fields: Fields) -> MessagePart:
    call_id, content = fields.required_text("tool_use_id"), fields.peek("content")
    output: str | tuple[MessagePart, ...] = ""
    if content:
        if isinstance(content, str):
            output = content
        elif isinstance(content, list):
            output = read_blocks(content, fields.at("content"))
        else:
            fields.refuse("content", "a string or an array")
        fields.take("content")
    is_error = take_flag(fields, "is_error")
    return ToolResultPart(call_id, output, is_error=is_error, vendor_extensions=fields.extensions(WIRE))


def _image(fields: Fields) -> MessagePart | None:
    source = _source(fields)
    match source:
        case {"type": "base64", "media_type": media_type, "data": data} if len(source) == 3:
            return ImageBase64Part(data, media_type, vendor_extensions=fields.extensions(WIRE))
        case {"type": "url", "url": url} if len(source) == 2:
            return ImageUrlPart(url, vendor_extensions=fields.extensions(WIRE))
        case {"type": "file", "file_id": file_id} if len(source) == 2:
            fields.spell("type", "image")  # a file is a document unless it says otherwise
            return FilePart(file_id, vendor_extensions=fields.extensions(WIRE))
    return None


def _document(fields: Fields) -> MessagePart | None:
    source = _source(fields)
    title = fields.maybe_text("title")
    match source:
        case {"type": "base64", "media_type": "application/pdf" as media_type, "data": data} if len(source) == 3:
            return FilePart(None, media_type, data, title, vendor_extensions=fields.extensions(WIRE))
        case {"type": "text", "media_type": "text/plain" as media_type, "data": text} if len(source) == 3:
            return FilePart(None, media_type, encode_text(text), title, vendor_extensions=fields.extensions(WIRE))
        case {"type": "url", "url": url} if len(source) == 2:
            return FilePart(filename=title, url=url, vendor_extensions=fields.extensions(WIRE))
        case {"type": "file", "file_id": file_id} if len(source) == 2:
            return FilePart(file_id, filename=title, vendor_extensions=fields.extensions(WIRE))
    return None


def _source(fields: Fields) -> dict[str, str]:
    source = fields.take("source")
    return source if isinstance(source, dict) and all(isinstance(value, str) for value in source.values()) else {}


_READERS: dict[str, Callable[[Fields], MessagePart | None]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "image": _image,
    "document": _document,
}
