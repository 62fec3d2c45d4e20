"""A native call on the road of every call: what is sent is the caller's, what is read is given as it came."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from .. import _json
from ..errors import ConfigurationError, InvalidJsonError, UnsupportedFeatureError
from ..gateway.attempt import Attempt
from ..gateway.call import Call, Emitted, Estimate, cost_of, is_credible
from ..gateway.endpoints import form_upload
from ..gateway.reading import media_type
from ..gateway.route import Walk
from ..policy.pricing import Cost
from ..transport import Upload
from ..types.primitive import PrimitiveProviderKind, PrimitiveStreamMode
from ..types.primitive import ProviderPrimitiveWireFormat as Native
from ..types.transport import BinaryBody, JsonBody, MultipartBody, ResponseBody, TextBody
from ..types.usage import TokenUsage
from .budget import FREE, Measure, Meter, meter_of
from .formats import format_of, may_repeat, url_of
from .reading import NativeReader
from .registry import embedded_primitive_provider_registry
from .request import PrimitiveRequest
from .response import PrimitiveResponse

if TYPE_CHECKING:
    from ..gateway.core import Core, Route
    from ..transport.body import HttpResponse

MAX_BODY = 256 << 20
MAX_VALUES = 20_000_000
JOBS_KEPT = 10_000
_TEXTS = ("application/x-jsonl", "application/jsonl", "application/xml", "application/x-ndjson")
_ALIKE = (PrimitiveProviderKind.OPENAI, PrimitiveProviderKind.OPENAI_COMPATIBLE)
_NOT_TOLD = ("set-cookie", "set-cookie2")
_STREAMS = {PrimitiveStreamMode.SSE, PrimitiveStreamMode.BINARY_CHUNKS}


class PrimitiveCall(Call):
    """Be a native call."""

    __slots__ = ("meter", "native")

    max_bytes: ClassVar[int] = MAX_BODY
    may_downgrade: ClassVar[bool] = False  # the body goes out as given

    def __init__(
        self, core: Core, native: PrimitiveRequest, routes: tuple[Route, ...], *, key_label: str | None = None, **options: Any
    ) -> None:
        meter = meter_of(native)
        super().__init__(core, meter.view, streaming=native.stream is not PrimitiveStreamMode.NONE, **options)
        self.native = native
        self.meter: Meter = meter
        self.routes = routes
        self.may_repeat = may_repeat(native)
        self.only_key = key_label

    def reader(self, attempt: Attempt) -> NativeReader:
        """Give what reads the answer's bytes into native events."""
        return NativeReader(attempt, self)

    def read(self, attempt: Attempt, http: HttpResponse, body: bytes) -> Any:
        """Give the answer that a body is, or the error."""
        kind = media_type(http.headers.get("content-type", ""))
        if not body and self.meter.is_metered:
            return attempt.malformed(f"the upstream answered {http.status} with an empty body")
        try:
            value = _body_of(kind, body)
        except InvalidJsonError as error:
            return attempt.malformed(f"the upstream answered {http.status} with {error.message}", final=error.beyond)
        if kind == "text/html" and self.native.wire_format is not Native.CUSTOM_HTTP:
            return attempt.malformed(f"the upstream answered {http.status} with a page of HTML: {attempt.beginning(body)}")
        payload = value.value if isinstance(value, JsonBody) and self.meter.is_metered else None
        failed = attempt.route.codec.embedded_error(payload) if isinstance(payload, dict) else None
        if failed is not None:
            return attempt.described(failed, http)
        headers = {name.lower(): text for name, text in http.headers.items()}
        return self.response(http, value, self.meter.measure(value, headers, len(body), attempt.core), attempt, len(body))

    def response(
        self, http: HttpResponse, body: ResponseBody | None, measure: Measure | None, attempt: Attempt, size: int
    ) -> PrimitiveResponse:
        """Give the answer, with what it is settled by."""
        native = self.native
        return PrimitiveResponse(
            http.status,
            {name.lower(): text for name, text in http.headers.items() if name.lower() not in _NOT_TOLD},
            http.headers.get("content-type"),
            body,
            None if measure is None else measure.telemetry,
            provider=native.provider,
            endpoint=native.endpoint,
            wire_format=native.wire_format,
            metadata=native.metadata,
            measure=self.meter.fallback(attempt.estimate, size)
            if measure is None
            else self.meter.filled(measure, attempt.estimate, size),
        )

    def believed(self, attempt: Attempt, response: PrimitiveResponse) -> TokenUsage:
        """Give the usage that the call is settled by: the reported one, or the expected where none is, or none can be."""
        measure: Measure = response.measure
        if not is_credible(measure.usage):
            measure = self.meter.fallback(attempt.estimate, 0)
            object.__setattr__(response, "measure", measure)
        return measure.usage

    def cost(self, attempt: Attempt, usage: TokenUsage, response: PrimitiveResponse) -> Cost | None:
        """Give what the call costs, or ``None`` where the model has no price."""
        measure: Measure = response.measure
        if measure.job is not None and not _is_first(attempt.core, measure.job):
            return FREE
        return measure.cost if measure.cost is not None else cost_of(attempt, usage, measure.details)

    @property
    def kind(self) -> str:
        """Name what is asked for, for the hooks."""
        return self.native.endpoint.value

    @property
    def asked(self) -> Any:
        """Give the request as the caller gave it, for the hooks that want it."""
        return self.native

    def told(self, response: PrimitiveResponse) -> tuple[TokenUsage | None, float | None]:
        """Give the usage and the cost (USD) that the hooks are told of."""
        return response.measure.usage, response.cost_usd

    def _estimate(self, core: Core, route: Route) -> Estimate:
        return self.meter.estimate(self, core, route)

    def _emit(self, core: Core, route: Route) -> Emitted:
        native, endpoint = self.native, route.primitive
        assert endpoint is not None
        if core.strict:
            self.meter.check_strict()
        endpoint.check_headers(native.headers)
        headers = {**native.headers, "Accept": self._accept(route)}
        if native.idempotency_key is not None:
            headers["Idempotency-Key"] = native.idempotency_key
        body, kind = _written(native.body)
        if kind is not None:
            headers["Content-Type"] = kind
        return Emitted(body, url_of(native, endpoint), headers=headers, method=native.method.value)

    def _accept(self, route: Route) -> str:
        native = self.native
        if native.accept is not None:
            return native.accept
        if native.stream is PrimitiveStreamMode.SSE:
            return route.endpoint.envelope.stream_type
        return "*/*" if native.stream is PrimitiveStreamMode.BINARY_CHUNKS else format_of(native).accept


