"""Calls of endpoints that do not generate text, on the road of every call: only what is sent and how it is read is theirs.

Rules: the routes of such a call are those that have the endpoint; where none has it, nothing is asked of any key. Inputs beyond
what one request may hold go out in several, each a call of its own within one deadline, all to the route of the first: vectors of
different models cannot be compared.
"""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from .. import _json
from .._cancel import CancellationToken
from .._clock import Deadline
from ..errors import (
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidJsonError,
    InvalidShapeError,
    ProtocolError,
    ProviderError,
    UnsupportedFeatureError,
)
from ..policy.pricing import Cost, ModelPrice
from ..transport import Upload
from ..types.enums import EndpointKind
from ..types.media import (
    AudioSpeechRequest,
    AudioTranscriptionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingUsage,
    ImageGenerationRequest,
    RerankRequest,
)
from ..types.report import Loss
from ..types.request import LlmRequest
from ..types.response import Metered, ResponseMeta
from ..types.transport import BinaryBody, JsonBody, MultipartBody, ResponseBody, TextBody
from ..types.usage import TokenUsage
from ..wire import endpoint_codec
from ..wire._endpoint import EndpointCodec
from ..wire._fields import Emission
from ..wire.multipart import form_pieces, form_type
from .attempt import Attempt
from .billing import Bill, charge, expected, picture_names, reported
from .call import Call, Emitted, Estimate, is_credible, unpriced
from .route import Walk

if TYPE_CHECKING:
    from ..transport.body import HttpResponse
    from .core import Core, Route

KINDS: dict[type, EndpointKind] = {
    EmbeddingRequest: EndpointKind.EMBEDDINGS,
    ImageGenerationRequest: EndpointKind.IMAGE_GENERATIONS,
    AudioTranscriptionRequest: EndpointKind.AUDIO_TRANSCRIPTIONS,
    AudioSpeechRequest: EndpointKind.AUDIO_SPEECH,
    RerankRequest: EndpointKind.RERANK,
}
LONGEST_COUNT = 16  # digits of a header's
_ANY = LlmRequest("-")  # for the path of generation, which is the same for every request where endpoints stand beside it


class EndpointCall(Call):
    """Be a call of an endpoint."""

    __slots__ = ("_kind", "bill", "usage")

    max_bytes: ClassVar[int] = 256 << 20  # several images in base64, or 2 048 embeddings

    def __init__(self, core: Core, request: Any, routes: tuple[Route, ...], **options: Any) -> None:
        super().__init__(core, request, streaming=False, **options)
        self._kind = KINDS[type(request)]
        self.routes = routes
        self.bill: Bill | None = None  # of the answer
        self.usage: TokenUsage | None = None

    def _estimate(self, core: Core, route: Route) -> Estimate:
        return estimated_bill(self, core, route)

    def read(self, attempt: Attempt, http: HttpResponse, body: bytes) -> Any:
        """Give the answer that a body is, or the error."""
        kind = http.headers.get("content-type", "").lower()
        if not body:
            return attempt.malformed(f"the upstream answered {http.status} with an empty body")
        row = endpoint_row(attempt.route, self._kind, attempt.model)
        try:
            value = _body_of(kind, body, row)
            payload = value.value if isinstance(value, JsonBody) else None
            failed = attempt.route.codec.embedded_error(payload) if isinstance(payload, dict) else None
            if failed is None:
                return self._checked(_counted(row.read_answer(value, kind), http.headers.get(row.usage_header or "")))
            return attempt.described(failed, http)
        except ProviderError as error:  # of an event
            return attempt.described(error, http)
        except InvalidJsonError as error:
            return attempt.malformed(f"the upstream answered {http.status} with {error.message}", final=error.beyond)
        except (ProtocolError, ConfigurationError) as error:  # the latter: of a value that the answer holds
            html = "html" in kind
            page = f"a page of HTML: {attempt.beginning(body)}" if html else f"what is not its protocol's: {error.message}"
            return attempt.malformed(f"the upstream answered {http.status} with {page}")
        except RecursionError:
            return attempt.malformed(f"the upstream answered {http.status} with what is nested too deep", final=True)

    def _checked(self, response: Any) -> Any:
        """Give the answer, embeddings in the order of their inputs; raises ``ProtocolError`` where some have none."""
        if isinstance(response, EmbeddingResponse) and self.request.input:
            indexes = [vector.index for vector in response.data]
            wanted = list(range(len(self.request.input)))
            if indexes != wanted:
                if sorted(indexes) != wanted:
                    raise InvalidShapeError(f"{len(wanted)} inputs, and embeddings of {len(indexes)}", pointer="/data")
                object.__setattr__(response, "data", tuple(sorted(response.data, key=lambda vector: vector.index)))
        return response

    def believed(self, attempt: Attempt, response: Any) -> TokenUsage:
        """Give the usage that the call is settled by: the reported one, or the expected where none is, or none can be."""
        bill = expected(self.request, self.emitted(attempt.core, attempt.route).size)
        told = reported(self.request, response, bill)
        self.bill = told if is_credible(told.usage) else bill
        usage = self.usage = self.bill.usage
        if getattr(response, "model", None) == "":  # Google and Cohere do not say
            object.__setattr__(response, "model", attempt.model)
        if isinstance(response, EmbeddingResponse) and usage.estimated:
            kept = {} if response.usage is None else response.usage.vendor_extensions
            object.__setattr__(response, "usage", EmbeddingUsage(usage.prompt_tokens, estimated=True, vendor_extensions=kept))
        return usage

    def cost(self, attempt: Attempt, usage: TokenUsage, _response: Any) -> Cost | None:
        """Give what the call costs, or ``None`` where the model has no price."""
        price = attempt.estimate.price
        if price is None:
            return None
        return price.cost(usage) if self.bill is None else charge(price, self.bill)

    @property
    def kind(self) -> str:
        """Name what is asked for, for the hooks."""
        return self._kind.value

    def told(self, response: Any) -> tuple[TokenUsage | None, float | None]:
        """Give the usage and the cost (USD) that the hooks are told of."""
        return self.usage, response.cost_usd

    def _emit(self, core: Core, route: Route) -> Emitted:
        request = self.request
        model = route.model(request.model)
        row = endpoint_row(route, self._kind, model)
        named = route.endpoint.envelope.fields.get("model", model)  # a deployment's, where the body says which
        if named != request.model:
            request = dataclasses.replace(request, model=named)
        emission = Emission(row.wire_format)
        body = row.write_body(request, emission, False)
        losses: tuple[Loss, ...] = tuple(emission.losses)
        if losses:
            self._account(core, losses)
        path = route.endpoint.envelope.addressed(row.path(request, False), named, streamed=False)
        beside = route.codec.path(_ANY, False)
        headers = {**row.headers, "Accept": row.accept(request, False)}
        if isinstance(body, MultipartBody):
            upload, headers["Content-Type"] = form_upload(body)
            return Emitted(upload, path, losses, headers, beside)
        assert isinstance(body, JsonBody)
        return Emitted(_json.dump_bytes(body.value), path, losses, headers, beside)


