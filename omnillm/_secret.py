"""A key has a type: it shows itself nowhere, pickles by reference only, and is opened in one place (``providers/auth.py``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NoReturn

from .errors import ConfigurationError

MAX_KEY_CHARS = 8192
_ALLOWED = re.compile(r"[\x21-\x7e]+")  # what may stand in a header value, without blanks: RFC 9110 section 5.5


class Secret:
    """Hold a key so that no repr, str, format, log, exception or JSON shows it.

    Made by ``Secret.literal`` or ``Secret.from_env``; the second pickles, as the variable's name, the first refuses to.
    Raises ``ConfigurationError`` for a key that could not stand in a header, without quoting it.
    """

    __slots__ = ("_env", "_label", "_value")

    def __init__(self, value: str, *, label: str | None = None, env: str | None = None) -> None:
        self._value = _checked(value, label or env)
        self._label = label
        self._env = env

    @classmethod
    def literal(cls, value: str, *, label: str | None = None) -> Secret:
        """Hold a key given as text."""
        return cls(value, label=label)

    @classmethod
    def from_env(cls, name: str, *, label: str | None = None) -> Secret:
        """Hold the key that the environment variable has now; raises ``ConfigurationError`` naming a missing one."""
        value = os.environ.get(name)
        if not value:
            raise ConfigurationError(f"environment variable {name} is not set: it should hold the API key", field=name)
        return cls(value, label=label, env=name)

    def reveal(self) -> str:
        """Give the key itself; only for the header that carries it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(from_env={self._env!r})" if self._env else "Secret(…)"

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
        if self._env is None:
            _refuse(self._label)
        return (_from_env, (self._env, self._label))


def _from_env(name: str, label: str | None) -> Secret:
    return Secret.from_env(name, label=label)


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
    if not _ALLOWED.fullmatch(value):
        raise ConfigurationError(
            f"{where}: holds a blank, a control or a non-ASCII character, which no header can carry", field="key"
        )
    return value


def scrub(text: str, secrets: Iterable[Secret]) -> str:
    """Give the text with every one of the secrets replaced by ``<redacted>``."""
    for secret in secrets:
        value = secret.reveal()
        if value in text:
            text = text.replace(value, "<redacted>")
    return text
