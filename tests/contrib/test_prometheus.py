"""What Prometheus scrapes: counted from real calls, named by its conventions, bounded, and what the dashboard asks for."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from stores import new_name, servers

from omnillm import BadRequestError, GatewayError, LlmRequest
from omnillm.config import KeyConfig
from omnillm.contrib.prometheus import PrometheusMetrics, dashboard
from omnillm.errors import ConfigurationError
from omnillm.policy.limits import Budget, ModelLimits
from omnillm.policy.retry import RetryPolicy
from omnillm.state.redis import RedisState
from omnillm.testing import LocalProvider, answer, delay, fail
from omnillm.types.message import Message
from omnillm.types.response import LlmResponse
from omnillm.types.usage import PromptCacheUsage, TokenUsage

MODEL, CHEAP, SECRET = "m", "cheap", "sk-the-secret"
PRICES = {name: {"input": 1.0, "output": 2.0} for name in (MODEL, CHEAP)}  # USD per million tokens
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> PrometheusMetrics:
    return PrometheusMetrics(registry)


def scraped(registry: CollectorRegistry) -> Samples:
    """Scrape, read what Prometheus would, and see that no sample comes twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    """Add up the samples of that name with those labels, however many others they have."""
    matching = [given for (called, has), given in samples.items() if called == name and labels.items() <= dict(has).items()]
    assert matching, (name, labels)
    return sum(matching)


def keys(*labels: str, **more: Any) -> list[KeyConfig]:
    return [KeyConfig(f"{SECRET}-{label}", label, **more) for label in labels]


@pytest.fixture
def everything(provider: LocalProvider, build: Any, metrics: PrometheusMetrics) -> Any:
    """A gateway that did all there is to do: answers, failures, retries, another endpoint, a second attempt, a cheaper model."""
    away = (provider.endpoint("claude_messages"), keys("away"), {MODEL: CHEAP})
    gateway = build(
        provider,
        keys("a", "b", models={"special": ModelLimits(tpm_limit=1_000, rpm_limit=10)}),
        on_event=metrics.hook(),
        pricing=_table(),
        budget=Budget(1.0, scope="tenant", window="day"),
        budget_limit_usd=0.005,
        add_downgrade=(0.99, {"dear": CHEAP}),
        retry=RetryPolicy(max_attempts=2, base=0.001, hedge_after=0.2),
        add_fallback=away,
    )
    metrics.watch(gateway)
    usage = TokenUsage(100, 50, reasoning_tokens=20, prompt_cache=PromptCacheUsage(cache_read_input_tokens=60))
    provider.script(answer(_answer(usage)))
    gateway.call("a prompt of mine", tenant="Ms Tenant")
    list(gateway.stream("one two three"))
    gateway.stream("left").close()
    provider.script(fail(400))
    with pytest.raises(BadRequestError):
        gateway.call("hi")
    provider.script(fail(503))
    gateway.call("hi")
    provider.script(fail(500, times=2), protocol="chat_completions")
    gateway.call("hi")
    provider.script(delay(0.6))
    gateway.call("hi")
    gateway.call(LlmRequest("dear", [Message.user("hi")]))
    return gateway


def _table() -> Any:
    from omnillm.policy.pricing import PriceTable

    return PriceTable(PRICES, unknown="zero")


def _answer(usage: TokenUsage) -> LlmResponse:
    return LlmResponse((Message.assistant("an answer of its own"),), usage, MODEL, "open_ai_chat_completions")  # type: ignore[arg-type]  # as text


