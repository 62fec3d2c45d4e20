"""What a gateway is made of: values that are checked when they are written down, named where they are wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from omnillm._secret import Secret
from omnillm.config import EnvironmentVariable, GatewayConfig, KeyConfig, RouteConfig, TransportConfig
from omnillm.errors import ConfigurationError, NoAvailableKeyError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import Budget, LossPolicy, ModelLimits, PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.auth import AuthScheme, authorize
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.state.memory import MemoryState
from omnillm.testing import LocalProvider

ENDPOINT = ProviderEndpoint.openai_chat_completions()
KEY = KeyConfig("sk-1")
ROUTE = RouteConfig(ENDPOINT, (KEY,))


def builder() -> GatewayBuilder:
    return GatewayBuilder(ENDPOINT).add_key(KEY)


def test_every_step() -> None:
    """Each step of the builder gives the builder back and is found in the configuration."""
    store, hook = MemoryState(), print
    steps = (
        builder()
        .default_model("m")
        .add_keys([KeyConfig("sk-2", "two"), KeyConfig("sk-3")])
        .budget_limit_usd(5)
        .budget(Budget(1, scope="tenant"))
        .pool_config(PoolConfig(acquire_timeout=1))
        .request_timeout(timedelta(minutes=1))
        .timeouts(connect=1, first_byte=2, idle=math.inf)
        .retry(RetryPolicy(max_attempts=7))
        .add_fallback(ProviderEndpoint.claude_messages(), KeyConfig("sk-4"), {"m": "c"})
        .losses("warn")
        .state(store)
        .transport(TransportConfig(allow_http=True))
        .on_event(hook)
        .max_workers(9)
    )
    config = steps.config()
    assert [key.label for route in config.routes for key in route.keys] == ["key-1", "two", "key-3", "key-4"]
    assert (config.default_model, config.losses, config.state, config.hooks) == ("m", LossPolicy.WARN, store, (hook,))
    assert [budget.scope for budget in config.budgets] == ["gateway", "tenant"]
    timeouts = config.timeouts
    assert (timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.total) == (1, 2, math.inf, 60)
    assert (config.retry.max_attempts, config.max_workers, config.transport.allow_http) == (7, 9, True)
    assert config.routes[1].model_map == {"m": "c"}
    with steps.build() as gateway:
        assert [status.label for status in gateway.pool_status()] == ["key-1", "two", "key-3", "key-4"]


def test_defaults() -> None:
    """What is not said has the documented defaults."""
    config = builder().config()
    timeouts, pool, retry = config.timeouts, config.pool, config.retry
    assert (timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.total) == (5, 60, 60, 600)
    assert (pool.circuit_breaker_threshold, pool.circuit_breaker_cooldown, pool.acquire_timeout) == (5, 30, 0)
    assert (retry.max_attempts, retry.base, retry.cap, retry.retry_unknown, retry.hedge_after) == (3, 0.5, 30, True, None)
    assert (KEY.tpm_limit, KEY.rpm_limit, config.losses, config.budgets) == (90_000, 500, LossPolicy.ALLOW, ())


def test_no_key() -> None:
    """Without a key there is no gateway, nor a route."""
    for build in (
        GatewayBuilder(ENDPOINT).build,
        lambda: RouteConfig(ENDPOINT, ()),
        lambda: builder().add_fallback(ENDPOINT, []),
    ):
        with pytest.raises(NoAvailableKeyError) as caught:
            build()
        assert caught.value.reason == "no_key"


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (lambda: GatewayBuilder("https://example.com"), "endpoint"),  # type: ignore[arg-type]  # that is the test
        (lambda: builder().add_key("sk-1"), "keys"),  # type: ignore[arg-type]
        (lambda: builder().budget(5), "budget"),  # type: ignore[arg-type]
        (lambda: builder().budget_limit_usd(-1), "budget_limit_usd"),
        (lambda: builder().budget_limit_usd(math.nan), "budget_limit_usd"),
        (lambda: builder().on_event("print"), "on_event"),  # type: ignore[arg-type]
        (lambda: builder().request_timeout(0), "request_timeout"),
        (lambda: builder().timeouts(idle=-1), "idle"),
        (lambda: builder().timeouts(connect="1"), "connect"),  # type: ignore[arg-type]
        (lambda: builder().pool_config(5), "pool"),  # type: ignore[arg-type]
        (lambda: builder().retry(5), "retry"),  # type: ignore[arg-type]
        (lambda: builder().pricing({}), "pricing"),  # type: ignore[arg-type]
        (lambda: builder().transport({}), "transport"),  # type: ignore[arg-type]
        (lambda: builder().losses("sometimes"), "losses"),
        (lambda: builder().max_workers(0), "max_workers"),
        (lambda: builder().max_workers(True), "max_workers"),
        (lambda: builder().default_model(""), "default_model"),
        (lambda: builder().default_model(5), "default_model"),  # type: ignore[arg-type]
        (lambda: builder().state("redis://user:CANARY@host"), "state"),  # type: ignore[arg-type]
        (lambda: builder().add_keys("sk-CANARY"), "keys"),  # type: ignore[arg-type]
        (lambda: builder().add_keys(None), "keys"),  # type: ignore[arg-type]
        (lambda: GatewayConfig(routes=(ROUTE,), state="redis://CANARY"), "state"),  # type: ignore[arg-type]
        (lambda: builder().add_key(KeyConfig("sk-2", "key-1")).config(), "label"),
        (lambda: builder().add_fallback("x", KEY), "endpoint"),  # type: ignore[arg-type]
        (lambda: builder().add_fallback(ENDPOINT, [5]), "keys"),  # type: ignore[list-item]
        (lambda: builder().add_fallback(ENDPOINT, KEY, {"m": ""}), "model_map"),
        (lambda: RouteConfig(ENDPOINT, (KEY,), "m"), "model_map"),  # type: ignore[arg-type]
        (lambda: RouteConfig(ENDPOINT, None), "keys"),  # type: ignore[arg-type]
        (lambda: RouteConfig(ENDPOINT, "sk-1"), "keys"),  # type: ignore[arg-type]
        (lambda: GatewayConfig(routes=()), "routes"),
        (lambda: GatewayConfig(routes=(ENDPOINT,)), "routes"),  # type: ignore[arg-type]
        (lambda: GatewayConfig(routes=(ROUTE,), budgets=(5,)), "budgets"),  # type: ignore[arg-type]
        (lambda: GatewayConfig(routes=(ROUTE,), hooks=("x",)), "hooks"),  # type: ignore[arg-type]
        (lambda: GatewayConfig(routes=(ROUTE,), timeouts=5), "timeouts"),  # type: ignore[arg-type]
        (lambda: Gateway({}), "config"),  # type: ignore[arg-type]
        (lambda: TransportConfig(allow_http=1), "allow_http"),  # type: ignore[arg-type]
        (lambda: TransportConfig(trust_proxy_env="no"), "trust_proxy_env"),  # type: ignore[arg-type]
        (lambda: TransportConfig(ca_bundle="no/such/file"), "ca_bundle"),
        (lambda: TransportConfig(ca_bundle=5), "ca_bundle"),  # type: ignore[arg-type]
        (lambda: TransportConfig(proxies={"https": "host:80"}), "proxies"),
        (lambda: TransportConfig(proxies={"https": 5}), "proxies"),  # type: ignore[dict-item]
        (lambda: TransportConfig(proxies="http://host"), "proxies"),  # type: ignore[arg-type]
        (lambda: KeyConfig("sk-1", ""), "label"),
        (lambda: KeyConfig("sk-1", "a\nb"), "label"),
        (lambda: KeyConfig("sk-1", 5), "label"),  # type: ignore[arg-type]
        (lambda: KeyConfig("sk-1", "sk-CANARY"), "label"),
        (lambda: KeyConfig("sk-1", "AIzaCANARY"), "label"),
        (lambda: KeyConfig("sk-1", "xai-CANARY"), "label"),
        (lambda: KeyConfig("sk-1", "gsk_CANARY"), "label"),
        (lambda: KeyConfig("sk-1", "x" * 129), "label"),
        (lambda: KeyConfig("sk-1", tpm_limit=0), "tpm_limit"),
        (lambda: KeyConfig("sk-1", rpm_limit=1.5), "rpm_limit"),  # type: ignore[arg-type]
        (lambda: KeyConfig("sk-1", models={"m": 5}), "models"),  # type: ignore[dict-item]
        (lambda: KeyConfig("sk-1", models=[]), "models"),  # type: ignore[arg-type]
        (lambda: KeyConfig.from_env(""), "name"),
        (lambda: KeyConfig.from_env("OMNILLM_NO_SUCH_KEY"), "OMNILLM_NO_SUCH_KEY"),
    ],
)
def test_a_wrong_value_is_named(step: Callable[[], Any], field: str) -> None:
    """A wrong value raises ``ConfigurationError`` naming the field, before anything runs."""
    with pytest.raises(ConfigurationError) as caught:
        step()
    assert caught.value.field == field
    assert field in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_one_key_is_keys_too() -> None:
    """``add_keys`` takes a key as ``add_fallback`` does, and any iterable of them."""
    config = GatewayBuilder(ENDPOINT).add_keys(KEY).add_keys(iter([KeyConfig("sk-2", "two")])).config()
    assert [key.label for key in config.routes[0].keys] == ["key-1", "two"]


def test_a_label_of_another_type_is_told_apart() -> None:
    """What was expected of a label depends on what is wrong with it."""
    with pytest.raises(ConfigurationError, match="label: expected a string, got int"):
        KeyConfig("sk-1", 5)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("key", ["", "two words", "line\nend", "nul\0", "schlüssel", "“quoted”", "x" * 10_000, 5])
def test_a_malformed_key_is_not_quoted(key: Any) -> None:
    """A key that no header could carry is refused without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        KeyConfig(key, "prod")
    assert caught.value.field == "key"
    assert "prod" in str(caught.value)
    assert not (isinstance(key, str) and len(key) > 3 and key in str(caught.value))


