"""The gateway: one blocking call in front of every endpoint and key it was given."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Generator, Iterable, Mapping
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, Unpack, overload

from .._cancel import CancellationToken
from .._clock import SYSTEM_CLOCK, Clock, seconds_of
from .._late import importing
from .._secret import sealed
from ..config import GatewayConfig
from ..errors import ConfigurationError
from ..policy.budget import PICO
from ..state import KeyStatus
from ..transport.http import HttpTransport
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from .attempt import Attempt
from .call import Call
from .core import Core
from .overlay import Overlay, Settings, laid_over
from .primitives import Primitives
from .request import checked_request, request_of
from .route import Walk
from .shorthands import Endpoints
from .stream import GatewayStream

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..people.structured import Target
    from ..people.tools import ToolLike
    from .workers import WorkerFuture

Seconds = float | timedelta


class Gateway(Endpoints, Primitives):
    """Call language models from any thread: keys, limits, breaker, budget, retries and fallback are taken care of.

    Made by ``GatewayBuilder`` or of a ``GatewayConfig``. ``close()`` it, or use it in ``with``, when it is no longer needed.
    """

    __slots__ = ("__weakref__", "_core")

    def __init__(
        self,
        config: GatewayConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        transport: HttpTransport | None = None,
    ) -> None:
        if not isinstance(config, GatewayConfig):
            raise ConfigurationError(f"config: expected a GatewayConfig, got {type(config).__name__}", field="config")
        self._core = Core(config, clock=clock, rng=rng, transport=transport)

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | os.PathLike[str], *, name: str | None = None) -> Self:
        """Make the gateway that a mapping or a TOML file describes; ``name`` says which, where it describes several.

        Raises ``ConfigurationError`` naming the file, the table and the field.
        """
        if isinstance(config, Mapping):
            found: dict[str, Any] = sealed(config)
            del config  # a report of a traceback's locals shows this frame's too
            return cls(GatewayConfig.from_mapping(found, name=name))
        return cls(GatewayConfig.from_file(config, name=name))

    @classmethod
    def from_env(cls) -> Self:
        """Make the gateway that the environment describes: ``OMNILLM_CONFIG``, or ``OMNILLM_MODEL`` and what stands with it."""
        return cls(GatewayConfig.from_env())

    def call(
        self,
        request: LlmRequest | str,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> LlmResponse:
        """Send a request and give the whole answer; ``timeout`` (seconds) is a deadline over attempts and bodies.

        ``into`` is a type (a dataclass, a ``TypedDict``, ``list[…]``, a pydantic model, …) or a JSON Schema: the model is asked
        for it and ``response.parsed`` is it. Every other name is laid over the request's field of that name: ``temperature=0``.

        Raises ``GatewayError``: what was tried is in its ``attempts``, when to come back in its ``retry_after``. An answer that
        is not what ``into`` asked for is a ``ProtocolError`` with the ``response``.
        """
        core = self._core
        call = self._begin(request, streaming=False, timeout=timeout, cancel=cancel, tenant=tenant, into=into, overlay=overlay)
        response: LlmResponse | None = None
        try:
            response = Walk(core, call).run(Attempt.complete)
        finally:
            call.ended(core, "failed" if response is None else "ok", response)
        return response if call.target is None else call.target.fill(response)

    def stream(
        self,
        request: LlmRequest | str,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> GatewayStream:
        """Send a request and give its stream, the status already read: errors up to there are raised here.

        A stream has a total ``timeout`` (seconds) only where one is given for it. ``into`` and what is laid over the request are
        as for ``call``: ``stream.response.parsed`` is the value, and an answer that does not fit is raised behind the last event.
        """
        call = self._begin(request, streaming=True, timeout=timeout, cancel=cancel, tenant=tenant, into=into, overlay=overlay)
        try:
            return GatewayStream(self._core, Walk(self._core, call))
        except BaseException:
            call.ended(self._core, "failed")
            raise

    def _begin(
        self,
        request: LlmRequest | str,
        *,
        streaming: bool,
        timeout: Seconds | None,
        cancel: CancellationToken | None,
        tenant: str | None,
        into: Any,
        overlay: Overlay,
    ) -> Call:
        core = self._core
        core.check()
        seconds = None if timeout is None else seconds_of(timeout, "timeout")
        if cancel is not None:
            checked_token(cancel).raise_if_cancelled()
        if tenant is not None and not isinstance(tenant, str):
            raise ConfigurationError(f"tenant: expected a string, got {type(tenant).__name__}", field="tenant")
        target: Target | None = None
        if overlay:
            request = laid_over(request_of(request, core.config.default_model), overlay)
        if into is not None:
            with importing:
                from ..people.structured import target_of

            target = target_of(into)
            request = target.asked_of(request_of(request, core.config.default_model))
        checked = checked_request(request, core.config.default_model)
        return Call(core, checked, streaming=streaming, timeout=seconds, cancel=cancel, tenant=tenant, target=target)

    def run_tools(
        self,
        request: LlmRequest | str,
        tools: Iterable[ToolLike] | ToolLike,
        *,
        max_turns: int = 8,
        parallel: bool = True,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Settings],
    ) -> LlmResponse:
        """Call the model, run the tools that it calls and give it their results, until it answers; give that answer.

        ``tools`` are functions marked ``@tool``, plain typed functions, or definitions without a function: the response that
        calls one of those is given back as it is, and so is the one of turn ``max_turns``: look at its ``tool_calls``. What a
        tool raises is told to the model. Tools of one turn run at once, on worker threads, or one after the other on this thread
        where ``parallel`` is false. ``timeout`` is one deadline over the whole loop; a tool that is in its way is left to finish
        by itself. A ``tool_choice`` that demands a tool holds for the first turn. ``meta`` adds all turns up; ``usage`` is of
        the last one.
        """
        with importing:
            from ..people.loop import run

        request = self._laid_over(request, overlay)
        options = {"timeout": timeout, "cancel": cancel, "tenant": tenant, "into": into}
        return run(self, request, tools, max_turns=max_turns, parallel=parallel, **options).response

    def _laid_over(self, request: LlmRequest | str, overlay: Mapping[str, Any]) -> LlmRequest:
        request = request_of(request, self._core.config.default_model)
        return laid_over(request, overlay) if overlay else request

    # --- many at once -----------------------------------------------------------------------------------------------------------

    def submit(
        self,
        request: LlmRequest | str,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> Future[LlmResponse]:
        """Make the call on a worker thread, in this thread's context; ``future.cancel()`` ends it even where it runs.

        At most ``max_workers`` run at once, the others wait; ``timeout`` counts from when a worker takes the call. The threads
        are daemons: interpreter exit does not wait for them. The rest is as for ``call``.
        """
        tokens = () if cancel is None else (checked_token(cancel),)
        _check_overlay(overlay)
        return self._submitted(request, *tokens, timeout=timeout, tenant=tenant, into=into, **overlay)

    def _submitted(self, request: LlmRequest | str, *tokens: CancellationToken, **options: Any) -> WorkerFuture[LlmResponse]:
        with importing:
            from .workers import WorkerFuture

        self._core.check()
        future: WorkerFuture[LlmResponse] = WorkerFuture()
        for token in tokens:
            future.obey(token)
        return self._core.workers.submit(partial(self.call, request, cancel=future.token, **options), future)

    @overload
    def map(
        self,
        requests: Iterable[LlmRequest | str],
        *,
        concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool = False,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> Generator[LlmResponse, None, None]: ...

    @overload
    def map(
        self,
        requests: Iterable[LlmRequest | str],
        *,
        concurrency: int | None = None,
        return_exceptions: bool,
        progress: bool = False,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> Generator[LlmResponse | Exception, None, None]: ...

    def map(
        self,
        requests: Iterable[LlmRequest | str],
        *,
        concurrency: int | None = None,
        return_exceptions: bool = False,
        progress: bool = False,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Overlay],
    ) -> Generator[LlmResponse | Exception, None, None]:
        """Make many calls on worker threads and give their answers in the order of the requests.

        At most ``concurrency`` requests (``max_workers`` where unset) are taken and not yet given back, beginning with the first
        ``next()``. An exception is raised at its place and the rest is cancelled, or given in its place where
        ``return_exceptions``. Leaving the iterator, by ``close()`` or for good, cancels what runs. ``progress`` shows tqdm's bar.
        The rest is as for ``call``, of each.
        """
        with importing:
            from .batch import mapped

        self._core.check()
        tokens = () if cancel is None else (checked_token(cancel),)
        _check_overlay(overlay)
        return mapped(
            lambda request, end: self._submitted(request, end, *tokens, timeout=timeout, tenant=tenant, into=into, **overlay),
            requests,
            concurrency=self._core.config.max_workers if concurrency is None else concurrency,
            return_exceptions=return_exceptions,
            progress=progress,
        )

    # --- figures ----------------------------------------------------------------------------------------------------------------

    def pool_status(self) -> list[KeyStatus]:
        """Tell how every key stands, in the order given; after ``close()`` too."""
        self._core.mend()
        return list(self._core.store.snapshot().keys)

    def budget_used_usd(self) -> float:
        """Give what was spent under the gateway's own budget, or in all where it has none (USD); after ``close()`` too."""
        self._core.mend()
        return self._core.store.snapshot().spent / PICO

    def budget_remaining_usd(self) -> float:
        """Give what the gateway's own budget has left, what is reserved taken off; ``math.inf`` where there is none (USD)."""
        self._core.mend()
        left = [
            budget.limit - budget.used - budget.reserved
            for budget in self._core.store.snapshot().budgets
            if budget.scope == "gateway"
        ]
        return max(min(left), 0) / PICO if left else math.inf

    def _repr_html_(self) -> str:
        with importing:
            from ._display import html_of

        self._core.mend()
        return html_of(self._core.store.snapshot())

    def _repr_markdown_(self) -> str:
        with importing:
            from ._display import markdown_of

        self._core.mend()
        return markdown_of(self._core.store.snapshot())

    def revive(self, label: str) -> None:
        """Take a retired, cooling or set-aside key back into service; raises ``ConfigurationError`` for an unknown label."""
        self._core.check()
        self._core.store.revive(label)

    # --- the end ----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every connection and end every wait and open stream; later calls raise ``ClosedError``."""
        self._core.close()

    def __enter__(self) -> Self:
        self._core.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a Gateway holds connections and does not pickle: send its GatewayConfig, with keys from_env, and make one there"
        )

    def __repr__(self) -> str:
        core = self._core
        keys = sum(len(route.secrets) for route in core.routes)
        held = f"{keys} {'key' if keys == 1 else 'keys'}"
        return f"<Gateway {', '.join(route.name for route in core.routes)} with {held}{' closed' if core.closed else ''}>"


def checked_token(cancel: object) -> CancellationToken:
    """Give the token; raises ``ConfigurationError`` where it is none."""
    if not isinstance(cancel, CancellationToken):
        raise ConfigurationError(f"cancel: expected a CancellationToken, got {type(cancel).__name__}", field="cancel")
    return cancel


def _check_overlay(overlay: Overlay) -> None:
    """Refuse, before a thread is asked, what no call would take."""
    if overlay:
        laid_over(LlmRequest(""), overlay)