def _is_first(core: Core, job: str) -> bool:
    """Tell whether nobody has paid for the job's end yet, and note that somebody does."""
    mark = object()
    first = core.charged_jobs.setdefault(job, mark) is mark
    while len(core.charged_jobs) > JOBS_KEPT:
        core.charged_jobs.pop(next(iter(core.charged_jobs)), None)
    return first


def _body_of(kind: str, body: bytes) -> ResponseBody | None:
    if not body:
        return None
    if kind == "application/json" or kind.endswith("+json") or (not kind and body[:1] in (b"{", b"[")):
        return JsonBody(_json.loads(body, max_bytes=MAX_BODY, max_values=MAX_VALUES))
    if kind.startswith("text/") or kind in _TEXTS:
        return TextBody(body.decode("utf-8", "replace"))
    return BinaryBody(body, kind or None)


def _written(body: Any) -> tuple[bytes | Upload | None, str | None]:
    """Give a body as it is sent, and its type."""
    if body is None:
        return None, None
    if isinstance(body, JsonBody):
        return _json.dump_bytes(body.value), "application/json"
    if isinstance(body, TextBody):
        return body.text.encode("utf-8"), "text/plain; charset=utf-8"
    if isinstance(body, MultipartBody):
        return form_upload(body)
    data = body.data if isinstance(body.data, bytes) else Upload([body.data])
    return data, body.media_type or "application/octet-stream"


# --- making one -----------------------------------------------------------------------------------------------------------------


def routes_of(core: Core, native: PrimitiveRequest, key_label: str | None = None) -> tuple[Route, ...]:
    """Give the routes that a request may take, in their order, with the key that is named.

    Raises ``UnsupportedFeatureError`` where there is none, and ``ConfigurationError`` where none has the key.
    """
    custom = _routes_to(core, {PrimitiveProviderKind.CUSTOM})
    alike = _ALIKE if native.provider in _ALIKE else ()
    routes = _routes_to(core, {native.provider}) or custom or _routes_to(core, set(alike))
    if not routes:
        raise UnsupportedFeatureError(
            f"the gateway has no endpoint for native calls of {native.provider.value}: primitive_endpoint(…)"
        )
    if routes is not custom or native.wire_format is not Native.CUSTOM_HTTP:
        check_supported(native)
    if key_label is not None:
        routes = [route for route in routes if key_label in route.headers]
        if not routes:
            raise ConfigurationError(f"key_label: no key of the endpoint is called {key_label!r:.80}", field="key_label")
    return tuple(routes)


def _routes_to(core: Core, kinds: Collection[PrimitiveProviderKind]) -> list[Route]:
    return [route for route in core.native if route.primitive is not None and route.primitive.provider in kinds]


def check_supported(native: PrimitiveRequest) -> None:
    """Refuse, with ``UnsupportedFeatureError``, what the registry does not list."""
    if not embedded_primitive_provider_registry().supports_request(native):
        what = f"{native.endpoint.value} as {native.wire_format.value}, coming as {native.stream.value}"
        raise UnsupportedFeatureError(f"{native.provider.value} has no {what}: what there is, the primitive registry lists")


def checked(native: Any) -> PrimitiveRequest:
    """Give the request; raises ``ConfigurationError`` where it is none."""
    if not isinstance(native, PrimitiveRequest):
        raise ConfigurationError(f"request: expected a PrimitiveRequest, got {type(native).__name__}", field="request")
    return native


def begin(core: Core, native: PrimitiveRequest, *, key_label: str | None = None, **options: Any) -> PrimitiveCall:
    """Make the call, looked over: raises for all that is wrong with it before a key is asked for."""
    routes = routes_of(core, native, key_label)
    call = PrimitiveCall(core, native, routes, key_label=key_label, **options)
    try:
        call.emitted(core, routes[0])
    except BaseException:
        call.ended(core, "failed")
        raise
    return call


def primitive_call(core: Core, native: PrimitiveRequest, **options: Any) -> PrimitiveResponse:
    """Make a native call and give the whole answer."""
    if native.stream is not PrimitiveStreamMode.NONE:
        raise ConfigurationError(
            f"stream: a call gives a whole answer, not {native.stream.value}: primitive_stream", field="stream"
        )
    call = begin(core, native, **options)
    response: PrimitiveResponse | None = None
    try:
        response = Walk(core, call).run(Attempt.complete)
    finally:
        call.ended(core, "failed" if response is None else "ok", response)
    return response


def check_stream(native: PrimitiveRequest) -> None:
    """Refuse, with ``ConfigurationError``, a request whose answer does not come as a stream of HTTP's."""
    if native.stream not in _STREAMS:
        hint = "with_stream(PrimitiveStreamMode.SSE) or BINARY_CHUNKS"
        raise ConfigurationError(f"stream: {native.stream.value} is no stream of events: {hint}", field="stream")
