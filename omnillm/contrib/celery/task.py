"""The task: what it raises decides whether it comes back, and when."""

from __future__ import annotations

import gc
import math
import random
import traceback
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from celery import Task, shared_task, signals
from celery.exceptions import SoftTimeLimitExceeded

from ..._cancel import is_from_outside, pass_through
from ..._clock import seconds_of
from ...errors import ConfigurationError, OmniLLMError
from ...gateway.gateway import Gateway
from .._gateways import DEFAULT
from .errors import travelling
from .gateways import gateway_of
from .retries import countdown_of, wait_after

pass_through(SoftTimeLimitExceeded)  # raised by a signal handler wherever the task is; no hook and no tool keeps it


class OmniLLMTask(Task):  # type: ignore[misc]  # of a library without types
    """Be the base of tasks that call models: ``@app.task(base=OmniLLMTask, bind=True)``, or ``@omnillm_task``.

    An error of omnillm that time may mend brings the task back: after what the error says, and a random while on top, at most
    ``max_countdown`` seconds, and at most ``max_retries`` times (``None``: for ever). Any other fails the task at once. Without
    ``retry_unknown`` it does not come back either where the first try may have reached the model. ``gateway_alias`` is
    which of the gateways of the setting ``omnillm``. ``jitter`` gives random numbers from 0 to 1.
    """

    abstract = True
    max_retries: int | None = 30
    max_countdown: float = 600.0
    retry_base: float = 1.0
    retry_unknown: bool = True
    gateway_alias: str = DEFAULT
    jitter: Callable[[], float] = staticmethod(random.random)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("max_countdown", "retry_base"):
            if math.isinf(seconds_of(getattr(cls, name), name)):
                raise ConfigurationError(f"{name}: expected a finite number of seconds", field=name)

    @property
    def gateway(self) -> Gateway:
        """Give the gateway of this process, made on first use by the application's setting ``omnillm``."""
        return gateway_of(self._get_app(), self.gateway_alias)

    def idempotency_key(self, part: str = "") -> str:
        """Name this task's work, or a part of it, alike at each of its tries: for ``PrimitiveRequest(idempotency_key=…)``."""
        own = self.request.id or str(uuid4())  # called as a function it has no id, and no second try
        return f"{own}:{part}" if part else own

    def wait_after(self, error: OmniLLMError) -> float | None:
        """Give how long to wait after the error (seconds), or ``None`` to fail; override it to judge otherwise."""
        return wait_after(error, retry_unknown=self.retry_unknown)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; called as a function it raises what comes up as it is."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            return self.run(*args, **kwargs)
        except OmniLLMError as error:
            failure = error
        try:
            raise self._after(failure)  # where nothing is being handled: whatever is raised has no context
        finally:
            del failure  # its traceback holds this frame

    def _after(self, error: OmniLLMError) -> OmniLLMError:
        """Bring the task back, by raising Celery's ``Retry``, or give the error that it ends with."""
        wait, told = self.wait_after(error), travelling(error)
        if wait is None or not self._may_wait(wait):
            return told
        countdown = countdown_of(wait, self.request.retries, self.jitter(), base=self.retry_base, most=self.max_countdown)
        self.retry(exc=told, countdown=countdown)
        return told

    def _may_wait(self, wait: float) -> bool:
        """Tell whether the retries that are left reach as far: if not, there is no use in any of them."""
        most = math.inf if self.max_retries is None else self.max_retries - self.request.retries
        return wait <= most * self.max_countdown


def omnillm_task(*args: Any, app: Any = None, **options: Any) -> Any:
    """Make a task of a function whose first parameter is the task: ``self.gateway`` is the gateway.

    Takes what ``app.task`` takes, and the attributes of ``OmniLLMTask``: ``@omnillm_task(max_retries=5, max_countdown=60)``.
    Without ``app`` it belongs to whichever application is there, as one of ``shared_task``.
    """
    make = shared_task if app is None else app.task
    return make(*args, **{"base": OmniLLMTask, "bind": True, **options})


def let_go(task: Any = None, retval: Any = None, **_: Any) -> None:
    """Let go of what the frames of a reported error hold: an idle process keeps a task's error until its next task.

    Celery clears the frames of the error, and not those of the errors in whose handling it came up: a stream may be in one. What
    was interrupted from outside may have been in the midst of anything, and be held by a cycle, which nobody collects meanwhile.
    """
    seen: list[BaseException] = []
    errors = [retval, getattr(retval, "exc", None)] if isinstance(task, OmniLLMTask) else []
    while errors:
        error = errors.pop()
        if isinstance(error, BaseException) and not any(error is one for one in seen):
            seen.append(error)
            errors += [error.__context__, error.__cause__]
            traceback.clear_frames(error.__traceback__)
    if any(is_from_outside(error) for error in seen):
        gc.collect()


signals.task_postrun.connect(let_go)
