"""An application of Celery and its tasks, for workers that tests start; where everything is, the environment says."""

from __future__ import annotations

import json
import os
from functools import cache, partial
from typing import Any

import redis
from celery import Celery

from omnillm import (
    Gateway,
    GatewayBuilder,
    KeyConfig,
    LlmRequest,
    LlmResponse,
    PoolConfig,
    ProviderEndpoint,
    RedisState,
    RetryPolicy,
)
from omnillm.contrib.celery import omnillm_task
from omnillm.errors import NoAvailableKeyError
from omnillm.primitive import PrimitiveRequest
from omnillm.types.hooks import AttemptStarted, HookEvent

MODEL = "gpt-4.1-mini"
WINDOW, RPM, KEYS = 1.0, 25, ("a", "b")

app = Celery("celery_tasks")
app.conf.update(result_extended=True, worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)


def where(redis_url: str, provider_url: str) -> None:
    """Say where the server of the queue and the provider are."""
    app.conf.update(broker_url=redis_url, result_backend=redis_url, provider_url=provider_url)


@cache
def client() -> Any:
    return redis.Redis.from_url(app.conf.broker_url)


def note(event: HookEvent) -> None:
    """Write down when each attempt was let in, by the clock of the state."""
    if isinstance(event, AttemptStarted):
        client().rpush("admitted", json.dumps([event.key_label, event.lease.reservation.admitted_at]))  # type: ignore[attr-defined]  # what it is


def make_gateway(name: str) -> Gateway:
    """Make one of the gateways: ``fleet`` has narrow limits, ``wide`` has none, ``leased`` is soon taken for dead."""
    options = {"fleet": {"window": WINDOW}, "leased": {"lease": 1.0}, "wide": {"lease": 4.0}}[name]
    state = RedisState(app.conf.broker_url, name=f"tasks-{name}", timeout=5.0, **options)
    rpm = RPM if name == "fleet" else 10**6
    return (
        GatewayBuilder(ProviderEndpoint("chat_completions", app.conf.provider_url))
        .default_model(MODEL)
        .add_keys([KeyConfig(f"sk-secret-{label}", label, rpm_limit=rpm, tpm_limit=10**9) for label in KEYS])
        .budget_limit_usd(100.0)
        .pool_config(PoolConfig(circuit_breaker_cooldown=1.0))
        .retry(RetryPolicy(max_attempts=1))
        .state(state)
        .on_event(note)
        .build()
    )


app.conf.omnillm = {name: partial(make_gateway, name) for name in ("fleet", "wide", "leased")}
if "TASKS_REDIS" in os.environ:
    where(os.environ["TASKS_REDIS"], os.environ["TASKS_PROVIDER"])


@omnillm_task(app=app, gateway_alias="fleet", max_countdown=2.0, retry_base=0.25)
def ask(self: Any, text: str) -> str:
    return self.gateway.call(text).text


@omnillm_task(app=app, gateway_alias="wide", retry_base=0.05, max_countdown=0.5)
def answer(self: Any, request: LlmRequest) -> LlmResponse:
    return self.gateway.call(request)


@omnillm_task(app=app, gateway_alias="wide", retry_base=0.05, max_countdown=0.5, max_retries=2)
def patient(self: Any, text: str) -> str:
    return self.gateway.call(text).text


@omnillm_task(app=app, gateway_alias="wide")
def call_for_ever(self: Any) -> None:
    while True:
        self.gateway.call("again")


@omnillm_task(app=app, gateway_alias="wide")
def read_for_ever(self: Any) -> None:
    streams = []  # a name that is bound anew ends a stream in a finaliser, and what is raised there Python itself keeps
    while True:
        streams.append(self.gateway.stream("one two three four five"))
        for _ in streams[-1]:
            pass


@omnillm_task(app=app, gateway_alias="leased")
def leased(self: Any, text: str) -> str:
    return self.gateway.call(text).text


@omnillm_task(app=app, gateway_alias="wide", max_countdown=0.5)
def native(self: Any) -> int:
    body = {"model": MODEL, "input": "hi"}
    request = PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", MODEL, body)
    return self.gateway.primitive_call(request.with_idempotency_key(self.idempotency_key("ask"))).status


@omnillm_task(app=app, gateway_alias="wide", max_countdown=2.5)
def comes_back(self: Any) -> int:
    if not self.request.retries:
        raise NoAvailableKeyError("later", reason="window", retry_after=2.0)
    return self.request.retries
