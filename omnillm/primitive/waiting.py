"""Jobs, step by step: one operation is one native call; waiting for a job's end is one such call after another.

A job is seen by the account that made it: what follows its creation is asked with the key that made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .._cancel import CancellationToken
from .._clock import Deadline, spoken
from ..errors import ConfigurationError, DeadlineExceededError, NoAvailableKeyError, RateLimitedError
from ..types.primitive import PrimitiveAsyncJobOperation as Operation
from .call import primitive_call
from .job import PrimitiveAsyncJobRequest, PrimitiveAsyncJobResponse
from .jobs import as_question, job_id_of, native_request, results_file, status_of
from .response import PrimitiveResponse

if TYPE_CHECKING:
    from ..gateway.core import Core

Progress = Callable[[PrimitiveAsyncJobResponse], object]

WAKE_EVERY_S = 0.05
LONGEST_INTERVAL_S = 60.0
GROWTH = 1.5


def async_job(
    core: Core,
    job: PrimitiveAsyncJobRequest,
    *,
    timeout: float | None = None,
    cancel: CancellationToken | None = None,
    tenant: str | None = None,
) -> PrimitiveAsyncJobResponse:
    """Ask one thing of a job; results that are in a file are read from it, all within the one deadline."""
    total = core.config.timeouts.total if timeout is None else timeout
    deadline = Deadline(core.clock.monotonic() + total, core.clock)
    options = {"cancel": cancel, "tenant": tenant, "key_label": job.key_label}
    response = primitive_call(core, native_request(job), timeout=total, **options)
    found = response.json()
    status, job_id = status_of(found), job.job_id
    if job.operation is Operation.CREATE or job_id is None:
        job_id = job_id_of(found) if job.operation is not Operation.LIST else None
    path = results_file(job.request, found) if job.operation is Operation.RESULTS and job.request.path is None else None
    if path is not None:
        left = deadline.remaining()
        if left <= 0:
            raise DeadlineExceededError("time ran out before the file of results was asked for", phase="job", sent="yes")
        options["key_label"] = response.key_label
        response = _with_cost_of(response, primitive_call(core, as_question(job.request, path), timeout=left, **options))
    return PrimitiveAsyncJobResponse(job.operation, status, response, job_id, asked=job)


def _with_cost_of(job: PrimitiveResponse, file: PrimitiveResponse) -> PrimitiveResponse:
    """Give the file of results with the usage of its job, and what both requests cost."""
    cost = file.cost if job.cost is None else job.cost if file.cost is None else job.cost + file.cost
    usd = None if cost is None else cost.usd
    meta = replace(file.meta, cost=cost, cost_usd=usd, attempts=(*job.attempts, *file.attempts))
    return replace(file, usage=job.usage, meta=meta)


def wait_for(
    core: Core,
    job: PrimitiveAsyncJobResponse | PrimitiveAsyncJobRequest,
    *,
    progress: Progress | None,
    poll_interval: float,
    timeout: float | None,
    cancel: CancellationToken | None,
    tenant: str | None,
) -> PrimitiveAsyncJobResponse:
    """Ask how a job stands until it has come to its end, whichever, and give that; intervals grow to a minute at most."""
    asks = _question(job)
    if isinstance(job, PrimitiveAsyncJobResponse) and job.status.is_over:
        return job
    deadline = Deadline(core.clock.monotonic() + (math.inf if timeout is None else timeout), core.clock)
    interval = poll_interval
    while True:
        left = deadline.remaining()
        if left <= 0:
            raise DeadlineExceededError(f"the job has not ended within {spoken(timeout or 0.0)}", phase="job", sent="yes")
        try:
            found = async_job(core, asks, timeout=min(left, core.config.timeouts.total), cancel=cancel, tenant=tenant)
        except (NoAvailableKeyError, RateLimitedError) as busy:
            if busy.retry_after is None:
                raise
            wait = max(busy.retry_after, WAKE_EVERY_S)
        else:
            wait = 0.0
        if wait:  # no key may ask now, and the job runs on
            _pause(core, min(wait, deadline.remaining()), cancel)
            continue
        if progress is not None:
            progress(found)
        if found.status.is_over:
            return found
        asks = replace(asks, key_label=found.meta.key_label)
        _pause(core, min(interval, deadline.remaining()), cancel)
        interval = max(poll_interval, min(interval * GROWTH, LONGEST_INTERVAL_S))


def _question(job: PrimitiveAsyncJobResponse | PrimitiveAsyncJobRequest) -> PrimitiveAsyncJobRequest:
    """Give the request that asks how a job stands."""
    asked = job.asked if isinstance(job, PrimitiveAsyncJobResponse) else job
    if not isinstance(asked, PrimitiveAsyncJobRequest):
        expected = "what primitive_async_job gave, or a PrimitiveAsyncJobRequest with a job_id"
        raise ConfigurationError(f"job: expected {expected}", field="job")
    label = asked.key_label
    if isinstance(job, PrimitiveAsyncJobResponse):
        label = label or job.meta.key_label
    if job.job_id is None:
        raise ConfigurationError("job_id: a job is waited for by its id", field="job_id")
    own_path = asked.request.path if asked.operation is Operation.GET else None  # the caller's, of how it stands
    return PrimitiveAsyncJobRequest(Operation.GET, as_question(asked.request, own_path), job.job_id, label)


def _pause(core: Core, seconds: float, cancel: CancellationToken | None) -> None:
    """Let the time pass; ends at once on cancel and close."""
    until = core.clock.monotonic() + seconds
    while (left := until - core.clock.monotonic()) > 0:
        core.check()
        if cancel is not None:
            cancel.raise_if_cancelled()
        core.clock.sleep(min(left, WAKE_EVERY_S))
