"""Recording and playing: what a gateway exchanged once, without a network and without a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from omnillm import (
    CallCancelledError,
    CancellationToken,
    ClosedError,
    ConfigurationError,
    ConnectError,
    Gateway,
    GatewayBuilder,
    GenerationConfig,
    KeyConfig,
    LlmRequest,
    ProviderEndpoint,
    RateLimitedError,
    RetryPolicy,
    StreamInterruptedError,
    connect,
)
from omnillm.testing import LocalProvider, UnrecordedRequestError, answer, break_stream, fail, record, replay

CANARY = "sk-CANARY-0123456789"
PROTOCOLS = ["responses", "chat_completions", "claude_messages", "gemini_generate_content", "chat_completions_compat"]
Make = Callable[..., Gateway]


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


@pytest.fixture
def make() -> Iterator[Make]:
    """Make gateways that are closed in the end."""
    with ExitStack() as stack:

        def make(endpoint: ProviderEndpoint, *, key: str = CANARY, attempts: int = 1) -> Gateway:
            builder = GatewayBuilder(endpoint).default_model("m").add_key(KeyConfig(key, "only"))
            return stack.enter_context(builder.retry(RetryPolicy(attempts, base=0.001)).build())

        yield make


def nowhere(make: Make, endpoint: ProviderEndpoint, **options: Any) -> Gateway:
    """Make a gateway like another, with another key, whose provider has gone."""
    return make(endpoint, key="sk-of-the-tests", **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_recorded_is_played(tmp_path: Path, make: Make, protocol: str) -> None:
    """Calls and streams of every protocol, with their usage; the provider is gone, and the key is another."""
    tape = tmp_path / "deep" / "tape.json"
    with LocalProvider() as provider:
        endpoint = provider.endpoint(protocol)
        gateway = make(endpoint)
        with record(tape, gateway) as recorded:
            whole, pieces = gateway.call("hello"), list(gateway.stream("one two three").text())
        assert len(recorded.exchanges) == 2
        assert len(provider.requests) == 2
        assert gateway.call("and on").text == "echo: and on"
    assert CANARY not in tape.read_text()
    gateway = nowhere(make, endpoint)
    with replay(tape, gateway) as played:
        again = gateway.call("hello")
        assert (again, again.usage, again.cost_usd) == (whole, whole.usage, whole.cost_usd)
        assert list(gateway.stream("one two three").text()) == pieces
    assert played.unused == ()
    assert played.exchanges == recorded.exchanges
    with pytest.raises(ConnectError):
        gateway.call("hello")


def test_each_exchange_is_of_its_wire_format(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """Two protocols of one host are told apart by their paths, which stand below the base."""
    builder = GatewayBuilder(provider.endpoint("responses")).default_model("m").add_key(KeyConfig(CANARY, "a"))
    builder.add_fallback(provider.endpoint("chat_completions"), KeyConfig("sk-b", "b")).retry(RetryPolicy(1))
    provider.script(fail(503), protocol="responses")
    with builder.build() as gateway, record(tmp_path / "t.json", gateway) as tape:
        gateway.call("hello")
    assert [(it.wire_format, it.request.path, it.response.status) for it in tape.exchanges] == [
        ("open_ai_responses", "/responses", 503),
        ("open_ai_chat_completions", "/chat/completions", 200),
    ]
    assert [it.request.headers["authorization"] for it in tape.exchanges] == ["<redacted:authorization>"] * 2


def test_failures_and_their_retries_are_played(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """Alike requests are answered in the order in which they were."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("chat_completions")
    provider.script(fail(500), fail(503))
    gateway = make(endpoint, attempts=3)
    with record(tape, gateway):
        recorded = gateway.call("hello")
    gateway = nowhere(make, endpoint, attempts=3)
    with replay(tape, gateway):
        played = gateway.call("hello")
    assert [attempt.status for attempt in played.attempts] == [attempt.status for attempt in recorded.attempts] == [500, 503, 200]


