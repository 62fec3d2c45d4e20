"""Jobs: made, asked for, listed, ended and collected at each provider in one form, and waited for."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from gateway_fixtures import Build
from native_requests import CONTENTS, TURNS, native_endpoint

from omnillm import AuthScheme, KeyConfig, PriceTable, PrimitiveProviderEndpoint, RetryPolicy
from omnillm._cancel import CancellationToken
from omnillm.errors import CallCancelledError, ConfigurationError, DeadlineExceededError
from omnillm.primitive import (
    PrimitiveAsyncJobOperation,
    PrimitiveAsyncJobRequest,
    PrimitiveAsyncJobResponse,
    PrimitiveAsyncJobStatus,
    PrimitiveProviderKind,
    PrimitiveRequest,
)
from omnillm.primitive.jobs import status_of
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, reset, respond
from omnillm.types.transport import BinaryBody

Operation, Status = PrimitiveAsyncJobOperation, PrimitiveAsyncJobStatus
BATCH_OF_ONE = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "one"}}
CLAUDE = {"requests": [{"custom_id": "a", "params": {"model": "m", "max_tokens": 9, "messages": TURNS}}]}
GEMINI = {"batch": {"displayName": "b", "inputConfig": {"requests": {"requests": [{"request": {"contents": CONTENTS}}]}}}}
VIDEO = {"instances": [{"prompt": "a wave"}]}


def at(provider: LocalProvider, build: Build, kind: PrimitiveProviderKind, **steps: Any) -> Any:
    return build(provider, 2, primitive_endpoint=native_endpoint(provider, kind), **steps)


def openai_batch(gateway: Any, **more: Any) -> PrimitiveAsyncJobRequest:
    data = "\n".join(json.dumps({**BATCH_OF_ONE, "custom_id": str(i)}) for i in range(2)).encode()
    fields = {"purpose": "batch", "file": data}
    source = gateway.primitive_call(PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, fields)).json()
    body = {"input_file_id": source["id"], "endpoint": "/v1/responses", "completion_window": "24h", **more}
    return PrimitiveAsyncJobRequest.create(PrimitiveRequest.json("open_ai", "batches", "open_ai_batches", None, body))


def claude_batch(_gateway: Any) -> PrimitiveAsyncJobRequest:
    return PrimitiveAsyncJobRequest.create(
        PrimitiveRequest.json("anthropic", "batches", "anthropic_message_batches", None, CLAUDE)
    )


def gemini_batch(_gateway: Any) -> PrimitiveAsyncJobRequest:
    return PrimitiveAsyncJobRequest.create(PrimitiveRequest.json("gemini", "batches", "gemini_batches", "m", GEMINI))


def gemini_video(_gateway: Any) -> PrimitiveAsyncJobRequest:
    return PrimitiveAsyncJobRequest.create(PrimitiveRequest.json("gemini", "operations", "gemini_operations", "veo", VIDEO))


def vertex_video(_gateway: Any) -> PrimitiveAsyncJobRequest:
    return PrimitiveAsyncJobRequest.create(PrimitiveRequest.json("vertex_ai", "operations", "vertex_operations", "veo", VIDEO))


MAKERS: dict[str, tuple[PrimitiveProviderKind, Any, list[str]]] = {
    "openai": (
        PrimitiveProviderKind.OPENAI,
        openai_batch,
        ["/batches", "/batches/batch_1", "/batches/batch_1", "/batches/batch_1", "/files/file-2/content", "/batches"],
    ),
    "anthropic": (
        PrimitiveProviderKind.ANTHROPIC,
        claude_batch,
        [
            "/messages/batches",
            "/messages/batches/msgbatch_1",
            "/messages/batches/msgbatch_1",
            "/messages/batches/msgbatch_1/results",
            "/messages/batches",
        ],
    ),
    "gemini batch": (
        PrimitiveProviderKind.GEMINI,
        gemini_batch,
        ["/models/m:batchGenerateContent", "/batches/1", "/batches/1", "/batches/1", "/batches"],
    ),
    "gemini operation": (
        PrimitiveProviderKind.GEMINI,
        gemini_video,
        [
            "/models/veo:predictLongRunning",
            "/models/veo/operations/1",
            "/models/veo/operations/1",
            "/models/veo/operations/1",
            "/operations",
        ],
    ),
    "vertex operation": (
        PrimitiveProviderKind.VERTEX_AI,
        vertex_video,
        [
            "/publishers/google/models/veo:predictLongRunning",
            "/publishers/google/models/veo:fetchPredictOperation",
            "/publishers/google/models/veo:fetchPredictOperation",
            "/publishers/google/models/veo:fetchPredictOperation",
            "/operations",
        ],
    ),
}
EACH = pytest.mark.parametrize("name", MAKERS)


def after(asked: PrimitiveAsyncJobRequest, operation: Operation, job_id: str | None) -> PrimitiveAsyncJobRequest:
    return PrimitiveAsyncJobRequest(operation, asked.request, job_id)


@EACH
def test_a_job_lives_its_life(provider: LocalProvider, build: Build, clock: FakeClock, name: str) -> None:
    """It is made, waited for step by step, collected and listed, each by the path that its provider has for it."""
    kind, make, paths = MAKERS[name]
    gateway = at(provider, build, kind, clock=clock)
    asked = make(gateway)
    before = len(provider.requests)
    job = gateway.primitive_async_job(asked)
    assert (job.operation, job.status.is_over) == (Operation.CREATE, False)
    assert job.job_id
    told: list[Status] = []
    done = gateway.primitive_wait(job, progress=lambda state: told.append(state.status))
    assert (done.status, done.job_id) == (Status.SUCCEEDED, job.job_id)
    assert (len(told), told[-1]) == (2, Status.SUCCEEDED)
    results = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    assert results.status is Status.SUCCEEDED or name == "anthropic"
    listed = gateway.primitive_async_job(after(asked, Operation.LIST, None))
    assert (listed.job_id, job.job_id in json.dumps(listed.json())) == (None, True)
    seen = [request.path.partition("?")[0] for request in provider.requests[before:]]
    assert [path[-len(end) :] for path, end in zip(seen, paths, strict=True)] == paths


@EACH
def test_a_job_is_ended(provider: LocalProvider, build: Build, clock: FakeClock, name: str) -> None:
    """What is cancelled comes to its end as that."""
    kind, make, _ = MAKERS[name]
    gateway = at(provider, build, kind, clock=clock)
    asked = make(gateway)
    job = gateway.primitive_async_job(asked)
    gateway.primitive_async_job(after(asked, Operation.CANCEL, job.job_id))
    assert gateway.primitive_wait(job).status is Status.CANCELLED


def test_results_are_read_out_of_their_file(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """OpenAI's results are a file that the batch names; Anthropic's are lines; Gemini's stand in the job."""
    gateway = at(provider, build, PrimitiveProviderKind.OPENAI, clock=clock)
    asked = openai_batch(gateway)
    job = gateway.primitive_wait(gateway.primitive_async_job(asked))
    results = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    lines = [json.loads(line) for line in (results.response.content or b"").splitlines()]
    assert [line["custom_id"] for line in lines] == ["0", "1"]
    claude = at(provider, build, PrimitiveProviderKind.ANTHROPIC, clock=clock)
    asked = claude_batch(claude)
    job = claude.primitive_wait(claude.primitive_async_job(asked))
    text = claude.primitive_async_job(after(asked, Operation.RESULTS, job.job_id)).response.text
    assert json.loads(text or "")["result"]["type"] == "succeeded"
    gemini = at(provider, build, PrimitiveProviderKind.GEMINI, clock=clock)
    job = gemini.primitive_wait(gemini.primitive_async_job(gemini_batch(gemini)))
    assert "inlinedResponses" in job.json()["response"]


