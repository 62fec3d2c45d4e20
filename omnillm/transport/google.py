"""OAuth tokens of Google's, through google-auth (extra: vertex) and our own transport.

Contract. ``GoogleTokens`` holds one token and shows it in each request. It is renewed four minutes before it ends, by one thread,
while the others go on with the old one; once it is over they wait for the new one, each until its own deadline, its own
cancellation or the end of the renewal. What is told of a refused token is that it is refused: the next request renews it.

Rules. No lock: a renewal is an entry that ``setdefault`` makes, by process, so that none is left over in the child of a fork. The
entry is weak: an interrupt takes it along with the frame that made it. Who comes back into a renewal of its own thread, a signal
handler for one, is refused: it would wait for itself.
Time is counted from when a token came, on the monotonic clock. google-auth asks the network through ``_Asking`` alone.
"""

from __future__ import annotations

import json
import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._bell import Bell
from .._late import importing
from .._secret import Headers, Secret
from ..errors import (
    ConfigurationError,
    DeadlineExceededError,
    GatewayError,
    ServerError,
    StateUnavailableError,
    TransportError,
    UnauthorizedError,
)
from .http import HttpRequest, HttpTransport

if TYPE_CHECKING:
    from .._cancel import CancellationToken
    from .._clock import Clock, Deadline

EARLY_SECONDS = 240.0
WAIT_SECONDS = 0.05
CONNECT_SECONDS = 5.0
MAX_ANSWER = 1 << 20

# Compute Engine, "About VM metadata": a server of the machine's own, which speaks plain http
_METADATA_HOSTS = frozenset({"metadata.google.internal", "169.254.169.254"})
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})

Loader = Callable[["_Asking"], Any]  # gives google.auth.credentials.Credentials


@dataclass(frozen=True, slots=True)
class _Token:
    secret: Secret
    stale_at: float
    over_at: float


class _Turn:
    """Be the renewal that a frame makes, and be gone with it."""

    __slots__ = ("__weakref__", "bell", "thread")

    def __init__(self) -> None:
        self.bell = Bell()
        self.thread = threading.get_ident()


class GoogleTokens:
    """Show the token of credentials in each request."""

    __slots__ = ("_clock", "_held", "_load", "_shown", "_token", "_transport", "_turns")

    def __init__(self, load: Loader, transport: HttpTransport, clock: Clock) -> None:
        self._load = load
        self._transport = transport
        self._clock = clock
        self._held: dict[str, Any] = {}  # the credentials, once they were looked for
        self._token: _Token | None = None
        self._shown: deque[Secret] = deque(maxlen=4)  # the tokens before it, too: they may be under way
        self._turns: dict[int, weakref.ref[_Turn]] = {}  # by process: whoever renewed in the parent does not in the child

    def sign(self, request: HttpRequest, *, deadline: Deadline, cancel: CancellationToken | None) -> HttpRequest:
        """Give the request with the token; raises ``GatewayError`` with ``sent="no"`` where none can be had in time."""
        token = self._fresh(deadline, cancel).secret.reveal()
        headers = Headers(request.headers)
        headers["Authorization"] = f"Bearer {token}"
        return HttpRequest(request.method, request.url, headers, request.body)

    def refused(self, request: HttpRequest) -> bool:
        """Forget the token that this request showed, unless that was done; what has no way to another gives ``False``."""
        held = self._token
        if held is not None and request.headers.get("Authorization") == f"Bearer {held.secret.reveal()}":
            if held.over_at == math.inf:
                return False
            self._token = None
            self._held.pop("first", None)
        return True

    def secrets(self) -> tuple[Secret, ...]:
        """Give the last tokens."""
        return tuple(self._shown)

    def _fresh(self, deadline: Deadline, cancel: CancellationToken | None) -> _Token:
        while True:
            held = self._token
            now = self._clock.monotonic()
            if held is not None and now < held.stale_at:
                return held
            mine = _Turn()
            theirs = self._turns.setdefault(os.getpid(), weakref.ref(mine))
            if theirs() is mine:
                return self._renewed(held, mine, deadline, cancel)
            if held is not None and now < held.over_at:
                return held
            self._wait(theirs, deadline, cancel)

    def _wait(self, theirs: weakref.ref[_Turn], deadline: Deadline, cancel: CancellationToken | None) -> None:
        """Wait for the end of a renewal; it is not held meanwhile, for it may go by an interrupt."""
        while True:
            turn = theirs()
            if turn is None:
                if self._turns.get(os.getpid()) is theirs:
                    self._turns.pop(os.getpid(), None)
                return
            bell, thread = turn.bell, turn.thread
            del turn
            if bell.is_set():
                return
            if thread == threading.get_ident():
                raise StateUnavailableError("the access token is being renewed by the very thread that asks for it")
            if cancel is not None:
                cancel.raise_if_cancelled()
            if deadline.expired:
                raise DeadlineExceededError("time ran out while the access token was renewed", phase="connect", sent="no")
            self._clock.wait(bell, min(WAIT_SECONDS, deadline.remaining()))

    def _renewed(self, held: _Token | None, mine: _Turn, deadline: Deadline, cancel: CancellationToken | None) -> _Token:
        try:
            current = self._token
            if current is not None and current is not held:
                return current  # another turn ended between the look and this one
            try:
                self._token = self._renew(deadline, cancel)
            except (ServerError, TransportError):
                if held is None or self._clock.monotonic() >= held.over_at:
                    raise
                return held  # the old one is still good
            return self._token
        finally:
            self._turns.pop(os.getpid(), None)
            mine.bell.set()

    def _renew(self, deadline: Deadline, cancel: CancellationToken | None) -> _Token:
        with importing:
            from google.auth.exceptions import GoogleAuthError

        asking = _Asking(self._transport, self._clock, deadline, cancel)
        failure: GatewayError
        try:
            credentials = self._credentials(asking)
            if not self._held.pop("first", False) or not credentials.valid:
                credentials.refresh(asking)
            return self._token_of(credentials)
        except GatewayError as error:
            error.sent = "no"  # of the call, whatever became of what was asked before it
            failure = error
        except GoogleAuthError as error:
            failure = asking.failure or UnauthorizedError(f"Google refused the credentials: {_said(error)}", sent="no")
        except (OSError, ValueError) as error:  # a file that is missing or no credentials; a key that is none
            failure = UnauthorizedError(f"the credentials cannot be read: {type(error).__name__}", sent="no")
        try:
            raise failure  # here, where no exception is handled: the library's may hold the assertion
        finally:
            del failure

    def _credentials(self, asking: _Asking) -> Any:
        if "them" not in self._held:
            self._held["first"] = True
            self._held["them"] = self._load(asking)
        return self._held["them"]

    def _token_of(self, credentials: Any) -> _Token:
        with importing:
            from google.auth import _helpers

        if not credentials.token:
            raise UnauthorizedError("Google gave no access token", sent="no")
        secret = Secret.literal(credentials.token)
        self._shown.append(secret)
        if credentials.expiry is None:
            return _Token(secret, math.inf, math.inf)
        now, life = self._clock.monotonic(), (credentials.expiry - _helpers.utcnow()).total_seconds()
        return _Token(secret, now + max(life - EARLY_SECONDS, life / 2), now + life)


