"""Where each kind of job is created, asked for, listed, ended and collected, and how its state is spelled; one row for each.

A template's ``{id}`` is the job's id, without the collection that Google's names begin with, ``{name}`` the whole of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigurationError
from ..providers.primitive_endpoint import path_part
from ..types.enums import HttpMethod
from ..types.primitive import PrimitiveAsyncJobOperation as Operation
from ..types.primitive import PrimitiveAsyncJobStatus as Status
from ..types.primitive import PrimitiveStreamMode
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from ..types.transport import JsonBody, RequestBody
from .job import PrimitiveAsyncJobRequest
from .request import PrimitiveRequest

_STATES = {
    Status.PENDING: "pending queued validating submitted unspecified state_unspecified",
    Status.RUNNING: "running in_progress processing finalizing cancelling canceling paused updating",
    Status.SUCCEEDED: "succeeded completed ended done partially_succeeded",
    Status.FAILED: "failed errored error expired",
    Status.CANCELLED: "cancelled canceled",
}
_BY_STATE = {state: status for status, states in _STATES.items() for state in states.split()}
_PREFIX = re.compile(r"^(?:job|batch)_state_|^(?:job|batch)_")
_STATE_FIELDS = ("processing_status", "status", "state")
_PLACE = re.compile(r"^projects/[^/]+/locations/[^/]+/")
_IN_A_MODEL = re.compile(r"(?P<model>publishers/[^/]+/models/[^/]+)/operations/[^/]+$")


@dataclass(frozen=True, slots=True)
class Jobs:
    """Say where the jobs of a format are; ``results`` is ``None`` where they are in a file that the job names."""

    create: str
    get: str
    list: str
    cancel: str
    results: str | None
    file: Callable[[Any], str | None] = field(default=lambda _job: None)


def _output_file(job: Any) -> str | None:
    """Give where OpenAI's file of results is, or that of the errors where all requests failed."""
    found = job.get("output_file_id") or job.get("error_file_id") if isinstance(job, dict) else None
    return f"/files/{path_part(found, 'output_file_id')}/content" if isinstance(found, str) else None


def _responses_file(job: Any) -> str | None:
    """Give where Google's file of responses is; responses that stand in the job itself are in none."""
    for place in ("response", "output", "metadata"):
        inner = job.get(place) if isinstance(job, dict) else None
        inner = inner.get("output", inner) if isinstance(inner, dict) else inner
        found = inner.get("responsesFile") if isinstance(inner, dict) else None
        if isinstance(found, str):
            return f"/download/v1beta/{path_part(found, 'responsesFile', slashes=True)}:download?alt=media"
    return None


JOBS: dict[Native, Jobs] = {
    Native.OPENAI_BATCHES: Jobs("/batches", "/batches/{id}", "/batches", "/batches/{id}/cancel", None, _output_file),
    Native.ANTHROPIC_MESSAGE_BATCHES: Jobs(
        "/messages/batches",
        "/messages/batches/{id}",
        "/messages/batches",
        "/messages/batches/{id}/cancel",
        "/messages/batches/{id}/results",
    ),
    Native.GEMINI_BATCHES: Jobs("", "/batches/{id}", "/batches", "/batches/{id}:cancel", None, _responses_file),
    Native.GEMINI_OPERATIONS: Jobs("/models/{model}:predictLongRunning", "/{name}", "/operations", "/{name}:cancel", "/{name}"),
    Native.VERTEX_OPERATIONS: Jobs(
        "/publishers/google/models/{model}:predictLongRunning", "/{name}", "/operations", "/{name}:cancel", "/{name}"
    ),
}
_METHODS = {Operation.CREATE: HttpMethod.POST, Operation.CANCEL: HttpMethod.POST}