def test_calls_are_counted_by_how_they_end(everything: Any, registry: CollectorRegistry) -> None:
    """Each call once, under its outcome and its error, with its time; a stream with the time to its first event."""
    samples = scraped(registry)
    assert value(samples, "omnillm_calls_total", outcome="ok", model=MODEL, kind="generation", gateway="default") == 5
    assert value(samples, "omnillm_calls_total", outcome="failed", error="BadRequestError") == 1
    assert value(samples, "omnillm_calls_total", outcome="closed", error="") == 1
    assert value(samples, "omnillm_calls_total", model=CHEAP) == 1
    assert value(samples, "omnillm_call_duration_seconds_count") == 8
    assert value(samples, "omnillm_call_duration_seconds_bucket", le="+Inf", outcome="ok") == 6
    assert value(samples, "omnillm_call_duration_seconds_sum", outcome="ok") >= 0.2  # one waited for a second attempt
    assert value(samples, "omnillm_time_to_first_event_seconds_count") == 1


def test_attempts_are_counted_with_their_keys(everything: Any, registry: CollectorRegistry) -> None:
    """Each attempt under its endpoint, key and status; what follows a failure under the error."""
    samples = scraped(registry)
    assert value(samples, "omnillm_attempts_total", status="503", outcome="failed") == 1
    assert value(samples, "omnillm_attempts_total", status="500") == 2
    assert value(samples, "omnillm_attempts_total", key="away", outcome="ok") == 1
    assert value(samples, "omnillm_retries_total", error="OverloadedError") == 1
    assert value(samples, "omnillm_retries_total", error="ServerError") == 1
    assert value(samples, "omnillm_fallbacks_total") == 1
    assert value(samples, "omnillm_hedges_total") == 1
    assert value(samples, "omnillm_downgrades_total", model="dear", to_model=CHEAP) == 1


def test_tokens_are_disjoint_and_money_is_exact(everything: Any, registry: CollectorRegistry) -> None:
    """What was cached or thought is counted once; the cost is what the gateway itself has counted."""
    samples = scraped(registry)
    assert value(samples, "omnillm_tokens_total", type="cached_input") == 60
    assert value(samples, "omnillm_tokens_total", type="reasoning") == 20
    assert value(samples, "omnillm_tokens_total", type="input") >= 40
    assert value(samples, "omnillm_cost_dollars_total") == pytest.approx(everything.budget_used_usd())
    charged = sum(key.tpm_used for key in everything.pool_status())
    assert value(samples, "omnillm_charged_tokens_total") == charged


def test_status_is_that_of_the_pool(everything: Any, registry: CollectorRegistry) -> None:
    """Windows, limits, breakers and budgets stand as ``pool_status()`` and the budget say at the moment of the scrape."""
    samples = scraped(registry)
    for key in everything.pool_status():
        assert value(samples, "omnillm_key_available", key=key.label, model="") == key.available
        assert value(samples, "omnillm_key_window_requests", key=key.label, model="") == key.rpm_used
        assert value(samples, "omnillm_key_window_requests_limit", key=key.label, model="") == key.rpm_limit
        assert value(samples, "omnillm_key_window_tokens", key=key.label, model="") == key.tpm_used
    assert value(samples, "omnillm_key_window_requests_limit", key="a", model="special") == 10
    assert value(samples, "omnillm_budget_limit_dollars", scope="gateway", window="total") == 0.005
    assert value(samples, "omnillm_budget_used_dollars", scope="gateway") == pytest.approx(everything.budget_used_usd())
    assert value(samples, "omnillm_budget_reserved_dollars", scope="gateway") == 0
    assert value(samples, "omnillm_budget_limit_dollars", scope="tenant", window="day", subject="") == 1.0
    assert value(samples, "omnillm_budget_reset_timestamp_seconds", scope="tenant") > 1e9
    assert value(samples, "omnillm_state_up") == 1


def test_a_key_that_rests_is_told(provider: LocalProvider, build: Any, metrics: Any, registry: Any) -> None:
    """A rate limit cools a key for its time, failures in a row open its breaker, a refusal retires it."""
    gateway = metrics.watch(build(provider, keys("a", "b", "c"), retry=RetryPolicy(max_attempts=1)))
    provider.script(fail(429, retry_after=50), key=f"{SECRET}-a")
    provider.script(fail(401), key=f"{SECRET}-b")
    provider.script(fail(500, times=5), key=f"{SECRET}-c")
    for _ in range(20):
        try:
            gateway.call("hi")
        except GatewayError:
            continue
    samples = scraped(registry)
    assert 45 < value(samples, "omnillm_key_cool_down_seconds", key="a") <= 50
    assert value(samples, "omnillm_key_dead", key="b") == 1
    assert value(samples, "omnillm_key_breaker_open", key="c") == 1
    assert value(samples, "omnillm_key_consecutive_failures", key="c") == 5
    assert value(samples, "omnillm_key_available") == 0