def form_upload(body: MultipartBody) -> tuple[Upload, str]:
    """Give a form as it is sent, its files read meanwhile, and its media type."""
    boundary = f"omnillm-{secrets.token_hex(16)}"
    return Upload(form_pieces(body, boundary)), form_type(boundary)


def estimated_bill(call: Call, core: Core, route: Route) -> Estimate:
    """Give what an attempt at the route reserves: what the request is expected to be billed for."""
    model = route.model(call.request.model)
    price = _price(core, call.request, model, route)
    if price is None and core.config.budgets:
        raise unpriced(model)
    size = call.emitted(core, route).size
    bill = expected(call.request, size)
    usage = bill.usage
    sum_, prompt_charge = 0, 0
    if price is not None:
        sum_ = charge(price, bill).total_pico
        prompt_charge = sum_ - usage.completion_tokens * price.output
    if core.strict and price is not None and sum_:
        sum_ = max(sum_, price.ceiling(_most_tokens(call.request, size), 0))
    return Estimate(usage.prompt_tokens, usage.total(), max(prompt_charge, 0), sum_, price, None)


def _price(core: Core, request: Any, model: str, route: Route) -> ModelPrice | None:
    """Give the model's price; of pictures that have one by their quality and size alone, that."""
    where: Any = {"provider": route.provider, "region": route.region}
    if isinstance(request, ImageGenerationRequest) and core.config.pricing.find(model, **where) is None:
        for name in picture_names(request, model):
            if core.config.pricing.find(name, **where) is not None:
                return core.price(name, **where)
    return core.price(model, **where)


def _most_tokens(request: Any, size: int) -> int:
    """Bound the tokens of a call by the bytes that are sent; raises ``BudgetExceededError`` where they are not all there is."""
    if isinstance(request, RerankRequest):
        return size * max(len(request.documents), 1)  # the query is read with each
    if not isinstance(request, EmbeddingRequest):
        raise BudgetExceededError("the budget's strict estimate cannot bound this call: what is made has no cap")
    if any(item.text is None and item.tokens is None for item in request.input):
        raise BudgetExceededError("the budget's strict estimate cannot bound this call: an input is neither text nor tokens")
    return size


def _body_of(kind: str, body: bytes, row: EndpointCodec) -> ResponseBody:
    if "json" in kind or (not kind and body[:1] in (b"{", b"[")):
        return JsonBody(_json.loads(body, max_bytes=row.max_bytes, max_values=row.max_values))
    if kind.startswith("text/"):
        return TextBody(body.decode("utf-8", "replace"))
    return BinaryBody(body)


def _counted(response: Any, told: str | None) -> Any:
    """Give the answer with the tokens of the input that a header told, where its body did not."""
    if told is None or not (told.isascii() and told.isdecimal()) or len(told) > LONGEST_COUNT:
        return response
    if isinstance(response, EmbeddingResponse) and response.usage is None:
        object.__setattr__(response, "usage", EmbeddingUsage(int(told)))
    return response


