"""How a key is shown to a provider; the one place where a ``Secret`` is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from .._secret import Secret
from ..errors import ConfigurationError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2, token
_RESERVED = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """Say where the key goes: ``bearer()``, ``header(name)`` or ``query(name)``."""

    kind: Literal["bearer", "header", "query"]
    name: str | None = None

    @classmethod
    def bearer(cls) -> AuthScheme:
        """Send ``Authorization: Bearer KEY``."""
        return cls("bearer")

    @classmethod
    def header(cls, name: str) -> AuthScheme:
        """Send the key as the value of this header."""
        return cls("header", header_name(name, "auth"))

    @classmethod
    def query(cls, name: str) -> AuthScheme:
        """Send the key as this query parameter; a header is safer wherever the provider takes one."""
        if not name or not re.fullmatch(r"[A-Za-z0-9_.~-]{1,128}", name):
            raise ConfigurationError("auth: expected the name of a query parameter", field="auth")
        return cls("query", name)


def header_name(name: str, field: str) -> str:
    """Check the name of a header that a caller sets; raises ``ConfigurationError`` for one that HTTP itself needs."""
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise ConfigurationError(f"{field}: {name!r:.80} is not the name of a header that may be set", field=field)
    return name


def authorize(scheme: AuthScheme, secret: Secret, url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Give the URL and the headers that show the key."""
    key = secret.reveal()
    if scheme.kind == "bearer":
        return url, {**headers, "Authorization": f"Bearer {key}"}
    if scheme.kind == "header":
        return url, {**headers, str(scheme.name): key}
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{scheme.name}={quote(key, safe='')}", dict(headers)
