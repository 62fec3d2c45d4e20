"""Content blocks and messages read into parts and messages.

Purpose: the one reader of blocks, for requests, responses and the end of a stream. A block is an object with one field, which
names its kind.
Contract: a block that the canonical parts can hold becomes one, the other fields of its object riding in the part's extensions;
every other block (a cache point, a search result, what a tool of the provider said) is a ``VendorPart`` that holds it whole.
Rules: nothing is coerced; what emission would leave out (an empty text, ``status: success``) is noted as how the wire spelled it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import MessageRole
from ...types.message import Message
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    JsonPart,
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
from ._media import format_of, is_document_name, media_type_of
from ._own import PROTOCOL, WIRE

_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT, "system": MessageRole.SYSTEM}
PLAIN_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}

_Reader = Callable[[Any, str], MessagePart | None]


def read_message(value: Any, pointer: str) -> Message:
    """Read one message."""
    fields = Fields(value, pointer)
    role = _ROLES.get(fields.required_text("role"))
    if role is None:
        expected = ", ".join(_ROLES)
        raise InvalidShapeError(f"role: expected one of {expected}, got {value['role']!r:.80}", pointer=f"{pointer}/role")
    if fields.peek("content") is None:
        raise MissingFieldError("content: required, and not there", pointer=f"{pointer}/content")
    content = [] if fields.peek("content") == [] else fields.required_array("content")
    if role is MessageRole.SYSTEM:
        fields.spell("role", "system")  # inside the conversation, where emission puts no other
    return Message(role, read_blocks(content, f"{pointer}/content"), vendor_extensions=fields.extensions(WIRE))


def read_blocks(blocks: list[Any], pointer: str) -> tuple[MessagePart, ...]:
    """Read an array of blocks."""
    return tuple(read_block(block, f"{pointer}/{i}", _READERS) for i, block in enumerate(blocks))


def read_block(block: Any, pointer: str, readers: dict[str, _Reader]) -> MessagePart:
    """Read one block."""
    if not isinstance(block, dict):
        Fields(block, pointer)  # refuses it
    part = None
    if len(block) == 1:
        ((kind, value),) = block.items()
        reader = readers.get(kind)
        part = reader(value, f"{pointer}/{kind}") if reader is not None else None
    return VendorPart(PROTOCOL, block) if part is None else part


def read_answer(blocks: list[Any], pointer: str) -> tuple[MessagePart, ...]:
    """Read the blocks of an answer, in which no text is a guarded one's."""
    return tuple(read_block(block, f"{pointer}/{i}", _ANSWER_READERS) for i, block in enumerate(blocks))


def read_streamed(block: Any) -> MessagePart:
    """Read a block that a stream ended."""
    return read_block(block, "", _ANSWER_READERS)


# --- text and reasoning -------------------------------------------------------------------------------------------------------


def _text(value: Any, pointer: str) -> MessagePart:
    if not isinstance(value, str):
        raise InvalidShapeError(f"text: expected a string, got {type(value).__name__}", pointer=pointer)
    if value:
        return TextPart(value)
    fields = Fields({}, pointer)
    fields.spell("text", "")
    return TextPart(value, vendor_extensions=fields.extensions(WIRE))


def _guard_content(value: Any, pointer: str) -> MessagePart | None:
    if not isinstance(value, dict) or len(value) != 1 or "text" not in value:
        return None
    fields = Fields(value["text"], f"{pointer}/text")
    text = fields.required_text("text")
    fields.spell("text", "guardContent")
    return TextPart(text, vendor_extensions=fields.extensions(WIRE))


def _citations_content(value: Any, pointer: str) -> MessagePart | None:
    fields, pieces = Fields(value, pointer), []
    content, cited = fields.peek("content"), fields.peek("citations")
    if content:
        for piece in fields.required_array("content"):
            if not isinstance(piece, dict) or len(piece) != 1 or not isinstance(piece.get("text"), str):
                return None
            pieces.append(piece["text"])
    annotations = []
    if isinstance(cited, list) and cited and all(map(is_citation, cited)):
        annotations = [read_citation(citation) for citation in fields.required_array("citations")]
    fields.spell("text", "citationsContent")
    if len(pieces) > 1 or pieces == [""]:
        fields.spell("content", pieces)
    return TextPart("".join(pieces), tuple(annotations), vendor_extensions=fields.extensions(WIRE))


