"""What gateways do, counted event by event: calls, attempts, retries, tokens, money and time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY, Counter, Histogram

from ...gateway.gateway import Gateway
from ...hooks import Hook
from ...policy.limits import check_count
from ...types.hooks import (
    AttemptEnded,
    CallEnded,
    FallbackTaken,
    HedgeStarted,
    HookEvent,
    ModelDowngraded,
    RetryScheduled,
)
from ...types.usage import TokenUsage
from .._bounded import MOST_VALUES, Bounded
from .status import DEFAULT, StatusCollector

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
FIRST_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2)

_AT = ("gateway", "endpoint", "model")
_COUNTERS = {
    "calls": ("Calls and streams that ended.", (*_AT, "kind", "outcome", "error")),
    "attempts": ("Attempts that ended; a call may have several.", (*_AT, "key", "outcome", "status")),
    "retries": ("Attempts that were scheduled after one that failed.", (*_AT, "error")),
    "fallbacks": ("Calls that moved on to another endpoint.", (*_AT, "to_endpoint")),
    "hedges": ("Second attempts beside one that was late.", _AT),
    "downgrades": ("Calls that were given a cheaper model.", ("gateway", "model", "to_model")),
    "tokens": ("Tokens of the answers; the types are disjoint.", (*_AT, "type")),
    "charged_tokens": ("Tokens counted against the windows of keys, attempts that failed included.", (*_AT, "key")),
    "cost_dollars": ("What attempts cost (USD), those that failed included.", (*_AT, "key")),
}
_HISTOGRAMS = {
    "call_duration_seconds": ("Seconds from a call to its end.", (*_AT, "outcome"), SECONDS),
    "attempt_duration_seconds": ("Seconds that one attempt took.", _AT, SECONDS),
    "time_to_first_event_seconds": ("Seconds from a call to its stream's first event.", _AT, FIRST_SECONDS),
}


class PrometheusMetrics:
    """Measure gateways; one for each registry, for all gateways of a process.

    ``hook(name)`` goes to ``on_event``; ``watch(gateway, name)`` adds what is asked when it is scraped. Of models that were asked
    for, and of errors, the first ``most_values`` have their names, the rest is ``other``.
    """

    def __init__(self, registry: Any = REGISTRY, *, most_values: int = MOST_VALUES) -> None:
        check_count(most_values, "most_values")
        self._model, self._error = Bounded(most_values), Bounded(most_values)
        self._metrics: dict[str, Any] = {
            name: Counter(f"omnillm_{name}", about, labels, registry=registry) for name, (about, labels) in _COUNTERS.items()
        } | {
            name: Histogram(f"omnillm_{name}", about, labels, registry=registry, buckets=buckets)
            for name, (about, labels, buckets) in _HISTOGRAMS.items()
        }
        self._children: dict[tuple[str, ...], Any] = {}  # by name and labels: to ask the library each time costs most of it all
        self.status = StatusCollector(most_values=most_values)
        registry.register(self.status)

    def hook(self, gateway: str = DEFAULT) -> Hook:
        """Give the hook of a gateway, which is called that in the label ``gateway``."""
        rows: dict[type, Callable[[str, Any], None]] = {
            CallEnded: self._call,
            AttemptEnded: self._attempt,
            RetryScheduled: self._retry,
            FallbackTaken: self._fallback,
            HedgeStarted: self._hedge,
            ModelDowngraded: self._downgrade,
        }

        def measure(event: HookEvent) -> None:
            row = rows.get(type(event))
            if row is not None:
                row(gateway, event)

        return measure

    def watch(self, gateway: Gateway, name: str = DEFAULT) -> Gateway:
        """Tell in each scrape how the gateway's keys and budgets stand; gives the gateway back, and does not keep it."""
        self.status.add(gateway, name)
        return gateway

    def _of(self, name: str, *labels: str) -> Any:
        """Give the metric with those labels."""
        found = self._children.get((name, *labels))
        if found is None:
            found = self._children[name, *labels] = self._metrics[name].labels(*labels)
        return found

    # --- one event ----------------------------------------------------------------------------------------------------------

    def _call(self, gateway: str, event: CallEnded) -> None:
        endpoint = event.attempts[-1].endpoint if event.attempts else ""
        at = (gateway, endpoint, self._model(event.model))
        self._of("calls", *at, event.kind, event.outcome, self._error(event.error)).inc()
        self._of("call_duration_seconds", *at, event.outcome).observe(event.latency)
        if event.time_to_first_event is not None:
            self._of("time_to_first_event_seconds", *at).observe(event.time_to_first_event)
        for kind, count in _tokens_of(event.usage).items():
            self._of("tokens", *at, kind).inc(count)

    def _attempt(self, gateway: str, event: AttemptEnded) -> None:
        record = event.record
        at = (gateway, record.endpoint, self._model(record.model))
        key = record.key_label or ""
        status = "" if record.status is None else str(record.status)
        self._of("attempts", *at, key, record.outcome, status).inc()
        self._of("attempt_duration_seconds", *at).observe(record.duration)
        self._of("charged_tokens", *at, key).inc(event.tokens)
        self._of("cost_dollars", *at, key).inc(event.cost_usd or 0.0)

    def _retry(self, gateway: str, event: RetryScheduled) -> None:
        error = self._error(event.error.partition(":")[0])
        self._of("retries", gateway, event.endpoint, self._model(event.model), error).inc()

    def _fallback(self, gateway: str, event: FallbackTaken) -> None:
        self._of("fallbacks", gateway, event.from_endpoint, self._model(event.model), event.to_endpoint).inc()

    def _hedge(self, gateway: str, event: HedgeStarted) -> None:
        self._of("hedges", gateway, event.endpoint, self._model(event.model)).inc()

    def _downgrade(self, gateway: str, event: ModelDowngraded) -> None:
        self._of("downgrades", gateway, self._model(event.asked), self._model(event.model)).inc()


def _tokens_of(usage: TokenUsage | None) -> dict[str, int]:
    """Give the tokens by type: what was cached is no input any more, what was thought no output."""
    if usage is None:
        return {}
    cache = usage.prompt_cache
    read = 0 if cache is None else cache.cache_read_input_tokens or cache.cached_input_tokens or 0
    read = min(read, usage.prompt_tokens)
    thought = min(usage.reasoning_tokens or 0, usage.completion_tokens)
    counts = {
        "input": usage.prompt_tokens - read,
        "cached_input": read,
        "output": usage.completion_tokens - thought,
        "reasoning": thought,
    }
    return {kind: count for kind, count in counts.items() if count}
