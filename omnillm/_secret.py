"""A key has a type: it shows itself nowhere, pickles by reference only, and is opened in one place (``providers/auth.py``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Self, SupportsIndex
from urllib.parse import quote

from .errors import ConfigurationError

MAX_KEY_CHARS = 8192
SHORT_KEY_CHARS = 8
NEWLINES, QUOTES = "\r\n", "'\"`"
KEY_FIELDS = ("key", "keys", "api_key")
KEY_PREFIXES = ("sk-", "AIza", "xai-", "gsk_")
_KEY_LIKE = re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(KEY_PREFIXES)})[0-9A-Za-z_.-]*")
_ALLOWED = re.compile(r"[\x21-\x7e]+")  # what may stand in a header value, without blanks: RFC 9110 section 5.5


class Sealed(str):
    """Be a text with a secret in it: as it is where it is written, ``<redacted>`` where a report shows the values of locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<redacted>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a text with a secret in it does not pickle")


def sealed(value: Any) -> Any:
    """Give a value with every text in it sealed that is, or may be, a key: a text itself, or what stands under key and keys."""
    if isinstance(value, str):
        return Sealed(value)
    return _sealed_within(value, is_key=True)


def _sealed_within(value: Any, *, is_key: bool) -> Any:
    if type(value) is str:
        return Sealed(value) if is_key else value
    if type(value) in (list, tuple):
        return type(value)(_sealed_within(item, is_key=is_key) for item in value)
    if type(value) is dict:
        return {name: _sealed_within(item, is_key=name in KEY_FIELDS) for name, item in value.items()}
    return value


class Secret:
    """Hold a key so that no repr, str, format, log, exception or JSON shows it.

    Made by ``Secret.literal`` or ``Secret.by_reference``; the second pickles, as its reference, the first refuses to.
    Raises ``ConfigurationError`` for a key that could not stand in a header, without quoting it.
    """

    __slots__ = ("_label", "_source", "_value")

    def __init__(self, value: str, *, label: str | None = None, source: Callable[[], str] | None = None) -> None:
        value = sealed(value)
        self._value: str = _checked(value, label)
        self._label = label
        self._source = source

    @classmethod
    def literal(cls, value: str, *, label: str | None = None) -> Secret:
        """Hold a key given as text."""
        value = sealed(value)  # a report of a traceback's locals shows this frame's too
        return cls(value, label=label)

    @classmethod
    def by_reference(cls, source: Callable[[], str], *, label: str | None = None) -> Secret:
        """Hold the key that ``source`` gives now; it is asked again where the secret is unpickled, and its repr is shown."""
        return cls(sealed(source()), label=label, source=source)

    def labelled(self, label: str) -> Secret:
        """Give the same secret under the name by which errors speak of it."""
        return Secret(self._value, label=label, source=self._source)

    @property
    def source(self) -> Callable[[], str] | None:
        """Give what was asked for the key, ``None`` where it was given as text."""
        return self._source

    def reveal(self) -> str:
        """Give the key itself; only for the header that carries it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)" if self._source is None else f"Secret({self._source!r})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        if self._source is None:
            _refuse(self._label)
        return (_by_reference, (self._source, self._label))


class Headers(dict[str, str]):
    """Hold headers with a key among them; the repr, which a report of a traceback's locals may show, has their names alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


def _by_reference(source: Callable[[], str], label: str | None) -> Secret:
    return Secret.by_reference(source, label=label)


def _refuse(label: str | None) -> NoReturn:
    name = f"key {label!r}" if label else "a key"
    raise ConfigurationError(f"{name} was given as a literal and does not pickle: use KeyConfig.from_env", field="key") from None


def _checked(value: object, label: str | None) -> str:
    where = f"key {label!r}" if label else "key"
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: expected a string, got {type(value).__name__}", field="key")
    if not value:
        raise ConfigurationError(f"{where}: expected a key, got an empty string", field="key")
    if len(value) > MAX_KEY_CHARS:
        raise ConfigurationError(f"{where}: longer than {MAX_KEY_CHARS} characters", field="key")
    if (fault := fault_of(value)) is not None:
        raise ConfigurationError(f"{where}: {fault}", field="key")
    return value


def fault_of(value: str) -> str | None:
    """Say, without quoting it, why a text can be no key; ``None`` where it can."""
    if value != value.strip():
        place, blank = ("ends", value[-1]) if value[-1].isspace() else ("begins", value[0])
        return f"{place} with a {'newline' if blank in NEWLINES else 'blank'}: strip it"
    if len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES:
        return "stands in quotes: take them off"
    if not _ALLOWED.fullmatch(value):
        return "holds a blank, a control or a non-ASCII character, which no header can carry"
    return None


def mask(text: str) -> str:
    """Give the text of an error with what looks like a key, and was put in the wrong place, replaced by ``<redacted>``."""
    return _KEY_LIKE.sub("<redacted>", text)


def scrub(text: str, secrets: Iterable[Secret]) -> str:
    """Give the text with every one of the secrets, as it is or as it stands in a URL, replaced by ``<redacted>``.

    A short one is replaced only where it stands by itself: it may be a part of any word.
    """
    keys = {secret.reveal() for secret in secrets}
    for key in sorted(keys | {Sealed(quote(key, safe="")) for key in keys}, key=len, reverse=True):  # a key may begin another
        if len(key) >= SHORT_KEY_CHARS:
            text = _without_begun(text.replace(key, "<redacted>"), key)
        elif key in text:
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", "<redacted>", text)
    return text


def _without_begun(text: str, key: str) -> str:
    """Give the text without what begins as the key and goes on for half of it or more: a text may have been cut in mid-key."""
    size = max(SHORT_KEY_CHARS, (len(key) + 1) // 2)
    half, rest = Sealed(key[:size]), Sealed(key[size:])
    first, *others = text.split(half)
    return first + "".join([f"<redacted>{part[_alike(part, rest) :]}" for part in others])


def _alike(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
