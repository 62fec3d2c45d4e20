"""One call of a user's, as its attempts share it: the request, what it may cost, its time, what was tried."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from .. import _json
from .._cancel import CancellationToken
from .._clock import Deadline, spoken
from .._dataclass import dataclass
from ..errors import AttemptRecord, DeadlineExceededError, GatewayError, LossyRequestError, Sent, UnknownPriceError
from ..hooks import logger
from ..policy.limits import LossPolicy
from ..policy.pricing import ModelPrice
from ..types.hooks import CallEnded
from ..types.report import Loss
from ..types.request import BYTES_PER_TOKEN, LlmRequest
from ..types.response import LlmResponse
from ..wire import emit_request_with_losses
from .strict import check_payload, strict_prompt_tokens

if TYPE_CHECKING:
    from ..people.structured import Target
    from ..policy.retry import CallTicket
    from .core import Core, Route

LOG_LOSSES = 5
_NOT_ASKED = ("/capabilities/structured_output/name", "/capabilities/structured_output/strict")  # of who gave a type to read into
_SENT: tuple[Sent, ...] = ("no", "maybe", "yes")


@dataclass(frozen=True, slots=True)
class Emitted:
    """A request as one endpoint is sent it."""

    body: bytes
    path: str
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an attempt reserves: tokens for the window, pico-dollars for the budgets, and the prompt's share of both.

    ``output_cap`` is the output cap that the provider is told, where it is told one.
    """

    prompt_tokens: int
    tokens: int
    prompt_charge: int
    charge: int
    price: ModelPrice | None
    output_cap: int | None

    def output_of(self, size: int) -> int:
        """Estimate the tokens of output by its length in bytes; never more than the cap that was asked for."""
        tokens = -(-size // BYTES_PER_TOKEN)
        return tokens if self.output_cap is None else min(tokens, self.output_cap)


def utf8_size(text: str) -> int:
    """Give the text's bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Call:
    """Hold what the attempts of one call share."""

    __slots__ = (
        "_emitted",
        "_estimates",
        "cancel",
        "deadline",
        "downgraded_from",
        "left",
        "limit",
        "over",
        "prompt_tokens",
        "records",
        "request",
        "started",
        "streaming",
        "target",
        "tenant",
        "ticket",
    )

    def __init__(
        self,
        core: Core,
        request: LlmRequest,
        *,
        streaming: bool,
        timeout: float | None,
        cancel: CancellationToken | None,
        tenant: str | None,
        target: Target | None = None,
    ) -> None:
        total = timeout if timeout is not None else (math.inf if streaming else core.config.timeouts.total)
        model = request.model if core.router is None else core.affordable(core.router, request.model, tenant)
        self.downgraded_from = None if model == request.model else request.model
        self.request = request if model == request.model else dataclasses.replace(request, model=model)
        self.streaming = streaming
        self.cancel = cancel
        self.tenant = tenant
        self.target = target  # what the answer is read into
        self.left = False  # its stream was closed
        self.over = False
        self.started = core.clock.monotonic()
        self.deadline = Deadline(self.started + total, core.clock)
        self.limit = f"the {'request_timeout' if timeout is None else 'timeout'} of {spoken(total)} is over"
        self.records: list[AttemptRecord] = []
        self.prompt_tokens = self.request.estimated_prompt_tokens()
        self.ticket: CallTicket = core.allowance.enter()
        self._emitted: dict[str, Emitted] = {}
        self._estimates: dict[str, Estimate] = {}

    def estimate(self, core: Core, route: Route) -> Estimate:
        """Give what an attempt at the route reserves: the prompt and the whole output cap, each at its uncached rate.

        Raises ``UnknownPriceError`` where a budget is set and the model has no price.
        """
        found = self._estimates.get(route.pool.name)
        if found is None:
            model = route.model(self.request.model)
            price = core.price(model)
            if price is None and core.config.budgets:
                raise UnknownPriceError(f"{model} has no price, and a budget is set: give PriceTable one for it", model=model)
            prompt = self.prompt_tokens
            if core.strict:
                prompt = strict_prompt_tokens(self.request, self.emitted(core, route).body)
            cap = self.request.generation.max_output_tokens
            output = core.config.pool.default_output_tokens if cap is None else cap
            prompt_charge = charge = 0
            if price is not None:
                bound = price.ceiling if core.strict else price.estimate
                prompt_charge, charge = price.estimate(self.prompt_tokens, 0), bound(prompt, output)
            found = self._estimates[route.pool.name] = Estimate(
                self.prompt_tokens, self.prompt_tokens + output, prompt_charge, charge, price, output if core.strict else cap
            )
        return found

    def emitted(self, core: Core, route: Route) -> Emitted:
        """Give the request as the route is sent it, written once; raises ``LossyRequestError`` where the policy says so."""
        found = self._emitted.get(route.pool.name)  # not the endpoint's name: one endpoint may be two routes
        if found is None:
            found = self._emitted[route.pool.name] = self._emit(core, route)
        return found

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the caller's own token ended the call."""
        return self.cancel is not None and self.cancel.cancelled

    def account(self, error: GatewayError) -> None:
        """Write into the error that ends the call what was tried, whether any of it was sent, and which time was over."""
        if isinstance(error, DeadlineExceededError) and self.deadline.expired and self.limit not in error.message:
            error.args = (f"{error.message}: {self.limit}",)
        error.attempts = tuple(self.records)
        error.sent = max((error.sent, *(record.sent for record in self.records)), key=_SENT.index)

    def ended(self, core: Core, outcome: str, response: LlmResponse | None = None) -> None:
        """Count the call out, and tell the hooks, once."""
        if self.over:
            return
        self.over = True
        core.allowance.leave(self.ticket)
        if core.config.hooks:
            usage, cost_usd = (None, None) if response is None else (response.usage, response.cost_usd)
            latency = core.clock.monotonic() - self.started
            core.emit(CallEnded(self.request.model, outcome, tuple(self.records), usage, cost_usd, latency))

    def _emit(self, core: Core, route: Route) -> Emitted:
        request = self.request
        model = route.model(request.model)
        if model != request.model:
            request = dataclasses.replace(request, model=model)
        if core.strict and request.generation.max_output_tokens is None:
            capped = dataclasses.replace(request.generation, max_output_tokens=core.config.pool.default_output_tokens)
            request = dataclasses.replace(request, generation=capped)
        if self.target is not None:
            request = self.target.asked_in(request, route.codec.fit_format)
        stream = True if self.streaming else (None if request.stream is None else False)
        endpoint = route.endpoint
        payload, losses = emit_request_with_losses(
            route.codec.wire_format,
            request,
            stream=stream,
            text_content=endpoint.text_content,
            output_cap=endpoint.output_cap,
        )
        if self.target is not None:
            losses = tuple(loss for loss in losses if loss.pointer not in _NOT_ASKED)
        if losses:
            self._account(core, losses)
        if self.streaming and endpoint.asks_for_usage:
            payload = route.codec.ask_for_usage(payload)
        payload = route.codec.prepare_body(payload)
        if core.strict:
            check_payload(payload, request.generation.max_output_tokens)
        return Emitted(_json.dump_bytes(payload), route.codec.path(request, self.streaming), losses)

    @staticmethod
    def _account(core: Core, losses: tuple[Loss, ...]) -> None:
        policy = core.config.losses
        if policy is LossPolicy.RAISE:
            raise LossyRequestError(f"the endpoint cannot carry the whole request: {losses[0].reason}", losses=losses)
        if policy is LossPolicy.WARN:
            for loss in losses[:LOG_LOSSES]:
                logger.warning("lost in translation: %s (%s)", loss.pointer, loss.reason)
