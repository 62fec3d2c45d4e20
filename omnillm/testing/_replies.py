"""What the local provider says to a request it has read: an answer, a stream, a refusal, or as much of one as was scripted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import _json
from ..errors import ProviderError
from ..types.events import StreamFailed
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ..wire import StreamEmitter, emit_error, emit_response, emit_stream_event
from ..wire._errors import error_class
from ._answers import events_of, respond, respond_with
from ._endpoint_routes import EndpointRoute
from ._http import Ending, HttpReply
from ._native import NativeRoute
from ._routes import Route
from ._sessions import Session
from ._steps import Answer, BreakStream, Fail, Step

if TYPE_CHECKING:
    from .local_provider import ReceivedRequest

Served = Route | EndpointRoute | NativeRoute | Session
R = TypeVar("R", Route, EndpointRoute, NativeRoute, Session)
ENDINGS: dict[str, Ending] = {"cut": "cut", "reset": "reset", "hang": "hang"}


@dataclass(frozen=True, slots=True)
class Incoming(Generic[R]):
    """Hold what is known of a request that was found good."""

    route: R
    request: Any
    received: ReceivedRequest
    headers: dict[str, str]
    number: int

    @property
    def streams(self) -> bool:
        """Tell whether a stream was asked for."""
        return bool(getattr(self.request, "stream", None))


def response_to(call: Incoming[Route], step: Step | None) -> LlmResponse:
    """Give the canonical answer: as it was scripted, or the usual one."""
    if not isinstance(step, Answer):
        return respond(call.request, call.route.voice, call.number)
    if isinstance(step.answer, str):
        return respond_with(step.answer, call.request, call.route.voice, call.number)
    if not isinstance(step.answer, LlmResponse):
        return respond(call.request, call.route.voice, call.number)
    return replace(step.answer, response_id=step.answer.response_id or call.route.voice.response_id.format(call.number))


def frames_of(call: Incoming[Route], response: LlmResponse) -> tuple[list[bytes], list[bytes]]:
    """Give a stream as bytes, event by event: its content, and what ends it."""
    if not call.route.reports_usage(call.received.json):
        response = replace(response, usage=TokenUsage(estimated=True))
    emitter = StreamEmitter(call.route.protocol)
    *events, completed = events_of(response)
    content = [frame for event in events for frame in emitter.feed(event)]
    terminal = [*emitter.feed(completed), *emitter.finish()]
    return list(map(call.route.encode, content)), list(map(call.route.encode, terminal))


def json_reply(status: int, value: Any, headers: Mapping[str, str] = MappingProxyType({}), ending: Ending = "end") -> HttpReply:
    """Reply with a value as JSON."""
    return HttpReply(status, {"content-type": "application/json", **headers}, _json.dump_bytes(value), ending)


def _error(route: Served, status: int, message: str, code: str | None = None) -> ProviderError:
    codes = frozenset({code} if code else ())
    return error_class(status, codes)(message, protocol=route.protocol, status=status, code=code)


def refusal(route: Served, status: int, message: str, headers: Mapping[str, str], code: str | None = None) -> HttpReply:
    """Reply with an error in the route's own form."""
    return json_reply(status, emit_error(route.protocol, _error(route, status, message, code)), headers)


def failure(call: Incoming[Any], step: Fail) -> HttpReply:
    """Reply with the failure that was scripted."""
    headers = dict(call.headers)
    if step.retry_after is not None:
        headers["retry-after"] = f"{step.retry_after:g}"
    headers |= {name.lower(): value for name, value in step.headers.items()}
    if step.body is None:
        return refusal(call.route, step.status, step.message or f"scripted failure {step.status}", headers, step.code)
    if isinstance(step.body, str | bytes):
        body = step.body.encode() if isinstance(step.body, str) else step.body
        return HttpReply(step.status, {"content-type": "text/plain; charset=utf-8", **headers}, body)
    return json_reply(step.status, step.body, headers)


def error_frame(route: Route) -> bytes:
    """Give the event with which the route's stream fails; nothing where its protocol has none."""
    error = _error(route, 500, "scripted failure of a stream")
    frame = emit_stream_event(route.protocol, StreamFailed(error.message, error))
    return b"" if frame is None else route.encode(frame)


def endpoint_reply(call: Incoming[Any], route: EndpointRoute, scripted: Any, broken: BreakStream | None) -> HttpReply:
    """Answer a call of an endpoint that generates no text."""
    own, body = route.answer(call.request, scripted)
    return broken_off(call, HttpReply(200, {**own, **call.headers}, body), broken)


def broken_off(call: Incoming[Any], reply: HttpReply, broken: BreakStream | None) -> HttpReply:
    """Give a whole answer as far as it is to come."""
    if broken is None:
        return reply
    if broken.how == "error_event":
        error = _error(call.route, 500, "scripted failure")
        return json_reply(200, emit_error(call.route.protocol, error), call.headers)
    if broken.how == "no_terminal" and isinstance(reply.body, bytes):
        return replace(reply, body=reply.body[: len(reply.body) // 2])
    return replace(reply, ending=ENDINGS.get(broken.how, "end"))


def whole(call: Incoming[Route], response: LlmResponse, broken: BreakStream | None) -> HttpReply:
    """Answer in one piece."""
    reply = json_reply(200, emit_response(call.route.protocol, response), call.headers)
    return broken_off(call, reply, broken)