def test_a_rate_limit_keeps_its_hint(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """Headers that say when to come back are on the tape."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("chat_completions")
    provider.script(fail(429, retry_after=7))
    gateway = make(endpoint)
    with record(tape, gateway), pytest.raises(RateLimitedError):
        gateway.call("hello")
    gateway = nowhere(make, endpoint)
    with replay(tape, gateway), pytest.raises(RateLimitedError) as caught:
        gateway.call("hello")
    assert caught.value.retry_after == 7


def test_a_broken_stream_breaks_again(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """What was received before it broke is what is received again."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("claude_messages")
    provider.script(break_stream(after_events=4))
    partial: list[str] = []
    for gateway, how in ((make(endpoint), record), (nowhere(make, endpoint), replay)):
        with how(tape, gateway), pytest.raises(StreamInterruptedError) as caught:
            list(gateway.stream("one two three"))
        assert caught.value.partial_response is not None
        partial.append(caught.value.partial_response.text)
    assert partial[0] == partial[1] != ""


def test_a_request_that_was_not_recorded_says_what_differs(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """The first difference by its pointer, the other paths, or that it was played already."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("chat_completions")
    gateway = make(endpoint)
    with record(tape, gateway):
        gateway.call(LlmRequest("m", "hello", generation=GenerationConfig(temperature=0)))
    said = []
    for request in (
        LlmRequest("m", "hullo", generation=GenerationConfig(temperature=0)),
        LlmRequest("m", "hello", generation=GenerationConfig(temperature=0, top_p=1)),
        LlmRequest("other", "hello"),
    ):
        with pytest.raises(UnrecordedRequestError) as caught, replay(tape, gateway):
            gateway.call(request)
        said.append(str(caught.value))
    start = "POST /chat/completions was not recorded with this body: the next one differs at "
    assert said == [start + where for where in ("/messages/0/content", "/top_p", "/model")]
    with pytest.raises(UnrecordedRequestError, match="as often as it is made"), replay(tape, gateway):
        for _ in range(2):
            gateway.call(LlmRequest("m", "hello", generation=GenerationConfig(temperature=0)))
    with pytest.raises(UnrecordedRequestError, match=r"POST /messages was not recorded: there is /chat/completions"):
        other = make(provider.endpoint("claude_messages"))
        with replay(tape, other):
            other.call("hello")
    assert len(provider.requests) == 1


def test_a_miss_that_the_code_swallowed_is_told_at_the_end(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """Code that catches every error of ours does not make a test green."""
    tape = tmp_path / "t.json"
    gateway = make(provider.endpoint("chat_completions"))
    with record(tape, gateway):
        gateway.call("hello")
    with pytest.raises(AssertionError, match="not recorded"), replay(tape, gateway) as played:
        with pytest.raises(UnrecordedRequestError):
            gateway.call("other")
        assert len(played.missed) == 1
    assert len(played.unused) == 1


def test_what_is_compared_may_be_less(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """A prompt with the date in it is matched by its path."""
    tape = tmp_path / "t.json"
    gateway = make(provider.endpoint("chat_completions"))
    with record(tape, gateway):
        gateway.call("today is Monday")
    with replay(tape, gateway, match_on=["method", "path"]):
        assert gateway.call("today is Tuesday").text == "echo: today is Monday"
    with pytest.raises(ConfigurationError, match="match_on"), replay(tape, gateway, match_on=["url"]):  # type: ignore[list-item]
        pass


def test_many_threads_share_a_tape(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """Each answer goes to its own question, in whatever order they come."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("responses")
    questions = [f"question {n}" for n in range(24)]
    for gateway, how in ((make(endpoint), record), (nowhere(make, endpoint), replay)):
        with how(tape, gateway), ThreadPoolExecutor(8) as threads:
            assert [it.text for it in threads.map(gateway.call, questions)] == [f"echo: {text}" for text in questions]


# --- secrets ------------------------------------------------------------------------------------------------------------------


def test_a_key_in_a_prompt_and_its_answer_is_taken_out(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """The gateway's own keys and those given; the request is found all the same."""
    tape, endpoint = tmp_path / "t.json", provider.endpoint("chat_completions")
    gateway = make(endpoint)
    with record(tape, gateway, secrets=["hunter-two-2"]):
        gateway.call(f"say {CANARY} and hunter-two-2")
    text = tape.read_text()
    assert CANARY not in text
    assert "hunter" not in text
    assert text.count("<redacted:key>") == 4
    gateway = nowhere(make, endpoint)
    with replay(tape, gateway, secrets=[CANARY, "hunter-two-2"]):
        assert gateway.call(f"say {CANARY} and hunter-two-2").text == "echo: say <redacted:key> and <redacted:key>"


def test_a_key_that_came_in_pieces_is_not_written(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """A stream's pieces hold no key, and together they do: then there is no file."""
    tape = tmp_path / "t.json"
    gateway = make(provider.endpoint("chat_completions"))
    with (
        pytest.raises(ConfigurationError, match="not written: a key came back") as caught,
        record(tape, gateway, secrets=["alpha beta gamma"]),
    ):
        provider.script(answer("it is alpha beta gamma so"))
        list(gateway.stream("which words?"))
    assert not tape.exists()
    assert "alpha" not in str(caught.value)


def test_a_recording_that_failed_is_not_written(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """The tape of a good day stays, and nothing else is left behind."""
    tape = tmp_path / "t.json"
    gateway = make(provider.endpoint("chat_completions"))
    with record(tape, gateway):
        gateway.call("hello")
    before = tape.read_bytes()
    with pytest.raises(ZeroDivisionError), record(tape, gateway):
        gateway.call("other")
        raise ZeroDivisionError
    assert tape.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


# --- the edges ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such recording: make it with omnillm.testing.record"),
        ("", "no recording: not JSON"),
        ("[]", "expected a recording of version 1"),
        ('{"version": 2, "exchanges": []}', "expected a recording of version 1"),
        ('{"version": 1, "exchanges": [{}]}', "no recording: ReplayFixture needs 'wire_format'"),
    ],
)
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, make: Make, text: str | None, said: str) -> None:
    """The error names the file, and what to do where there is none."""
    tape = tmp_path / "t.json"
    if text is not None:
        tape.write_text(text)
    gateway = make(ProviderEndpoint.openai_responses())
    with pytest.raises(ConfigurationError) as caught, replay(tape, gateway):
        pass
    assert str(caught.value).startswith(f"{tape}: {said}")


def test_the_gateway_is_as_before(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """The block ends, however it ends, and calls go over the network again; closing within it closes for good."""
    gateway = make(provider.endpoint("responses"))
    tape = tmp_path / "t.json"
    with record(tape, gateway):
        gateway.call("hello")
    with pytest.raises(ZeroDivisionError), replay(tape, gateway):
        raise ZeroDivisionError
    gateway.call("hello")
    assert len(provider.requests) == 2
    with record(tape, gateway):
        gateway.close()
    with pytest.raises(ClosedError):
        gateway.call("hello")


def test_a_cancelled_call_is_not_played(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """A token ends a played call as it does any other."""
    gateway, tape, token = make(provider.endpoint("responses")), tmp_path / "t.json", CancellationToken()
    with record(tape, gateway):
        gateway.call("hello")
    token.cancel()
    with replay(tape, gateway), pytest.raises(CallCancelledError):
        gateway.call("hello", cancel=token)


def test_only_a_gateway_is_recorded(tmp_path: Path) -> None:
    """The error says what was given."""
    with pytest.raises(ConfigurationError, match="gateway: expected a Gateway, got str"), record(tmp_path / "t", "x"):  # type: ignore[arg-type]
        pass


def test_a_connected_gateway_is_played_with_any_key(tmp_path: Path, provider: LocalProvider) -> None:
    """In a pipeline without secrets."""
    tape = tmp_path / "t.json"
    with connect("openai/m", api_key=CANARY, base_url=f"{provider.base_url}/v1") as gateway, record(tape, gateway):
        gateway.call("hello")
    with connect("openai/m", api_key="none") as gateway, replay(tape, gateway):
        assert gateway.call("hello").text == "echo: hello"


def test_the_file_is_json_of_fixtures(tmp_path: Path, provider: LocalProvider, make: Make) -> None:
    """It can be read, and mended by hand."""
    tape = tmp_path / "t.json"
    gateway = make(provider.endpoint("responses"))
    with record(tape, gateway) as recorded:
        gateway.call("hello")
    value = json.loads(tape.read_text())
    assert value == {"version": 1, "exchanges": [recorded.exchanges[0].to_dict()]}