def test_what_follows_is_asked_with_the_key_that_made_the_job(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """A job is seen by the account that made it: waiting for it uses that key, and so does the caller who names it."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC, clock=clock)
    for _ in range(6):
        before = len(provider.requests)
        gateway.primitive_wait(gateway.primitive_async_job(claude_batch(gateway)))
        assert len({request.key for request in provider.requests[before:]}) == 1


def test_a_request_with_an_id_is_waited_for(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """Whoever kept the id of a job may wait for it in another process."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC, clock=clock)
    job = gateway.primitive_async_job(claude_batch(gateway))
    read = PrimitiveRequest.get("anthropic", "batches", "anthropic_message_batches")
    asked = PrimitiveAsyncJobRequest(Operation.GET, read).with_job_id(job.job_id)
    assert PrimitiveAsyncJobRequest.from_json(asked.to_json()) == asked
    assert gateway.primitive_wait(asked).status is Status.SUCCEEDED


def test_a_wait_has_a_deadline(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """Time that runs out ends the wait, not the job."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC, clock=clock)
    job = gateway.primitive_async_job(claude_batch(gateway))
    with pytest.raises(DeadlineExceededError, match=r"has not ended within 1 s") as caught:
        gateway.primitive_wait(job, poll_interval=5.0, timeout=1.0)
    assert caught.value.phase == "job"
    assert gateway.primitive_wait(job).status is Status.SUCCEEDED


def test_a_wait_is_cancelled_at_once(provider: LocalProvider, build: Build) -> None:
    """A token ends a wait in the midst of its interval."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC)
    job = gateway.primitive_async_job(claude_batch(gateway))
    token = CancellationToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(CallCancelledError):
        gateway.primitive_wait(job, poll_interval=3600.0, cancel=token)
    timer.join()


def test_intervals_grow(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """A job that takes its time is asked for less and less often, and a minute apart at most."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC, clock=clock)
    job = gateway.primitive_async_job(claude_batch(gateway))
    times: list[float] = []
    asked = PrimitiveAsyncJobRequest(
        Operation.GET, PrimitiveRequest.get("anthropic", "models", "anthropic_models", path="/models"), job.job_id
    )
    with pytest.raises(DeadlineExceededError):
        gateway.primitive_wait(asked, poll_interval=10.0, timeout=600.0, progress=lambda _: times.append(clock.monotonic()))
    gaps = [round(b - a, 3) for a, b in itertools.pairwise(times)]
    assert gaps[:3] == [10.0, 15.0, 22.5]
    assert max(gaps) == 60.0


def test_a_callers_own_path_is_taken(provider: LocalProvider, build: Build) -> None:
    """Where the request says its path, that is where it goes, whatever the operation."""
    gateway = at(provider, build, PrimitiveProviderKind.ANTHROPIC)
    job = gateway.primitive_async_job(claude_batch(gateway))
    read = PrimitiveRequest.get("anthropic", "batches", "anthropic_message_batches", path=f"/messages/batches/{job.job_id}")
    found = gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.GET, read))
    assert (found.job_id, found.status) == (job.job_id, Status.RUNNING)


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ({"status": "validating"}, Status.PENDING),
        ({"status": "queued"}, Status.PENDING),
        ({"status": "finalizing"}, Status.RUNNING),
        ({"status": "completed"}, Status.SUCCEEDED),
        ({"status": "expired"}, Status.FAILED),
        ({"status": "cancelling"}, Status.RUNNING),
        ({"status": "cancelled"}, Status.CANCELLED),
        ({"processing_status": "in_progress"}, Status.RUNNING),
        ({"processing_status": "canceling"}, Status.RUNNING),
        ({"processing_status": "ended"}, Status.SUCCEEDED),
        ({"processing_status": "ended", "cancel_initiated_at": "2024"}, Status.CANCELLED),
        ({"name": "b", "metadata": {"state": "BATCH_STATE_PENDING"}}, Status.PENDING),
        ({"name": "b", "metadata": {"state": "BATCH_STATE_SUCCEEDED"}, "done": True}, Status.SUCCEEDED),
        ({"name": "b", "state": "JOB_STATE_RUNNING"}, Status.RUNNING),
        ({"name": "b", "state": "JOB_STATE_EXPIRED"}, Status.FAILED),
        ({"name": "b", "state": "JOB_STATE_PARTIALLY_SUCCEEDED"}, Status.SUCCEEDED),
        ({"name": "op"}, Status.RUNNING),
        ({"name": "op", "done": True, "response": {}}, Status.SUCCEEDED),
        ({"name": "op", "done": True, "error": {"code": 3}}, Status.FAILED),
        ({"name": "op", "done": True, "error": {"code": 1}}, Status.CANCELLED),
        ({"status": "a word of tomorrow"}, Status.UNKNOWN),
        ({}, Status.UNKNOWN),
        (None, Status.UNKNOWN),
    ],
)
def test_every_spelling_of_a_state_is_known(job: Any, status: Status) -> None:
    """One word for each state, whatever the provider calls it; a word that nobody knows is not the end."""
    assert status_of(job) is status


def test_wrong_jobs_are_refused(provider: LocalProvider, build: Build) -> None:
    """Before anything is sent, naming the field."""
    gateway = at(provider, build, PrimitiveProviderKind.OPENAI)
    read = PrimitiveRequest.get("open_ai", "batches", "open_ai_batches")
    models = PrimitiveRequest.get("open_ai", "models", "open_ai_models")
    wrong: list[tuple[Any, str]] = [
        (lambda: gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.GET, read)), "job_id: get needs one"),
        (lambda: gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.GET, models, "x")), "has no jobs"),
        (lambda: gateway.primitive_wait(PrimitiveAsyncJobRequest(Operation.GET, read)), "by its id"),
        (lambda: gateway.primitive_wait(PrimitiveAsyncJobRequest(Operation.GET, read, "x"), progress=3), "progress"),
        (lambda: gateway.primitive_wait(PrimitiveAsyncJobRequest(Operation.GET, read, "x"), poll_interval=0), "poll_interval"),
        (lambda: gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.GET, read, "../files")), "job_id"),
        (lambda: PrimitiveAsyncJobRequest("fetch", read), "operation: expected one of create"),
        (lambda: PrimitiveAsyncJobRequest(Operation.GET, "x"), "request"),
        (lambda: PrimitiveAsyncJobRequest(Operation.GET, read, 3), "job_id"),
    ]  # fmt: skip
    for act, said in wrong:
        with pytest.raises(ConfigurationError, match=said):
            act()
    assert provider.requests == ()


def test_a_job_survives_its_json(provider: LocalProvider, build: Build) -> None:
    """What is told of a job may be kept; who made it is not in it."""
    job = at(provider, build, PrimitiveProviderKind.ANTHROPIC).primitive_async_job(claude_batch(None))
    kept = PrimitiveAsyncJobResponse.from_json(job.to_json())
    assert (kept.job_id, kept.status, kept.json()) == (job.job_id, job.status, job.json())
    assert kept.asked is None


def test_a_gemini_batch_of_a_file_answers_in_a_file(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """Its responses are read out of the file that the job names."""
    gateway = at(provider, build, PrimitiveProviderKind.GEMINI, clock=clock)
    lines = b"\n".join(json.dumps({"key": key, "request": {"contents": CONTENTS}}).encode() for key in "ab")
    upload = PrimitiveRequest("gemini", "files", "gemini_files", body=BinaryBody(lines, "application/jsonl"))  # type: ignore[arg-type]
    name = gateway.primitive_call(upload).json()["file"]["name"]
    body = {"batch": {"inputConfig": {"fileName": name}}}
    asked = PrimitiveAsyncJobRequest.create(PrimitiveRequest.json("gemini", "batches", "gemini_batches", "m", body))
    job = gateway.primitive_wait(gateway.primitive_async_job(asked))
    text = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id)).response.text
    assert [json.loads(line)["key"] for line in (text or "").splitlines()] == ["a", "b"]
    assert provider.requests[-1].path == "/download/v1beta/files/2:download?alt=media"


def test_results_that_are_not_there_yet_are_how_the_job_stands(provider: LocalProvider, build: Build) -> None:
    """Without a file to read, the job itself is the answer; a job that is over is not waited for."""
    gateway = at(provider, build, PrimitiveProviderKind.OPENAI)
    asked = openai_batch(gateway)
    job = gateway.primitive_async_job(asked)
    early = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    assert (early.status, early.json()["output_file_id"]) == (Status.RUNNING, None)
    done = gateway.primitive_wait(job, poll_interval=0.01)
    before = len(provider.requests)
    assert gateway.primitive_wait(done) is done
    assert len(provider.requests) == before


def test_an_operation_is_named_in_short_or_whole(provider: LocalProvider, build: Build) -> None:
    """The last part of a name means an operation at the top; making one needs the model."""
    gateway = at(provider, build, PrimitiveProviderKind.GEMINI)
    read = PrimitiveRequest.get("gemini", "operations", "gemini_operations")
    with pytest.raises(Exception, match="operations/9 is not found"):
        gateway.primitive_async_job(PrimitiveAsyncJobRequest(Operation.GET, read, "9"))
    with pytest.raises(ConfigurationError, match="model: expected a name"):
        gateway.primitive_async_job(PrimitiveAsyncJobRequest.create(read))


def test_what_a_job_is_said_to_cost_is_charged_for_making_it_alone(
    provider: LocalProvider, build: Build, clock: FakeClock
) -> None:
    """The same request asks how it stands and for its results: all that is free, and is no repetition of the first."""
    gateway = at(provider, build, PrimitiveProviderKind.OPENAI, clock=clock, budget_limit_usd=10)
    asked = openai_batch(gateway)
    asked = replace(asked, request=replace(asked.request, cost_usd=0.25, idempotency_key="once"))
    job = gateway.primitive_async_job(asked)
    gateway.primitive_async_job(after(asked, Operation.GET, job.job_id))
    gateway.primitive_wait(job)
    gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    gateway.primitive_async_job(after(asked, Operation.LIST, None))
    assert [request.headers.get("idempotency-key") for request in provider.requests].count("once") == 1
    assert gateway.budget_used_usd() == pytest.approx(0.25)


def test_results_tell_what_looking_at_the_batch_cost(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """Two requests are made for them, and the first one is charged the batch."""
    prices = PriceTable({"m": {"input": 1e6, "output": 1e6}}, unknown="zero")
    gateway = at(provider, build, PrimitiveProviderKind.OPENAI, clock=clock, pricing=prices)
    asked = openai_batch(gateway)
    job = gateway.primitive_async_job(asked)
    results = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    while not results.status.is_over:
        results = gateway.primitive_async_job(after(asked, Operation.RESULTS, job.job_id))
    assert results.response.cost_usd == gateway.budget_used_usd() > 0


@pytest.mark.parametrize("operation", [Operation.GET, Operation.CANCEL])
def test_a_question_that_is_a_post_is_asked_again(build: Build, operation: Operation) -> None:
    """Vertex AI's operations are fetched by a POST, and what is cancelled twice is cancelled once."""
    name = "projects/p/locations/l/publishers/google/models/veo/operations/1"
    answer = respond(200, body=json.dumps({"name": name, "done": True}).encode())
    with ScriptedServer([expect(), reset()], [expect(), answer]) as server:
        endpoint = PrimitiveProviderEndpoint(PrimitiveProviderKind.VERTEX_AI, f"{server.base_url}/v1", auth=AuthScheme.bearer())
        gateway = build(server, 1, primitive_endpoint=endpoint, retry=RetryPolicy(base=0.001))
        request = PrimitiveRequest.get("vertex_ai", "operations", "vertex_operations")
        found = gateway.primitive_async_job(PrimitiveAsyncJobRequest(operation, request, name))
    assert found.status is Status.SUCCEEDED


def test_a_wait_outlasts_a_window_that_is_full(provider: LocalProvider, build: Build, clock: FakeClock) -> None:
    """No key has room for the question: it is asked when one has, for the job runs on."""
    endpoint = native_endpoint(provider, PrimitiveProviderKind.ANTHROPIC)
    gateway = build(provider, [KeyConfig("sk-1", rpm_limit=2)], primitive_endpoint=endpoint, clock=clock)
    job = gateway.primitive_async_job(claude_batch(gateway))
    gateway.primitive_call(PrimitiveRequest.get("anthropic", "models", "anthropic_models"))
    assert gateway.primitive_wait(job).status is Status.SUCCEEDED
    assert clock.monotonic() > 50