def endpoint_codec_at(route: Route, kind: EndpointKind, model: str) -> EndpointCodec | None:
    """Give the codec of a kind of endpoint at a route, for the model there, or ``None`` where it has none."""
    wire = route.endpoint.formats.get(kind) or route.codec.endpoints.get(kind)
    return None if wire is None else endpoint_codec(wire, model)


def endpoint_row(route: Route, kind: EndpointKind, model: str) -> EndpointCodec:
    """Give the codec of a kind of endpoint at a route, for the model there; raises ``UnsupportedFeatureError`` for none."""
    row = endpoint_codec_at(route, kind, model)
    if row is None:
        spoken = route.endpoint.protocol.wire_protocol.value
        raise UnsupportedFeatureError(f"{route.name} has no {kind.value}: none is known beside {spoken}")
    return row


def routes_of(core: Core, kind: EndpointKind, model: str) -> tuple[Route, ...]:
    """Give the routes that have the endpoint, in their order; raises ``UnsupportedFeatureError`` where none has."""
    found, refusal = [], None
    for route in core.routes:
        try:
            endpoint_row(route, kind, route.model(model))
            route.endpoint.url_beside("/", route.codec.path(_ANY, False))
            found.append(route)
        except UnsupportedFeatureError as error:
            refusal = refusal or error
    if not found and refusal is not None:
        raise refusal
    return tuple(found)


# --- calls ----------------------------------------------------------------------------------------------------------------------


def request_endpoint(
    core: Core,
    request: Any,
    *,
    timeout: float | None,
    cancel: CancellationToken | None,
    tenant: str | None,
    batch_size: int | None = None,
) -> Any:
    """Make the call, or, for more inputs than one request may hold, the calls, and give the answer."""
    request = _with_model(core, request)
    routes = routes_of(core, KINDS[type(request)], request.model)
    options = {"cancel": cancel, "tenant": tenant}
    if not isinstance(request, EmbeddingRequest):
        return _call(core, EndpointCall(core, request, routes, timeout=timeout, **options))[0]
    if not request.input and not request.vendor_extensions:
        raise ConfigurationError("input: expected at least one text", field="input")
    limits = [endpoint_row(route, EndpointKind.EMBEDDINGS, route.model(request.model)).batch_limit for route in routes]
    size = min([limit for limit in (*limits, batch_size) if limit is not None], default=len(request.input))
    if len(request.input) <= size:
        return _call(core, EndpointCall(core, request, routes, timeout=timeout, **options))[0]
    return _batches(core, request, routes, size=size, timeout=timeout, **options)


def _with_model(core: Core, request: Any) -> Any:
    if request.model:
        return request
    if core.config.default_model is None:
        raise ConfigurationError("model: none in the request, and the gateway has no default_model", field="model")
    return dataclasses.replace(request, model=core.config.default_model)


def _call(core: Core, call: EndpointCall) -> tuple[Any, Route]:
    response: Metered | None = None
    try:
        response, route = Walk(core, call).run(_completed)
    finally:
        call.ended(core, "failed" if response is None else "ok", response)
    return response, route


def _completed(attempt: Attempt) -> tuple[Any, Route]:
    return attempt.complete(), attempt.route


def _batches(
    core: Core, request: EmbeddingRequest, routes: tuple[Route, ...], *, size: int, timeout: float | None, **options: Any
) -> EmbeddingResponse:
    started = core.clock.monotonic()
    total = core.config.timeouts.total if timeout is None else timeout
    deadline = Deadline(started + total, core.clock)
    answers: list[EmbeddingResponse] = []
    for start in range(0, len(request.input), size):
        batch = dataclasses.replace(request, input=request.input[start : start + size])
        left = deadline.remaining()
        if left <= 0:
            raise DeadlineExceededError(f"time ran out after {start} of {len(request.input)} inputs", phase="batch", sent="yes")
        answer, route = _call(core, EndpointCall(core, batch, routes, timeout=left, **options))
        answers.append(answer)
        routes = (route,)
    return _joined(answers, size, core.clock.monotonic() - started)


def _joined(answers: list[EmbeddingResponse], size: int, latency: float) -> EmbeddingResponse:
    """Make one answer of those of the batches: in their order, the usage summed."""
    data = [
        dataclasses.replace(vector, index=place * size + vector.index)
        for place, answer in enumerate(answers)
        for vector in answer.data
    ]
    first, usages = answers[0], [answer.usage for answer in answers]
    known = [usage for usage in usages if usage is not None]
    usage = None
    if len(known) == len(usages):
        usage = EmbeddingUsage(
            sum(usage.prompt_tokens for usage in known),
            sum(usage.total() for usage in known),
            any(usage.estimated for usage in known),
        )
    costs = [answer.meta.cost for answer in answers]
    cost = None if None in costs else sum(costs[1:], costs[0])
    meta = ResponseMeta(
        attempts=tuple(record for answer in answers for record in answer.meta.attempts),
        cost=cost,
        cost_usd=None if cost is None else cost.usd,
        request_losses=tuple(loss for answer in answers for loss in answer.meta.request_losses),
        key_label=answers[-1].meta.key_label,
        latency=latency,
    )
    return dataclasses.replace(first, data=tuple(data), usage=usage, meta=meta)
