"""Parts and contents read into parts and messages.

Purpose: the one reader of parts, for requests, responses and the end of a stream.
Contract: a part with one data field that the canonical parts can hold becomes one, its side fields riding in the part's
extensions; every other part is a ``VendorPart`` that holds it whole.
Rules: a signature stays on its part: a thought's is the reasoning's, any other rides in the extensions. A call without an id is
given one by its place among the calls; a result without one takes that of the first call of its name that has no result yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...errors import InvalidShapeError
from ...types.enums import MessageRole
from ...types.message import Message, RequestItem
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    MessagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .._base64 import is_base64
from .._fields import Fields
from .._plain import read_plain_block
from ._own import PROTOCOL, WIRE, nested, opened

_ROLES = {"user": MessageRole.USER, "model": MessageRole.ASSISTANT, "function": MessageRole.TOOL}
_PLAIN_ROLES = {"user": MessageRole.USER, "model": MessageRole.ASSISTANT}
_DATA = frozenset(
    {
        "audioTranscription",
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "toolCall",
        "toolResponse",
    }
)


class PartReader:
    """Read the parts of one request or response, in order: calls and results without an id are paired by it."""

    def __init__(self) -> None:
        self._calls = 0
        self._open: dict[str, deque[str]] = {}  # by name, the ids given to calls that have no result yet
        self._results = 0

    def read(self, value: Any, pointer: str) -> MessagePart:
        """Read one part."""
        fields = opened(value, pointer)
        data = [name for name in fields.rest() if name in _DATA]
        reader = _READERS.get(data[0]) if len(data) == 1 else None
        part = reader(self, fields) if reader is not None and fields.peek(data[0]) is not None else None
        return VendorPart(PROTOCOL, value) if part is None else part

    def read_all(self, values: list[Any], pointer: str) -> tuple[MessagePart, ...]:
        """Read an array of parts."""
        return tuple([self.read(value, f"{pointer}/{i}") for i, value in enumerate(values)])

    def _text(self, fields: Fields) -> MessagePart | None:
        text = fields.text("text") or ""
        if fields.peek("thought") is not True:
            return TextPart(text, vendor_extensions=fields.extensions(WIRE))
        fields.take("thought")
        signature = fields.maybe_text("thoughtSignature")
        return ReasoningPart(text, signature=signature, protocol=PROTOCOL, vendor_extensions=fields.extensions(WIRE))

    def _inline_data(self, fields: Fields) -> MessagePart | None:
        blob = nested(fields, "inlineData")
        data, media_type = blob.maybe_text("data"), blob.maybe_text("mimeType")
        if data is None or media_type is None or not is_base64(data):
            return None
        kind = media_type.partition("/")[0]
        name = None if kind in ("image", "audio") else blob.maybe_text("displayName")
        extensions = _with_rest(fields, "inlineData", blob)
        if kind == "image":
            return ImageBase64Part(data, media_type, vendor_extensions=extensions)
        if kind == "audio":
            return AudioPart(data, media_type, vendor_extensions=extensions)
        return FilePart(None, media_type, data, name, vendor_extensions=extensions)

    def _file_data(self, fields: Fields) -> MessagePart | None:
        file = nested(fields, "fileData")
        url, media_type = file.maybe_text("fileUri"), file.peek("mimeType")
        if url is None:
            return None
        if isinstance(media_type, str) and media_type.startswith("image/"):
            return ImageUrlPart(url, vendor_extensions=_with_rest(fields, "fileData", file))
        media_type, name = file.maybe_text("mimeType"), file.maybe_text("displayName")
        return FilePart(None, media_type, None, name, url, vendor_extensions=_with_rest(fields, "fileData", file))

    def _function_call(self, fields: Fields) -> MessagePart | None:
        call = nested(fields, "functionCall")
        name, given = call.maybe_text("name"), call.peek("args")
        if not name or not isinstance(given, dict | None):
            return None
        if given is None:
            fields.spell("args", None)
        call.take("args")
        call_id = call.maybe_text("id") if call.peek("id") != "" else None
        if call_id is None:
            call_id = f"call_{self._calls}"
            self._open.setdefault(name, deque()).append(call_id)
            fields.spell("id", None)
        self._calls += 1
        return ToolCallPart(call_id, name, given or {}, vendor_extensions=_with_rest(fields, "functionCall", call))

    def _function_response(self, fields: Fields) -> MessagePart | None:
        result = nested(fields, "functionResponse")
        name, given, media = result.maybe_text("name"), result.peek("response"), result.peek("parts")
        if not name or not isinstance(given, dict):
            return None
        result.take("response")
        output, is_error = _read_output(given)
        if media and isinstance(media, list):
            lead = TextPart(output) if isinstance(output, str) else JsonPart(output)
            output = (lead, *self.read_all(result.take("parts"), result.at("parts")))
        call_id = result.maybe_text("id") if result.peek("id") != "" else None
        if call_id is None:
            call_id = self._answered(name)
            fields.spell("id", None)
        self._results += 1
        extensions = _with_rest(fields, "functionResponse", result)
        return ToolResultPart(call_id, output, name, is_error, vendor_extensions=extensions)

    def _answered(self, name: str) -> str:
        waiting = self._open.get(name)
        return waiting.popleft() if waiting else f"call_{self._results}"


def _with_rest(fields: Fields, name: str, inner: Fields) -> dict[str, Any]:
    """Keep what nobody took of a nested object; give the extensions of both."""
    if inner.rest():
        fields.keep(name, inner.rest())
    return fields.extensions(WIRE)


def _read_output(response: dict[str, Any]) -> tuple[Any, bool]:
    """Give a function's output, and whether it failed: ``output`` and ``error`` hold it, else it is the whole object."""
    if len(response) == 1:
        for name, is_error in (("output", False), ("error", True)):
            if name in response:
                value = response[name]
                return (response if isinstance(value, dict) else value), is_error
    return response, False


