"""A body that is read while it is sent: bytes and files, one after the other, as often as it takes.

Contract: ``len()`` is what goes over the wire. Every attempt reads the files anew: a path is opened again, an open file is read
at offsets of its own, which moves no one's place in it. What cannot be read that way (a pipe, a file in memory or within an
archive) is read whole when the upload is made.
Rules: a file that is shorter by the time it is sent ends the call, with its connection; what was added to it is not sent.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ConfigurationError

CHUNK = 256 << 10
MAX_UPLOAD = 1 << 30  # of what is read whole


class Upload:
    """Be a body of several pieces; raises ``ConfigurationError`` where a file cannot be read."""

    __slots__ = ("_pieces", "_size")

    def __init__(self, pieces: Iterable[bytes | Path | BinaryIO]) -> None:
        self._pieces = tuple(map(_piece, pieces))
        self._size = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<Upload of {self._size} bytes>"

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes, from the first one on, in chunks."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from piece.chunks()


class _File:
    """Be a part of a file: one by its path, or one that its owner holds open."""

    __slots__ = ("_descriptor", "_file", "_path", "_size", "_start")

    def __init__(self, size: int, *, path: Path | None = None, file: BinaryIO | None = None, start: int = 0) -> None:
        self._path = path
        self._file = file  # kept: its descriptor is closed with it
        self._descriptor = None if file is None else file.fileno()
        self._start = start
        self._size = size

    def __len__(self) -> int:
        return self._size

    def chunks(self) -> Iterator[bytes]:
        if self._path is None:
            assert self._descriptor is not None
            yield from self._read(self._descriptor)
            return
        try:
            with self._path.open("rb", buffering=0) as file:
                yield from self._read(file.fileno())
        except OSError as error:
            raise _unreadable(self._path.name, error) from None

    def _read(self, descriptor: int) -> Iterator[bytes]:
        left, place = self._size, self._start
        while left:
            try:
                chunk = os.pread(descriptor, min(CHUNK, left), place)
            except OSError as error:  # not to be taken for one of the socket's
                raise _unreadable("it", error) from None
            if not chunk:
                raise ConfigurationError("file: it became shorter while it was sent", field="file")
            yield chunk
            left -= len(chunk)
            place += len(chunk)


def _piece(given: Any) -> bytes | _File:
    if isinstance(given, bytes):
        return given
    if isinstance(given, Path):
        try:
            with given.open("rb") as file:
                return _File(os.fstat(file.fileno()).st_size, path=given)
        except OSError as error:
            raise _unreadable(given.name, error) from None
    if getattr(given, "closed", False):
        raise ConfigurationError("file: it is closed", field="file")
    found = _on_disk(given)
    return _whole(given) if found is None else found


def _on_disk(given: Any) -> _File | None:
    """Give an open file that the system can read at any offset, or ``None`` where it is another kind."""
    file = getattr(given, "file", given)  # what tempfile wraps
    if not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO) or not hasattr(os, "pread"):
        return None
    if not isinstance(getattr(file, "raw", file), io.FileIO):
        return None
    try:
        if isinstance(file, io.BufferedRandom):
            file.flush()
        start, size = file.tell(), os.fstat(file.fileno()).st_size
    except OSError:
        return None
    return _File(max(size - start, 0), file=given, start=start)


def _whole(given: Any) -> bytes:
    """Read what is no file on disk, and leave one that can be read again where it stood."""
    start = given.tell() if _is_seekable(given) else None
    data = given.read(MAX_UPLOAD + 1)
    if start is not None:
        given.seek(start)
    if not isinstance(data, bytes) or len(data) > MAX_UPLOAD:
        raise ConfigurationError(f"file: expected at most {MAX_UPLOAD} bytes", field="file")
    return data


def _is_seekable(given: Any) -> bool:
    return bool(getattr(given, "seekable", lambda: False)())


def _unreadable(name: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"file: {name} cannot be read: {error.strerror or type(error).__name__}", field="file")
