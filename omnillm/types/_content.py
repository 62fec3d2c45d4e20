"""Bytes that a request sends: given as they are, or as a path or an open file that is read when it is sent.

Contract: nothing is read here but for JSON at rest, which holds the bytes themselves. A file that is open is read from where it
stands when the request is made to where it ends.
"""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Annotated, Any, BinaryIO

from ..errors import ConfigurationError
from ._given import wrong_type
from ._model import Decoder, Encoder, _decode_bytes, _encode_bytes

Content = bytes | Path | BinaryIO  # what may be given

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (8, b"WAVE", "wav", "audio/wav"),
    (0, b"ID3", "mp3", "audio/mpeg"),
    (0, b"\xff\xfb", "mp3", "audio/mpeg"),
    (0, b"\xff\xf3", "mp3", "audio/mpeg"),
    (0, b"\xff\xf2", "mp3", "audio/mpeg"),
    (0, b"OggS", "ogg", "audio/ogg"),
    (0, b"fLaC", "flac", "audio/flac"),
    (4, b"ftyp", "m4a", "audio/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "webm", "audio/webm"),
    (0, b"\x89PNG", "png", "image/png"),
    (0, b"\xff\xd8\xff", "jpg", "image/jpeg"),
    (0, b"GIF8", "gif", "image/gif"),
    (8, b"WEBP", "webp", "image/webp"),
)
_BY_ENDING = {ending: media_type for _, _, ending, media_type in _MAGIC}


class _Codec:
    """Be the JSON form of bytes wherever they are kept: base64."""

    @staticmethod
    def codec() -> tuple[Encoder, Decoder]:
        """Give the encoder and the decoder."""
        return lambda value: _encode_bytes(read_content(value)), _decode_bytes


ContentField = Annotated[Any, _Codec]  # of a dataclass that is a Model


def checked_content(field: str, value: Any) -> Content:
    """Give the content; raises ``ConfigurationError``, naming the field, for what is none."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, PurePath):
        return Path(value)
    if callable(getattr(value, "read", None)):
        if isinstance(value, io.TextIOBase):
            raise ConfigurationError(f"{field}: expected a file opened as binary ('rb'), got one of text", field=field)
        return value  # type: ignore[no-any-return]  # an open file
    raise wrong_type(field, "bytes, a Path or a file opened as binary", value)


def read_content(value: Content) -> bytes:
    """Give the bytes; an open file stands where it stood afterwards."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, PurePath):
        return Path(value).read_bytes()
    read: Callable[[], bytes] = value.read
    if not value.seekable():
        return read()
    start = value.tell()
    try:
        return read()
    finally:
        value.seek(start)


def named(value: Content, fallback: str) -> tuple[str, str | None]:
    """Give a name for the content, and its media type where name or first bytes tell it."""
    if isinstance(value, bytes):
        for at, magic, ending, media_type in _MAGIC:
            if value.startswith(magic, at):
                return f"{fallback}.{ending}", media_type
        return fallback, None
    name = value.name if isinstance(value, PurePath) else getattr(value, "name", None)
    name = PurePath(name).name if isinstance(name, str) and name else fallback
    return name, _BY_ENDING.get(PurePath(name).suffix.lower().removeprefix(".")) or mimetypes.guess_type(name)[0]
