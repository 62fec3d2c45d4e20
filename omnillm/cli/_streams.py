"""Reading what is piped in."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..errors import ConfigurationError

CHUNK = 64 << 10


def read_bytes() -> bytes:
    """Give all of stdin."""
    return sys.stdin.buffer.read()


def read_text() -> str:
    """Give all of stdin as text; raises ``ConfigurationError`` where it is not UTF-8."""
    data = read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        problem = "stdin: expected UTF-8"
    raise ConfigurationError(problem, field="stdin")


def read_chunks() -> Iterator[bytes]:
    """Give stdin as it arrives."""
    read = getattr(sys.stdin.buffer, "read1", sys.stdin.buffer.read)
    while chunk := read(CHUNK):
        yield chunk