def test_nothing_private_is_exposed(everything: Any, registry: CollectorRegistry) -> None:
    """No key, no prompt, no answer and no tenant is anywhere in what is scraped."""
    text = generate_latest(registry).decode()
    for private in (SECRET, "a prompt of mine", "an answer of its own", "Ms Tenant"):
        assert private not in text


def test_labels_are_bounded(provider: LocalProvider, build: Any, registry: CollectorRegistry) -> None:
    """Whatever models are asked for, no more than the bound have names of their own."""
    metrics = PrometheusMetrics(registry, most_values=5)
    gateway = metrics.watch(build(provider, on_event=metrics.hook(), budget=Budget(1.0, scope="model")))
    for n in range(12):
        gateway.call(LlmRequest(f"model-{n}", [Message.user("hi")]))
    models = {dict(labels).get("model") for _, labels in scraped(registry)}
    assert models - {None, ""} == {*(f"model-{n}" for n in range(5)), "other"}
    subjects = {dict(labels).get("subject") for _, labels in scraped(registry)}
    assert len(subjects - {None, ""}) <= 6
    with pytest.raises(ConfigurationError, match="most_values"):
        PrometheusMetrics(CollectorRegistry(), most_values=0)


def test_several_gateways(provider: LocalProvider, build: Any, metrics: Any, registry: CollectorRegistry) -> None:
    """Each has its name; a name is free again when its gateway is closed or gone, and none is kept alive."""
    for name in ("chat", "reports"):
        metrics.watch(build(provider, on_event=metrics.hook(name)), name).call("hi")
    first, second = build(provider), build(provider)
    metrics.watch(first, "third")
    with pytest.raises(ConfigurationError, match="'third'"):
        metrics.watch(second, "third")
    first.close()
    metrics.watch(second, "third")
    samples = scraped(registry)
    assert {dict(labels)["gateway"] for name, labels in samples if name == "omnillm_state_up"} == {"chat", "reports", "third"}
    assert value(samples, "omnillm_calls_total", gateway="chat") == value(samples, "omnillm_calls_total", gateway="reports") == 1
    with pytest.raises(ConfigurationError, match="gateway"):
        metrics.watch("no gateway", "fourth")


def test_a_gateway_that_is_gone_is_not_told(provider: LocalProvider, metrics: Any, registry: CollectorRegistry) -> None:
    """The collector keeps no gateway."""
    from omnillm import GatewayBuilder

    gateway = GatewayBuilder(provider.endpoint("chat_completions")).add_keys(keys("a")).build()
    metrics.watch(gateway)
    assert value(scraped(registry), "omnillm_state_up") == 1
    gateway.close()
    del gateway
    gc.collect()
    assert not any(name == "omnillm_state_up" for name, _ in scraped(registry))


def test_a_state_that_is_down_fails_no_scrape(provider: LocalProvider, build: Any, metrics: Any, registry: Any) -> None:
    """Where the shared state cannot be asked, that is what is told, and the counters as ever."""
    for server in servers():
        state = RedisState(server.url, name=new_name(), timeout=0.2)
        gateway = metrics.watch(build(provider, state=state, on_event=metrics.hook()))
        gateway.call("hi")
        assert value(scraped(registry), "omnillm_state_up") == 1
        server.stop()
        samples = scraped(registry)
        assert value(samples, "omnillm_state_up") == 0
        assert not any(name == "omnillm_key_available" for name, _ in samples)
        assert value(samples, "omnillm_calls_total") == 1
        gateway.close()
        state.close()


