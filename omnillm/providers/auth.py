"""How a key is shown to a provider; the one place where a ``Secret`` is opened."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from .._dataclass import dataclass
from .._secret import Secret
from ..errors import ConfigurationError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2, token
_QUERY_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
_RESERVED = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """Say where the key goes: ``bearer()``, ``header(name)`` or ``query(name)``."""

    kind: Literal["bearer", "header", "query"]
    name: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "header":
            header_name(self.name, "auth")
        elif self.kind == "query":
            if not isinstance(self.name, str) or not _QUERY_NAME.fullmatch(self.name):
                raise ConfigurationError("auth: expected the name of a query parameter", field="auth")
        elif self.kind != "bearer":
            raise ConfigurationError("auth: expected AuthScheme.bearer(), .header(name) or .query(name)", field="auth")

    @classmethod
    def bearer(cls) -> AuthScheme:
        """Send ``Authorization: Bearer KEY``."""
        return cls("bearer")

    @classmethod
    def header(cls, name: str) -> AuthScheme:
        """Send the key as the value of this header."""
        return cls("header", name)

    @classmethod
    def query(cls, name: str) -> AuthScheme:
        """Send the key as this query parameter; a header is safer wherever the provider takes one."""
        return cls("query", name)


class Headers(dict[str, str]):
    """Hold headers with a key among them; the repr, which a report of a traceback's locals may show, has their names alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


def header_name(name: object, field: str) -> str:
    """Check the name of a header that a caller sets; raises ``ConfigurationError`` for one that HTTP itself needs."""
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise ConfigurationError(f"{field}: {name!r:.80} is not the name of a header that may be set", field=field)
    return name


def authorize(scheme: AuthScheme, secret: Secret, url: str, headers: dict[str, str]) -> tuple[str, Headers]:
    """Give the URL and the headers that show the key; a header of the same name gives way, however it is spelled."""
    key = secret.reveal()
    if scheme.kind != "query":
        name, value = ("Authorization", f"Bearer {key}") if scheme.kind == "bearer" else (str(scheme.name), key)
        others = {other: text for other, text in headers.items() if other.lower() != name.lower()}
        return url, Headers({**others, name: value})
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{scheme.name}={quote(key, safe='')}", Headers(headers)
