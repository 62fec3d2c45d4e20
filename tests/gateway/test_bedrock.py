"""Bedrock through a gateway: what is sent, signed or with an API key, what comes back, and what goes wrong."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from gateway_fixtures import Build

from omnillm import AwsCredentials, ConfigurationError, GenerationConfig, KeyConfig, LlmRequest, ProviderEndpoint, RetryPolicy
from omnillm.errors import (
    BadRequestError,
    GatewayError,
    MalformedResponseError,
    NoAvailableKeyError,
    PermissionDeniedError,
    RateLimitedError,
    StreamInterruptedError,
    UnauthorizedError,
)
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream, fail
from omnillm.testing._eventstream import encode_chunk, encode_event
from omnillm.testing.scripted import expect, respond
from omnillm.types.events import Completed, TextDelta
from omnillm.types.hooks import HookEvent
from omnillm.wire import SseFrame

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNED = f"{ACCESS}:{SECRET}"
SCOPED = f"{ACCESS}:{SECRET}:session/token=="
ARN = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude"
REQUEST = LlmRequest(ARN, "hello there", generation=GenerationConfig(max_output_tokens=9))
BODIES: dict[str, dict[str, Any]] = {
    "converse": {"inferenceConfig": {"maxTokens": 9}, "messages": [{"role": "user", "content": [{"text": "hello there"}]}]},
    "invoke_model": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello there"}],
    },
}
PATHS = {
    ("converse", False): "/model/{}/converse",
    ("converse", True): "/model/{}/converse-stream",
    ("invoke_model", False): "/model/{}/invoke",
    ("invoke_model", True): "/model/{}/invoke-with-response-stream",
}
EACH_API = pytest.mark.parametrize("api", BODIES)


def bedrock(target: LocalProvider | ScriptedServer, api: Any = "converse") -> ProviderEndpoint:
    return ProviderEndpoint.bedrock("us-east-1", api=api, base_url=target.base_url)


def streamed(gateway: Any, request: Any = REQUEST) -> str:
    with gateway.stream(request) as stream:
        return "".join(stream.text())


# --- the request --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [SIGNED, SCOPED, "bedrock-api-key"], ids=["signed", "session", "api key"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@EACH_API
def test_the_request_is_what_aws_takes(build: Build, api: str, stream: bool, key: str) -> None:
    """Path, headers and body; a signature that the provider makes again by the secret is the same."""
    with LocalProvider(keys=[key]) as provider:
        gateway = build(bedrock(provider, api), [KeyConfig(key, "k1")])
        assert (streamed(gateway) if stream else gateway.call(REQUEST).text) == "echo: hello there"
    (received,) = provider.requests
    assert received.path == PATHS[api, stream].format(ARN.replace(":", "%3A").replace("/", "%2F"))
    assert (received.method, received.json) == ("POST", BODIES[api])
    names = {"accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"}
    if key != "bedrock-api-key":
        names |= {"x-amz-date", "x-amz-security-token"} if key == SCOPED else {"x-amz-date"}
        scope = received.headers["authorization"].partition("Credential=")[2].partition(",")[0].split("/")
        assert (scope[0], scope[2:]) == (ACCESS, ["us-east-1", "bedrock", "aws4_request"])
    else:
        assert received.headers["authorization"] == "Bearer bedrock-api-key"
    assert set(received.headers) == names
    assert received.headers["accept"] == ("application/vnd.amazon.eventstream" if stream else "application/json")


@EACH_API
def test_a_stream_is_events_as_of_any_provider(build: Build, api: str) -> None:
    """A word each, with its usage, and the same answer as without a stream."""
    with LocalProvider() as provider:
        gateway = build(bedrock(provider, api), [KeyConfig(SIGNED)])
        with gateway.stream(REQUEST) as stream:
            events = list(stream)
        assert [event.delta for event in events if isinstance(event, TextDelta)] == ["echo:", " hello", " there"]
        assert isinstance(events[-1], Completed)
        assert (stream.response.text, stream.response.usage) == (gateway.call(REQUEST).text, gateway.call(REQUEST).usage)
        assert not stream.response.usage.estimated


def test_a_key_may_be_credentials_of_the_default_chain(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when the first request is signed."""
    endpoint_keys = [KeyConfig(AwsCredentials(), "chain")]
    with LocalProvider(keys=[SCOPED]) as provider:
        gateway = build(bedrock(provider), endpoint_keys)
        for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), SCOPED.split(":"), strict=True):
            monkeypatch.setenv(f"AWS_{name}", value)
        assert gateway.call("hello").text == "echo: hello"


def test_a_wrong_secret_is_refused_by_the_signature(build: Build) -> None:
    """AWS answers 403: the key is set aside for the model, and another is tried."""
    with LocalProvider(keys=[SIGNED, "other"]) as provider:
        gateway = build(bedrock(provider), [KeyConfig(f"{ACCESS}:wrong", "k1")])
        with pytest.raises(PermissionDeniedError, match="signature we calculated does not match") as caught:
            gateway.call("hello")
    assert caught.value.sent == "yes"


