"""Calls that get their answer: what is sent, what comes back, what is refused before anything is sent."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
import responses
from gateway_scripts import held, key_of, whole

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import BadRequestError, CallCancelledError, ClosedError, ConfigurationError, GatewayError, LossyRequestError
from omnillm.policy.limits import LossPolicy, PoolConfig
from omnillm.providers.auth import AuthScheme
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, respond
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import GenerationConfig, LlmRequest

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES


@pytest.mark.parametrize("protocol", [CHAT, CLAUDE])
def test_an_answer_with_what_the_gateway_knows(provider: LocalProvider, build: Any, protocol: ProviderProtocol) -> None:
    """A call gives the answer with its key, cost, time and attempts; the reported usage is what the key has used."""
    gateway = build(provider, protocol=protocol, budget_limit_usd=10_000.0)
    answer = gateway.call("hello there")
    assert str(answer) == "echo: hello there"
    assert (answer.key_label, [record.outcome for record in answer.attempts]) == ("k1", ["ok"])
    assert answer.attempts[0].status == 200
    assert answer.attempts[0].duration <= answer.latency < 10
    usage = answer.usage
    assert answer.cost_usd == usage.total() == gateway.budget_used_usd() == 10_000 - gateway.budget_remaining_usd()
    assert (key_of(gateway).tpm_used, key_of(gateway).tpm_inflight, key_of(gateway).rpm_used) == (usage.total(), 0, 1)
    assert held(gateway) == (0, 0)


def test_what_is_sent(build: Any) -> None:
    """The request goes out once, with the endpoint's headers and the key, and says JSON."""
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        endpoint = ProviderEndpoint(CHAT.value, f"{server.base_url}/v1").with_default_header("X-Team", "red")
        build(endpoint).call(LlmRequest("m", "hi", instructions="be brief"), timeout=timedelta(seconds=5))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    sent = {name: request.headers[name] for name in ("authorization", "content-type", "accept", "x-team", "user-agent")}
    assert sent == {
        "authorization": "Bearer sk-1",
        "content-type": "application/json",
        "accept": "application/json",
        "x-team": "red",
        "user-agent": "omnillm-python",
    }
    assert json.loads(request.body)["messages"][0] == {"role": "system", "content": "be brief"}
    assert "stream" not in json.loads(request.body)


@pytest.mark.parametrize(
    ("scheme", "header", "query"),
    [(AuthScheme.header("api-key"), "a&b/c", ""), (AuthScheme.query("key"), None, "?key=a%26b%2Fc")],
)
def test_where_the_key_goes(build: Any, scheme: AuthScheme, header: str | None, query: str) -> None:
    """A key goes into the header or the query parameter that the scheme names, and nowhere else."""
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        endpoint = ProviderEndpoint(CHAT.value, f"{server.base_url}/v1").with_auth(scheme)
        build(endpoint, [KeyConfig("a&b/c", "k1")]).call("hi")
    (request,) = server.requests
    assert request.path == f"/v1/chat/completions{query}"
    assert request.headers.get("api-key") == header
    assert "authorization" not in request.headers


def test_a_compat_url_is_the_whole_url(build: Any) -> None:
    """A compat endpoint is asked at the URL it was given, query and all."""
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        endpoint = ProviderEndpoint.openai_chat_completions_compat(f"{server.base_url}/deep/path?api-version=1")
        build(endpoint).call("hi")
    assert server.requests[0].path == "/deep/path?api-version=1"


def test_a_stream_flag_of_the_request_is_overridden(provider: LocalProvider, build: Any) -> None:
    """A request that was parsed as a stream is sent as none by ``call``."""
    assert build(provider).call(LlmRequest("m", "hi", stream=True)).text == "echo: hi"
    assert provider.requests[0].json["stream"] is False


def test_the_responses_library_intercepts(build: Any) -> None:
    """Users who test with ``responses`` see the gateway's request and give its answer."""
    with responses.RequestsMock() as mock:
        mock.post("https://api.openai.com/v1/chat/completions", body=whole("canned"), content_type="application/json")
        answer = build(ProviderEndpoint.openai_chat_completions()).call("hi")
        assert mock.calls[0].request.headers["Authorization"] == "Bearer sk-1"
    assert answer.text == "canned"


