"""The loop of calls and tools: call, run what was asked for, append, call again; whole answers and streams take the same turns.

Rules. Items are only appended: calls, signatures and reasoning stay as they came, results follow in the order of the calls.
Nothing that a tool or a model does wrong ends the loop: it is told to the model. What ends it is an answer, ``max_turns``, a tool
that only the caller can run, an error of the gateway's, the deadline, the token, or what is no ``Exception``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .._bell import Bell
from .._cancel import CancellationToken, is_from_outside
from .._clock import Deadline, seconds_of, spoken
from ..errors import AdmissionError, AttemptRecord, ConfigurationError, DeadlineExceededError, GatewayError, ProtocolError
from ..policy.limits import check_count
from ..types.capabilities import ToolChoice, ToolDefinition
from ..types.hooks import ToolEnded, ToolStarted
from ..types.message import RequestItem
from ..types.parts import ToolCallPart, ToolResultPart
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ._results import output_of
from ._totals import cost_in_all, usage_in_all
from .tools import ToolLike, toolbox

if TYPE_CHECKING:
    from ..gateway.core import Core
    from ..gateway.gateway import Gateway

WAKE_EVERY_S = 0.05
MAX_ERROR_CHARS = 2_000  # of a tool's exception, which is a prompt to be paid for
PAUSED = "pause_turn"  # Anthropic: tools of its own run long, and the turn goes on when it is sent back


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer, the items to append behind the request's own, and the usage of all turns."""

    response: LlmResponse
    items: tuple[RequestItem, ...]
    usage: TokenUsage


def run(
    gateway: Gateway,
    request: LlmRequest,
    tools: Iterable[ToolLike] | ToolLike,
    *,
    max_turns: int,
    parallel: bool,
    timeout: Any,
    cancel: CancellationToken | None,
    **options: Any,
) -> Outcome:
    """Take turns until there is an answer; ``options`` are those of ``Gateway.call``."""
    loop = Loop(gateway, request, tools, max_turns=max_turns, parallel=parallel, timeout=timeout, cancel=cancel)
    try:
        while True:
            unread: ProtocolError | None = None
            try:
                response = gateway.call(loop.request, timeout=loop.remaining(), cancel=cancel, **options)
            except ProtocolError as error:  # an answer that is not what ``into`` asked for, perhaps words beside tool calls
                if error.response is None:
                    raise
                response, unread = error.response, error
            if not loop.goes_on(response):
                if unread is not None:
                    raise unread
                return loop.outcome()
    except GatewayError as error:
        loop.account(error)
        raise


