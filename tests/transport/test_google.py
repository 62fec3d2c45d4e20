"""OAuth tokens: fetched within a call's time, by one thread, renewed early and after a refusal, and shown nowhere."""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.auth import _helpers
from google.auth import credentials as google_credentials
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials as OAuthCredentials
from own_process import run

from omnillm._cancel import CancellationToken
from omnillm._clock import SYSTEM_CLOCK, Clock, Deadline
from omnillm.errors import (
    CallCancelledError,
    ConnectError,
    DeadlineExceededError,
    GatewayError,
    ServerError,
    StateUnavailableError,
    UnauthorizedError,
)
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, scripted
from omnillm.transport import HttpRequest, HttpTransport, google

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
REQUEST = HttpRequest("POST", "http://127.0.0.1/x", {"a": "1"}, b"{}")
Make = Callable[..., google.GoogleTokens]


class Counting(google_credentials.Credentials):
    """Credentials whose renewals are counted, may be held up, and may fail."""

    def __init__(self, life: float | None = 3600.0) -> None:
        super().__init__()
        self.life = life
        self.renewals = 0
        self.failure: Exception | None = None
        self.began, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def refresh(self, request: Any) -> None:
        self.began.set()
        assert self.go_on.wait(10)
        if self.failure is not None:
            raise self.failure
        self.renewals += 1
        self.token = f"token-{self.renewals}"
        self.expiry = None if self.life is None else _helpers.utcnow() + timedelta(seconds=self.life)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto_advance=True)


@pytest.fixture
def make() -> Iterator[Make]:
    """Make tokens of credentials, or of a file; the transport is closed in the end."""
    transports: list[HttpTransport] = []

    def make(credentials: Any = None, clock: Clock = SYSTEM_CLOCK, file: Any = None) -> google.GoogleTokens:
        transports.append(HttpTransport(clock=clock))
        return google.GoogleTokens(google.found(file, credentials, SCOPES), transports[-1], clock)

    yield make
    for transport in transports:
        transport.close()


def shown(tokens: google.GoogleTokens, *, seconds: float = 5.0, cancel: CancellationToken | None = None) -> str:
    """Give the token that a request shows."""
    signed = tokens.sign(REQUEST, deadline=Deadline.after(seconds, tokens._clock), cancel=cancel)
    assert dict(signed.headers).items() >= REQUEST.headers.items()
    return signed.headers["Authorization"].removeprefix("Bearer ")


def refused(tokens: google.GoogleTokens, token: str) -> bool:
    return tokens.refused(HttpRequest("POST", REQUEST.url, {"Authorization": f"Bearer {token}"}))


# --- by a service account -----------------------------------------------------------------------------------------------------


@pytest.fixture
def account(provider: LocalProvider, tmp_path: Path) -> Path:
    file = tmp_path / "account.json"
    file.write_text(json.dumps(provider.service_account()))
    return file


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[LocalProvider]:
    with LocalProvider(clock=clock) as it:
        yield it


def test_a_service_account_gets_a_token_and_keeps_it(
    make: Make, provider: LocalProvider, account: Path, clock: FakeClock
) -> None:
    """Its assertion is signed by its key; until shortly before the end there is one token."""
    tokens = make(file=account, clock=clock)
    assert [shown(tokens), shown(tokens)] == ["local-token-1", "local-token-1"]
    clock.advance(3600 - google.EARLY_SECONDS - 5)
    assert shown(tokens) == "local-token-1"
    clock.advance(10)
    assert shown(tokens) == "local-token-2"
    assert provider.tokens == ("local-token-1", "local-token-2")