_READERS: dict[str, Callable[[PartReader, Fields], MessagePart | None]] = {
    "text": PartReader._text,
    "inlineData": PartReader._inline_data,
    "fileData": PartReader._file_data,
    "functionCall": PartReader._function_call,
    "functionResponse": PartReader._function_response,
}


def read_parts(fields: Fields, reader: PartReader) -> tuple[MessagePart, ...]:
    """Take a content's parts: an array, or one part alone."""
    given = fields.peek("parts")
    if given is None:
        if "parts" not in fields:
            fields.spell("parts", None)
        return ()
    if isinstance(given, dict):
        fields.spell("parts", "object")
        return (reader.read(fields.take("parts"), fields.at("parts")),)
    parts = reader.read_all(fields.array("parts") or [], fields.at("parts"))
    if not parts:
        fields.spell("parts", "array")
    return parts


def read_content(value: Any, pointer: str, reader: PartReader) -> RequestItem:
    """Read one content of a conversation."""
    usual = read_plain_block(value, "parts", _PLAIN_ROLES)
    if usual is not None:
        return usual
    fields = opened(value, pointer)
    name = fields.text("role")
    role = MessageRole.USER
    if name is None:
        if "role" not in fields:
            fields.spell("role", None)
    elif name in _ROLES:
        role = _ROLES[name]
    else:
        return VendorPart(PROTOCOL, value)
    if role is MessageRole.TOOL:
        fields.spell("role", name)
    parts = read_parts(fields, reader)
    return Message(role, parts, vendor_extensions=fields.extensions(WIRE))


def read_system(value: Any, pointer: str) -> Message:
    """Read a system instruction that is a content."""
    fields = opened(value, pointer)
    role = fields.peek("role")
    if role in ("user", "system", "model"):
        fields.spell("role", fields.take("role"))
    elif not isinstance(role, str | None):
        raise InvalidShapeError("role: expected a string", pointer=fields.at("role"))
    return Message(MessageRole.SYSTEM, read_parts(fields, PartReader()), vendor_extensions=fields.extensions(WIRE))
