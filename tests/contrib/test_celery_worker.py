"""Tasks in a real worker: a pool of four processes, a queue on a real server, keys with limits that all processes share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import celery_tasks as tasks
import pytest
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded
from celery_workers import CeleryWorker
from fleet import most_in
from stores import servers

from omnillm import LlmRequest, Message, OverloadedError, UnauthorizedError
from omnillm.testing import LocalProvider, delay, fail, hang

SHARED = Path(tasks.__file__).parent
PATIENCE_S = 60.0
TASKS = 200


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    with LocalProvider(event_interval=0.02) as it:
        yield it


@pytest.fixture(scope="module")
def variables(provider: LocalProvider) -> Iterator[dict[str, str]]:
    """Where everything is, told to this process and to its workers."""
    for server in servers():
        tasks.where(server.url, f"{provider.base_url}/v1")
        yield {"TASKS_REDIS": server.url, "TASKS_PROVIDER": f"{provider.base_url}/v1"}
        tasks.client().close()
        tasks.client.cache_clear()
        tasks.app.backend.client.close()
        tasks.app.close()


@pytest.fixture(scope="module")
def worker(variables: dict[str, str]) -> Iterator[CeleryWorker]:
    with CeleryWorker("celery_tasks", SHARED, **variables) as it:
        yield it


@pytest.fixture(autouse=True)
def nothing_scripted_left(provider: LocalProvider) -> Iterator[None]:
    yield
    assert provider.steps_left == 0


def wait_until(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.02)


def held(name: str) -> tuple[int, int]:
    """What all processes together hold of a gateway's state: requests, and money."""
    with tasks.make_gateway(name) as gateway:
        snapshot = gateway._core.store.snapshot()
        gateway._core.store.close()
        return snapshot.held_requests, sum(budget.reserved for budget in snapshot.budgets)


def test_two_hundred_tasks_share_the_limits(worker: CeleryWorker, provider: LocalProvider) -> None:
    """All finish, each once; no key takes more than its limit in any window; rate limits and overloads only delay them."""
    begun = len(provider.requests)
    failures = [fail(429, retry_after=1, times=4), fail(503, times=4)]
    provider.script(*failures)
    texts = [f"question {n}" for n in range(TASKS)]
    results = [tasks.ask.delay(text) for text in texts]
    assert [result.get(timeout=PATIENCE_S) for result in results] == [f"echo: {text}" for text in texts]
    assert len(provider.requests) - begun == TASKS + sum(step.times for step in failures)
    assert sum(result.retries or 0 for result in results) >= 4  # of what was overloaded at least
    admitted = [json.loads(line) for line in tasks.client().lrange("admitted", 0, -1)]
    for key in tasks.KEYS:
        moments = [(at, 1) for label, at in admitted if label == key]
        assert most_in(moments, tasks.WINDOW) <= tasks.RPM
    assert len(admitted) == TASKS + sum(step.times for step in failures)
    assert held("fleet") == (0, 0)


@pytest.mark.parametrize("task", [tasks.call_for_ever, tasks.read_for_ever], ids=["calls", "streams"])
def test_soft_time_limits_leave_nothing_held(worker: CeleryWorker, task: object) -> None:
    """Raised at any moment of a call or a stream, it ends the task with Celery's own error, and all is given back."""
    for result in [tasks.patient.delay("warm") for _ in range(16)]:  # what is imported on first use is others' code
        assert result.get(timeout=PATIENCE_S) == "echo: warm"
    results = [task.apply_async(soft_time_limit=0.15 + n * 0.017, time_limit=10) for n in range(16)]  # type: ignore[attr-defined]  # a task
    ends = [type(result.get(timeout=PATIENCE_S, propagate=False)) for result in results]
    assert set(ends) <= {SoftTimeLimitExceeded, TimeLimitExceeded}
    assert ends.count(SoftTimeLimitExceeded) >= 15  # Python itself keeps one that comes within a finaliser
    wait_until(lambda: held("wide") == (0, 0))
    assert tasks.patient.delay("after all").get(timeout=PATIENCE_S) == "echo: after all"


def test_a_soft_time_limit_ends_a_wait(worker: CeleryWorker, provider: LocalProvider) -> None:
    """Where a server never answers it comes in time, and the connection is closed."""
    provider.script(hang())
    begun = time.monotonic()
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.patient.apply_async(["wait"], soft_time_limit=0.5, time_limit=20).get(timeout=PATIENCE_S)
    assert time.monotonic() - begun < 15
    wait_until(lambda: held("wide") == (0, 0))


