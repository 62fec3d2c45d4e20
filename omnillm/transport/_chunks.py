"""Chunks of a body as they lie in a buffer: RFC 9112 section 7.1."""

from __future__ import annotations

import re

CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


def whole_chunks(data: bytes, start: int, most: int) -> tuple[list[bytes], int]:
    """Give the whole chunks from there on, of no more than ``most`` bytes (-1: any), and where they end.

    The last, empty one is not among them, nor is one that is cut or malformed: whoever reads on says what it is.
    """
    found: list[bytes] = []
    size = 0
    while match := CHUNK_SIZE.match(data, start):
        begin = match.end()
        end = begin + int(match[1], 16)
        size += end - begin
        if begin == end or data[end : end + 2] != b"\r\n" or 0 <= most < size:
            break
        found.append(data[begin:end])
        start = end + 2
    return found, start
