"""What batches cost: those whose requests are in the call when they are created, those of a file when they have ended.

Rules: requests in the call are estimated like calls, at the price of the tier ``batch``, and charged so at once: nobody may ever
look at their results. A file's requests are not in the call: a strict budget refuses them; another is charged the usage that the
provider reports of the finished batch, by whoever sees it first, once in a process. Where no usage is ever reported, a budget
needs ``cost_usd``. A batch's tokens are in no window of a key: providers count them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _json
from ..errors import ProtocolError
from ..gateway.call import Call, Estimate, unpriced
from ..gateway.strict import check_payload, strict_prompt_tokens, unbounded
from ..policy.pricing import Cost
from ..types.enums import HttpMethod, ProviderProtocol
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from ..types.request import LlmRequest
from ..types.transport import JsonBody, ResponseBody
from ..types.usage import TokenUsage, UsageDetails
from ..wire import parse_request
from .budget import FREE, Measure, Meter, told_usage, unbounded_cost
from .jobs import job_id_of, status_of
from .request import PrimitiveRequest

if TYPE_CHECKING:
    from ..gateway.core import Core, Route

TIER = "batch"
_MAKES = frozenset({"requests", "batch", "input_file_id"})  # what stands in a request that makes a batch
_PROTOCOLS = {
    Native.ANTHROPIC_MESSAGE_BATCHES: ProviderProtocol.CLAUDE_MESSAGES,
    Native.GEMINI_BATCHES: ProviderProtocol.GEMINI_GENERATE_CONTENT,
    Native.OPENAI_BATCHES: None,
}


def batch_meter_of(request: PrimitiveRequest, plain: LlmRequest) -> Meter | None:
    """Say how a request about batches is budgeted; ``None`` where it is about something else."""
    if request.wire_format not in _PROTOCOLS:
        return None
    body = request.json_body()
    if request.method is not HttpMethod.POST or not isinstance(body, dict) or _MAKES.isdisjoint(body):
        return Finished(request, plain)
    protocol = _PROTOCOLS[request.wire_format]
    requests = None if protocol is None else _requests_in(request.wire_format, body)
    if protocol is None or requests is None:
        return OfFile(request, plain)
    return Inline(request, plain, protocol, requests)


def _requests_in(wire: Native, body: Mapping[str, Any]) -> list[Any] | None:
    """Give the requests that stand in a batch; ``None`` where they are in a file."""
    if wire is Native.ANTHROPIC_MESSAGE_BATCHES:
        given = body.get("requests")
        return [item.get("params") if isinstance(item, dict) else None for item in given] if isinstance(given, list) else []
    found: Any = body
    for names in (("batch",), ("inputConfig", "input_config"), ("requests",), ("requests",)):
        found = next((found[name] for name in names if name in found), None) if isinstance(found, dict) else None
    return [item.get("request") if isinstance(item, dict) else None for item in found] if isinstance(found, list) else None


class Inline(Meter):
    """Reserve and settle the sum of the requests."""

    is_metered = True

    def __init__(self, request: PrimitiveRequest, view: LlmRequest, protocol: ProviderProtocol, requests: list[Any]) -> None:
        super().__init__(request, view)
        self.payloads = requests
        self.views = [self._view(protocol, payload) for payload in requests]

    def _view(self, protocol: ProviderProtocol, payload: Any) -> LlmRequest:
        try:
            return parse_request(protocol, payload)
        except (ProtocolError, TypeError):  # the provider judges it
            return LlmRequest("", _json.dumps(payload))

    def estimate(self, _call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        charge = 0
        for view, payload in zip(self.views, self.payloads, strict=True):
            model = view.model or self.view.model
            price = core.price(model, route.provider, region=route.region, tier=TIER)
            if price is None:
                if core.config.budgets:
                    raise unpriced(model) if model else unbounded_cost()
                continue
            cap = view.generation.max_output_tokens
            if core.strict:
                check_payload(payload if isinstance(payload, dict) else {}, cap)
                charge += price.ceiling(strict_prompt_tokens(view, len(_json.dump_bytes(payload))), cap or 0)
            else:
                output = core.default_output_tokens(model, route) if cap is None else cap
                charge += price.estimate(view.estimated_prompt_tokens(), output)
        return Estimate(0, 0, charge, charge, None, None)  # lost on the way, it may have been made, and is paid for

    def fallback(self, estimate: Estimate, _size: int) -> Measure:
        """Give what an answer that reports nothing is settled by."""
        return Measure(TokenUsage(), cost=Cost(request_pico=estimate.charge))

    def of_raw(self, _raw: Mapping[str, Any]) -> Measure | None:
        """Give nothing: what is used is not known while the batch is made."""
        return None


class OfFile(Meter):
    """Reserve nothing for what cannot be seen."""

    is_metered = True

    def estimate(self, call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        if core.config.budgets and self.request.wire_format is not Native.OPENAI_BATCHES:
            raise unbounded_cost()
        return super().estimate(call, core, route)

    def check_strict(self) -> None:
        """Refuse what a strict budget cannot bound."""
        raise unbounded("the requests of the batch are in a file")


class Finished(Meter):
    """Settle the usage that a finished batch reports."""

    def measure(self, body: ResponseBody | None, _headers: Mapping[str, str], _size: int, core: Core) -> Measure | None:
        """Read what an answer is settled by."""
        job = body.value if isinstance(body, JsonBody) else None
        raw = job.get("usage") if isinstance(job, dict) else None
        if not isinstance(job, dict) or not isinstance(raw, dict) or not status_of(job).is_over:
            return None
        told = told_usage(raw)
        model, job_id = job.get("model") or self.view.model, job_id_of(job)
        price = core.price(model, tier=TIER) if isinstance(model, str) and model else None
        cost = FREE if price is None else price.cost(told.usage, UsageDetails(tier=TIER))
        return Measure(TokenUsage(), telemetry=told.telemetry, cost=cost, job=job_id)