class Loop:
    """Hold what the turns of one answer share: ``request`` is the next call's, ``results`` are the last tools'."""

    def __init__(
        self,
        gateway: Gateway,
        request: LlmRequest,
        tools: Iterable[ToolLike] | ToolLike,
        *,
        max_turns: int,
        parallel: bool,
        timeout: Any,
        cancel: Any,
    ) -> None:
        check_count(max_turns, "max_turns")
        if not isinstance(cancel, CancellationToken | None):
            raise ConfigurationError(f"cancel: expected a CancellationToken, got {type(cancel).__name__}", field="cancel")
        self._tools, definitions = toolbox(tools)
        self.request = _offering(request, definitions)
        self._asked = self.request.normalized_input()
        self._offered = {tool.name for tool in self.request.capabilities.tools}
        self._core = gateway._core
        self._max_turns = max_turns
        self._parallel = parallel
        self._cancel: CancellationToken | None = cancel
        self._started = self._core.clock.monotonic()
        self._timeout = None if timeout is None else seconds_of(timeout, "timeout")
        self._deadline = Deadline(self._started + (math.inf if self._timeout is None else self._timeout), self._core.clock)
        self._items: list[RequestItem] = []
        self._responses: list[LlmResponse] = []
        self.results: tuple[ToolResultPart, ...] = ()

    # --- turns ------------------------------------------------------------------------------------------------------------------

    def remaining(self) -> float | None:
        """Give the time that the next call has, ``None`` where the loop has no limit; raises where none is left."""
        if self._timeout is None:
            return None
        left = self._deadline.remaining()
        if left <= 0:
            raise self._late("no time is left for the next call")
        return left

    def goes_on(self, response: LlmResponse) -> bool:
        """Take an answer in, and run the tools it calls; tell whether ``request`` is to be called next."""
        self._responses.append(response)
        self._items += response.as_input()
        parts = response._parts()
        answered = {part.call_id for part in parts if isinstance(part, ToolResultPart)}  # the provider ran those
        calls = [call for call in response.tool_calls if call.call_id not in answered]
        if len(self._responses) >= self._max_turns or any(self._is_callers(call.name) for call in calls):
            return False
        if not calls and response.raw_finish_reason != PAUSED:
            return False
        self.results = self._run(calls)
        self._items += self.results
        self.request = replace(
            self.request,
            input=(*self._asked, *self._items),
            messages=(),
            capabilities=replace(self.request.capabilities, tool_choice=_relaxed(self.request.capabilities.tool_choice)),
        )
        return True

    def outcome(self) -> Outcome:
        """Give the last answer, its ``meta`` with all turns added up."""
        response = self._responses[-1]
        cost = cost_in_all(self._responses)
        meta = replace(
            response.meta,
            attempts=self._attempts(),
            cost=cost,
            cost_usd=None if cost is None else cost.usd,
            latency=self._core.clock.monotonic() - self._started,
            time_to_first_event=self._responses[0].time_to_first_event,
        )
        usage = usage_in_all(answer.usage for answer in self._responses)
        return Outcome(replace(response, meta=meta), tuple(self._items), usage)

    def account(self, error: GatewayError) -> None:
        """Write into the error that ends the loop what was tried in the turns before."""
        if self._responses and not isinstance(error, AdmissionError):  # that one says so of its own call
            error.sent = "yes"
        error.attempts = (*self._attempts(), *error.attempts)

    def _attempts(self) -> tuple[AttemptRecord, ...]:
        return tuple(record for response in self._responses for record in response.attempts)

    def _is_callers(self, name: str) -> bool:
        return name in self._offered and name not in self._tools

    # --- tools ------------------------------------------------------------------------------------------------------------------

    def _run(self, calls: list[ToolCallPart]) -> tuple[ToolResultPart, ...]:
        if self._parallel and calls:
            return self._at_once(calls)
        results = []
        for call in calls:
            self._check(call.name)
            results.append(self._result(call))
        return tuple(results)

    def _at_once(self, calls: list[ToolCallPart]) -> tuple[ToolResultPart, ...]:
        futures: list[Future[ToolResultPart]] = []
        bell = Bell()  # not ``concurrent.futures.wait``: interrupted, it leaves a lock at which a worker would wait for ever
        self._check(calls[0].name)
        try:
            for call in calls:
                futures.append(self._core.workers.submit(partial(self._result, call)))
                futures[-1].add_done_callback(lambda _: bell.set())
            while True:
                bell.clear()
                running = [call.name for call, future in zip(calls, futures, strict=True) if not _is_over(future)]
                if not running:
                    return tuple(future.result() for future in futures)
                self._check(running[0])
                bell.wait(min(WAKE_EVERY_S, self._deadline.remaining()))
        finally:
            for future in futures:
                future.cancel()  # one that has not begun; what runs is left to finish

    def _check(self, name: str) -> None:
        """Raise what ends the loop while a tool runs."""
        self._core.check()
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        if self._deadline.expired:
            raise self._late(f"the tool {name} was not done")

    def _late(self, what: str) -> DeadlineExceededError:
        limit = "" if self._timeout is None else f": the timeout of {spoken(self._timeout)} is over"
        return DeadlineExceededError(f"{what}{limit}", phase="tools", sent="yes")

    def _result(self, call: ToolCallPart) -> ToolResultPart:
        tool = self._tools.get(call.name)
        if tool is None:
            return _failed(call, f"there is no tool {call.name!r:.80}: there is {', '.join(sorted(self._tools)) or 'none'}")
        if isinstance(call.arguments, str):
            return _failed(call, "the arguments are no JSON object")
        try:
            given = tool.read(call.arguments)
        except ProtocolError as error:
            return _failed(call, f"the arguments do not fit at {error.pointer or '/'}: {error.message}")
        except RecursionError:
            return _failed(call, "the arguments are nested too deep")
        told = ToolRun(self._core, call) if self._core.config.hooks else None
        try:
            output = output_of(tool(**given))
        except BaseException as error:  # the boundary to the user's code: the model is told
            if told is not None:
                told.ended(type(error).__name__)
            if is_from_outside(error):
                raise
            return _failed(call, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        if told is not None:
            told.ended(None)
        return ToolResultPart(call.call_id, output)


class ToolRun:
    """Tell the hooks that a tool runs, and that it has run."""

    __slots__ = ("_call", "_core", "_id", "_started")

    def __init__(self, core: Core, call: ToolCallPart) -> None:
        self._core = core
        self._call = call
        self._id = os.urandom(8).hex()
        self._started = core.clock.monotonic()
        core.emit(ToolStarted(self._id, call.name, call.call_id))

    def ended(self, error: str | None) -> None:
        """Tell of the end, and of the class of what was raised."""
        took = self._core.clock.monotonic() - self._started
        self._core.emit(ToolEnded(self._id, self._call.name, self._call.call_id, error, took))


def _is_over(future: Future[ToolResultPart]) -> bool:
    """Tell whether the tool has run; raises what was no ``Exception`` of its own."""
    if not future.done():
        return False
    future.result()
    return True


def _failed(call: ToolCallPart, what: str) -> ToolResultPart:
    return ToolResultPart(call.call_id, what if len(what) <= MAX_ERROR_CHARS else what[:MAX_ERROR_CHARS] + "…", is_error=True)


def _offering(request: LlmRequest, definitions: Iterable[ToolDefinition]) -> LlmRequest:
    """Give the request with the tools among its own, in the place of one of the same name."""
    ours = {tool.name: tool for tool in definitions}
    if not ours:
        return request
    tools = tuple(ours.pop(tool.name, tool) for tool in request.capabilities.tools)
    return replace(request, capabilities=replace(request.capabilities, tools=(*tools, *ours.values())))


def _relaxed(choice: ToolChoice | None) -> ToolChoice | None:
    """Give the choice for the turns behind the first: what demands a tool would demand one for ever."""
    return choice if choice is None or choice.mode not in ("required", "named") else replace(choice, mode="auto", name=None)
