"""The hook: one span for each call, a child for each attempt, and the metrics of both.

Rules. A span's parent is what is current where the call is made, in workers too, which run in the context of who submitted. No
span is made current, but that of a tool while it runs: a stream is read by who likes, and a context that it left behind would be
everybody's. Of an error its class is told, not its text, which may quote the prompt.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, ClassVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ... import __version__
from ...errors import ConfigurationError
from ...gateway.builder import GatewayBuilder
from ...types.hooks import (
    AttemptEnded,
    AttemptStarted,
    CallContent,
    CallEnded,
    CallStarted,
    ChunkReceived,
    FallbackTaken,
    HedgeStarted,
    HookEvent,
    ModelDowngraded,
    RetryScheduled,
    ToolEnded,
    ToolStarted,
)
from ._content import answered, asked
from ._metrics import Instruments
from ._names import SCHEMA, Attributes, answer_of, attempt_of, dimensions_of, given, named, provider_of, request_of, server_of

CONTENT_CHARS = 16_384
MOST_OPEN = 10_000  # of which nobody told the end: an interrupt may have come between
NO_ERROR = "CallCancelledError"  # who was beaten, or left


class _Open:
    """A call under way: its span, and what its metrics are told apart by."""

    __slots__ = ("chunk_at", "context", "dimensions", "span")

    def __init__(self, span: Span, context: Context, dimensions: Attributes) -> None:
        self.span = span
        self.context = context
        self.dimensions = dimensions
        self.chunk_at: float | None = None


class OpenTelemetryHook:
    """Make spans and metrics of what a gateway tells; give it to ``GatewayBuilder.on_event``, or use ``instrument``.

    Without providers, the global ones. ``capture_content`` adds prompts and answers to the spans, ``content_chars`` of each at
    most. ``propagate`` sends ``traceparent`` along with each request, and no baggage: for proxies and servers of your own.
    ``chunk_times`` records the time between the chunks of a stream.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool = False,
        content_chars: int = CONTENT_CHARS,
        propagate: bool = False,
        chunk_times: bool = True,
    ) -> None:
        if isinstance(content_chars, bool) or not isinstance(content_chars, int) or content_chars < 1:
            what = f"expected a count of at least 1, got {content_chars!r}"
            raise ConfigurationError(f"content_chars: {what}", field="content_chars")
        self.wants_content = bool(capture_content)
        self.wants_chunks = bool(chunk_times)
        self.wants_headers = bool(propagate)
        self._chars = content_chars
        self._tracer = get_tracer("omnillm", __version__, tracer_provider, SCHEMA)
        self._instruments = Instruments(meter_provider)
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._calls: dict[str, _Open] = {}
        self._attempts: dict[str, Span] = {}
        self._tools: dict[str, tuple[Span, Token[Context]]] = {}

    def __call__(self, event: HookEvent) -> None:
        """Take what the gateway tells."""
        if self._pid != os.getpid():
            self._forget()  # what was open is the parent's
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(self, event)

    def request_headers(self, event: AttemptStarted) -> Mapping[str, str]:
        """Give the headers that carry the attempt's context."""
        carrier: dict[str, str] = {}
        span = self._attempts.get(event.attempt_id)
        if span is not None:
            TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
        return carrier

    # --- calls ------------------------------------------------------------------------------------------------------------------

    def _call_started(self, event: CallStarted) -> None:
        dimensions = dimensions_of(event)
        name = named(dimensions["gen_ai.operation.name"], event.model)
        attributes = {**dimensions, **request_of(event)}
        parent = otel_context.get_current()
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, attributes)
        self._calls[event.call_id] = _Open(span, set_span_in_context(span, parent), self._instruments.bounded(dimensions))
        while len(self._calls) > MOST_OPEN:
            self._calls.pop(next(iter(self._calls))).span.end()

    def _content(self, event: CallContent) -> None:
        found = self._calls.get(event.call_id)
        if found is not None and found.span.is_recording():
            found.span.set_attributes(asked(event.request, self._chars) | answered(event.response, self._chars))

    def _downgraded(self, event: ModelDowngraded) -> None:
        found = self._calls.get(event.call_id)
        if found is not None:
            found.dimensions = self._instruments.bounded({**found.dimensions, "gen_ai.request.model": event.model})
            found.span.update_name(named(found.dimensions["gen_ai.operation.name"], event.model))
            found.span.set_attributes({"gen_ai.request.model": event.model, "omnillm.downgraded_from": event.asked})

    def _note(self, event: RetryScheduled | HedgeStarted | FallbackTaken) -> None:
        found = self._calls.get(event.call_id)
        if found is None:
            return
        if isinstance(event, FallbackTaken):
            moved = {"omnillm.from_endpoint": event.from_endpoint, "omnillm.to_endpoint": event.to_endpoint}
            found.span.add_event("omnillm.fallback", {**moved, "error.type": event.error})
        elif isinstance(event, RetryScheduled):
            found.span.add_event("omnillm.retry", {"omnillm.delay": event.delay, "error.type": event.error})
        else:
            found.span.add_event("omnillm.hedge", {"omnillm.delay": event.delay})

    def _chunk(self, event: ChunkReceived) -> None:
        found = self._calls.get(event.call_id)
        if found is not None:
            before, found.chunk_at = found.chunk_at, time.perf_counter()
            if before is not None:
                self._instruments.chunk(found.chunk_at - before, found.dimensions, found.context)

    def _call_ended(self, event: CallEnded) -> None:
        found = self._calls.pop(event.call_id, None)
        if found is None:
            return
        span = found.span
        span.set_attributes(answer_of(event))
        if event.error is not None:
            span.set_attribute("error.type", event.error)
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        self._instruments.call(event, found.dimensions, found.context)

    # --- attempts ---------------------------------------------------------------------------------------------------------------

    def _attempt_started(self, event: AttemptStarted) -> None:
        found = self._calls.get(event.call_id)
        where = {"gen_ai.provider.name": provider_of(event.provider, event.endpoint), **server_of(event.endpoint)}
        if found is not None:
            found.chunk_at = None
            if where.items() - found.dimensions.items():  # a fallback: from here on the call is there
                found.dimensions = {**found.dimensions, **where}
                found.span.set_attributes({**where, "omnillm.endpoint": event.endpoint})
        attributes = {
            **where,
            "gen_ai.request.model": event.model,
            "omnillm.endpoint": event.endpoint,
            "omnillm.key_label": event.key_label,
            "omnillm.reserved_tokens": event.reserved_tokens,
        }
        context = otel_context.get_current() if found is None else found.context
        self._attempts[event.attempt_id] = self._tracer.start_span(
            named("attempt", event.model), context, SpanKind.INTERNAL, attributes
        )
        while len(self._attempts) > MOST_OPEN:
            self._attempts.pop(next(iter(self._attempts))).end()

    def _attempt_ended(self, event: AttemptEnded) -> None:
        found, record = self._calls.get(event.call_id), event.record
        context = otel_context.get_current() if found is None else found.context
        span = self._attempts.pop(event.attempt_id, None)
        if span is None:  # its request could not even be written
            began = time.time_ns() - int(record.duration * 1e9)
            span = self._tracer.start_span(named("attempt", record.model), context, start_time=began)
            span.set_attributes(given({"omnillm.endpoint": record.endpoint, "omnillm.key_label": record.key_label}))
        span.set_attributes(attempt_of(record))
        span.set_attributes(given({"omnillm.charged_tokens": event.tokens, "omnillm.cost_usd": event.cost_usd}))
        if record.error is not None and not record.error.startswith(NO_ERROR):
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        provider = {} if found is None else {"gen_ai.provider.name": found.dimensions["gen_ai.provider.name"]}
        self._instruments.attempt(event, {**provider, **server_of(record.endpoint)}, context)

    # --- tools ------------------------------------------------------------------------------------------------------------------

    def _tool_started(self, event: ToolStarted) -> None:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.tool_call_id,
        }
        span = self._tracer.start_span(named("execute_tool", event.name), kind=SpanKind.INTERNAL, attributes=attributes)
        self._tools[event.run_id] = span, otel_context.attach(set_span_in_context(span))

    def _tool_ended(self, event: ToolEnded) -> None:
        found = self._tools.pop(event.run_id, None)
        if found is None:
            return
        span, token = found
        otel_context.detach(token)
        if event.error is not None:
            span.set_attribute("error.type", event.error)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    _handlers: ClassVar[dict[type, Callable[..., None]]] = {
        CallStarted: _call_started,
        CallContent: _content,
        ModelDowngraded: _downgraded,
        RetryScheduled: _note,
        HedgeStarted: _note,
        FallbackTaken: _note,
        ChunkReceived: _chunk,
        CallEnded: _call_ended,
        AttemptStarted: _attempt_started,
        AttemptEnded: _attempt_ended,
        ToolStarted: _tool_started,
        ToolEnded: _tool_ended,
    }


def instrument(builder: GatewayBuilder, **options: Any) -> GatewayBuilder:
    """Give the builder a hook that makes spans and metrics; ``options`` are those of ``OpenTelemetryHook``."""
    return builder.on_event(OpenTelemetryHook(**options))
