"""One message of the binary event stream as a frame: of Converse by its name, of InvokeModel what is inside it.

An exception, or an error of the service's own layer, raises the ``ProviderError`` that it says: it is of no protocol's making.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from ... import _json
from ...errors import InvalidShapeError
from ..sse import SseFrame
from .error import parse_error

_CHUNK = "chunk"


def read_message(headers: Mapping[str, str], payload: bytes) -> SseFrame:
    """Read a message; raises ``ProviderError`` for an exception and ``ProtocolError`` for what is none."""
    kind = headers.get(":message-type")
    if kind == "error":
        said = headers.get(":error-message") or headers.get(":error-code") or "an error without a message"
        raise parse_error(None, {"__type": headers.get(":error-code"), "message": said})
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise InvalidShapeError("a message of the event stream is not UTF-8") from None
    if kind == "exception":
        name = headers.get(":exception-type") or "internalServerException"
        body = _json.loads(text) if text else {}
        raise parse_error(None, {**body, "__type": name} if isinstance(body, dict) else {"__type": name, "message": text})
    event = headers.get(":event-type")
    return SseFrame(None, _inside(text)) if event == _CHUNK else SseFrame(event, text)


def _inside(text: str) -> str:
    """Give the event that a chunk of InvokeModel carries."""
    chunk = _json.loads(text)
    inner = chunk.get("bytes") if isinstance(chunk, dict) else None
    if not isinstance(inner, str):
        raise InvalidShapeError("a chunk without bytes", pointer="/bytes")
    try:
        return binascii.a2b_base64(inner, strict_mode=True).decode()
    except ValueError:
        raise InvalidShapeError("not base64 of UTF-8", pointer="/bytes") from None
