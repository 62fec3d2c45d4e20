"""Forms: ``multipart/form-data`` written as pieces, so that a file need not be read to be sent, and read back (RFC 7578).

Contract: ``form_pieces`` gives bytes and, for each file, its content as it was given; whoever sends it reads it. The boundary is
the caller's, who makes one that is in none of the files. A name or a filename is written as browsers do: quotes, CR and LF
are percent-encoded.
"""

from __future__ import annotations

import re
from email.message import Message

from ..errors import InvalidShapeError
from ..types._content import Content
from ..types.transport import MultipartBody, MultipartField, MultipartFile, MultipartText

_ESCAPES = {'"': "%22", "\r": "%0D", "\n": "%0A"}
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+(?:; ?[!#$%&'*+.^_`|~0-9A-Za-z=\"-]+)*")
_MAX_FIELDS = 1_000


def form_type(boundary: str) -> str:
    """Give the content type of a form."""
    return f"multipart/form-data; boundary={boundary}"


def form_pieces(body: MultipartBody, boundary: str) -> list[Content]:
    """Give a form as the pieces to send one after the other."""
    pieces: list[Content] = []
    head = b""
    for field in body.fields:
        disposition = f'form-data; name="{_quoted(field.name)}"'
        value = field.value
        if isinstance(value, MultipartText):
            head += _head(boundary, disposition) + value.text.encode("utf-8", "replace") + b"\r\n"
            continue
        media_type = value.media_type or "application/octet-stream"
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise InvalidShapeError("expected a media type", pointer=f"/{field.name}/media_type")
        head += _head(boundary, f'{disposition}; filename="{_quoted(value.filename)}"', f"Content-Type: {media_type}")
        pieces += [head, value.data]
        head = b"\r\n"
    return [*pieces, head + f"--{boundary}--\r\n".encode("ascii")]


def _head(boundary: str, disposition: str, *more: str) -> bytes:
    return "\r\n".join([f"--{boundary}", f"Content-Disposition: {disposition}", *more, "", ""]).encode("utf-8", "replace")


def _quoted(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def read_form(content_type: str, data: bytes) -> MultipartBody:
    """Read a form; raises ``InvalidShapeError`` where it is none."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise InvalidShapeError("expected multipart/form-data with a boundary")
    mark = b"--" + boundary.encode("latin-1", "replace")
    _, *parts = (b"\r\n" + data).split(b"\r\n" + mark, _MAX_FIELDS)
    if not parts or not parts[-1].startswith(b"--"):
        raise InvalidShapeError("the form has no end")
    return MultipartBody(tuple(map(_read_part, parts[:-1])))


def _read_part(part: bytes) -> MultipartField:
    head, separator, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    header = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        title, _, text = line.partition(":")
        if title.strip() and title.isascii():
            header[title.strip()] = text.strip()
    name, filename = (header.get_param(key, header="content-disposition") for key in ("name", "filename"))
    if not separator or not isinstance(name, str):
        raise InvalidShapeError("a part of the form has no name")
    if filename is None:
        return MultipartField(_unquoted(name), MultipartText(value.decode("utf-8", "replace")))
    media_type = header.get("content-type")
    return MultipartField(_unquoted(name), MultipartFile(_unquoted(str(filename)), value, media_type))


def _unquoted(text: str) -> str:
    for character, escape in _ESCAPES.items():
        text = text.replace(escape, character)
    return text
