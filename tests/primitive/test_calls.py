"""A native call: what goes out is what was given, what comes back is what came, and the road is that of every call."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_fixtures import Build
from native_requests import JSON, native_endpoint, native_request

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import (
    BadRequestError,
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineExceededError,
    MalformedResponseError,
    NoAvailableKeyError,
    ServerError,
    UnauthorizedError,
)
from omnillm.policy.retry import RetryPolicy
from omnillm.primitive import PrimitiveEndpointKind as Kind
from omnillm.primitive import PrimitiveProviderEndpoint, PrimitiveProviderKind, PrimitiveRequest
from omnillm.primitive import ProviderPrimitiveWireFormat as Native
from omnillm.providers.auth import AuthScheme
from omnillm.testing import LocalProvider, ScriptedServer, fail, hang
from omnillm.testing.scripted import expect, reset, respond
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import AttemptEnded, CallEnded
from omnillm.types.transport import BinaryBody, TextBody

OPENAI = PrimitiveProviderKind.OPENAI
RESPONSES = JSON[Native.OPENAI_RESPONSES]


def responses(value: Any = None, **more: Any) -> PrimitiveRequest:
    return PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, RESPONSES if value is None else value, **more)


def file_upload(data: Any = b"{}\n", **more: Any) -> PrimitiveRequest:
    return PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, {"purpose": "batch", "file": data}, **more)


def at(provider: LocalProvider, build: Build, keys: Any = 1, kind: PrimitiveProviderKind = OPENAI, **steps: Any) -> Any:
    return build(provider, keys, primitive_endpoint=native_endpoint(provider, kind), **steps)


# --- what goes out --------------------------------------------------------------------------------------------------------------


def test_bytes_go_out_byte_for_byte(provider: LocalProvider, build: Build) -> None:
    """JSON that is bytes, or text, is neither read into nor written anew, blanks and all."""
    written = b'{ "model":"m",\t"input" : "Say hello" , "temperature": 1e0 }'
    gateway = at(provider, build)
    for given in (written, written.decode()):
        assert gateway.primitive_call(responses(given)).status == 200
        assert provider.requests[-1].body == written
        assert provider.requests[-1].headers["content-type"] == "application/json"


def test_a_value_goes_out_as_it_is(provider: LocalProvider, build: Build) -> None:
    """A JSON value is sent with all its fields, those that the library does not know among them."""
    body = {**RESPONSES, "x_new_field": {"deep": [1, None, "é"]}}
    at(provider, build).primitive_call(responses(body))
    assert provider.requests[-1].json == body


def test_path_query_headers_and_accept_are_the_callers(provider: LocalProvider, build: Build) -> None:
    """What was added to the request is in it; the key is the gateway's."""
    request = responses(accept="application/json; v=2").with_header("X-Trace", "t-1").with_query("a b", "c&d")
    at(provider, build).primitive_call(request)
    (received,) = provider.requests
    assert received.path == "/v1/responses?a%20b=c%26d"
    assert (received.headers["x-trace"], received.headers["accept"]) == ("t-1", "application/json; v=2")
    assert received.headers["authorization"] == "Bearer sk-1"


def test_a_callers_header_stands_once(provider: LocalProvider, build: Build) -> None:
    """A header that the protocol has a default for is replaced, however it is spelled."""
    gateway = at(provider, build, kind=PrimitiveProviderKind.ANTHROPIC)
    request = native_request(Native.ANTHROPIC_MESSAGES, Kind.MESSAGES, PrimitiveProviderKind.ANTHROPIC)
    gateway.primitive_call(request.with_header("Anthropic-Version", "2099-01-01").with_header("anthropic-beta", "b-1"))
    assert provider.requests[-1].headers["anthropic-version"] == "2099-01-01"
    assert provider.requests[-1].headers["anthropic-beta"] == "b-1"


def test_a_get_has_no_body_and_no_type(provider: LocalProvider, build: Build) -> None:
    """What only reads sends nothing."""
    at(provider, build).primitive_call(PrimitiveRequest.get("open_ai", "models", "open_ai_models"))
    (received,) = provider.requests
    assert (received.method, received.path, received.body) == ("GET", "/v1/models", b"")
    assert "content-type" not in received.headers
    assert "content-length" not in received.headers