def native_request(job: PrimitiveAsyncJobRequest) -> PrimitiveRequest:
    """Give the request that a job's is: as it is where it says its path, else with the method and the path of the operation.

    Raises ``ConfigurationError`` where the format has no jobs, and where an operation needs an id.
    """
    request = job.request
    if request.path is not None:
        return request
    jobs = JOBS.get(request.wire_format)
    if jobs is None:
        raise ConfigurationError(f"wire_format: {request.wire_format.value} has no jobs: give a path", field="wire_format")
    if job.operation is Operation.CREATE:
        path = (
            jobs.create.replace("{model}", path_part(request.model or "", "model")) if "{model}" in jobs.create else jobs.create
        )
        return replace(request, method=HttpMethod.POST, path=path or None)
    request = as_question(request)
    if job.operation is Operation.LIST:
        return replace(request, path=jobs.list)
    if job.job_id is None:
        raise ConfigurationError(f"job_id: {job.operation.value} needs one", field="job_id")
    return _of_one(request, jobs, job.operation, job.job_id)


def as_question(request: PrimitiveRequest, path: str | None = None) -> PrimitiveRequest:
    """Give a request that asks after what another one made: without its body, what it is known to cost, and its key."""
    method, stream = HttpMethod.GET, PrimitiveStreamMode.NONE
    return replace(request, method=method, path=path, body=None, stream=stream, idempotency_key=None, cost_usd=None)


def _of_one(request: PrimitiveRequest, jobs: Jobs, operation: Operation, job_id: str) -> PrimitiveRequest:
    template = getattr(jobs, operation.value) or jobs.get
    name = _PLACE.sub("", job_id)
    inside = _IN_A_MODEL.search(name) if request.wire_format is Native.VERTEX_OPERATIONS else None
    if inside is not None and operation is not Operation.CANCEL:  # Vertex AI: a model's own operations are fetched by a POST
        path = f"/{path_part(inside['model'], 'job_id', slashes=True)}:fetchPredictOperation"
        return replace(request, method=HttpMethod.POST, path=path, body=JsonBody({"operationName": job_id}))
    if name.count("/") == 0 and "{name}" in template:
        name = f"operations/{name}"
    path = template.replace("{name}", path_part(name, "job_id", slashes=True))
    path = path.replace("{id}", path_part(name.rpartition("/")[2], "job_id"))
    method = _METHODS.get(operation, HttpMethod.GET)
    body: RequestBody | None = JsonBody({}) if operation is Operation.CANCEL and ":" in template else None
    return replace(request, method=method, path=path, body=body)


def results_file(request: PrimitiveRequest, job: Any) -> str | None:
    """Give the path of the file that holds a finished job's results, where they are in one."""
    jobs = JOBS.get(request.wire_format)
    return None if jobs is None else jobs.file(job)


def job_id_of(job: Any) -> str | None:
    """Give the id of a job as its object says it."""
    if not isinstance(job, dict):
        return None
    found = next((job[name] for name in ("id", "name", "batch_id") if isinstance(job.get(name), str)), None)
    return found or None


def status_of(job: Any) -> Status:
    """Give how a job stands, whatever its provider calls that."""
    if not isinstance(job, dict):
        return Status.UNKNOWN
    metadata = job.get("metadata")
    for place in (job, metadata if isinstance(metadata, dict) else {}):
        state = next((place[name] for name in _STATE_FIELDS if isinstance(place.get(name), str)), None)
        if state is not None:
            found = _BY_STATE.get(_PREFIX.sub("", state.lower()), Status.UNKNOWN)
            ended_by_hand = found is Status.SUCCEEDED and state == "ended" and job.get("cancel_initiated_at") is not None
            return Status.CANCELLED if ended_by_hand else found
    return _of_operation(job)


def _of_operation(job: dict[str, Any]) -> Status:
    """Read a long-running operation: done or not, and with an error or a response."""
    if job.get("done") is True:
        error = job.get("error")
        if not isinstance(error, dict):
            return Status.SUCCEEDED
        return Status.CANCELLED if error.get("code") == 1 else Status.FAILED  # google.rpc.Code: CANCELLED = 1
    return Status.RUNNING if "name" in job else Status.UNKNOWN