def _reasoning_content(value: Any, pointer: str) -> MessagePart | None:
    if not isinstance(value, dict) or len(value) != 1:
        return None
    redacted = value.get("redactedContent")
    if isinstance(redacted, str):
        return ReasoningPart(encrypted_content=redacted, protocol=PROTOCOL)
    if "reasoningText" not in value:
        return None
    fields = Fields(value["reasoningText"], f"{pointer}/reasoningText")
    text, signature = fields.required_text("text"), fields.text("signature")
    return ReasoningPart(text, signature=signature, protocol=PROTOCOL, vendor_extensions=fields.extensions(WIRE))


# --- tools --------------------------------------------------------------------------------------------------------------------


def _tool_use(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    if fields.peek("type") == "server_tool_use":
        return None
    call_id, name, given = fields.required_text("toolUseId"), fields.required_text("name"), fields.take("input")
    if isinstance(given, str):  # what a stream left unfinished
        fields.spell("input", "text")
        return ToolCallPart.from_text(call_id, name, given, vendor_extensions=fields.extensions(WIRE))
    return ToolCallPart(call_id, name, {} if given is None else given, vendor_extensions=fields.extensions(WIRE))


def _tool_result(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    if fields.peek("type") is not None:  # what a tool of the provider said
        return None
    call_id = fields.required_text("toolUseId")
    output: tuple[MessagePart, ...] = ()
    if fields.peek("content"):
        blocks = fields.required_array("content")
        output = tuple(read_block(block, f"{pointer}/content/{i}", _RESULT_READERS) for i, block in enumerate(blocks))
    is_error = fields.peek("status") == "error"
    if is_error or fields.peek("status") == "success":
        status = fields.take("status")
        if not is_error:
            fields.spell("status", status)
    return ToolResultPart(call_id, output or "", is_error=is_error, vendor_extensions=fields.extensions(WIRE))


def _json(value: Any, _pointer: str) -> MessagePart:
    return JsonPart(value)


# --- media --------------------------------------------------------------------------------------------------------------------


def _image(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    _, data = _source(fields, "bytes")
    if data is None:
        return None
    media_type = _media_type(fields, "image")
    return ImageBase64Part(data, media_type, vendor_extensions=fields.extensions(WIRE))


def _document(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    form, data = _source(fields, "bytes", "text")
    if data is None:
        return None
    media_type, name = _media_type(fields, "document"), fields.maybe_text("name")
    if name is not None and not is_document_name(name):
        fields.spell("name", name)
    if form == "text":
        fields.spell("source", form)
        data = encode_text(data)
    return FilePart(None, media_type, data, name, vendor_extensions=fields.extensions(WIRE))


def _video(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    _, data = _source(fields, "bytes")
    if data is None or not isinstance(fields.peek("format"), str):
        return None
    media_type = _media_type(fields, "video")
    return FilePart(None, media_type, data, vendor_extensions=fields.extensions(WIRE))


def _audio(value: Any, pointer: str) -> MessagePart | None:
    fields = Fields(value, pointer)
    _, data = _source(fields, "bytes")
    if data is None:
        return None
    media_type = _media_type(fields, "audio")
    return AudioPart(data, media_type, vendor_extensions=fields.extensions(WIRE))


def _source(fields: Fields, *forms: str) -> tuple[str, str | None]:
    """Take a source of one of the forms and nothing else; what is in S3, where no other provider looks, has none."""
    source = fields.peek("source")
    if isinstance(source, dict) and len(source) == 1:
        ((form, value),) = source.items()
        if form in forms and isinstance(value, str):
            fields.take("source")
            return form, value
    return "", None


def _media_type(fields: Fields, kind: str) -> str | None:
    """Take the format as a media type; one that is not what emission would write for that type is noted."""
    word = fields.maybe_text("format")
    media_type = None if word is None else media_type_of(kind, word)
    if word is None or format_of(kind, media_type) != word:
        fields.spell("format", word or "")
    return media_type


_MEDIA_READERS: dict[str, _Reader] = {"text": _text, "image": _image, "document": _document, "video": _video}
_RESULT_READERS: dict[str, _Reader] = {**_MEDIA_READERS, "json": _json}
_READERS: dict[str, _Reader] = {
    **_MEDIA_READERS,
    "audio": _audio,
    "citationsContent": _citations_content,
    "guardContent": _guard_content,
    "reasoningContent": _reasoning_content,
    "toolResult": _tool_result,
    "toolUse": _tool_use,
}
_ANSWER_READERS = {kind: reader for kind, reader in _READERS.items() if kind != "guardContent"}
