"""The gateway's native calls, which ``Gateway`` inherits: the provider's own words, on the road of every call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .._cancel import CancellationToken
from .._clock import seconds_of
from .._late import importing
from ..errors import ConfigurationError
from .core import Core

if TYPE_CHECKING:
    from ..primitive.job import PrimitiveAsyncJobRequest, PrimitiveAsyncJobResponse
    from ..primitive.realtime import PrimitiveRealtimeSession
    from ..primitive.request import PrimitiveRequest
    from ..primitive.response import PrimitiveResponse
    from ..primitive.streaming import PrimitiveStream

Seconds = float | timedelta


class Primitives:
    """Give a gateway its native calls.

    Keys, windows, breaker, budgets, retries, deadline and cancellation are those of ``call``; ``timeout`` (seconds), ``cancel``
    and ``tenant`` are as there. ``key_label`` names the one key to use: files and jobs are seen by the account that made them. A
    request that makes something is tried again only where it was not received, or has an ``idempotency_key``. Raises
    ``UnsupportedFeatureError``, before anything is sent, for what the primitive registry does not list.
    """

    __slots__ = ()

    _core: Core

    def primitive_call(
        self,
        request: PrimitiveRequest,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        key_label: str | None = None,
    ) -> PrimitiveResponse:
        """Send a native request and give the whole answer as it came; its usage is read and settled where it reports one."""
        with importing:
            from ..primitive.call import checked, primitive_call

        options = _options(self._core, timeout, cancel, tenant, key_label)
        return primitive_call(self._core, checked(request), **options)

    def primitive_stream(
        self,
        request: PrimitiveRequest,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        key_label: str | None = None,
    ) -> PrimitiveStream:
        """Send a native request and give its stream, the status already read: frames of events, or chunks of bytes.

        A stream has a total ``timeout`` only where one is given for it.
        """
        with importing:
            from ..primitive.call import begin, check_stream, checked
            from ..primitive.streaming import primitive_stream

        options = _options(self._core, timeout, cancel, tenant, key_label)
        check_stream(checked(request))
        return primitive_stream(self._core, begin(self._core, request, **options))

    def primitive_realtime(
        self,
        request: PrimitiveRequest,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        key_label: str | None = None,
    ) -> PrimitiveRealtimeSession:
        """Open a session with a model, both ways at once; the request's body, where it has one, is the first message.

        A session has a total ``timeout`` only where one is given for it. Needs the extra ``realtime``.
        """
        with importing:
            from ..primitive.call import checked
            from ..primitive.realtime import primitive_realtime

        options = _options(self._core, timeout, cancel, tenant, key_label)
        return primitive_realtime(self._core, checked(request), **options)

    def primitive_async_job(
        self,
        request: PrimitiveAsyncJobRequest,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
    ) -> PrimitiveAsyncJobResponse:
        """Create a job at the provider's, ask how it stands, list jobs, end one, or collect its results."""
        with importing:
            from ..primitive.job import PrimitiveAsyncJobRequest
            from ..primitive.waiting import async_job

        options = _options(self._core, timeout, cancel, tenant)
        if not isinstance(request, PrimitiveAsyncJobRequest):
            what = f"expected a PrimitiveAsyncJobRequest, got {type(request).__name__}"
            raise ConfigurationError(f"request: {what}", field="request")
        return async_job(self._core, request, **options)

    def primitive_wait(
        self,
        job: PrimitiveAsyncJobResponse | PrimitiveAsyncJobRequest,
        *,
        progress: Callable[[PrimitiveAsyncJobResponse], object] | None = None,
        poll_interval: Seconds = 2.0,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
    ) -> PrimitiveAsyncJobResponse:
        """Wait until a job has come to its end, whichever, and give how it stands then; it runs on where the wait is left.

        ``job`` is what created it, or a request with its ``job_id``. It is asked for every ``poll_interval`` seconds, and then
        less often; ``progress`` is called with every answer. There is no ``timeout`` (seconds) where none is given.
        Raises ``DeadlineExceededError`` with the phase ``job``, and ``CallCancelledError``.
        """
        with importing:
            from ..primitive.waiting import wait_for

        if progress is not None and not callable(progress):
            raise ConfigurationError("progress: expected a callable", field="progress")
        interval = seconds_of(poll_interval, "poll_interval")
        options = _options(self._core, timeout, cancel, tenant)
        return wait_for(self._core, job, progress=progress, poll_interval=interval, **options)


def _options(
    core: Core, timeout: Seconds | None, cancel: CancellationToken | None, tenant: str | None, *key_label: str | None
) -> dict[str, Any]:
    """Check what a call may be given, and the gateway."""
    with importing:
        from .gateway import checked_token

    core.check()
    seconds = None if timeout is None else seconds_of(timeout, "timeout")
    if cancel is not None:
        checked_token(cancel).raise_if_cancelled()
    for name, value in (("tenant", tenant), *(("key_label", label) for label in key_label)):
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name}: expected a string, got {type(value).__name__}", field=name)
    options: dict[str, Any] = {"timeout": seconds, "cancel": cancel, "tenant": tenant}
    return {**options, "key_label": key_label[0]} if key_label else options