def test_a_short_life_is_used_by_half(make: Make, provider: LocalProvider, account: Path, clock: FakeClock) -> None:
    """A token is not stale from the start."""
    provider.token_life = 100
    tokens = make(file=account, clock=clock)
    assert shown(tokens) == "local-token-1"
    clock.advance(45)
    assert shown(tokens) == "local-token-1"
    clock.advance(10)
    assert shown(tokens) == "local-token-2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: FileNotFoundError"),
        ("x", "cannot be read: JSONDecodeError"),
        ("[]", "is of type None"),
        ('{"type": "impersonated_service_account"}', "is of type 'impersonated_service_account'"),
        ('{"type": "service_account", "private_key": "s3cr3t"}', "Google refused the credentials|cannot be read"),
        ('{"type": "authorized_user"}', "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_an_error_of_the_key(make: Make, tmp_path: Path, content: str | None, said: str) -> None:
    """Nothing was sent; nothing of the file is shown."""
    file = tmp_path / "account.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UnauthorizedError, match=said) as caught:
        shown(make(file=file))
    assert caught.value.sent == "no"
    assert caught.value.__context__ is None
    assert "s3cr3t" not in str(caught.value)


def test_a_refused_assertion_is_an_error_of_the_key(make: Make, account: Path, clock: FakeClock) -> None:
    """With Google's own words."""
    told = json.loads(account.read_text())
    with LocalProvider(clock=clock) as other:
        account.write_text(json.dumps({**told, "token_uri": other.base_url + "/token", "private_key": _another_key()}))
        with pytest.raises(UnauthorizedError, match=r"invalid_grant: Invalid JWT Signature\.") as caught:
            shown(make(file=account, clock=clock))
        assert other.tokens == ()
    assert caught.value.sent == "no"


def _another_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*form).decode()


def test_the_default_credentials_are_those_of_the_variable(
    make: Make, account: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Google's own libraries find them."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    assert shown(make(clock=clock)) == "local-token-1"


# --- a server that fails ------------------------------------------------------------------------------------------------------


def at(account: Path, url: str) -> Path:
    account.write_text(json.dumps({**json.loads(account.read_text()), "token_uri": url}))
    return account


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_an_error_at_once(make: Make, account: Path, status: int) -> None:
    """The call's own retries wait for it, by the call's own clock."""
    failing = ScriptedServer([scripted.expect(), scripted.respond(status=status, body=b"{}")])
    with failing as server, pytest.raises(ServerError, match=f"token endpoint answered {status}") as caught:
        shown(make(file=at(account, server.base_url)))
    assert caught.value.sent == "no"


def test_a_server_that_is_not_there_is_an_error_of_the_network(make: Make, account: Path) -> None:
    """Nothing of the call was sent."""
    with ScriptedServer([]) as server:
        gone = server.base_url
    with pytest.raises(ConnectError) as caught:
        shown(make(file=at(account, gone)))
    assert caught.value.sent == "no"


def test_a_server_that_is_silent_ends_with_the_deadline(make: Make, account: Path) -> None:
    """The renewal counts within the call's time, and nothing of the call was sent."""
    with ScriptedServer([scripted.expect(), scripted.stall()]) as server, pytest.raises(DeadlineExceededError) as caught:
        shown(make(file=at(account, server.base_url)), seconds=0.1)
    assert caught.value.sent == "no"


def test_a_cancelled_call_fetches_no_token(make: Make, account: Path) -> None:
    """The token belongs to the call."""
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(CallCancelledError):
        shown(make(file=account), cancel=cancel)


# --- renewal ------------------------------------------------------------------------------------------------------------------


def test_one_thread_renews_and_the_others_wait(make: Make) -> None:
    """However many need the first token."""
    credentials = Counting()
    credentials.go_on.clear()
    tokens = make(credentials)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(shown, tokens) for _ in range(8)]
        assert credentials.began.wait(5)
        credentials.go_on.set()
        assert {future.result(5) for future in waiting} == {"token-1"}
    assert credentials.renewals == 1


def test_p20_who_comes_back_into_a_renewal_is_refused_not_deadlocked(make: Make) -> None:
    """A signal handler that calls while its own thread renews the token would wait for itself: it is told so."""
    caught: list[BaseException] = []

    class Interrupted(Counting):
        def refresh(self, request: Any) -> None:
            if not caught:
                with pytest.raises(StateUnavailableError, match="the very thread") as refused:
                    shown(tokens, seconds=math.inf)
                caught.append(refused.value)
            super().refresh(request)

    tokens = make(Interrupted())
    assert [shown(tokens), shown(tokens)] == ["token-1", "token-1"]
    assert [error.sent for error in caught if isinstance(error, StateUnavailableError)] == ["no"]


