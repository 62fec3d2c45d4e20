"""What a session used: turn by turn as the provider reports it, and what is on the way there by its weight.

Contract: every report is charged by itself, at the rates of its own counts. A turn that was not reported yet is taken for the
conversation so far, what was said since, and what was heard of the answer. What the request says that it costs stands above all;
a format of which no report is known costs what was reserved. Any thread may add to it.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..gateway.call import Estimate, cost_of, is_credible, unpriced
from ..gateway.strict import output_cap, unbounded
from ..policy.pricing import Cost
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from ..types.request import LlmRequest
from ..types.usage import TokenUsage, UsageDetails
from ..wire.realtime import Report, gemini_answer, gemini_report, openai_answer, openai_report, weight_of
from .budget import Measure, Meter, unbounded_cost
from .request import PrimitiveRequest
from .usage import PrimitiveUsageTelemetry

if TYPE_CHECKING:
    from ..gateway.attempt import Attempt
    from ..gateway.call import Call
    from ..gateway.core import Core, Route

Reads = tuple[Callable[[Mapping[str, Any]], Report | None], Callable[[Mapping[str, Any]], Any]]
READS: dict[Native, Reads] = {  # the usage that a message reports, and what it has of an answer
    Native.OPENAI_REALTIME: (openai_report, openai_answer),
    Native.GEMINI_LIVE: (gemini_report, gemini_answer),
}
_SETTINGS = ("setup", "session")


class SessionMeter(Meter):
    """Reserve a session's first turn: what is said first, and one answer; the rest is settled as it is reported."""

    is_metered = True

    def __init__(self, request: PrimitiveRequest) -> None:
        settings = _settings(request)
        model = request.model or settings.get("model") or ""
        super().__init__(request, LlmRequest(model.rpartition("/")[2] if isinstance(model, str) else ""))
        self.settings = settings

    def estimate(self, call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        model = route.model(call.request.model)
        price = core.price(model, route.provider, region=route.region) if model else None
        if price is None and core.config.budgets:
            raise unpriced(model) if model else unbounded_cost()
        prompt = math.ceil(sum(weight_of(self.request.json_body())))
        cap = output_cap(self.settings) or output_cap(self.settings.get("generationConfig"))
        output = core.default_output_tokens(model, route) if cap is None else cap
        prompt_charge = charge = 0
        if price is not None:
            prompt_charge = price.estimate(prompt, 0)
            charge = price.estimate(prompt, output, made=("audio",))
        return Estimate(prompt, prompt + output, prompt_charge, charge, price, None)

    def check_strict(self) -> None:
        """Refuse what a strict budget cannot bound."""
        raise unbounded("a session has no end that is known before")


def _settings(request: PrimitiveRequest) -> dict[str, Any]:
    """Give what the first message sets up."""
    body = request.json_body()
    found = next((body[name] for name in _SETTINGS if name in body), None) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


class Tally:
    """Add up what a session uses."""

    __slots__ = ("_attempt", "_context", "_fixed", "_heard", "_lock", "_reads", "_said", "cost", "raw", "usage")

    def __init__(self, attempt: Attempt, native: PrimitiveRequest) -> None:
        self._attempt = attempt
        self._reads = READS.get(native.wire_format)
        estimate = attempt.estimate
        is_fixed = native.cost_usd is not None or (self._reads is None and estimate.price is not None)
        self._fixed = Cost(request_pico=estimate.charge) if is_fixed else None  # what it costs, whatever is reported
        self._lock = threading.RLock()  # a signal handler may send, in the midst of it
        self._context = 0  # tokens of the conversation, as last reported
        self._said = [0.0, 0.0]  # since then: of texts and audio
        self._heard = [0.0, 0.0]
        self.usage = TokenUsage(0, 0)
        self.cost: Cost | None = None
        self.raw: list[Any] = []

    def read(self, message: Any) -> PrimitiveUsageTelemetry | None:
        """Take in what was received; gives the usage, where it reports one."""
        if self._fixed is not None:
            self._attempt.reported = True
            self._observe()
        if not isinstance(message, dict) or self._reads is None:
            return None
        report, answer = self._reads
        found = report(message)
        if found is not None:
            return self._report(found)
        self._note(self._heard, answer(message))
        return None

    def said(self, message: Any) -> None:
        """Note what is sent."""
        self._note(self._said, message)

    def _note(self, pending: list[float], message: Any) -> None:
        weights = weight_of(message)
        with self._lock:  # Critical section: two sums and what they come to
            for place, weight in enumerate(weights):
                pending[place] += weight
            self._observe()

    def _report(self, report: Report) -> PrimitiveUsageTelemetry:
        """Add a report, and give it as it is told."""
        usage = report.usage
        if is_credible(usage):
            cost = cost_of(self._attempt, usage, report.details)
            with self._lock:  # Critical section: the sums, and that nothing is on the way any more
                self.usage = _added(self.usage, usage)
                self.cost = cost if self.cost is None or cost is None else self.cost + cost
                self._context = usage.total()
                self._said, self._heard = [0.0, 0.0], [0.0, 0.0]
                self._attempt.reported = True
                self._observe()
        self.raw.append(report.raw)
        return PrimitiveUsageTelemetry(report.raw, usage)

    def measure(self) -> Measure:
        """Give what the session is settled by: the reports, and an answer that was begun and not reported."""
        with self._lock:  # Critical section: one look at the sums
            usage, cost = self._sums() if any(self._heard) or self._reads is None else (self.usage, self.cost)
        told = PrimitiveUsageTelemetry(list(self.raw), self.usage) if self.raw else None
        if self._fixed is not None:
            cost = self._fixed
        elif cost is None and self._attempt.estimate.price is not None:
            cost = Cost()
        return Measure(usage, telemetry=told, cost=cost)

    def _sums(self) -> tuple[TokenUsage, Cost | None]:
        """Give usage and cost with what is on the way."""
        if self._reads is None:
            estimate = self._attempt.estimate
            return TokenUsage(estimate.prompt_tokens, estimate.tokens - estimate.prompt_tokens, estimated=True), self._fixed
        said, heard = sum(self._said), sum(self._heard)
        if not said and not heard:
            return self.usage, self.cost
        pending = TokenUsage(self._context + math.ceil(said), math.ceil(heard), estimated=True)
        details = UsageDetails(audio_input_tokens=math.ceil(self._said[1]), audio_output_tokens=math.ceil(self._heard[1]))
        cost = cost_of(self._attempt, pending, details)
        usage = dataclasses.replace(_added(self.usage, pending), estimated=True)
        return usage, cost if self.cost is None or cost is None else self.cost + cost

    def _observe(self) -> None:
        """Note in the reservation what a session that is lost now is charged."""
        usage, cost = self._sums()
        cost = cost if self._fixed is None else self._fixed
        reservation = self._attempt.lease.reservation
        reservation.observed_tokens = usage.total()
        reservation.observed_charge = 0 if cost is None else cost.total_pico


def _added(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.total() + other.total(),
        estimated=one.estimated or other.estimated,
    )