# --- conventions and the dashboard --------------------------------------------------------------------------------------------


def exported(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Give each sample's name with the names of its labels, of what was really scraped."""
    found: dict[str, set[str]] = {}
    for name, labels in scraped(registry):
        found.setdefault(name, set()).update(dict(labels))
    return {name: labels for name, labels in found.items() if name.startswith("omnillm_")}


def test_names_follow_the_conventions(everything: Any, registry: CollectorRegistry) -> None:
    """Base units, counters that end in ``_total``, a help text for each, and nothing that would be a reserved label."""
    for family in registry.collect():
        assert re.fullmatch(r"omnillm_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|usd|minutes)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith(("_total", "_created")) == (family.type == "counter") or family.type == "histogram"
            assert not {"job", "instance", "quantile"} & set(sample.labels)


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in json.loads(dashboard())["panels"] if panel["type"] != "row")


QUERIES = [(panel["title"], target["expr"], target["legendFormat"]) for panel in panels() for target in panel["targets"]]
VARIABLES = [one["definition"] for one in json.loads(dashboard())["templating"]["list"] if one["type"] == "query"]


def selectors(node: Any) -> Iterator[Any]:
    """Give the selectors of a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from (*selectors(node.lhs), *selectors(node.rhs))
    elif isinstance(node, promql_parser.AggregateExpr | promql_parser.ParenExpr | promql_parser.UnaryExpr):
        yield from selectors(node.expr)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from selectors(argument)


def grouped(node: Any) -> Iterator[tuple[list[str], Any]]:
    """Give what the aggregations of a parsed query group by, each with what it adds up."""
    if isinstance(node, promql_parser.BinaryExpr):
        yield from (*grouped(node.lhs), *grouped(node.rhs))
    elif isinstance(node, promql_parser.AggregateExpr):
        if node.modifier is not None:
            yield node.modifier.labels, node.expr
        yield from grouped(node.expr)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from grouped(argument)


def parsed(query: str) -> Any:
    """Parse a query as Prometheus does, with Grafana's variables filled in as it does."""
    return promql_parser.parse(query.replace("$__rate_interval", "5m").replace("$gateway", ".*"))


def test_every_query_of_the_dashboard_finds_what_is_exported(everything: Any, registry: CollectorRegistry) -> None:
    """Each metric that a panel asks for is really exported, with each label by which it is selected, grouped and called."""
    there = exported(registry)
    for title, query, legend in QUERIES:
        asked = list(selectors(parsed(query)))
        assert asked, title
        labels = set.intersection(*(there.get(selector.name, set()) for selector in asked))
        for selector in asked:
            assert selector.name in there, (title, selector.name)
            assert {matcher.name for matcher in selector.matchers.matchers} <= there[selector.name], (title, query)
        for names, within in grouped(parsed(query)):
            for selector in selectors(within):
                assert set(names) <= there[selector.name], (title, names)
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labels, (title, legend)


def test_the_dashboards_variables_are_labels(everything: Any, registry: CollectorRegistry) -> None:
    """Each variable lists the values of a label that its metric really has."""
    there = exported(registry)
    assert len(VARIABLES) == 3
    for definition in VARIABLES:
        found = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", definition)
        assert found is not None
        assert found[3] in there[found[1]]


def test_the_dashboard_shows_all_there_is(everything: Any, registry: CollectorRegistry) -> None:
    """No metric is exported that no panel shows, and no two panels lie on each other."""
    asked = {re.sub(r"_(bucket|total)$", "", s.name) for _, query, _ in QUERIES for s in selectors(parsed(query))}
    assert asked == {family.name for family in registry.collect()}
    places = [(panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y) for panel in json.loads(dashboard())["panels"]
              for x in range(panel["gridPos"]["w"]) for y in range(panel["gridPos"]["h"])]  # fmt: skip
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    ids = [panel["id"] for panel in json.loads(dashboard())["panels"]]
    assert len(ids) == len(set(ids))