def test_the_date_of_a_signature_is_the_gateways(build: Build) -> None:
    """A clock that is wrong by more than five minutes is told so."""
    clock = FakeClock(auto_advance=True)
    with LocalProvider(keys=[SIGNED], clock=clock) as provider:
        assert build(bedrock(provider), [KeyConfig(SIGNED)], clock=clock).call("hello").text == "echo: hello"
        assert provider.requests[0].headers["x-amz-date"] == "20231114T221320Z"
        with pytest.raises(PermissionDeniedError, match="Signature expired"):
            build(bedrock(provider), [KeyConfig(SIGNED)], clock=FakeClock(wall=1_600_000_000.0, auto_advance=True)).call("hello")


# --- the same road ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@EACH_API
def test_a_throttled_key_rests_and_another_answers(build: Build, events: list[HookEvent], api: str, stream: bool) -> None:
    """As AWS writes it: the name in a header, a message, no time; the key rests for a minute."""
    body, headers = {"message": "Too many requests"}, {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/x"}
    with LocalProvider() as provider:
        provider.script(fail(429, body=body, headers=headers))
        gateway = build(bedrock(provider, api), [KeyConfig(SIGNED, "k1"), KeyConfig("api-key", "k2")])
        assert (streamed(gateway) if stream else gateway.call(REQUEST).text) == "echo: hello there"
        provider.script(fail(429, body=body, headers=headers))
        with pytest.raises(RateLimitedError, match="Too many requests") as caught:
            gateway.call(REQUEST)
    assert caught.value.code == "ThrottlingException"
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    assert all(status.cool_down_until is not None for status in gateway.pool_status())


def test_a_key_keeps_to_its_limit(build: Build) -> None:
    """Its window is the pool's, whatever signs."""
    with LocalProvider() as provider:
        gateway = build(bedrock(provider), [KeyConfig(SIGNED, rpm_limit=1)], retry=RetryPolicy(max_attempts=1))
        gateway.call("hello")
        with pytest.raises(NoAvailableKeyError):
            gateway.call("hello")
        assert len(provider.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_retry_is_signed_anew(build: Build, status: int) -> None:
    """At the moment when it is sent."""
    clock = FakeClock(auto_advance=True)
    with LocalProvider(keys=[SIGNED], clock=clock) as provider:
        provider.script(fail(status))
        gateway = build(bedrock(provider), [KeyConfig(SIGNED)], clock=clock, retry=RetryPolicy(base=5, cap=20))
        assert gateway.call("hello", timeout=math.inf).text == "echo: hello"
    dates = [request.headers["x-amz-date"] for request in provider.requests]
    assert len(dates) == 2
    assert dates[0] <= dates[1]


def test_credentials_that_cannot_be_had_cost_nothing(build: Build) -> None:
    """Nothing was sent: the budget and the window are as before, the key is set aside and another one answers."""

    class Broken:
        def get_frozen_credentials(self) -> Any:
            from botocore.exceptions import CredentialRetrievalError

            raise CredentialRetrievalError(provider="x", error_msg="s3cr3t")

    with LocalProvider() as provider:
        broken = KeyConfig(AwsCredentials(credentials=Broken()), "broken")
        alone = build(bedrock(provider), [broken], budget_limit_usd=10_000)
        with pytest.raises(UnauthorizedError, match="AWS credentials cannot be had") as caught:
            alone.call("hello")
        assert (caught.value.sent, alone.budget_used_usd(), provider.requests) == ("no", 0, ())
        assert [record.sent for record in caught.value.attempts] == ["no"]
        (status,) = alone.pool_status()
        assert (status.dead, status.rpm_used, status.tpm_used) == (True, 0, 0)
        both = build(bedrock(provider), [broken, KeyConfig(SIGNED, "good")])
        assert [both.call("hello").text for _ in range(4)] == ["echo: hello"] * 4


# --- streams that go wrong ----------------------------------------------------------------------------------------------------

START = encode_event(SseFrame("messageStart", '{"role":"assistant"}'))
DELTA = encode_event(SseFrame("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"hi"},"p":"abc"}'))
THROTTLED = encode_event(SseFrame("throttlingException", '{"message":"slow down"}'))
CLAUDE_MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": []}
CLAUDE_START = {"type": "message_start", "message": CLAUDE_MESSAGE}
CLAUDE_DELTA = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
]
CHUNKS = b"".join(encode_chunk(SseFrame(None, json.dumps(event))) for event in (CLAUDE_START, *CLAUDE_DELTA))
BEGUN = {"converse": START + DELTA, "invoke_model": CHUNKS}


def damaged(message: bytes) -> bytes:
    return message[:-1] + bytes([message[-1] ^ 1])


def answering(body: bytes) -> ScriptedServer:
    return ScriptedServer([expect(), respond(headers={"Content-Type": "application/vnd.amazon.eventstream"}, body=body)])


@pytest.mark.parametrize(
    ("then", "phase", "said"),
    [
        (THROTTLED, "error", "slow down"),
        (b"", "no_terminal", "without its terminal event"),
        (DELTA[: len(DELTA) // 2], "no_terminal", "without its terminal event"),
        (damaged(DELTA), "cut", "damaged"),
        (b"data: {}\n\n" + b"x" * 20, "cut", "damaged"),
    ],
    ids=["exception", "no end", "half a message", "checksum", "another framing"],
)
@EACH_API
def test_a_stream_that_breaks_off_gives_what_had_come(build: Build, api: str, then: bytes, phase: str, said: str) -> None:
    """The phase and the words say why; what was received is paid for."""
    with answering(BEGUN[api] + then) as server:
        gateway = build(bedrock(server, api), [KeyConfig(SIGNED)], retry=RetryPolicy(max_attempts=1))
        with pytest.raises(StreamInterruptedError, match=said) as caught:
            streamed(gateway)
    assert (caught.value.phase, caught.value.partial_response.text) == (phase, "hi")
    (record,) = caught.value.attempts
    assert (record.outcome, record.sent) == ("failed", "yes")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (THROTTLED, RateLimitedError),
        (encode_event(SseFrame("validationException", '{"message":"no"}')), BadRequestError),
        (damaged(START), MalformedResponseError),
    ],
)
@EACH_API
def test_a_stream_that_begins_with_its_end_is_the_error_itself(
    build: Build, api: str, body: bytes, kind: type[GatewayError]
) -> None:
    """Before the first event it is as if the status had said so, and another key is tried where that helps."""
    with answering(body) as server:
        gateway = build(bedrock(server, api), [KeyConfig(SIGNED)], retry=RetryPolicy(max_attempts=1))
        with pytest.raises(kind):
            streamed(gateway)


def test_an_exception_before_the_first_event_is_retried(build: Build) -> None:
    """On another key."""
    with LocalProvider() as provider:
        provider.script(break_stream(0, how="error_event"))
        gateway = build(bedrock(provider), [KeyConfig(SIGNED, "k1"), KeyConfig("api-key", "k2")])
        assert streamed(gateway) == "echo: hello there"
        assert len(provider.requests) == 2


@EACH_API
def test_a_stream_that_was_not_asked_for_is_gathered(build: Build, api: str) -> None:
    """A binary one, too."""
    ends = {
        "converse": [
            encode_event(SseFrame("messageStop", '{"stopReason":"end_turn"}')),
            encode_event(SseFrame("metadata", '{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}')),
        ],
        "invoke_model": [
            encode_chunk(SseFrame(None, json.dumps(event)))
            for event in (
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
                {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
            )
        ],
    }
    with answering(BEGUN[api] + b"".join(ends[api])) as server:
        assert build(bedrock(server, api), [KeyConfig(SIGNED)]).call(REQUEST).text == "hi"


# --- secrets ------------------------------------------------------------------------------------------------------------------


def test_what_an_upstream_echoes_of_credentials_is_taken_out(build: Build) -> None:
    """AWS quotes the canonical request where a signature does not match, the session token in it."""
    said = json.dumps({"message": f"The Canonical String should be x-amz-security-token:session/token== {SECRET} {ACCESS}"})
    with ScriptedServer([expect(), respond(403, body=said.encode())]) as server:
        gateway = build(bedrock(server), [KeyConfig(SCOPED)], retry=RetryPolicy(max_attempts=1))
        with pytest.raises(PermissionDeniedError) as caught:
            gateway.call("hello")
    shown = repr(caught.value.__dict__) + str(caught.value) + repr(caught.value.attempts)
    assert [part for part in (ACCESS, SECRET, "session/token==") if part in shown] == []
    assert "<redacted>" in str(caught.value)


def test_a_signature_is_in_no_frame_of_a_traceback(build: Build) -> None:
    """Nor are the parts of the credentials."""
    with ScriptedServer([expect(), respond(400, body=b'{"message":"no"}')]) as server:
        gateway = build(bedrock(server), [KeyConfig(SCOPED)], retry=RetryPolicy(max_attempts=1))
        with pytest.raises(BadRequestError) as caught:
            gateway.call("hello")
    trace, shown = caught.value.__traceback__, ""
    while trace is not None:
        if "omnillm" in trace.tb_frame.f_code.co_filename and "test_bedrock" not in trace.tb_frame.f_code.co_filename:
            shown += "".join(map(repr, trace.tb_frame.f_locals.values()))
        trace = trace.tb_next
    assert shown
    assert [part for part in (SECRET, "session/token==", "Signature=") if part in shown] == []


def test_half_a_credential_is_refused_when_the_gateway_is_made(build: Build) -> None:
    """Before anything is sent."""
    with LocalProvider() as provider, pytest.raises(ConfigurationError, match="an access key alone signs nothing"):
        build(bedrock(provider), [KeyConfig(ACCESS)])


def test_a_chunk_is_base64(build: Build) -> None:
    """As the test's own encoder has it."""
    message = encode_chunk(SseFrame(None, '{"type":"ping"}'))
    assert base64.b64encode(b'{"type":"ping"}') in message
