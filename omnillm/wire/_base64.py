"""Texts and bytes in base64."""

from __future__ import annotations

import base64
import string

_ALPHABET = dict.fromkeys(map(ord, string.ascii_letters + string.digits + "+/-_"))


def is_base64(data: str) -> bool:
    """Tell whether a text is written in base64, of either alphabet, padded or not."""
    return not data.rstrip("=").translate(_ALPHABET)


def encode_text(text: str) -> str:
    """Give a text as base64, lone surrogates included."""
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def decode_text(data: str) -> str | None:
    """Give the text in base64, or ``None`` where there is none."""
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "surrogatepass")
    except ValueError:
        return None


def join_base64(pieces: list[str]) -> str:
    """Give the bytes of several base64 texts as one."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode("ascii")
    except ValueError:
        return "".join(pieces)