def test_a_file_is_read_from_disk_while_it_is_sent(provider: LocalProvider, build: Build, tmp_path: Path) -> None:
    """By its path, open, or in memory, the file that arrives is the same; its name and type are told."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 50_000)
    gateway = at(provider, build)
    with path.open("rb") as opened:
        for given in (path, opened, io.BytesIO(path.read_bytes())):
            made = gateway.primitive_call(file_upload(given)).json()
            assert made["bytes"] == path.stat().st_size
    content = PrimitiveRequest.get("open_ai", "files", "open_ai_files", path=f"/files/{made['id']}/content")
    assert gateway.primitive_call(content).content == path.read_bytes()
    assert provider.requests[0].headers["content-type"].startswith("multipart/form-data; boundary=omnillm-")
    assert b'filename="in.jsonl"' in provider.requests[0].body


def test_a_raw_upload_is_read_from_disk(provider: LocalProvider, build: Build, tmp_path: Path) -> None:
    """A body that is a file goes out as its bytes, with the media type that was said."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    gateway = at(provider, build, kind=PrimitiveProviderKind.GEMINI)
    request = PrimitiveRequest("gemini", "files", "gemini_files", body=BinaryBody(path, "text/plain"))  # type: ignore[arg-type]
    made = gateway.primitive_call(request).json()["file"]
    assert (made["mimeType"], made["sizeBytes"]) == ("text/plain", "5")
    assert provider.requests[-1].path == "/upload/v1beta/files"


def test_a_resumable_upload_goes_by_the_url_it_is_given(provider: LocalProvider, build: Build) -> None:
    """Google's two steps: the second goes to the whole URL that the first answered with."""
    gateway = at(provider, build, kind=PrimitiveProviderKind.GEMINI)
    start = PrimitiveRequest.json("gemini", "files", "gemini_files", None, {"file": {"displayName": "a"}})
    start = start.with_header("X-Goog-Upload-Protocol", "resumable").with_header("X-Goog-Upload-Command", "start")
    url = gateway.primitive_call(start).headers["x-goog-upload-url"]
    send = PrimitiveRequest("gemini", "files", "gemini_files", path=url, body=BinaryBody(b"hello"))  # type: ignore[arg-type]
    made = gateway.primitive_call(send.with_header("X-Goog-Upload-Command", "upload, finalize")).json()
    assert made["file"]["displayName"] == "a"


def test_an_upload_in_parts(provider: LocalProvider, build: Build) -> None:
    """Begin, send parts, complete: each is a call of its own."""
    gateway = at(provider, build)
    upload = gateway.primitive_call(native_request(Native.OPENAI_UPLOADS, Kind.UPLOADS, OPENAI)).json()["id"]
    parts = [
        gateway.primitive_call(
            PrimitiveRequest.form("open_ai", "uploads", "open_ai_uploads", None, {"data": data}, path=f"/uploads/{upload}/parts")
        ).json()["id"]
        for data in (b"ab", b"c")
    ]
    done = PrimitiveRequest.json("open_ai", "uploads", "open_ai_uploads", None, {"part_ids": parts})
    assert gateway.primitive_call(done.with_path(f"/uploads/{upload}/complete")).json()["file"]["bytes"] == 3


# --- what comes back ------------------------------------------------------------------------------------------------------------


def test_the_answer_is_given_as_it_came(provider: LocalProvider, build: Build) -> None:
    """Status, headers, type and JSON are the provider's; usage is read beside them; meta is the gateway's."""
    response = at(provider, build).primitive_call(responses(metadata={"mine": 1}))
    assert (response.status, response.content_type) == (200, "application/json")
    assert response.json()["output"][0]["content"][0]["text"] == "echo: Say hello"
    assert response.headers["x-request-id"] == "req_1"
    assert response.usage.raw_usage == response.json()["usage"]
    assert response.usage.token_usage.completion_tokens == 3
    assert (response.key_label, response.metadata) == ("k1", {"mine": 1})
    assert [record.outcome for record in response.attempts] == ["ok"]
    assert response.cost_usd == response.usage.token_usage.total()