def test_a_renewal_that_an_interrupt_took_along_is_made_by_the_next(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where it came before the renewal could say that it ended: who waits for it, or comes later, waits for nobody."""
    tokens, entered, go = make(Counting()), threading.Event(), threading.Event()
    renewed = google.GoogleTokens._renewed

    def interrupted(self: Any, *_: Any) -> Any:
        entered.set()
        assert go.wait(5)
        raise KeyboardInterrupt

    def first() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            shown(tokens)

    monkeypatch.setattr(google.GoogleTokens, "_renewed", interrupted)
    with ThreadPoolExecutor(2) as pool:
        gone = pool.submit(first)
        assert entered.wait(5)
        monkeypatch.setattr(google.GoogleTokens, "_renewed", renewed)
        waiting = pool.submit(shown, tokens)
        go.set()
        gone.result(5)
        assert waiting.result(5) == "token-1"
    assert shown(tokens) == "token-1"


def test_who_has_an_old_token_goes_on_with_it_meanwhile(make: Make, clock: FakeClock) -> None:
    """A renewal ahead of time holds up nobody but its thread."""
    credentials = Counting()
    tokens = make(credentials, clock)
    assert shown(tokens) == "token-1"
    clock.advance(3600 - google.EARLY_SECONDS + 1)
    credentials.go_on.clear()
    credentials.began.clear()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(shown, tokens)
        assert credentials.began.wait(5)
        assert shown(tokens) == "token-1"
        credentials.go_on.set()
        assert renewing.result(5) == "token-2"
    assert shown(tokens) == "token-2"


def test_a_waiter_leaves_by_its_own_deadline_or_cancellation(make: Make) -> None:
    """Not by that of the thread that renews."""
    credentials = Counting()
    credentials.go_on.clear()
    tokens = make(credentials)
    cancel = CancellationToken()
    with ThreadPoolExecutor(2) as pool:
        renewing = pool.submit(shown, tokens)
        assert credentials.began.wait(5)
        with pytest.raises(DeadlineExceededError, match="while the access token was renewed") as late:
            shown(tokens, seconds=0.05)
        waiting = pool.submit(shown, tokens, cancel=cancel)
        cancel.cancel()
        with pytest.raises(CallCancelledError):
            waiting.result(5)
        credentials.go_on.set()
        assert renewing.result(5) == "token-1"
    assert late.value.sent == "no"


def test_a_failed_renewal_is_tried_by_the_next_that_waits(make: Make) -> None:
    """One caller's failure is not the others'."""
    credentials = Counting()
    credentials.failure = ServerError("later", sent="no")
    tokens = make(credentials)
    with pytest.raises(ServerError):
        shown(tokens)
    credentials.failure = None
    assert shown(tokens) == "token-1"


def test_a_token_that_is_still_good_outlives_a_failed_renewal(make: Make, clock: FakeClock) -> None:
    """A token endpoint that is down four minutes before the end disturbs nobody; at the end it does."""
    credentials = Counting()
    tokens = make(credentials, clock)
    assert shown(tokens) == "token-1"
    credentials.failure = ServerError("later", sent="no")
    clock.advance(3600 - google.EARLY_SECONDS + 1)
    assert shown(tokens) == "token-1"
    clock.advance(google.EARLY_SECONDS)
    with pytest.raises(ServerError):
        shown(tokens)


def test_a_refused_token_is_renewed_once(make: Make) -> None:
    """By the first that is told so; who is told later has the new one already."""
    credentials = Counting()
    tokens = make(credentials)
    old = shown(tokens)
    assert refused(tokens, old)
    assert shown(tokens) == "token-2"
    assert refused(tokens, old)
    assert shown(tokens) == "token-2"
    assert credentials.renewals == 2


def test_a_token_without_an_end_is_shown_as_it_is(make: Make) -> None:
    """There is nothing to renew it by, and a refusal is final."""
    tokens = make(OAuthCredentials("ya29.fixed"))
    assert shown(tokens) == "ya29.fixed"
    assert not refused(tokens, "ya29.fixed")


def test_an_object_that_has_a_good_token_is_not_asked_for_another(make: Make) -> None:
    """Until that one is refused."""
    credentials = Counting()
    credentials.refresh(None)
    tokens = make(credentials)
    assert shown(tokens) == "token-1"
    assert credentials.renewals == 1
    assert refused(tokens, "token-1")
    assert shown(tokens) == "token-2"


def test_what_google_auth_raises_is_no_context(make: Make) -> None:
    """It may hold the assertion."""
    credentials = Counting()
    credentials.failure = RefreshError("invalid_grant: no", {"assertion": "s3cr3t"})
    with pytest.raises(UnauthorizedError, match="invalid_grant: no") as caught:
        shown(make(credentials))
    assert caught.value.__context__ is None
    assert "s3cr3t" not in str(caught.value)


def test_the_last_tokens_are_taken_out_of_errors_and_shown_nowhere(make: Make) -> None:
    """A request may be under way with the one before."""
    tokens = make(Counting())
    assert tokens.secrets() == ()
    old = shown(tokens)
    refused(tokens, old)
    shown(tokens)
    assert [secret.reveal() for secret in tokens.secrets()] == ["token-1", "token-2"]
    assert "token-" not in repr(tokens.sign(REQUEST, deadline=Deadline.after(1), cancel=None).headers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_waits_for_nobody() -> None:
    """The thread that renews in the parent is not in the child, which renews for itself."""
    run("""
        from google.auth.credentials import Credentials
        from omnillm._clock import SYSTEM_CLOCK, Deadline
        from omnillm.transport import HttpRequest, HttpTransport, google

        class Slow(Credentials):
            began, go_on = threading.Event(), threading.Event()
            parent = os.getpid()

            def refresh(self, request):
                self.began.set()
                assert os.getpid() != self.parent or self.go_on.wait(10)
                self.token = f"token-{os.getpid()}"

        transport = HttpTransport()
        tokens = google.GoogleTokens(google.found(None, Slow(), ("x",)), transport, SYSTEM_CLOCK)

        def shown():
            request = HttpRequest("POST", "http://127.0.0.1/", {})
            return tokens.sign(request, deadline=Deadline.after(5), cancel=None).headers["Authorization"]

        def child():
            assert shown() == f"Bearer token-{os.getpid()}"

        got = []
        renewing = threading.Thread(target=lambda: got.append(shown()))
        renewing.start()
        assert Slow.began.wait(5)
        in_child(child)
        Slow.go_on.set()
        renewing.join(5)
        assert got == [f"Bearer token-{os.getpid()}"]
        transport.close()
    """)


# --- the machine's own server -------------------------------------------------------------------------------------------------


def test_the_metadata_server_is_reached_by_plain_http_and_its_absence_is_googles_to_judge(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for it is told in google-auth's words, so that it looks elsewhere; ours are kept for the end."""
    from google.auth.exceptions import TransportError

    with ScriptedServer([scripted.expect(), scripted.respond(body=b"ok")], [scripted.expect(), scripted.reset()]) as server:
        host = server.base_url.removeprefix("http://").partition(":")[0]
        monkeypatch.setattr(google, "_METADATA_HOSTS", frozenset({host}))
        tokens = make(Counting())
        asking = google._Asking(tokens._transport, SYSTEM_CLOCK, Deadline.after(5), None)
        answer = asking(server.base_url + "/computeMetadata", headers={"metadata-flavor": "Google"}, timeout=3)
        assert (answer.status, answer.data) == (200, b"ok")
        with pytest.raises(TransportError):
            asking(server.base_url + "/computeMetadata")
    assert isinstance(asking.failure, GatewayError)
    assert asking.failure.sent == "no"