def test_a_task_that_is_terminated_gives_back_by_its_lease(worker: CeleryWorker, provider: LocalProvider) -> None:
    """Its process is killed in the midst of a call: what it held comes back with the lease, and the pool goes on."""
    provider.script(hang())
    seen = len(provider.requests)
    result = tasks.leased.delay("never")
    wait_until(lambda: len(provider.requests) > seen)
    assert held("leased")[0] == 1
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=PATIENCE_S)
    wait_until(lambda: held("leased") == (0, 0))
    assert tasks.leased.delay("on").get(timeout=PATIENCE_S) == "echo: on"


def test_terminating_by_the_signal_of_the_soft_limit_is_gentle(worker: CeleryWorker, provider: LocalProvider) -> None:
    """``revoke(terminate=True, signal="SIGUSR1")`` ends the call where it is, and the process lives on."""
    provider.script(hang())
    seen = len(provider.requests)
    result = tasks.patient.delay("never")
    wait_until(lambda: len(provider.requests) > seen)
    result.revoke(terminate=True, signal="SIGUSR1")
    with pytest.raises((SoftTimeLimitExceeded, TaskRevokedError)):
        result.get(timeout=PATIENCE_S)
    wait_until(lambda: held("wide") == (0, 0))


def test_requests_and_responses_travel_as_they_are(worker: CeleryWorker) -> None:
    """By Celery's JSON a request is an argument and a response a result, with what the gateway knows of it."""
    response = tasks.answer.delay(LlmRequest(tasks.MODEL, [Message.user("hello")])).get(timeout=PATIENCE_S)
    assert response.text == "echo: hello"
    assert response.usage.completion_tokens == 2
    assert response.cost_usd > 0
    assert response.cost.usd == response.cost_usd
    assert response.key_label in tasks.KEYS
    assert response.attempts[0].outcome == "ok"


def test_what_is_in_vain_is_not_tried_again(worker: CeleryWorker, provider: LocalProvider) -> None:
    """Keys that are refused fail the task at once, with the very error, its parts and no key."""
    begun = len(provider.requests)
    provider.script(fail(401, times=2))
    result = tasks.leased.delay("hi")
    with pytest.raises(UnauthorizedError) as caught:
        result.get(timeout=PATIENCE_S)
    assert (caught.value.status, caught.value.sent, len(caught.value.attempts)) == (401, "yes", 2)
    assert len(provider.requests) - begun == 2
    assert not result.retries
    assert "sk-secret" not in repr(vars(caught.value)) + result.traceback + worker.log


def test_what_never_gets_better_ends_with_the_last_error(worker: CeleryWorker, provider: LocalProvider) -> None:
    """After ``max_retries`` whoever waits gets what the last try raised."""
    provider.script(fail(503, times=3))
    result = tasks.patient.delay("hi")
    with pytest.raises(OverloadedError, match="503"):
        result.get(timeout=PATIENCE_S)
    assert result.retries == 2
    assert tasks.patient.delay("hi").get(timeout=PATIENCE_S) == "echo: hi"


def test_every_try_has_the_same_idempotency_key(worker: CeleryWorker, provider: LocalProvider) -> None:
    """A native call that is tried again says that it is the same one."""
    begun = len(provider.requests)
    provider.script(fail(503))
    result = tasks.native.delay()
    assert result.get(timeout=PATIENCE_S) == 200
    keys = [request.headers["idempotency-key"] for request in provider.requests[begun:]]
    assert keys == [f"{result.id}:ask"] * 2


def test_a_warm_shutdown_loses_nothing(worker: CeleryWorker, variables: dict[str, str], provider: LocalProvider) -> None:
    """A worker that is told to end finishes its call; what waits for its time is done by the next one."""
    provider.script(delay(1.0))
    seen = len(provider.requests)
    waits, calls = tasks.comes_back.delay(), tasks.patient.delay("last words")
    wait_until(lambda: len(provider.requests) > seen and waits.state == "RETRY")
    assert worker.stop() == 0
    assert calls.get(timeout=PATIENCE_S) == "echo: last words"
    assert provider.wait_open_connections(0)
    with CeleryWorker("celery_tasks", SHARED, concurrency=1, **variables):
        assert waits.get(timeout=PATIENCE_S) == 1