def test_texts_and_bytes_are_what_their_type_says(build: Build) -> None:
    """Text is text, JSON lines too, and what has another type is bytes; nothing of an empty body is."""
    answers = [
        respond(200, {"Content-Type": "text/plain"}, b"hi"),
        respond(200, {"Content-Type": "application/x-jsonl"}, b"{}\n{}\n"),
        respond(200, {"Content-Type": "audio/mpeg"}, b"\xff\xfb\0"),
        respond(204, {}, b""),
    ]
    with ScriptedServer([step for answer in answers for step in (expect(), answer)]) as server:
        gateway = build(server, primitive_endpoint=PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1"))
        read = PrimitiveRequest.get("open_ai", "files", "open_ai_files", path="/files/f/content")
        found = [gateway.primitive_call(read) for _ in answers]
    assert [response.text for response in found] == ["hi", "{}\n{}\n", None, None]
    assert found[2].content == b"\xff\xfb\0"
    assert (found[3].status, found[3].body) == (204, None)


def test_a_usage_that_is_all_there_is_is_settled(build: Build) -> None:
    """An answer that is not quite its protocol's is given all the same, and paid for by the usage in it."""
    body = {
        "id": "r",
        "output_text": "ok",
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 4}},
    }
    with ScriptedServer([expect(), respond(200, body=json.dumps(body).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, budget_limit_usd=1e4)
        response = gateway.primitive_call(responses())
    usage = response.usage.token_usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.prompt_cache.cached_input_tokens) == (10, 5, 4)
    assert gateway.budget_used_usd() == 15


def test_an_error_of_the_providers_is_the_houses(provider: LocalProvider, build: Build) -> None:
    """A refusal is raised as by ``call``: its class, its words, and not retried; an error with status 200 is one, too."""
    gateway = at(provider, build, budget_limit_usd=1e4)
    provider.script(fail(400, message="no such thing"))
    with pytest.raises(BadRequestError, match="no such thing"):
        gateway.primitive_call(responses())
    with pytest.raises(BadRequestError, match="No such file object") as caught:
        gateway.primitive_call(PrimitiveRequest.get("open_ai", "files", "open_ai_files", path="/files/x"))
    assert (caught.value.status, [record.status for record in caught.value.attempts]) == (404, [404])
    assert gateway.budget_used_usd() == 0


@pytest.mark.parametrize(
    ("kind", "body"), [("text/html", b"<p>sorry</p>"), ("application/json", b"{"), ("application/json", b"")]
)
def test_a_page_that_is_no_answer_is_malformed(provider: LocalProvider, build: Build, kind: str, body: bytes) -> None:
    """HTML, half a JSON value and nothing at all are no answers of an endpoint that generates."""
    from omnillm.testing import malformed

    provider.script(malformed(body, content_type=kind, times=9))
    with pytest.raises(MalformedResponseError):
        at(provider, build).primitive_call(responses())


# --- the road -------------------------------------------------------------------------------------------------------------------


def test_another_key_takes_over_and_the_windows_are_shared(provider: LocalProvider, build: Build) -> None:
    """A key that is refused gives way to another, even where something is made; native and other calls share the windows."""
    provider.dead_keys.add("sk-1")
    gateway = at(provider, build, [KeyConfig("sk-1", "k1"), KeyConfig("sk-2", "k2", rpm_limit=3)])
    assert gateway.primitive_call(file_upload()).key_label == "k2"
    gateway.call("hi")
    gateway.primitive_call(responses())
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.primitive_call(responses())
    assert refused.value.reason in ("window", "dead")


def test_windows_are_shared_across_endpoints_of_one_gateway(provider: LocalProvider, build: Build) -> None:
    """A key that is shown to another base of the provider's is the same key, with the same minute."""
    endpoint = PrimitiveProviderEndpoint.anthropic(f"{provider.base_url}/v1")
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1)], primitive_endpoint=endpoint)
    gateway.call("hi")
    request = native_request(Native.ANTHROPIC_MESSAGES, Kind.MESSAGES, PrimitiveProviderKind.ANTHROPIC)
    with pytest.raises(NoAvailableKeyError):
        gateway.primitive_call(request)
    assert len(gateway.pool_status()) == 1