def test_keys_show_themselves_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No repr of a key's configuration, nor of what holds it, shows the key."""
    monkeypatch.setenv("CANARY_KEY", "sk-CANARY")
    literal = KeyConfig("sk-CANARY", "a", models={"m": ModelLimits(5, 5)})
    referring = KeyConfig.from_env("CANARY_KEY", "b", rpm_limit=3)
    config = GatewayConfig(routes=(RouteConfig(ENDPOINT, (literal, referring)),))
    assert (referring.key.reveal(), referring.label, referring.rpm_limit) == ("sk-CANARY", "b", 3)
    assert KeyConfig(Secret.literal("sk-CANARY")).key == literal.key
    for shown in (
        literal,
        referring,
        config,
        config.routes,
        builder(),
        TransportConfig(proxies={"https": "http://u:CANARY@host:1"}),
    ):
        assert "CANARY" not in repr(shown).replace("CANARY_KEY", "")


def test_the_environment_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is read when its key is made; an empty one counts as missing, and is told from one that is not there."""
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="SOME_KEY is not set"):
        KeyConfig.from_env("SOME_KEY")
    monkeypatch.setenv("SOME_KEY", "")
    with pytest.raises(ConfigurationError, match="SOME_KEY is set but empty"):
        KeyConfig.from_env("SOME_KEY")
    assert EnvironmentVariable("SOME_KEY") == EnvironmentVariable("SOME_KEY")


@pytest.mark.parametrize(
    ("value", "said"),
    [("sk-CANARY\n", "ends with a newline"), ("sk-CANARY\r\n", "ends with a newline"), ("sk-CANARY ", "ends with a blank"),
     (" sk-CANARY", "begins with a blank"), ("\nsk-CANARY", "begins with a newline"), ('"sk-CANARY"', "stands in quotes"),
     ("'sk-CANARY'", "stands in quotes"), ("Bearer sk-CANARY", "holds a blank"), ("sk-CANARY…", "non-ASCII")],
)  # fmt: skip
def test_what_is_wrong_with_a_variable_is_said(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    """The error names the variable and its fault, and does not quote the key."""
    monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        KeyConfig.from_env("SOME_KEY")
    assert caught.value.field == "SOME_KEY"
    assert "SOME_KEY" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_values_are_frozen() -> None:
    """What a gateway is made of does not change under it."""
    models = {"m": ModelLimits(5, 5)}
    key = KeyConfig("sk-1", models=models)
    models.clear()
    assert set(key.models or ()) == {"m"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.label = "x"  # type: ignore[misc]


# --- endpoints ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "url", "auth"),
    [
        (ProviderEndpoint.openai_responses(), "https://api.openai.com/v1/x", "bearer"),
        (ProviderEndpoint.openai_chat_completions("https://h/v1/"), "https://h/v1/x", "bearer"),
        (ProviderEndpoint.claude_messages(), "https://api.anthropic.com/v1/x", "x-api-key"),
        (ProviderEndpoint.gemini_generate_content(), "https://generativelanguage.googleapis.com/v1beta/x", "x-goog-api-key"),
        (ProviderEndpoint.openai_compatible("https://h"), "https://h/x", "bearer"),
        (ProviderEndpoint.openai_responses_compat("https://h/a?b=1"), "https://h/a?b=1", "bearer"),
        (ProviderEndpoint.openai_chat_completions_compat("https://h/a"), "https://h/a", "bearer"),
        (ProviderEndpoint.claude_messages_compat("https://h/a"), "https://h/a", "x-api-key"),
        (ProviderEndpoint.gemini_generate_content_compat("https://h/a"), "https://h/a", "x-goog-api-key"),
        (ProviderEndpoint("chat_completions", "http://[::1]:8080/v1"), "http://[::1]:8080/v1/x", "bearer"),  # type: ignore[arg-type]
    ],
)
def test_endpoints(endpoint: ProviderEndpoint, url: str, auth: str) -> None:
    """A base is joined with the path, a compat URL is whole; each protocol shows its key in its own way."""
    assert endpoint.url("/x") == url
    assert endpoint.auth is not None
    assert (endpoint.auth.name or endpoint.auth.kind) == auth


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "ftp://h", "https://", "https:///x", "https://u:p@h", "https://h@evil", "https://h#f", "https://h/#", "https://h?q=1",
        "https://h/a b", "https://h/\n", "https://h\\evil", "https://h:0", "https://h:99999", "https://h:x", "https://[::1",
        "https://h/../x", "https://hé", "https://h /", "https://h%00/", "//h", "javascript:alert(1)", 5, None, "https://a,b",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: Any) -> None:
    """A URL that is none, or holds what has no place in it, is refused when written down, and not quoted."""
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint.openai_compatible(url)
    assert caught.value.field == "base_url"
    if isinstance(url, str) and "u:p" in url:
        assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "compat"),
    [("https://h/v1/chat/completions", "openai_chat_completions_compat"), ("https://h/v1/responses/", "openai_responses_compat"),
     ("https://h/v1/messages", "claude_messages_compat"), ("https://h/m:generateContent", "gemini_generate_content_compat")],
)  # fmt: skip
def test_a_whole_url_is_no_base(url: str, compat: str) -> None:
    """The URL of a request, given as a base, is refused with what to do instead; the compat endpoint takes it."""
    with pytest.raises(ConfigurationError, match=compat) as caught:
        ProviderEndpoint.openai_compatible(url)
    assert caught.value.field == "base_url"
    assert getattr(ProviderEndpoint, compat)(url).url("/x") == url


def test_a_base_of_no_type_is_told() -> None:
    """Where a URL is none at all, its type is what is wrong."""
    with pytest.raises(ConfigurationError, match="base_url: expected a URL as a string, got NoneType"):
        ProviderEndpoint.openai_compatible(None)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("url", "good"),
    [("http://127.0.0.1:1", True), ("http://localhost", True), ("http://me.localhost", True), ("http://[::1]:5", True),
     ("http://10.0.0.1", False), ("http://localhost.example.com", False), ("http://example.com", False)],
)  # fmt: skip
def test_plain_http(url: str, good: bool) -> None:
    """Plain http goes to this machine, and to another only where it is allowed."""
    steps = GatewayBuilder(ProviderEndpoint.openai_compatible(url)).add_key(KEY)
    if not good:
        with pytest.raises(ConfigurationError, match=r"GatewayBuilder\.transport\(TransportConfig\(allow_http=True\)\)"):
            steps.build()
        steps.transport(TransportConfig(allow_http=True))
    steps.build().close()


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (lambda: ENDPOINT.with_default_header("Host", "x"), "default_headers"),
        (lambda: ENDPOINT.with_default_header("a b", "x"), "default_headers"),
        (lambda: ENDPOINT.with_default_header("a", "x\r\ny: z"), "default_headers"),
        (lambda: ENDPOINT.with_default_header("a", " x"), "default_headers"),
        (lambda: ENDPOINT.with_default_header("a", 5), "default_headers"),  # type: ignore[arg-type]
        (lambda: ProviderEndpoint(ENDPOINT.protocol, "https://h", default_headers=[]), "default_headers"),  # type: ignore[arg-type]
        (lambda: ProviderEndpoint(ENDPOINT.protocol, "https://h", text_content="list"), "text_content"),  # type: ignore[arg-type]
        (lambda: ENDPOINT.with_auth("bearer"), "auth"),  # type: ignore[arg-type]
        (lambda: AuthScheme.header("Content-Length"), "auth"),
        (lambda: AuthScheme.header(""), "auth"),
        (lambda: AuthScheme.query("a&b"), "auth"),
        (lambda: AuthScheme("basic"), "auth"),  # type: ignore[arg-type]
    ],
)
def test_parts_of_endpoints_that_are_refused(step: Callable[[], Any], field: str) -> None:
    """A header or scheme that would break the request is refused, named."""
    with pytest.raises(ConfigurationError) as caught:
        step()
    assert caught.value.field == field


def test_with_gives_new_endpoints() -> None:
    """``with_…`` leaves the endpoint as it was; a default header never overrides the key, however it is spelled."""
    changed = ENDPOINT.with_default_header("authorization", "stolen").with_auth(AuthScheme.header("api-key"))
    assert (ENDPOINT.default_headers, ENDPOINT.auth) == ({}, AuthScheme.bearer())
    assert changed.default_headers == {"authorization": "stolen"}
    secret = Secret.literal("sk-1")
    assert authorize(AuthScheme.bearer(), secret, "u", {"authorization": "x", "A": "b"}) == (
        "u",
        {"A": "b", "Authorization": "Bearer sk-1"},
    )
    assert authorize(AuthScheme.query("k"), secret, "u?a=b", {}) == ("u?a=b&k=sk-1", {})
    assert ENDPOINT.name == "open_ai_chat_completions@api.openai.com"


def test_an_endpoint_may_want_arrays(provider: LocalProvider, build: Any) -> None:
    """``text_content="array"`` sends a message's text as an array of parts."""
    endpoint = dataclasses.replace(provider.endpoint("chat_completions"), text_content="array")
    assert build(endpoint).call("hi").text == "echo: hi"
    assert provider.requests[0].json["messages"][0]["content"] == [{"type": "text", "text": "hi"}]


def test_a_bundle_of_authorities_is_a_path(tmp_path: Path) -> None:
    """A private authority is given by an existing path."""
    import certifi

    assert TransportConfig(ca_bundle=certifi.where()).ca_bundle == certifi.where()
    assert TransportConfig(proxies={"https": "http://proxy:3128"}).proxies == {"https": "http://proxy:3128"}
    assert TransportConfig(ca_bundle=str(tmp_path)).ca_bundle == str(tmp_path)
