"""Reading what is piped in."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..errors import ConfigurationError

CHUNK = 64 << 10


class UsageError(ConfigurationError):
    """Raised when options do not go together."""


def read_bytes() -> bytes:
    """Give all of stdin."""
    return sys.stdin.buffer.read()


def read_text() -> str:
    """Give all of stdin as text; raises ``ConfigurationError`` where it is not UTF-8."""
    try:
        return read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError("stdin: expected UTF-8", field="stdin") from None


def read_chunks() -> Iterator[bytes]:
    """Give stdin as it arrives."""
    read = getattr(sys.stdin.buffer, "read1", sys.stdin.buffer.read)
    while chunk := read(CHUNK):
        yield chunk