def test_usage_that_was_not_reported_is_estimated(build: Any) -> None:
    """An answer without usage is settled by the prompt's estimate and the length of the text."""
    body = json.loads(whole("x" * 40))
    del body["usage"]
    with ScriptedServer([expect(), respond(body=json.dumps(body).encode())]) as server:
        gateway = build(server)
        answer = gateway.call("hi")
    estimate = LlmRequest("m", "hi").estimated_prompt_tokens()
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.estimated) == (estimate, 10, True)
    assert key_of(gateway).tpm_used == estimate + 10
    assert answer.cost_usd == estimate + 10


def test_an_estimate_never_exceeds_the_output_cap(build: Any) -> None:
    """Where usage was not reported, the cap that was asked for bounds what the text is taken to have cost."""
    body = {**json.loads(whole("x" * 400)), "usage": None}
    with ScriptedServer([expect(), respond(body=json.dumps(body).encode())]) as server:
        answer = build(server).call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=7)))
    assert answer.usage.completion_tokens == 7


# --- refused before anything is sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "options", "field"),
    [
        (5, {}, "request"),
        (LlmRequest("m"), {}, "input"),
        ("hi", {"timeout": 0}, "timeout"),
        ("hi", {"timeout": -1}, "timeout"),
        ("hi", {"timeout": float("nan")}, "timeout"),
        ("hi", {"timeout": True}, "timeout"),
        ("hi", {"timeout": "5"}, "timeout"),
        ("hi", {"timeout": timedelta(0)}, "timeout"),
        ("hi", {"cancel": object()}, "cancel"),
        ("hi", {"tenant": 5}, "tenant"),
        (LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=-1)), {}, "max_output_tokens"),
    ],
)
@pytest.mark.parametrize("how", ["call", "stream"])
def test_wrong_values_are_named(build: Any, provider: LocalProvider, how: str, request_: Any, options: Any, field: str) -> None:
    """A wrong value raises ``ConfigurationError`` naming it, and nothing is sent or held."""
    gateway = build(provider)
    with pytest.raises(ConfigurationError) as caught:
        getattr(gateway, how)(request_, **options)
    assert caught.value.field == field
    assert (provider.connections, held(gateway), gateway._core.allowance.in_flight) == (0, (0, 0), 0)


def test_a_model_is_needed(provider: LocalProvider, build: Any) -> None:
    """A request without a model takes the default one; without that it is refused."""
    gateway = build(provider)
    assert gateway.call(LlmRequest("", "hi")).model == "m"
    config = dataclasses.replace(gateway._core.config, default_model=None)
    with type(gateway)(config) as bare, pytest.raises(ConfigurationError, match="model"):
        bare.call("hi")


def test_a_cancelled_token_sends_nothing(provider: LocalProvider, build: Any) -> None:
    """A call with a token that was cancelled before fails at once."""
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CallCancelledError):
        build(provider).call("hi", cancel=token)
    assert provider.connections == 0


@pytest.mark.parametrize("policy", list(LossPolicy))
def test_losses(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture, policy: LossPolicy) -> None:
    """What an endpoint cannot carry is in the response's losses, is logged, or is refused, with nothing held."""
    gateway = build(provider, protocol=CLAUDE, losses=policy)
    request = LlmRequest("m", "hi", generation=GenerationConfig(seed=7))
    if policy is LossPolicy.RAISE:
        with pytest.raises(LossyRequestError) as caught:
            gateway.call(request)
        assert caught.value.losses[0].pointer.endswith("seed")
        assert (provider.connections, held(gateway), key_of(gateway).rpm_used) == (0, (0, 0), 0)
    else:
        assert [loss.pointer.rsplit("/", 1)[-1] for loss in gateway.call(request).request_losses] == ["seed"]
    assert ("seed" in caplog.text) is (policy is LossPolicy.WARN)