def found(file: str | os.PathLike[str] | None, credentials: Any, scopes: Sequence[str]) -> Loader:
    """Give what loads credentials, of a file, of an object, or the default ones, when they are first needed.

    Raises ``ConfigurationError`` that says what to install.
    """
    try:
        with importing:  # all that the kinds of credentials need, too: not in the midst of a call
            import google.auth
            import google.auth.compute_engine
            import google.auth.identity_pool
            import google.oauth2.credentials
            import google.oauth2.service_account
            from google.auth.credentials import with_scopes_if_required
    except ImportError:
        raise ConfigurationError("auth: Google's tokens need google-auth: pip install 'omnillm[vertex]'", field="auth") from None

    def load(asking: _Asking) -> Any:
        if credentials is not None:
            return with_scopes_if_required(credentials, list(scopes))
        if file is not None:
            return _of_file(os.fspath(file), list(scopes))
        return google.auth.default(scopes=list(scopes), request=asking)[0]

    return load


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """Be what google-auth takes for a response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _of_file(file: str, scopes: list[str]) -> Any:
    """Read a file by the type that it says; google-auth's own reader of any type is deprecated."""
    with importing:
        from google.auth import identity_pool
        from google.oauth2 import credentials, service_account

    readers: dict[str, Callable[..., Any]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
        "external_account": identity_pool.Credentials.from_info,
    }
    info = json.loads(Path(file).read_bytes())
    kind = info.get("type") if isinstance(info, dict) else None
    if kind not in readers:
        raise UnauthorizedError(
            f"the file of credentials is of type {kind!r:.40}, not {', '.join(readers)}: "
            "make it the default one by GOOGLE_APPLICATION_CREDENTIALS, or give an object",
            sent="no",
        )
    return readers[kind](info, scopes=scopes)


class _Asking:
    """Be what google-auth asks the network through, within a call's time; ``failure`` is what it was not told in our words."""

    def __init__(self, transport: HttpTransport, clock: Clock, deadline: Deadline, cancel: CancellationToken | None) -> None:
        self._transport = transport
        self._clock = clock
        self._deadline = deadline
        self._cancel = cancel
        self.failure: GatewayError | None = None

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        request = HttpRequest(method, url, Headers(headers or {}), body)
        deadline = self._deadline if timeout is None else self._deadline.sooner(timeout)
        if urlsplit(url).hostname in _METADATA_HOSTS:
            return self._of_the_machine(request, deadline)
        answer = self._exchange(self._transport, request, deadline)
        if answer.status in _RETRIED:  # which google-auth would wait for by its own clock
            raise ServerError(f"Google's token endpoint answered {answer.status}", status=answer.status, sent="no")
        return answer

    def _of_the_machine(self, request: HttpRequest, deadline: Deadline) -> _Answer:
        with importing:
            from google.auth import exceptions

        transport = HttpTransport(allow_http=True, clock=self._clock)
        try:
            return self._exchange(transport, request, deadline)
        except (TransportError, DeadlineExceededError) as error:
            if self._deadline.expired:
                raise
            error.sent = "no"
            self.failure = error
        finally:
            transport.close()
        raise exceptions.TransportError("the metadata server does not answer")

    def _exchange(self, transport: HttpTransport, request: HttpRequest, deadline: Deadline) -> _Answer:
        http = transport.send(request, deadline=deadline, connect=CONNECT_SECONDS, first_byte=math.inf, cancel=self._cancel)
        with http:
            return _Answer(http.status, http.headers, http.read(MAX_ANSWER))


def _said(error: Exception) -> str:
    """Give the first of an error's words, which is Google's own where it gave any."""
    return f"{error.args[0]!s:.200}" if error.args else type(error).__name__
