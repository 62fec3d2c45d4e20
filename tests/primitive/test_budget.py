"""The money of native calls: reserved by what they are, settled by what the answer says, never leaked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_fixtures import Build
from native_requests import CONTENTS, JSON, TURNS, native_endpoint, native_request

from omnillm.errors import BudgetExceededError, ConnectionLostError, UnknownPriceError
from omnillm.policy.limits import Budget
from omnillm.policy.pricing import PriceTable
from omnillm.primitive import (
    PrimitiveAsyncJobOperation,
    PrimitiveAsyncJobRequest,
    PrimitiveProviderEndpoint,
    PrimitiveProviderKind,
    PrimitiveRequest,
)
from omnillm.primitive import PrimitiveEndpointKind as Kind
from omnillm.primitive import ProviderPrimitiveWireFormat as Native
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, reset, respond

OPENAI, CLAUDE, GEMINI, CUSTOM, BEDROCK = (
    PrimitiveProviderKind.OPENAI,
    PrimitiveProviderKind.ANTHROPIC,
    PrimitiveProviderKind.GEMINI,
    PrimitiveProviderKind.CUSTOM,
    PrimitiveProviderKind.BEDROCK,
)
DOLLAR = {"m": {"input": 1_000_000, "output": 1_000_000}}
KNOWN = PriceTable(DOLLAR)  # nothing else has a price
STRICT = Budget(1e6, estimate="strict")
Operation = PrimitiveAsyncJobOperation


def at(provider: LocalProvider, build: Build, kind: PrimitiveProviderKind = OPENAI, **steps: Any) -> Any:
    steps.setdefault("pricing", KNOWN)
    if "budget" not in steps:
        steps.setdefault("budget_limit_usd", 1e6)
    return build(provider, primitive_endpoint=native_endpoint(provider, kind), **steps)


def custom(body: Any, **more: Any) -> PrimitiveRequest:
    return PrimitiveRequest.json("custom", "custom", "custom_http", more.pop("model", None), body, path="/responses", **more)


def test_native_and_canonical_calls_cost_the_same(provider: LocalProvider, build: Build) -> None:
    """The same words cost the same, and reserve the same, by either door."""
    gateway = at(provider, build)
    gateway.primitive_call(native_request(Native.OPENAI_CHAT_COMPLETIONS, Kind.CHAT_COMPLETIONS, OPENAI))
    native = gateway.budget_used_usd()
    gateway.call("Say hello", max_output_tokens=20)
    assert gateway.budget_used_usd() == 2 * native


def test_what_reads_and_stores_is_free(provider: LocalProvider, build: Build) -> None:
    """Lists, counts, files and deletions pass a budget that is spent, whatever model nobody has a price for."""
    gateway = at(provider, build, budget_limit_usd=1e-12)
    gateway.primitive_call(PrimitiveRequest.get("open_ai", "models", "open_ai_models"))
    made = gateway.primitive_call(native_request(Native.OPENAI_FILES, Kind.FILES, OPENAI)).json()["id"]
    response = gateway.primitive_call(PrimitiveRequest.delete("open_ai", "files", "open_ai_files", f"/files/{made}"))
    assert (response.json()["deleted"], response.cost_usd, gateway.budget_used_usd()) == (True, 0.0, 0.0)
    claude = at(provider, build, CLAUDE, budget_limit_usd=1e-12)
    assert claude.primitive_call(native_request(Native.ANTHROPIC_COUNT_TOKENS, Kind.COUNT_TOKENS, CLAUDE)).cost_usd == 0.0


def test_a_model_without_a_price_is_refused(provider: LocalProvider, build: Build) -> None:
    """As by ``call``: a budget that cannot count is none."""
    gateway = at(provider, build)
    with pytest.raises(UnknownPriceError, match="nameless has no price"):
        gateway.primitive_call(PrimitiveRequest.json(
            "open_ai", "responses", "open_ai_responses", "nameless", {"input": "x"}))  # fmt: skip
    assert provider.requests == ()


def test_what_nobody_knows_is_reserved_conservatively(provider: LocalProvider, build: Build) -> None:
    """A body that nothing reads is taken for as many tokens as it has bytes, and settled by the usage if there is one."""
    body = {**JSON[Native.OPENAI_RESPONSES], "max_output_tokens": 20}
    size = len(json.dumps(body, separators=(",", ":")))
    with pytest.raises(BudgetExceededError) as refused:
        at(provider, build, CUSTOM, budget_limit_usd=size + 19).primitive_call(custom(body, model="m"))
    assert refused.value.needed_usd == size + 20
    gateway = at(provider, build, CUSTOM, budget_limit_usd=size + 20)
    response = gateway.primitive_call(custom(body, model="m"))
    assert gateway.budget_used_usd() == response.usage.token_usage.total() < size


def test_what_reports_nothing_is_charged_what_was_reserved(build: Build) -> None:
    """An unknown call without a usage costs its estimate; one that failed costs nothing."""
    with ScriptedServer([expect(), respond(200, body=b'{"ok": true}')], [expect(), respond(400, body=b"{}")]) as server:
        endpoint = PrimitiveProviderEndpoint.custom(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        request = custom({"model": "m", "max_tokens": 7})
        gateway.primitive_call(request)
        spent = len(b'{"model":"m","max_tokens":7}') + 7
        assert gateway.budget_used_usd() == spent
        server.close()


def test_a_call_that_nothing_prices_needs_a_word(provider: LocalProvider, build: Build) -> None:
    """Without a model a budget refuses it; ``cost_usd`` says what it costs, and nothing else is charged."""
    gateway = at(provider, build, CUSTOM, budget_limit_usd=1.0)
    with pytest.raises(UnknownPriceError, match="cost_usd"):
        gateway.primitive_call(PrimitiveRequest.get("custom", "custom", "custom_http", path="/models"))
    read = PrimitiveRequest.get("custom", "custom", "custom_http", path="/models", cost_usd=0.25)
    assert gateway.primitive_call(read).cost_usd == gateway.budget_used_usd() == 0.25
    with pytest.raises(BudgetExceededError):
        gateway.primitive_call(PrimitiveRequest.get("custom", "custom", "custom_http", path="/models", cost_usd=0.8))
    body = JSON[Native.OPENAI_RESPONSES]
    assert gateway.primitive_call(custom(body, cost_usd=0.5)).usage.token_usage.completion_tokens == 3
    assert gateway.budget_used_usd() == 0.75
    assert len(provider.requests) == 2


def test_a_strict_budget_bounds_what_it_can(provider: LocalProvider, build: Build) -> None:
    """With a cap in the body the bytes bound the call, as by ``call``; the body itself is left as it is."""
    gateway = at(provider, build, budget=STRICT)
    gateway.primitive_call(native_request(Native.OPENAI_RESPONSES, Kind.RESPONSES, OPENAI))
    assert provider.requests[-1].json == JSON[Native.OPENAI_RESPONSES]


STRICTLY_REFUSED = {
    "no cap": PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", "m", {"model": "m", "input": "x"}),
    "several answers": PrimitiveRequest.json(
        "open_ai", "chat_completions", "open_ai_chat_completions", "m",
        {"model": "m", "messages": TURNS, "max_tokens": 3, "n": 2}),
    "fetched by the provider": PrimitiveRequest.json(
        "open_ai", "responses", "open_ai_responses", "m", {"input": "x", "max_output_tokens": 3, "previous_response_id": "r"}),
    "a file's requests": PrimitiveRequest.json(
        "open_ai", "batches", "open_ai_batches", None,
        {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h"}),
    "images": PrimitiveRequest.json("open_ai", "images", "open_ai_images", "m", {"model": "m", "prompt": "x"}),
    "not its format": PrimitiveRequest.json("open_ai", "chat_completions", "open_ai_chat_completions", "m", {"messages": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRICTLY_REFUSED)
def test_a_strict_budget_refuses_what_nothing_bounds(provider: LocalProvider, build: Build, name: str) -> None:
    """Before anything is sent, saying why."""
    gateway = at(provider, build, budget=STRICT)
    with pytest.raises(BudgetExceededError, match="cannot bound"):
        gateway.primitive_call(STRICTLY_REFUSED[name])
    with pytest.raises(BudgetExceededError, match="does not know what such a call is billed for"):
        at(provider, build, CUSTOM, budget=STRICT).primitive_call(custom({"model": "m", "max_tokens": 3}))
    assert provider.requests == ()


def test_a_batch_in_the_call_is_charged_when_it_is_made(provider: LocalProvider, build: Build) -> None:
    """The sum of its requests, prompt and cap; asking how it stands and for its results costs nothing more."""
    body = {"requests": [{"custom_id": str(i), "params": {"model": "m", "max_tokens": 20, "messages": TURNS}} for i in range(3)]}
    request = PrimitiveRequest.json("anthropic", "batches", "anthropic_message_batches", None, body)
    gateway = at(provider, build, CLAUDE)
    job = gateway.primitive_async_job(PrimitiveAsyncJobRequest.create(request))
    spent = gateway.budget_used_usd()
    assert spent >= 3 * 20
    assert spent % 3 == 0
    gateway.primitive_wait(job, poll_interval=0.01)
    gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.RESULTS, request, job.job_id))
    assert gateway.budget_used_usd() == spent
    with pytest.raises(BudgetExceededError):
        at(provider, build, CLAUDE, budget_limit_usd=spent - 1).primitive_call(request)
    provider.script(fail(400))
    with pytest.raises(Exception, match="scripted failure"):
        gateway.primitive_call(request)
    assert gateway.budget_used_usd() == spent
    assert gateway.pool_status()[0].tpm_used == 0


def test_batches_have_the_price_of_their_tier(provider: LocalProvider, build: Build) -> None:
    """What the list halves for batches is halved here."""
    table = PriceTable()
    plain, batch = (table.require("claude-sonnet-4-5", "anthropic", tier=tier) for tier in (None, "batch"))
    params = {"model": "claude-sonnet-4-5", "max_tokens": 1000, "messages": TURNS}
    request = PrimitiveRequest.json(
        "anthropic", "batches", "anthropic_message_batches", None, {"requests": [{"custom_id": "a", "params": params}]}
    )
    gateway = at(provider, build, CLAUDE, pricing=table)
    gateway.primitive_call(request)
    assert batch.output * 2 == plain.output
    assert 1000 * batch.output / 1e12 < gateway.budget_used_usd() < 1010 * batch.output / 1e12


def test_a_batch_of_a_file_is_charged_once_when_it_has_ended(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """By the usage that the provider reports, by whoever sees it first; looking again costs nothing."""
    gateway = at(provider, build, clock=clock)
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "one two"}}
    fields = {"purpose": "batch", "file": json.dumps(line).encode()}
    source = gateway.primitive_call(PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, fields)).json()["id"]
    body = {"input_file_id": source, "endpoint": "/v1/responses", "completion_window": "24h"}
    request = PrimitiveRequest.json("open_ai", "batches", "open_ai_batches", None, body)
    job = gateway.primitive_async_job(PrimitiveAsyncJobRequest.create(request))
    assert gateway.budget_used_usd() == 0
    done = gateway.primitive_wait(job)
    spent = gateway.budget_used_usd()
    assert spent == done.json()["usage"]["total_tokens"]
    assert done.response.usage.token_usage.total() == spent
    for _ in range(3):
        gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.RESULTS, request, job.job_id))
    assert gateway.budget_used_usd() == spent


def test_a_gemini_batch_of_a_file_needs_a_word(provider: LocalProvider, build: Build) -> None:
    """Nothing ever reports what it used: a budget takes it with ``cost_usd`` alone."""
    body = {"batch": {"inputConfig": {"fileName": "files/1"}}}
    request = PrimitiveRequest.json("gemini", "batches", "gemini_batches", "m", body)
    gateway = at(provider, build, GEMINI)
    with pytest.raises(UnknownPriceError, match="cost_usd"):
        gateway.primitive_call(request)
    assert provider.requests == ()


def test_a_gemini_batch_in_the_call_is_charged_when_it_is_made(provider: LocalProvider, build: Build) -> None:
    """With the cap that each of its requests names, or the default one."""
    asks = [{"request": {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": cap}}} for cap in (10, 20)]
    body = {"batch": {"input_config": {"requests": {"requests": asks}}}}
    gateway = at(provider, build, GEMINI)
    gateway.primitive_call(PrimitiveRequest.json("gemini", "batches", "gemini_batches", "m", body))
    assert 30 < gateway.budget_used_usd() < 60


def test_starting_long_work_is_no_reading(provider: LocalProvider, build: Build) -> None:
    """An operation that makes something is not free, though asking how it stands is."""
    video = PrimitiveRequest.json("gemini", "operations", "gemini_operations", "veo", {"instances": [{"prompt": "x"}]})
    gateway = at(provider, build, GEMINI)
    with pytest.raises(UnknownPriceError):
        gateway.primitive_call(video.with_path("/models/veo:predictLongRunning"))
    priced = PrimitiveRequest.json(
        "gemini", "operations", "gemini_operations", "veo", {"instances": [{"prompt": "x"}]}, cost_usd=3.2
    )
    job = gateway.primitive_async_job(PrimitiveAsyncJobRequest.create(priced))
    gateway.primitive_wait(job, poll_interval=0.01)
    assert gateway.budget_used_usd() == pytest.approx(3.2)


def test_invoke_model_is_settled_by_its_headers(build: Build) -> None:
    """Bedrock counts the tokens of every model in the headers."""
    told = {"X-Amzn-Bedrock-Input-Token-Count": "7", "X-Amzn-Bedrock-Output-Token-Count": "5"}
    with ScriptedServer([expect(), respond(200, told, b'{"generation": "hi"}')]) as server:
        endpoint = PrimitiveProviderEndpoint.bedrock("us-east-1", base_url=server.base_url)
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        request = PrimitiveRequest.json("bedrock", "messages", "bedrock_invoke_model", "m", {"prompt": "hi", "max_gen_len": 9})
        response = gateway.primitive_call(request)
        assert server.requests[0].path == "/model/m/invoke"
    assert gateway.budget_used_usd() == 12
    assert response.usage.token_usage.prompt_tokens == 7


def test_units_are_told_beside_tokens(provider: LocalProvider, build: Build) -> None:
    """Images and seconds are counted where they are billed."""
    prices = PriceTable({"m": {"input": 0, "output": 0, "image": 0.04, "audio_hour": 0.36}})
    gateway = at(provider, build, pricing=prices)
    images = gateway.primitive_call(native_request(Native.OPENAI_IMAGES, Kind.IMAGES, OPENAI, n=2))
    (unit,) = images.usage.billable_units
    assert (unit.name, unit.amount, unit.unit) == ("images", 2, "image")
    assert images.cost_usd == pytest.approx(0.08)


def test_a_usage_that_nobody_can_have_had_is_not_believed(build: Build) -> None:
    """A count beyond all measure is a mistake of who counted: the estimate is charged."""
    told = {"output": [], "usage": {"input_tokens": 10**15, "output_tokens": 1}}
    with ScriptedServer([expect(), respond(200, body=json.dumps(told).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        gateway.primitive_call(native_request(Native.OPENAI_RESPONSES, Kind.RESPONSES, OPENAI))
    assert 0 < gateway.budget_used_usd() < 1e3


def test_what_goes_on_in_the_background_is_charged_its_cap(build: Build) -> None:
    """A response that is not there yet has a price already: what it may write at most."""
    told = {"id": "resp_1", "object": "response", "status": "queued", "output": [], "usage": None}
    with ScriptedServer([expect(), respond(200, body=json.dumps(told).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        body = {**JSON[Native.OPENAI_RESPONSES], "background": True, "max_output_tokens": 500}
        gateway.primitive_call(PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, body))
    assert 500 < gateway.budget_used_usd() < 520


def test_half_a_usage_is_filled_up(build: Build) -> None:
    """What a provider leaves out of its report is estimated, as by ``call``."""
    told = {"id": "r", "output_text": "x" * 400, "usage": {"input_tokens": 7}}
    with ScriptedServer([expect(), respond(200, body=json.dumps(told).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        response = gateway.primitive_call(native_request(Native.OPENAI_RESPONSES, Kind.RESPONSES, OPENAI))
    assert response.usage.token_usage.estimated
    assert gateway.budget_used_usd() == 7 + 20  # the cap, which is less than the text


LOST = {
    "declared": PrimitiveRequest.json("open_ai", "files", "open_ai_files", None, {}, cost_usd=2.5),
    "a batch": PrimitiveRequest.json(
        "anthropic", "batches", "anthropic_message_batches", None,
        {"requests": [{"custom_id": "a", "params": {"model": "m", "max_tokens": 20, "messages": TURNS}}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_may_have_been_made_is_paid_for(build: Build, name: str) -> None:
    """A connection that is lost behind the request says nothing of what was done."""
    request = LOST[name]
    with ScriptedServer([expect(), reset()]) as server:
        endpoint = PrimitiveProviderEndpoint(request.provider, f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        with pytest.raises(ConnectionLostError):
            gateway.primitive_call(request)
        assert len(server.requests) == 1
    assert gateway.budget_used_usd() == 2.5 if name == "declared" else gateway.budget_used_usd() > 20


def claude_batch(model: str = "m", **params: Any) -> PrimitiveRequest:
    given = {"model": model, "max_tokens": 20, "messages": TURNS, **params}
    body = {"requests": [{"custom_id": "a", "params": {name: value for name, value in given.items() if value is not None}}]}
    return PrimitiveRequest.json("anthropic", "batches", "anthropic_message_batches", None, body)


def test_a_strict_budget_bounds_the_requests_of_a_batch(provider: LocalProvider, build: Build) -> None:
    """Each by its bytes and its cap; one that nothing bounds, or nobody prices, keeps the batch from being made."""
    gateway = at(provider, build, CLAUDE, budget=STRICT)
    request = claude_batch()
    gateway.primitive_call(request)
    params = request.json_body()["requests"][0]["params"]
    assert gateway.budget_used_usd() == len(json.dumps(params, separators=(",", ":"))) + 20
    for wrong in (claude_batch(max_tokens=None), claude_batch(container="c")):
        with pytest.raises(BudgetExceededError, match="cannot bound"):
            gateway.primitive_call(wrong)
    for unpriced in (claude_batch("nameless"), claude_batch("")):
        with pytest.raises(UnknownPriceError):
            at(provider, build, CLAUDE).primitive_call(unpriced)
    assert len(provider.requests) == 1


def test_a_batch_that_no_codec_reads_is_the_providers_to_judge(provider: LocalProvider, build: Build) -> None:
    """A request in it that is none is estimated by its length, and sent."""
    request = PrimitiveRequest.json("gemini", "batches", "gemini_batches", "m", {
        "batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": 3}}]}}}})  # fmt: skip
    gateway = at(provider, build, GEMINI)
    assert gateway.primitive_call(request).status == 200
    assert gateway.budget_used_usd() > 0
    without = build(provider, primitive_endpoint=native_endpoint(provider, CLAUDE))
    assert without.primitive_call(claude_batch("nameless")).cost_usd == 0.0


def test_a_stream_of_googles_that_comes_as_an_array_is_settled_by_its_last_part(build: Build) -> None:
    """``streamGenerateContent`` without ``alt=sse`` answers with a list."""
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 6, "totalTokenCount": 10}
    parts = [{"candidates": []}, {"candidates": [], "usageMetadata": usage}]
    with ScriptedServer([expect(), respond(200, body=json.dumps(parts).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.gemini(f"{server.base_url}/v1beta")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        request = PrimitiveRequest.json("gemini", "messages", "gemini_stream_generate_content", "m", {"contents": CONTENTS})
        assert len(gateway.primitive_call(request).json()) == 2
        assert server.requests[0].path == "/v1beta/models/m:streamGenerateContent"
    assert gateway.budget_used_usd() == 10


def test_a_unit_answer_that_no_codec_reads_is_settled_by_its_usage(build: Build) -> None:
    """As far as that can be found in it."""
    told = {"vectors": 3, "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    with ScriptedServer([expect(), respond(200, body=json.dumps(told).encode())]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        gateway = build(server, primitive_endpoint=endpoint, pricing=KNOWN, budget_limit_usd=1e6)
        gateway.primitive_call(native_request(Native.OPENAI_EMBEDDINGS, Kind.EMBEDDINGS, OPENAI))
    assert gateway.budget_used_usd() == 9