def test_an_endpoint_may_have_keys_of_its_own(provider: LocalProvider, build: Build) -> None:
    """Keys that were given with an endpoint are used there, and named on; a label given twice is refused."""
    endpoint = PrimitiveProviderEndpoint.anthropic(f"{provider.base_url}/v1")
    gateway = build(provider, primitive_endpoint=(endpoint, [KeyConfig("ant-key-1")]))
    request = native_request(Native.ANTHROPIC_MESSAGES, Kind.MESSAGES, PrimitiveProviderKind.ANTHROPIC)
    assert gateway.primitive_call(request).key_label == "key-2"
    assert provider.requests[-1].headers["x-api-key"] == "ant-key-1"
    with pytest.raises(ConfigurationError, match="two keys are called 'k1'"):
        build(provider, primitive_endpoint=(endpoint, [KeyConfig("ant-key-1", "k1")]))


def test_without_an_endpoint_of_its_own_the_gateways_is_used(provider: LocalProvider, build: Build) -> None:
    """A gateway makes native calls where its other calls go."""
    chat = native_request(Native.OPENAI_CHAT_COMPLETIONS, Kind.CHAT_COMPLETIONS, OPENAI)
    assert build(provider).primitive_call(chat).status == 200
    claude = native_request(Native.ANTHROPIC_MESSAGES, Kind.MESSAGES, PrimitiveProviderKind.ANTHROPIC)
    assert build(provider, protocol=ProviderProtocol.CLAUDE_MESSAGES).primitive_call(claude).status == 200
    gemini = native_request(Native.GEMINI_GENERATE_CONTENT, Kind.MESSAGES, PrimitiveProviderKind.GEMINI)
    assert build(provider, protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT).primitive_call(gemini).status == 200


def test_key_label_names_the_one_key(provider: LocalProvider, build: Build) -> None:
    """A call may ask for the key that made a file; no other is tried for it."""
    gateway = at(provider, build, 3)
    for label in ("k2", "k3", "k1", "k2"):
        assert gateway.primitive_call(responses(), key_label=label).key_label == label
    provider.dead_keys.add("sk-2")
    with pytest.raises(Exception, match="the API key is not valid") as caught:
        gateway.primitive_call(responses(), key_label="k2")
    assert [record.key_label for record in caught.value.attempts] == ["k2"]
    with pytest.raises(ConfigurationError, match="no key of the endpoint is called 'k9'"):
        gateway.primitive_call(responses(), key_label="k9")


@pytest.mark.parametrize(
    ("request_", "attempts"),
    [
        pytest.param(responses(), 3, id="inference"),
        pytest.param(PrimitiveRequest.get("open_ai", "models", "open_ai_models"), 3, id="get"),
        pytest.param(file_upload(), 1, id="creates"),
        pytest.param(file_upload(idempotency_key="once"), 3, id="creates with a key"),
        pytest.param(PrimitiveRequest.json("open_ai", "batches", "open_ai_batches", None, {"input_file_id": "f"}), 1, id="batch"),
        pytest.param(PrimitiveRequest.delete("open_ai", "files", "open_ai_files", "/files/f"), 3, id="delete"),
    ],
)
@pytest.mark.parametrize("failure", ["500", "lost"])
def test_what_makes_something_is_not_repeated(build: Build, request_: PrimitiveRequest, attempts: int, failure: str) -> None:
    """Where it may have been received, only what changes nothing when it comes twice is sent again, or what has a key for it."""
    step = respond(500, body=b"{}") if failure == "500" else reset()
    with ScriptedServer([expect(), step]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, 4, primitive_endpoint=endpoint, retry=RetryPolicy(base=0.001, hedge_after=30.0))
        with pytest.raises((ServerError, ConnectionLostError)) as caught:
            gateway.primitive_call(request_)
        assert (len(caught.value.attempts), len(server.requests)) == (attempts, attempts)


def test_the_idempotency_key_is_sent_each_time(provider: LocalProvider, build: Build) -> None:
    """The provider can tell that the second request is the first."""
    provider.script(fail(503))
    at(provider, build).primitive_call(file_upload().with_idempotency_key("once-1"))
    assert [request.headers["idempotency-key"] for request in provider.requests] == ["once-1", "once-1"]


