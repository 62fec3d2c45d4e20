"""What a native call may cost, and what it did: read from its body and its answer by the house's own codecs.

Contract: ``meter_of`` looks a request over once and says how it is budgeted. A meter gives what is reserved, and reads of an
answer what is settled; what an answer does not report is what was reserved.

Rules: what generates text is estimated and settled as by ``call``, what is billed by other units as by the typed endpoints. What
reads, lists, deletes or stores is free. A body that no codec reads, and a format that nobody knows, are reserved at the most that
their bytes can be, at the dearest rates; a strict budget refuses them. What the request itself says it costs stands above all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _json
from .._late import importing
from ..errors import ConfigurationError, InvalidJsonError, ProtocolError
from ..gateway.billing import Bill, expected, reported
from ..gateway.call import Call, Estimate, unpriced
from ..gateway.endpoints import estimated_bill
from ..gateway.strict import check_payload, output_cap, unbounded
from ..policy.budget import PICO
from ..policy.pricing import Cost
from ..types.enums import HttpMethod
from ..types.primitive import PrimitiveBudgetClass, PrimitiveEndpointKind, PrimitiveStreamMode
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.transport import BinaryBody, JsonBody, MultipartBody, MultipartField, MultipartText, ResponseBody
from ..types.usage import NO_DETAILS, TokenUsage, UsageDetails
from ..wire import Codec, EndpointCodec, row_of, usage_details
from .formats import format_of, is_control
from .jobs import job_id_of
from .request import PrimitiveRequest
from .usage import PrimitiveBillableUnit, PrimitiveUsageTelemetry

if TYPE_CHECKING:
    from ..gateway.core import Core, Route

FREE = Cost()
_NO_COST = (PrimitiveBudgetClass.METADATA_OR_CONTROL_PLANE_ZERO_COST, PrimitiveBudgetClass.UPLOAD_OR_STORAGE)
_UNITS = {"images": "image", "audio_seconds": "second", "characters": "character", "searches": "search", "pages": "page"}
_INPUTS = ("input_tokens", "prompt_tokens", "inputTokens", "promptTokenCount")
_OUTPUTS = ("output_tokens", "completion_tokens", "outputTokens", "candidatesTokenCount")
_UNDER_WAY = ("queued", "in_progress")  # of Responses with ``background``
_USAGES = ("usage", "usageMetadata")
_COUNTED = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")  # of InvokeModel, whatever the model


@dataclass(frozen=True, slots=True)
class Measure:
    """Say what an answer is settled by: the usage, what else is counted, and how the provider tells it."""

    usage: TokenUsage
    details: UsageDetails = NO_DETAILS
    telemetry: PrimitiveUsageTelemetry | None = None
    cost: Cost | None = None  # where it is known otherwise than by the usage
    job: str | None = None  # whose end this is the report of: it is paid for once


class Meter:
    """Reserve nothing, and settle nothing: for what is free. ``view`` is the request as the house reads it."""

    is_metered = False

    def __init__(self, request: PrimitiveRequest, view: Any) -> None:
        self.request = request
        self.view = view

    def estimate(self, _call: Call, _core: Core, _route: Route) -> Estimate:
        """Give what an attempt reserves."""
        return Estimate(0, 0, 0, 0, None, None)

    def measure(self, body: ResponseBody | None, _headers: Mapping[str, str], _size: int, _core: Core) -> Measure | None:
        """Read what an answer is settled by; ``None`` where it reports nothing that is."""
        raw = None if body is None else _raw_of(body)
        return None if raw is None else self.of_raw(raw)

    def of_raw(self, raw: Mapping[str, Any]) -> Measure | None:
        """Give what a usage is settled by, of an answer or of a stream; ``None`` where it says nothing that is."""
        return Measure(TokenUsage(), telemetry=told_usage(raw).telemetry, cost=FREE)

    def fallback(self, _estimate: Estimate, _size: int) -> Measure:
        """Give what an answer that reports nothing is settled by; ``size`` is its length in bytes."""
        return Measure(TokenUsage(), cost=FREE)

    def filled(self, measure: Measure, _estimate: Estimate, _size: int) -> Measure:
        """Give the measure with what a provider left out of its report."""
        return measure

    def check_strict(self) -> None:
        """Refuse, with ``BudgetExceededError``, what a strict budget cannot bound."""


class Declared(Meter):
    """Reserve and settle what the request says that it costs."""

    def estimate(self, _call: Call, _core: Core, _route: Route) -> Estimate:
        """Give what an attempt reserves."""
        charge = self._cost().total_pico
        return Estimate(0, 0, charge, charge, None, None)  # lost on the way, it may have been done, and is paid for

    def fallback(self, estimate: Estimate, _size: int) -> Measure:
        """Give what an answer that reports nothing is settled by."""
        return Measure(TokenUsage(estimated=True), cost=Cost(request_pico=estimate.charge))

    def measure(self, body: ResponseBody | None, headers: Mapping[str, str], size: int, core: Core) -> Measure | None:
        """Read what an answer is settled by."""
        found, job = super().measure(body, headers, size, core), self._batch_of(body)
        if found is None and job is None:
            return None
        return dataclasses.replace(found or Measure(TokenUsage(estimated=True), cost=self._cost()), job=job)

    def of_raw(self, raw: Mapping[str, Any]) -> Measure | None:
        """Give what a usage is settled by: it is told, and costs what the request says."""
        return Measure(TokenUsage(), telemetry=told_usage(raw).telemetry, cost=self._cost())

    def _cost(self) -> Cost:
        return Cost(request_pico=round((self.request.cost_usd or 0.0) * PICO))

    def _batch_of(self, body: ResponseBody | None) -> str | None:
        """Give the id of the batch that was made: it is paid for here, and not once more by what it reports in the end."""
        makes = self.request.method is HttpMethod.POST and not is_control(self.request)
        is_batch = makes and self.request.endpoint is PrimitiveEndpointKind.BATCHES
        return job_id_of(body.value) if is_batch and isinstance(body, JsonBody) else None


class Unknown(Meter):
    """Reserve the most that the bytes of the body can be, and the output cap that stands in it, at the dearest rates."""

    is_metered = True

    def estimate(self, call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        model = self.view.model
        price = core.price(model, route.provider, region=route.region) if model else None
        if price is None and core.config.budgets:
            raise unpriced(model or "the call") if model else unbounded_cost()
        prompt = call.emitted(core, route).size
        output = output_cap(self.request.json_body())
        output = core.default_output_tokens(model, route) if output is None else output
        charge = 0 if price is None else price.ceiling(prompt, output)
        prompt_charge = 0 if price is None else price.ceiling(prompt, 0)
        return Estimate(prompt, prompt + output, prompt_charge, charge, price, None)

    def measure(self, body: ResponseBody | None, headers: Mapping[str, str], size: int, core: Core) -> Measure | None:
        """Read what an answer is settled by."""
        counts = [headers.get(name, "") for name in _COUNTED]
        if all(count.isascii() and count.isdigit() and len(count) < 10 for count in counts):
            usage = TokenUsage(int(counts[0]), int(counts[1]))
            return Measure(usage, telemetry=PrimitiveUsageTelemetry(dict(zip(_COUNTED, counts, strict=True)), usage))
        return super().measure(body, headers, size, core)

    def of_raw(self, raw: Mapping[str, Any]) -> Measure | None:
        """Give what a usage is settled by, where it counts tokens."""
        found = told_usage(raw)
        return None if found.usage.estimated else found

    def fallback(self, estimate: Estimate, _size: int) -> Measure:
        """Give what an answer that reports nothing is settled by."""
        usage = TokenUsage(estimate.prompt_tokens, estimate.tokens - estimate.prompt_tokens, estimated=True)
        return Measure(usage, cost=None if estimate.price is None else Cost(request_pico=estimate.charge))

    def check_strict(self) -> None:
        """Refuse what a strict budget cannot bound."""
        raise unbounded("the library does not know what such a call is billed for")


class Generation(Meter):
    """Reserve and settle as ``call`` does: by the request and the answer as their codec reads them."""

    is_metered = True

    def __init__(self, request: PrimitiveRequest, view: LlmRequest, row: Codec) -> None:
        super().__init__(request, view)
        self.row = row
        self._goes_on = False

    def estimate(self, call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        return Call._estimate(call, core, route)

    def measure(self, body: ResponseBody | None, _headers: Mapping[str, str], size: int, _core: Core) -> Measure | None:
        """Read what an answer is settled by."""
        payload = body.value if isinstance(body, JsonBody) else None
        if isinstance(payload, list):  # a stream of Gemini's that was not asked for as events
            payload = next((item for item in reversed(payload) if isinstance(item, dict) and self.row.usage_field in item), None)
        return self.of_payload(payload, size) if isinstance(payload, dict) else None

    def of_payload(self, payload: Mapping[str, Any], size: int) -> Measure | None:
        """Read what a whole answer says."""
        raw = payload.get(self.row.usage_field)
        self._goes_on = payload.get("status") in _UNDER_WAY
        try:
            answer: LlmResponse | None = self.row.parse_response(dict(payload))
        except (ProtocolError, ConfigurationError, RecursionError):
            answer = None
        if answer is None and not isinstance(raw, dict):
            return None
        usage = self.row.read_usage(raw, f"/{self.row.usage_field}") if answer is None else answer.usage
        return self.of_usage(usage, answer, raw, size)

    def of_usage(self, usage: TokenUsage, answer: LlmResponse | None, raw: Any, _size: int) -> Measure | None:
        """Give what a reported usage is settled by."""
        if not isinstance(raw, dict):
            return None
        given = answer or LlmResponse((), usage, self.view.model, self.row.protocol)
        return Measure(usage, usage_details(usage, given), PrimitiveUsageTelemetry(raw, usage))

    def fallback(self, estimate: Estimate, size: int) -> Measure:
        """Give what an answer that reports nothing is settled by: one that is made in the background, by its cap."""
        output = estimate.tokens - estimate.prompt_tokens if self._goes_on else estimate.output_of(size)
        return Measure(TokenUsage(estimate.prompt_tokens, output, estimated=True))

    def filled(self, measure: Measure, estimate: Estimate, size: int) -> Measure:
        """Give the measure with what a provider left out of its report."""
        usage, guess = measure.usage, self.fallback(estimate, size).usage
        if not usage.estimated:
            return measure
        prompt, output = usage.prompt_tokens or guess.prompt_tokens, usage.completion_tokens or guess.completion_tokens
        return dataclasses.replace(measure, usage=dataclasses.replace(usage, prompt_tokens=prompt, completion_tokens=output))

    def check_strict(self) -> None:
        """Refuse what a strict budget cannot bound."""
        payload = _json_of(self.request)
        check_payload(payload if isinstance(payload, dict) else {}, self.view.generation.max_output_tokens)


class Units(Meter):
    """Reserve and settle as the typed endpoint of the kind does: by tokens, and by what else is counted there."""

    is_metered = True

    def __init__(self, request: PrimitiveRequest, view: Any, row: EndpointCodec) -> None:
        super().__init__(request, view)
        self.row = row
        self.bill = expected(view, 0)

    def estimate(self, call: Call, core: Core, route: Route) -> Estimate:
        """Give what an attempt reserves."""
        self.bill = expected(self.view, call.emitted(core, route).size)
        return estimated_bill(call, core, route)

    def measure(self, body: ResponseBody | None, headers: Mapping[str, str], _size: int, _core: Core) -> Measure | None:
        """Read what an answer is settled by."""
        raw = None if body is None else _raw_of(body)
        try:
            answer = self.row.read_answer(body, headers.get("content-type", "").lower())
            bill = reported(self.view, answer, self.bill)
        except (ProtocolError, ConfigurationError, RecursionError):
            return None if raw is None else self.of_raw(raw)
        return Measure(bill.usage, bill.details) if raw is None else self._of_bill(bill, raw)

    def of_raw(self, raw: Mapping[str, Any]) -> Measure | None:
        """Give what a usage is settled by: its tokens, and what else was asked for."""
        found = told_usage(raw)
        return self._of_bill(self.bill if found.usage.estimated else Bill(found.usage, self.bill.details), raw)

    def _of_bill(self, bill: Bill, raw: Mapping[str, Any]) -> Measure:
        usage = None if bill.usage.estimated else bill.usage
        return Measure(bill.usage, bill.details, PrimitiveUsageTelemetry(dict(raw), usage, _units(bill.details)))

    def fallback(self, _estimate: Estimate, _size: int) -> Measure:
        """Give what an answer that reports nothing is settled by."""
        return Measure(self.bill.usage, self.bill.details)


def unbounded_cost() -> Exception:
    """Give the error of a call that nothing prices where there is a budget."""
    error = unpriced("a native call without a model")
    error.args = ("nothing says what the call costs, and a budget is set: give it a model, or cost_usd=…",)
    return error


def _units(details: UsageDetails) -> tuple[PrimitiveBillableUnit, ...]:
    counted = ((name, getattr(details, name), unit) for name, unit in _UNITS.items())
    return tuple(PrimitiveBillableUnit(name, amount, unit) for name, amount, unit in counted if amount)


def _raw_of(body: ResponseBody) -> dict[str, Any] | None:
    """Give the usage that stands in a body, whatever its provider calls it; ``None`` where there is none."""
    payload = body.value if isinstance(body, JsonBody) else None
    if not isinstance(payload, dict):
        return None
    return next((payload[name] for name in _USAGES if isinstance(payload.get(name), dict)), None)


def told_usage(raw: Mapping[str, Any]) -> Measure:
    """Read a usage object as any provider may write it."""
    given, output = (
        next((n for name in names if (n := _count(raw.get(name))) is not None), None) for names in (_INPUTS, _OUTPUTS)
    )
    total = next((n for name in ("total_tokens", "totalTokenCount") if (n := _count(raw.get(name))) is not None), None)
    if given is None and output is None:
        given = total
    usage = TokenUsage(given or 0, output or 0, total, estimated=given is None)
    return Measure(usage, telemetry=PrimitiveUsageTelemetry(dict(raw), None if given is None else usage))


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


# --- which one ------------------------------------------------------------------------------------------------------------------


def meter_of(request: PrimitiveRequest) -> Meter:
    """Say how a request is budgeted; raises ``ConfigurationError`` for a body that its format cannot be."""
    plain = LlmRequest(_model_of(request) or "")
    if request.cost_usd is not None:
        return Declared(request, plain)
    with importing:  # they are made of meters
        from .batches import batch_meter_of
        from .tally import SessionMeter

    if request.stream is PrimitiveStreamMode.WEB_SOCKET:
        return SessionMeter(request)
    found = batch_meter_of(request, plain)
    if found is not None:
        return found
    if request.wire_format is Native.CUSTOM_HTTP:
        return Unknown(request, plain)
    reads = request.method in (HttpMethod.GET, HttpMethod.HEAD, HttpMethod.DELETE) or request.body is None
    if reads or (request.budget_class in _NO_COST and not _starts_work(request)):
        return Meter(request, plain)
    return _measured(request) or Unknown(request, plain)


def _starts_work(request: PrimitiveRequest) -> bool:
    """Tell whether the request has a model do something that takes its time, as making a video."""
    return request.endpoint is PrimitiveEndpointKind.OPERATIONS and not is_control(request)


def _measured(request: PrimitiveRequest) -> Meter | None:
    wire = format_of(request).measured_as
    if wire is None:
        return None
    row = row_of(wire)
    payload = _json_of(request)
    try:
        if isinstance(row, Codec):
            view = row.parse_request(payload)
            return Generation(request, _with_model(request, view), row)
        body = request.body if isinstance(request.body, MultipartBody) else JsonBody(payload)
        view = row.read_body(_supplied(request, body))
        return Units(request, _with_model(request, view), row)
    except (ProtocolError, ConfigurationError, TypeError, RecursionError):
        return None  # the provider judges what it is given


def _supplied(request: PrimitiveRequest, body: Any) -> Any:
    names = format_of(request).supplied
    if names and isinstance(body, MultipartBody):
        return MultipartBody((*body.fields, *(MultipartField(name, MultipartText("")) for name in names)))
    return body


def _with_model(request: PrimitiveRequest, view: Any) -> Any:
    model = _model_of(request)
    return view if not model or view.model == model else dataclasses.replace(view, model=model)


def _json_of(request: PrimitiveRequest) -> Any:
    """Give the JSON that the body is; raises ``ConfigurationError`` for bytes that say to be JSON and are none."""
    body = request.body
    if isinstance(body, JsonBody):
        return body.value
    data = body.data if isinstance(body, BinaryBody) and body.media_type == "application/json" else None
    if not isinstance(data, bytes):
        return None
    try:
        return _json.loads(data)
    except InvalidJsonError as error:
        raise ConfigurationError(f"body: {error.message}", field="body") from None


def _model_of(request: PrimitiveRequest) -> str | None:
    """Name the model that is asked; raises ``ConfigurationError`` where body and request name two."""
    said = _model_in(request)
    if said is not None and request.model is not None and said.removeprefix("models/") != request.model.removeprefix("models/"):
        raise ConfigurationError(f"model: the request says {request.model!r:.80}, and its body {said!r:.80}", field="model")
    return said or request.model


def _model_in(request: PrimitiveRequest) -> str | None:
    if isinstance(request.body, MultipartBody):
        texts = (field.value for field in request.body.fields if field.name == "model")
        return next((value.text for value in texts if isinstance(value, MultipartText)), None)
    payload = _json_of(request)
    said = payload.get("model") if isinstance(payload, dict) else None
    return said if isinstance(said, str) and said else None