def test_a_loss_here_may_be_none_at_the_fallback(provider: LocalProvider, build: Any) -> None:
    """With losses refused, an endpoint that can carry the whole request takes it over."""
    gateway = build(
        provider, protocol=CLAUDE, losses="raise", add_fallback=(provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], None)
    )
    assert gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(seed=7))).key_label == "f"
    assert [received.protocol for received in provider.requests] == [CHAT]


def test_the_provider_refuses_the_request(provider: LocalProvider, build: Any) -> None:
    """A 4xx is raised at once with the provider's words; the key is not blamed, and nothing is charged."""
    provider.script(fail(422, message="no such parameter", code="bad_param"))
    gateway = build(provider, 2, budget_limit_usd=10_000.0)
    with pytest.raises(BadRequestError, match="no such parameter") as caught:
        gateway.call("hi")
    error = caught.value
    assert (error.status, error.code, error.sent, error.protocol, error.request_id) == (422, "bad_param", "yes", CHAT, "req_1")
    assert (len(error.attempts), len(provider.requests), gateway.budget_used_usd()) == (1, 1, 0)
    assert all(status.available and not status.consecutive_failures for status in gateway.pool_status())


# --- the gateway itself -------------------------------------------------------------------------------------------------------


def test_after_close(provider: LocalProvider, build: Any) -> None:
    """A closed gateway refuses calls with ``ClosedError``, and still tells its figures; closing twice is once."""
    gateway = build(provider, 2)
    gateway.call("hi")
    assert repr(gateway) == f"<Gateway {gateway._core.routes[0].name} with 2 keys>"
    gateway.close()
    gateway.close()
    assert repr(gateway).endswith("with 2 keys closed>")
    assert provider.wait_open_connections(0)
    for refused in (lambda: gateway.call("hi"), lambda: gateway.stream("hi"), gateway.__enter__, lambda: gateway.revive("k1")):
        with pytest.raises(ClosedError):
            refused()


def test_status_and_revive(provider: LocalProvider, build: Any) -> None:
    """``pool_status`` tells of every key in the order given; reviving takes a key back, or names an unknown one."""
    provider.dead_keys.add("sk-1")
    gateway = build(provider, 2)
    while not key_of(gateway).dead:
        gateway.call("hi")
    assert [(status.label, status.available, status.reason) for status in gateway.pool_status()] == [
        ("k1", False, "dead"),
        ("k2", True, None),
    ]
    provider.dead_keys.clear()
    gateway.revive("k1")
    assert key_of(gateway).available
    with pytest.raises(ConfigurationError, match="no key 'k9'"):
        gateway.revive("k9")


def test_figures_without_a_budget(provider: LocalProvider, build: Any) -> None:
    """Without a budget the remaining money is infinite, and what was spent is counted all the same."""
    gateway = build(provider)
    answer = gateway.call("hi")
    assert gateway.budget_remaining_usd() == float("inf")
    assert gateway.budget_used_usd() == answer.cost_usd


def test_p26_only_errors_of_ours_leave(provider: LocalProvider, build: Any) -> None:
    """A request that cannot be written as JSON raises an error of the library; the key is free again."""
    gateway = build(provider, pool_config=PoolConfig(default_output_tokens=8))
    with pytest.raises(ValueError, match="not JSON") as caught:
        gateway.call(LlmRequest("m", "hi", vendor_extensions={"top": float("nan")}))
    assert not isinstance(caught.value, GatewayError)
    assert (provider.connections, held(gateway), key_of(gateway).rpm_used) == (0, (0, 0), 0)


def test_a_client_that_needs_no_price(provider: LocalProvider, build: Any) -> None:
    """Without a budget a model without a price is called, and its cost is not known."""
    from omnillm.policy.pricing import PriceTable

    answer = build(provider, pricing=PriceTable()).call(LlmRequest("nobody-knows-me", "hi"))
    assert (answer.cost, answer.cost_usd) == (None, None)


def test_many_prices_do_not_pile_up(provider: LocalProvider, build: Any) -> None:
    """The prices that were looked up are kept for a bounded number of models."""
    core = build(provider)._core
    for n in range(2_000):
        core.price(f"model-{n}")
    assert len(core._prices) <= 1_024
