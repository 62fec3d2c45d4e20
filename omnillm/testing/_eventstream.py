"""Frames of ``application/vnd.amazon.eventstream``, the binary form in which AWS streams.

A frame is the length of all of it, the length of its headers, the CRC32 of these eight bytes, the headers, the payload and the
CRC32 of everything before; every header here is a text.
"""

from __future__ import annotations

import binascii
import struct

from .. import _json
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
    headers = b"".join(
        _header(*pair) for pair in ((f":{kind}-type", name), (":content-type", "application/json"), (":message-type", kind))
    )
    payload = text.encode()
    lengths = struct.pack(">II", _LENGTHS + len(headers) + len(payload) + 4, len(headers))
    unchecked = lengths + _checksum(lengths) + headers + payload
    return unchecked + _checksum(unchecked)


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return struct.pack(f">B{len(name)}sBH", len(name), name.encode(), _STRING, len(text)) + text


def _checksum(data: bytes) -> bytes:
    return struct.pack(">I", binascii.crc32(data))
