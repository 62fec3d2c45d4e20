"""What AWS does otherwise over HTTP: Signature Version 4, and the binary event stream. Both are botocore's (extra: bedrock).

Contract. ``SigV4`` signs a request that is ready to go: its method, URL, headers and body, dated by the injected clock. Any
number of threads may sign at once; credentials that expire renew themselves, in botocore. ``MessageReader`` turns bytes into
messages, however they are cut, with every checksum tested and every length bounded by botocore's.

Rules. botocore is imported where it is first needed, and never logs here: what it would write at debug level holds a session
token.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .._late import importing
from .._secret import Headers, Secret
from ..errors import ConfigurationError, InvalidShapeError, UnauthorizedError
from .http import HttpRequest

if TYPE_CHECKING:
    from .._cancel import CancellationToken
    from .._clock import Clock, Deadline

Source = Callable[[], Any]  # gives frozen credentials: access_key, secret_key, token

_PARTS = 3  # of credentials: access key, secret key, token
_STAMP = "%Y%m%dT%H%M%SZ"


def require() -> None:
    """Refuse to go on without botocore; raises ``ConfigurationError`` that says what to install."""
    try:
        with importing:
            import botocore.auth
            import botocore.eventstream  # noqa: F401
    except ImportError:
        raise ConfigurationError("auth: AWS needs botocore: pip install 'omnillm[bedrock]'", field="auth") from None


def given(access_key: str, secret_key: str, token: str | None = None) -> Source:
    """Give the source of credentials that were given as text."""
    require()
    with importing:
        from botocore.credentials import Credentials

    frozen = Credentials(access_key, secret_key, token).get_frozen_credentials()
    return lambda: frozen


def found(profile: str | None, credentials: Any) -> Source:
    """Give the source of credentials of a profile, of the default chain, or of an object; looked for when it is first asked."""
    require()
    held: dict[str, Any] = {} if credentials is None else {"them": credentials}

    def source() -> Any:
        if "them" not in held:
            held.setdefault("them", _look_up(profile))
        return held["them"].get_frozen_credentials()

    return source


def _look_up(profile: str | None) -> Any:
    with importing:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

    said = "the default chain has none" if profile is None else f"profile {profile!r:.80} has none"
    try:
        credentials = Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        credentials, said = None, type(error).__name__
    if credentials is None:
        raise UnauthorizedError(f"no AWS credentials: {said}", sent="no")
    return credentials


class SigV4:
    """Sign requests to a service in a region."""

    __slots__ = ("_clock", "_last", "_region", "_service", "_shown", "_source")

    def __init__(self, source: Source, region: str, service: str, clock: Clock) -> None:
        self._source = source
        self._region = region
        self._service = service
        self._clock = clock
        self._last: Any = None
        self._shown: deque[Secret] = deque(maxlen=2 * _PARTS)  # of the credentials before, too: what they signed may be under way

    def sign(
        self,
        request: HttpRequest,
        *,
        deadline: Deadline,  # noqa: ARG002  # nothing is waited for
        cancel: CancellationToken | None,  # noqa: ARG002
    ) -> HttpRequest:
        """Give the request with its date, its token and its signature; raises ``UnauthorizedError`` without credentials."""
        credentials = self._frozen()
        stamp = datetime.fromtimestamp(self._clock.wall(), UTC).strftime(_STAMP)
        return HttpRequest(
            request.method,
            request.url,
            signed_headers(request, credentials, self._region, self._service, stamp),
            request.body,
        )

    def refused(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Give that signing again does not help."""
        return False

    def secrets(self) -> tuple[Secret, ...]:
        """Give the parts of the credentials that signed last, and of those before."""
        return tuple(self._shown)

    def _frozen(self) -> Any:
        with importing:
            from botocore.exceptions import BotoCoreError

        try:
            credentials = self._source()
        except BotoCoreError as error:
            failure = f"AWS credentials cannot be had: {type(error).__name__}"
        else:
            if credentials != self._last:
                self._last = credentials
                self._shown.extend(Secret.literal(part) for part in credentials[:_PARTS] if part)
            return credentials
        raise UnauthorizedError(failure, sent="no")  # here, where no exception is handled: the library's may hold the credentials


def signed_headers(request: HttpRequest, credentials: Any, region: str, service: str, stamp: str) -> Headers:
    """Give the headers of a request with its date and its signature."""
    with importing:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

    prepared = AWSRequest(method=request.method, url=request.url, headers=dict(request.headers), data=request.body)
    prepared.context["timestamp"] = stamp
    signing = SigV4Auth(credentials, service, region)
    # the steps of add_auth, which asks the system's clock for the date and logs what it signs
    signing._modify_request_before_signing(prepared)
    text = signing.string_to_sign(prepared, signing.canonical_request(prepared))
    signing._inject_signature_to_request(prepared, signing.signature(text, prepared))
    return Headers(prepared.headers.items())


class MessageReader:
    """Read the messages of an ``application/vnd.amazon.eventstream``."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        require()
        with importing:
            from botocore.eventstream import EventStreamBuffer

        self._buffer = EventStreamBuffer()

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
        """Give the messages that these bytes complete, headers and payload; raises ``InvalidShapeError`` behind the last good."""
        with importing:
            from botocore.eventstream import ParserError

        self._buffer.add_data(data)
        while True:
            try:
                message = next(self._buffer, None)
            except (ParserError, struct.error, LookupError, ValueError) as error:
                fault = type(error).__name__
                break
            if message is None:
                return
            yield {name: str(value) for name, value in message.headers.items()}, message.payload
        raise InvalidShapeError(f"a message of the event stream is damaged: {fault}")
