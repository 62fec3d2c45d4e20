"""Frames of ``application/vnd.amazon.eventstream``, the binary form in which AWS streams, and the JSON form that a recording has.

A frame is the length of all of it, the length of its headers, the CRC32 of these eight bytes, the headers, the payload and the
CRC32 of everything before; every header here is a text.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping
from typing import Any

from .. import _json
from ..errors import InvalidShapeError, ProtocolError
from ..wire.sse import SseFrame

MEDIA_TYPE = "application/vnd.amazon.eventstream"

_LENGTHS = 12  # of the prelude: two lengths and their checksum
_STRING = 7


def encode_event(frame: SseFrame) -> bytes:
    """Write an event as a frame, one whose name ends in ``Exception`` as an exception."""
    name = frame.event or ""
    kind = "exception" if name.endswith("Exception") else "event"
    return _message(kind, name, frame.data)


def encode_chunk(frame: SseFrame) -> bytes:
    """Write an event of another protocol as a chunk of InvokeModel, and an error as an exception."""
    if frame.event == "error":
        said = _json.loads(frame.data).get("error", {}).get("message", "")
        return _message("exception", "internalServerException", _json.dumps({"message": said}))
    return _message("event", "chunk", _json.dumps({"bytes": binascii.b2a_base64(frame.data.encode(), newline=False).decode()}))


def _message(kind: str, name: str, text: str) -> bytes:
    return _framed({f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}, text.encode())


def _framed(named: Mapping[str, str], payload: bytes) -> bytes:
    headers = b"".join(_header(*pair) for pair in named.items())
    lengths = struct.pack(">II", _LENGTHS + len(headers) + len(payload) + 4, len(headers))
    unchecked = lengths + _checksum(lengths) + headers + payload
    return unchecked + _checksum(unchecked)


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return struct.pack(f">B{len(name)}sBH", len(name), name.encode(), _STRING, len(text)) + text


def _checksum(data: bytes) -> bytes:
    return struct.pack(">I", binascii.crc32(data))


# --- at rest ------------------------------------------------------------------------------------------------------------------


def as_json(data: bytes) -> list[dict[str, Any]] | None:
    """Give the messages of a stream as JSON, the events inside chunks too; ``None`` for bytes that are no such stream.

    A message that was cut off is left out: a stream that broke off there breaks off before it.
    """
    from ..transport.aws import MessageReader  # and with it requests, which recordings alone need

    try:
        return [{"headers": headers, "payload": _opened(payload.decode())} for headers, payload in MessageReader().feed(data)]
    except (ProtocolError, UnicodeDecodeError):
        return None


def _opened(text: str) -> Any:
    """Give what a payload says; a text that is no object is kept as it is."""
    try:
        value = _json.loads(text)
        inner = value.get("bytes") if isinstance(value, dict) else None
        if isinstance(inner, str):
            value["bytes"] = _json.loads(binascii.a2b_base64(inner, strict_mode=True))
    except (ProtocolError, ValueError):
        return text
    return value if isinstance(value, dict) else text


def from_json(messages: list[Any]) -> bytes:
    """Give the bytes of what ``as_json`` gave, every checksum anew; raises ``InvalidShapeError`` for what is none."""
    stream = b""
    for place, message in enumerate(messages):
        headers = message.get("headers") if isinstance(message, dict) else None
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise InvalidShapeError("expected a message with headers and a payload", pointer=f"/{place}")
        stream += _framed(headers, _closed(message.get("payload")))
    return stream


def _closed(payload: Any) -> bytes:
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, dict) and isinstance(payload.get("bytes"), dict):
        payload = {**payload, "bytes": binascii.b2a_base64(_json.dump_bytes(payload["bytes"]), newline=False).decode()}
    return _json.dump_bytes(payload)
