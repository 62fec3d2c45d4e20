"""Taking secrets out of texts and JSON values.

Contract. ``Scrubber.text`` and ``Scrubber.json`` give a value of the same shape, in time linear in its size, and doing it again
changes nothing. What is taken out reads ``<redacted:NAME>``, a blob ``<redacted:NAME_blob>``.

Rules.
- A live key is searched for in every text, names included: as it is, in a URL, in JSON, in base64.
- What stands under a name that looks secret goes: a text or a number at once, a list or an object with every text in it.
- In texts go the shapes of known keys, what follows ``Bearer``, the user of a URL, and ``NAME=value`` of a secret name.
- JSON within a text (a tool's arguments, a frame of a stream) is read as JSON.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

from .. import _json
from .._secret import SHORT_KEY_CHARS, Secret
from ..errors import InvalidJsonError, InvalidShapeError
from .names import COMMON_NAMES, is_blob_name, is_secret_name

BLOB_CHARS = 256  # from here on a text of base64 alone is a blob, whatever its name
_MEDIA_NAMES = frozenset({"media_type", "mime_type", "mimeType", "format", "mimetype"})

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_DATA_URL = re.compile(r"(data:[A-Za-z0-9.+/;=-]{0,128};base64,)(?!<redacted:).+", re.DOTALL)
_LINES = re.compile(r"(\r\n|\n|\r)")
_FRAME = re.compile(r"data: ?")
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|(?:gsk|r8|hf|pplx|ghp|gho|fw)[_-][A-Za-z0-9]{16,}"
    r"|xai-[A-Za-z0-9]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|ya29\.[A-Za-z0-9_.-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"
)
_BEARER = re.compile(r"(?<![A-Za-z0-9])(Bearer|Basic)( +)(?!<redacted:)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USER = re.compile(r"(://)(?!<redacted:)[^\s/@\"'<>]{1,512}@")
_SAID = re.compile(r"(?<![A-Za-z0-9_.%-])[.%-]*+([A-Za-z0-9_][A-Za-z0-9_.%-]{0,127})(\\?[\"']?)[ \t]{0,8}([:=])[ \t]{0,8}")
_VALUE = re.compile(r"(\\\")[^\"\\\r\n]*|(\")[^\"\r\n]*|(')[^'\r\n]*|(?:(?:Bearer|Basic|Token)[ ]+)?[^\s\"'&]+", re.IGNORECASE)
_RANDOM_CHARS = 20
_DIGIT = re.compile("[0-9]")


class Scrubber:
    """Take out what looks secret, and the live keys given, wherever they stand."""

    __slots__ = ("_keys", "_short")

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        keys = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets}
        spelled = {form for key in keys if key for form in _spellings(key)}
        long = sorted((form for form in spelled if len(form) >= SHORT_KEY_CHARS), key=len, reverse=True)
        short = sorted((form for form in spelled if len(form) < SHORT_KEY_CHARS), key=len, reverse=True)
        self._keys = re.compile("|".join(map(re.escape, long))) if long else None
        alone = f"(?<![0-9A-Za-z])(?:{'|'.join(map(re.escape, short))})(?![0-9A-Za-z])"
        self._short = re.compile(alone) if short else None

    # --- texts ----------------------------------------------------------------------------------------------------------------

    def live(self, text: str) -> str:
        """Give the text without the live keys."""
        if self._keys is not None:
            text = self._keys.sub("<redacted:key>", text)
        return text if self._short is None else self._short.sub("<redacted:key>", text)

    def holds_key(self, text: str) -> bool:
        """Tell whether a live key stands in the text."""
        return self.live(text) != text

    def text(self, text: str) -> str:
        """Give a text without secrets; JSON in it, line by line of a stream or as a whole, is read as such."""
        whole = self._as_json(text)
        if whole is not None:
            return whole
        parts = _LINES.split(text)
        return "".join([self._line(part) if n % 2 == 0 else part for n, part in enumerate(parts)])

    def plain(self, text: str) -> str:
        """Give a text that is no JSON without secrets."""
        text = _KEY.sub("<redacted:key>", self.live(text))
        text = _USER.sub(r"\1<redacted:user>@", text)
        text = _without_said(text)
        return _BEARER.sub(r"\1\2<redacted:authorization>", text)

    def path(self, path: str) -> str:
        """Give a URL or path without the secrets of its query."""
        base, mark, query = path.partition("?")
        if not mark:
            return self.plain(path)
        return f"{self.plain(base)}?{'&'.join(self._parameter(part) for part in query.split('&'))}"

    def _parameter(self, part: str) -> str:
        name, mark, value = part.partition("=")
        name = self.live(name)
        if mark and is_secret_name(unquote_plus(name)):
            return f"{name}={redacted(name)}"
        return f"{name}{mark}{self.plain(value)}"

    def _line(self, line: str) -> str:
        frame = _FRAME.match(line)
        start = frame.end() if frame is not None else 0
        inner = self._as_json(line[start:])
        return line[:start] + (self.plain(line[start:]) if inner is None else inner)

    def _as_json(self, text: str) -> str | None:
        """Give the JSON text without secrets, as it was written where there are none; ``None`` where it is no JSON."""
        if text.lstrip(" \t\r\n")[:1] not in ("{", "["):
            return None
        try:
            value = _json.loads(text)
            clean = self._value(value, "", secret=None)
        except (InvalidJsonError, RecursionError):
            return None
        # the text may say more than the value: of two members of one name only the last is in it
        return text if clean == value and self.plain(text) == text else _json.dumps(clean)

    # --- values ---------------------------------------------------------------------------------------------------------------

    def json(self, value: Any) -> Any:
        """Give a JSON value without secrets and blobs; raises ``InvalidShapeError`` for one nested too deep."""
        try:
            return self._value(value, "", secret=None)
        except RecursionError:
            raise InvalidShapeError("nested too deep") from None

    def _value(self, value: Any, name: str, *, secret: str | None) -> Any:
        if isinstance(value, Mapping):
            return {self._name(key): self._member(value, str(key), item, name, secret) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item, name, secret=secret) for item in value]
        if secret is not None and isinstance(value, str | int | float) and not isinstance(value, bool):
            return redacted(secret)
        return self._leaf(value, name) if isinstance(value, str) else value

    def _name(self, name: object) -> str:
        return _KEY.sub("<redacted:key>", self.live(str(name)))

    def _member(self, holder: Mapping[str, Any], name: str, value: Any, within: str, secret: str | None) -> Any:
        shown = self._name(name)
        if isinstance(value, str) and value and (is_blob_name(name) or (name == "data" and not _MEDIA_NAMES.isdisjoint(holder))):
            return _blob(shown, value)
        if secret is None and is_secret_name(name) and not (name == "token" and "logprob" in holder):
            is_schema = within == "properties" and isinstance(value, Mapping)  # a field of that name, described
            secret = None if is_schema else shown
        return self._value(value, shown, secret=secret)

    def _leaf(self, text: str, name: str) -> str:
        if text.startswith("data:") and _DATA_URL.fullmatch(text):
            return _blob(name, text)
        if len(text) >= BLOB_CHARS and _BASE64.fullmatch(text):
            return _blob(name, text)
        return self.text(text)


def redacted(name: str) -> str:
    """Give what stands where a secret of that name was."""
    return f"<redacted:{name}>"


def _blob(name: str, text: str) -> str:
    """Give what stands where a blob was; the head of a ``data:`` URL says what it was of."""
    head = _DATA_URL.fullmatch(text)
    return f"{head[1] if head is not None else ''}<redacted:{name or 'item'}_blob>"


def _without_said(text: str) -> str:
    """Give the text without the values that it assigns to secret names: ``api_key=…``, ``Authorization: …``, ``"token": "…"``."""
    parts: list[str] = []
    done = 0
    found = _SAID.search(text)
    while found is not None:
        value = _VALUE.match(text, found.end()) if is_secret_name(unquote_plus(found[1])) else None
        end = found.end()
        if value is not None and not _is_prose(found, value):
            opening = value[value.lastindex] if value.lastindex is not None else ""
            parts += (text[done:end], opening, redacted(found[1]))
            done = end = value.end()
        found = _SAID.search(text, end)
    return text if not parts else "".join((*parts, text[done:]))


def _is_prose(name: re.Match[str], value: re.Match[str]) -> bool:
    """Tell whether ``the key: patience`` is only said: a bare word of many uses, a colon, and no quote, digit or length."""
    plain = name[1].lower() in COMMON_NAMES and name[3] == ":" and not name[2] and value.lastindex is None
    return plain and len(value[0]) < _RANDOM_CHARS and not _DIGIT.search(value[0])


def _spellings(key: str) -> set[str]:
    """Give the ways in which a key may be written."""
    encoded = key.encode("utf-8", "replace")
    coded = (base64.b64encode(encoded).decode().rstrip("="), base64.urlsafe_b64encode(encoded).decode().rstrip("="))
    return {key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1], *coded}
