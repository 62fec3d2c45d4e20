"""One row per wire format: where it is served, and what its provider does that others do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from ..types.capabilities import ReasoningCapability
from ..types.enums import ProviderProtocol
from ..types.parts import MessagePart, RefusalPart, TextPart
from ..types.request import LlmRequest
from ..wire import parse_request
from ..wire.sse import SseFrame, encode_sse
from ._answers import Voice, asks_for_effort
from ._eventstream import MEDIA_TYPE, encode_chunk, encode_event
from ._limits import HeaderRule, anthropic_headers, openai_headers, retry_after_header


def _always(_payload: dict[str, Any]) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Serve a wire format at a path below ``base``; ``aliases`` are other paths at which hosts serve it.

    A group ``model`` in ``aliases`` is the model, a group ``stream`` says that the answer streams. ``reports_usage`` tells
    whether a stream for this payload reports its usage; ``encode`` writes its frames. ``required`` are what the body must say,
    and the query where a path in ``aliases`` has a ``deployment``.
    """

    base: str
    path: str
    voice: Voice
    limit_headers: HeaderRule
    aliases: re.Pattern[str] | None = None
    id_header: str = "x-request-id"
    reports_usage: Callable[[dict[str, Any]], bool] = _always
    stream_type: str = "text/event-stream"
    encode: Callable[[SseFrame], bytes] = encode_sse
    required: tuple[str, ...] = ()

    def lacks(self, path: str, query: Mapping[str, Any], body: Any) -> str | None:
        """Say what is missing from a request, ``None`` where nothing is."""
        found = None if self.aliases is None else self.aliases.fullmatch(path)
        if found is not None and found.groupdict().get("deployment") and not query.get("api-version"):
            return "Missing required query parameter: api-version"
        for name in self.required:
            if not isinstance(body, dict) or not isinstance(body.get(name), str):
                return f"{name}: Field required"
        return None

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the protocol that is spoken here."""
        return self.voice.protocol

    def read(self, body: bytes, _content_type: str, path: str) -> LlmRequest:
        """Read a request, with what the path says of it: the model, and whether to stream."""
        request = parse_request(self.protocol, body)
        found = None if self.aliases is None else self.aliases.fullmatch(path)
        if found is None or "model" not in found.groupdict():
            return request if found is None or not found.groupdict().get("deployment") else self._deployed(request, found)
        return replace(request, model=unquote(found["model"]), stream=found["stream"] is not None)

    @staticmethod
    def _deployed(request: LlmRequest, found: re.Match[str]) -> LlmRequest:
        """Give the request for a deployment, whatever model its body says."""
        return replace(request, model=unquote(found["deployment"]))


def _anthropic_stop(sequence: str | None) -> tuple[str | None, dict[str, Any]]:
    return None if sequence is None else "stop_sequence", {"anthropic_messages": {"stop_sequence": sequence}}


def _bedrock_stop(sequence: str | None) -> tuple[str | None, dict[str, Any]]:
    return None if sequence is None else "stop_sequence", {}


def _chat_nulls(parts: Sequence[MessagePart]) -> dict[str, Any]:
    kinds = set(map(type, parts))
    nulls = {name: None for name, kind in (("content", TextPart), ("refusal", RefusalPart)) if kind not in kinds}
    return {"open_ai_chat_completions": nulls}


def _claude_reasons(asked: ReasoningCapability) -> bool:
    """Reason when asked to adapt, too: a ``thinking`` object without a budget is in the extensions."""
    own: dict[str, Any] = next(iter(asked.vendor_extensions.values()), {})
    thinking = own.get("thinking")
    return asks_for_effort(asked) or (isinstance(thinking, dict) and thinking.get("type") != "disabled")


def _chat_reports_usage(payload: dict[str, Any]) -> bool:
    options = payload.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


_GEMINI = re.compile(
    r"(?:/v1(?:alpha|beta)?|/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/publishers/google)"
    r"/models/(?P<model>[^/]+):(?:generate|(?P<stream>streamGenerate))Content"
)
_BEDROCK = re.compile(r"/model/(?P<model>[^/]+)/converse(?P<stream>-stream)?")


ROUTES = (
    Route(
        base="/v1",
        path="/chat/completions",
        aliases=re.compile(r"/openai/v1/chat/completions|/openai/deployments/(?P<deployment>[^/]+)/chat/completions"),
        limit_headers=openai_headers,
        reports_usage=_chat_reports_usage,
        voice=Voice(
            protocol=ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
            response_id="chatcmpl-{}",
            call_id="call_{}",
            nulls=_chat_nulls,
        ),
    ),
    Route(
        base="/v1",
        path="/responses",
        aliases=re.compile(r"/openai/v1/responses"),
        limit_headers=openai_headers,
        voice=Voice(
            protocol=ProviderProtocol.OPENAI_RESPONSES,
            response_id="resp_{}",
            call_id="call_{}",
            origin=ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
        ),
    ),
    Route(
        base="/v1",
        path="/messages",
        limit_headers=anthropic_headers,
        id_header="request-id",
        voice=Voice(
            protocol=ProviderProtocol.CLAUDE_MESSAGES,
            response_id="msg_{}",
            call_id="toolu_{}",
            signs_reasoning=True,
            stopped_at=_anthropic_stop,
            reasons=_claude_reasons,
        ),
    ),
    Route(
        base="/v1beta",
        path="/models/local:generateContent",
        aliases=_GEMINI,
        limit_headers=retry_after_header,
        voice=Voice(
            protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT,
            response_id="resp-{}",
            call_id="call_{}",
            signs_reasoning=True,
        ),
    ),
    Route(
        base="",
        path="/model/local/converse",
        aliases=_BEDROCK,
        limit_headers=retry_after_header,
        id_header="x-amzn-requestid",
        stream_type=MEDIA_TYPE,
        encode=encode_event,
        voice=Voice(
            protocol=ProviderProtocol.BEDROCK_CONVERSE,
            response_id="resp-{}",
            call_id="tooluse_{}",
            signs_reasoning=True,
            stopped_at=_bedrock_stop,
            reasons=_claude_reasons,
        ),
    ),
)
BY_PROTOCOL = {route.protocol: route for route in ROUTES}
_MESSAGES = BY_PROTOCOL[ProviderProtocol.CLAUDE_MESSAGES]
HOSTED = (
    replace(
        _MESSAGES,
        base="",
        aliases=re.compile(
            r"/v1/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/(?P<model>[^/]+):(?:raw|(?P<stream>streamRaw))Predict"
        ),
        required=("anthropic_version",),
    ),
    replace(
        _MESSAGES,
        base="",
        aliases=re.compile(r"/model/(?P<model>[^/]+)/invoke(?P<stream>-with-response-stream)?"),
        limit_headers=retry_after_header,
        id_header="x-amzn-requestid",
        stream_type=MEDIA_TYPE,
        encode=encode_chunk,
        required=("anthropic_version",),
    ),
)
_BY_PATH = {route.base + route.path: route for route in ROUTES}


def find_route(path: str) -> Route | None:
    """Give the row that serves a path."""
    found = _BY_PATH.get(path)
    if found is not None:
        return found
    return next((route for route in (*ROUTES, *HOSTED) if route.aliases is not None and route.aliases.fullmatch(path)), None)
