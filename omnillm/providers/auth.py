"""How a key is shown to a provider; the one place where a ``Secret`` is opened.

Two kinds. A key that is shown as it is gives headers that are made once (``authorize``). One that signs each request, or stands
for tokens that are renewed, gives a ``Signer``, which is asked when a request is sent; a route without any never asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import quote

from .._late import importing
from .._secret import Headers, Sealed, Secret
from ..errors import ConfigurationError
from .credentials import AwsCredentials, CredentialReference, GoogleCredentials

if TYPE_CHECKING:
    from .._cancel import CancellationToken
    from .._clock import Clock, Deadline
    from ..transport.http import HttpRequest, HttpTransport

Kind = Literal["bearer", "header", "query", "aws_sigv4", "google_oauth"]

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2, token
_QUERY_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
_AWS_NAME = re.compile(r"[a-z0-9-]{1,64}")
_ACCESS_KEY = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,124}")  # IAM, "unique identifiers": AKIA…, ASIA…
_AWS_TEXT = re.compile(r"[^:]+:[^:]+(?::.+)?")
_RESERVED = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """Say how the key is shown: ``bearer()``, ``header(name)``, ``query(name)``, ``aws_sigv4(…)`` or ``google_oauth(…)``."""

    kind: Kind
    name: str | None = None
    region: str | None = None
    service: str | None = None
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check = _CHECKS.get(self.kind)
        if check is None:
            expected = "AuthScheme.bearer(), .header(name), .query(name), .aws_sigv4(region, service) or .google_oauth(scopes)"
            raise ConfigurationError(f"auth: expected {expected}", field="auth")
        for name, empty in (("name", None), ("region", None), ("service", None), ("scopes", ())):
            if getattr(self, name) != empty and name not in _PARTS[self.kind]:
                raise ConfigurationError(f"auth: {self.kind} takes no {name}", field="auth")
        check(self)

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

    @classmethod
    def aws_sigv4(cls, region: str, service: str) -> AuthScheme:
        """Sign each request by AWS credentials with Signature Version 4; a key that is none is sent as by ``bearer``.

        Needs the extra ``bedrock``.
        """
        return cls("aws_sigv4", region=region, service=service)

    @classmethod
    def google_oauth(cls, scopes: Iterable[str] = (CLOUD_PLATFORM,)) -> AuthScheme:
        """Send OAuth tokens of ``GoogleCredentials``, renewed in time; a key that is a text is sent as by ``bearer``.

        Needs the extra ``vertex``.
        """
        return cls("google_oauth", scopes=scopes)  # type: ignore[arg-type]  # made a tuple there


def _check_header(scheme: AuthScheme) -> None:
    header_name(scheme.name, "auth")


def _check_query(scheme: AuthScheme) -> None:
    if not isinstance(scheme.name, str) or not _QUERY_NAME.fullmatch(scheme.name):
        raise ConfigurationError("auth: expected the name of a query parameter", field="auth")


def _check_aws(scheme: AuthScheme) -> None:
    for name, value in (("region", scheme.region), ("service", scheme.service)):
        if not isinstance(value, str) or not _AWS_NAME.fullmatch(value):
            raise ConfigurationError(f"auth: expected the name of a {name}, as {_AWS_EXAMPLES[name]}", field="auth")


def _check_google(scheme: AuthScheme) -> None:
    given: object = scheme.scopes
    scopes = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    if not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ConfigurationError(f"auth: expected scopes, as {CLOUD_PLATFORM}", field="auth")
    object.__setattr__(scheme, "scopes", scopes)


_AWS_EXAMPLES = {"region": "us-east-1", "service": "bedrock"}
_CHECKS: dict[str, Callable[[AuthScheme], None]] = {
    "bearer": lambda _scheme: None,
    "header": _check_header,
    "query": _check_query,
    "aws_sigv4": _check_aws,
    "google_oauth": _check_google,
}
_PARTS: dict[str, tuple[str, ...]] = {
    "bearer": (),
    "header": ("name",),
    "query": ("name",),
    "aws_sigv4": ("region", "service"),
    "google_oauth": ("scopes",),
}
SCHEMES = tuple(_CHECKS)


def header_name(name: object, field: str) -> str:
    """Check the name of a header that a caller sets; raises ``ConfigurationError`` for one that HTTP itself needs."""
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise ConfigurationError(f"{field}: {name!r:.80} is not the name of a header that may be set", field=field)
    return name


def _check_reference(scheme: AuthScheme, secret: Secret) -> None:
    """Refuse credentials by reference that the scheme cannot open."""
    source = secret.source
    if isinstance(source, CredentialReference) and not isinstance(source, _TAKEN.get(scheme.kind, ())):
        expected = getattr(_TAKEN.get(scheme.kind), "__name__", "a key")
        raise ConfigurationError(f"key: {scheme.kind} takes {expected}, not {type(source).__name__}", field="key")


_TAKEN: dict[str, type[CredentialReference]] = {"aws_sigv4": AwsCredentials, "google_oauth": GoogleCredentials}


# --- shown as it is -----------------------------------------------------------------------------------------------------------


def authorize(scheme: AuthScheme, secret: Secret, url: str, headers: dict[str, str]) -> tuple[str, Headers]:
    """Give the URL and the headers that show the key; a header of the same name gives way, however it is spelled."""
    _check_reference(scheme, secret)
    key = secret.reveal()
    if scheme.kind != "query":
        name, value = (str(scheme.name), key) if scheme.kind == "header" else ("Authorization", Sealed(f"Bearer {key}"))
        others = {other: text for other, text in headers.items() if other.lower() != name.lower()}
        return url, Headers({**others, name: value})
    joint = "&" if "?" in url else "?"
    return Sealed(f"{url}{joint}{scheme.name}={quote(key, safe='')}"), Headers(headers)


# --- shown request by request -------------------------------------------------------------------------------------------------


class Signer(Protocol):
    """Show a key in each request by itself; used by many threads at once."""

    def sign(self, request: HttpRequest, *, deadline: Deadline, cancel: CancellationToken | None) -> HttpRequest:
        """Give the request with what shows the key; raises ``GatewayError`` with ``sent="no"`` where that cannot be had."""

    def refused(self, request: HttpRequest) -> bool:
        """Be told that this request was answered with 401; give whether signing it again may help."""

    def secrets(self) -> tuple[Secret, ...]:
        """Give what an upstream may have seen of the key, to be taken out of what it says."""


def signer_of(scheme: AuthScheme, secret: Secret, transport: HttpTransport, clock: Clock) -> Signer | None:
    """Give what shows the key request by request; ``None`` where the scheme, or the key, needs no such thing.

    Raises ``ConfigurationError`` where the scheme's library is not installed.
    """
    _check_reference(scheme, secret)
    make = _SIGNERS.get(scheme.kind)
    return None if make is None else make(scheme, secret, transport, clock)


def _aws_signer(scheme: AuthScheme, secret: Secret, _transport: HttpTransport, clock: Clock) -> Signer | None:
    source = secret.source
    region, service = str(scheme.region), str(scheme.service)
    if isinstance(source, AwsCredentials):
        with importing:
            from ..transport import aws

        return aws.SigV4(aws.found(source.profile, source.credentials), region, service, clock)
    if ":" not in secret.reveal():
        if _ACCESS_KEY.fullmatch(secret.reveal()):
            raise ConfigurationError(
                "key: an access key alone signs nothing: expected ACCESS:SECRET or ACCESS:SECRET:TOKEN", field="key"
            )
        return None  # an API key
    if not _AWS_TEXT.fullmatch(secret.reveal()):
        raise ConfigurationError("key: expected ACCESS:SECRET or ACCESS:SECRET:TOKEN", field="key")
    with importing:
        from ..transport import aws

    return aws.SigV4(aws.given(*secret.reveal().split(":", 2)), region, service, clock)


def _google_signer(scheme: AuthScheme, secret: Secret, transport: HttpTransport, clock: Clock) -> Signer | None:
    source = secret.source
    if not isinstance(source, GoogleCredentials):
        return None
    with importing:
        from ..transport import google

    return google.GoogleTokens(google.found(source.file, source.credentials, scheme.scopes), transport, clock)


_SIGNERS: dict[str, Callable[[AuthScheme, Secret, HttpTransport, Clock], Signer | None]] = {
    "aws_sigv4": _aws_signer,
    "google_oauth": _google_signer,
}