def test_deadline_and_cancellation_end_a_native_call(provider: LocalProvider, build: Build) -> None:
    """A provider that never answers holds nobody beyond the time-out; a token ends the call before it begins, too."""
    provider.script(hang())
    gateway = at(provider, build)
    with pytest.raises(DeadlineExceededError):
        gateway.primitive_call(responses(), timeout=0.2)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CallCancelledError):
        gateway.primitive_call(responses(), cancel=token)
    assert len(provider.requests) == 1
    gateway.close()
    with pytest.raises(ClosedError):
        gateway.primitive_call(responses())


def test_hooks_are_told_as_of_every_call(provider: LocalProvider, build: Build, events: list[Any]) -> None:
    """An attempt and an end, with usage and cost."""
    at(provider, build).primitive_call(responses())
    (ended,) = [event for event in events if isinstance(event, CallEnded)]
    assert [event.record.outcome for event in events if isinstance(event, AttemptEnded)] == ["ok"]
    assert (ended.model, ended.outcome) == ("m", "ok")
    assert ended.usage is not None
    assert ended.cost_usd == ended.usage.total()


def test_a_key_in_the_query_is_the_endpoints(provider: LocalProvider, build: Build) -> None:
    """Where the key is a parameter, it is added to the URL, and no caller may say another."""
    endpoint = PrimitiveProviderEndpoint.gemini(f"{provider.base_url}/v1beta").with_auth(AuthScheme.query("k"))
    gateway = build(provider, primitive_endpoint=endpoint)
    read = PrimitiveRequest.get("gemini", "models", "gemini_models")
    with pytest.raises(UnauthorizedError):  # the local provider looks for no such key
        gateway.primitive_call(read)
    assert provider.requests[-1].path == "/v1beta/models?k=sk-1"
    with pytest.raises(ConfigurationError, match="query: k shows the key"):
        gateway.primitive_call(read.with_query("k", "mine"))


def test_bad_requests_are_refused_before_anything_is_sent(provider: LocalProvider, build: Build) -> None:
    """Each error names the field; no key is taken and nothing is reserved."""
    gateway: Any = at(provider, build, budget_limit_usd=5)
    cases: list[tuple[Any, str]] = [
        (lambda: gateway.primitive_call("hi"), "request: expected a PrimitiveRequest"),
        (lambda: gateway.primitive_call(responses().with_stream("sse")), "stream: a call gives a whole answer"),
        (lambda: gateway.primitive_stream(responses()), "stream: none is no stream of events"),
        (lambda: gateway.primitive_call(responses(), timeout=0), "timeout"),
        (lambda: gateway.primitive_call(responses(), tenant=3), "tenant"),
        (lambda: gateway.primitive_call(responses(), key_label=3), "key_label"),
        (lambda: gateway.primitive_call(responses(b"{")), "body: "),
        (lambda: gateway.primitive_call(PrimitiveRequest.json(
            "open_ai", "responses", "open_ai_responses", "a", {"model": "b", "input": "x"})), "model: the request says 'a'"),
        (lambda: gateway.primitive_async_job(responses()), "request: expected a PrimitiveAsyncJobRequest"),
        (lambda: gateway.primitive_wait(responses()), "job: expected"),
    ]  # fmt: skip
    for act, said in cases:
        with pytest.raises(ConfigurationError, match=said):
            act()
    assert (provider.requests, gateway.budget_used_usd()) == ((), 0.0)
    assert gateway.pool_status()[0].rpm_used == 0


def test_a_text_body_goes_out_as_text(provider: LocalProvider, build: Build) -> None:
    """What is neither JSON nor a form has its own type."""
    gateway = at(provider, build, kind=PrimitiveProviderKind.CUSTOM)
    request = PrimitiveRequest("custom", "custom", "custom_http", path="/x", body=TextBody("é"), cost_usd=0)  # type: ignore[arg-type]
    with pytest.raises(BadRequestError):
        gateway.primitive_call(request)
    assert (provider.requests[0].body, provider.requests[0].headers["content-type"]) == (
        "é".encode(),
        "text/plain; charset=utf-8",
    )


def test_a_budget_is_kept(provider: LocalProvider, build: Build) -> None:
    """A native call that does not fit is refused, and costs nothing."""
    gateway = at(provider, build, budget_limit_usd=10)
    with pytest.raises(BudgetExceededError):
        gateway.primitive_call(responses({**RESPONSES, "max_output_tokens": 1000}))
    assert (provider.requests, gateway.budget_used_usd()) == ((), 0.0)
