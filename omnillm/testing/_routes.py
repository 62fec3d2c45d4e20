"""One row per wire format: where it is served, and what its provider does that others do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from ..types.capabilities import ReasoningCapability
from ..types.enums import ProviderProtocol
from ..types.parts import MessagePart, RefusalPart, TextPart
from ..types.request import LlmRequest
from ._answers import Voice, asks_for_effort
from ._limits import HeaderRule, anthropic_headers, google_headers, openai_headers


def _always(_payload: dict[str, Any]) -> bool:
    return True


def _as_said(request: LlmRequest, _path: str) -> LlmRequest:
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Serve a wire format at a path below ``base``; ``aliases`` are other paths at which hosts serve it.

    ``reports_usage`` tells whether a stream for this payload reports its usage. ``addressed`` gives the request with what the
    path says of it.
    """

    base: str
    path: str
    voice: Voice
    limit_headers: HeaderRule
    aliases: re.Pattern[str] | None = None
    id_header: str = "x-request-id"
    reports_usage: Callable[[dict[str, Any]], bool] = _always
    addressed: Callable[[LlmRequest, str], LlmRequest] = _as_said

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the protocol that is spoken here."""
        return self.voice.protocol


def _anthropic_stop(sequence: str | None) -> tuple[str | None, dict[str, Any]]:
    return None if sequence is None else "stop_sequence", {"anthropic_messages": {"stop_sequence": sequence}}


def _chat_nulls(parts: Sequence[MessagePart]) -> dict[str, Any]:
    kinds = set(map(type, parts))
    nulls = {name: None for name, kind in (("content", TextPart), ("refusal", RefusalPart)) if kind not in kinds}
    return {"open_ai_chat_completions": nulls}


def _anthropic_reasons(asked: ReasoningCapability) -> bool:
    """Reason when asked to adapt, too: a ``thinking`` object without a budget is in the extensions."""
    thinking = asked.vendor_extensions.get("anthropic_messages", {}).get("thinking")
    return asks_for_effort(asked) or (isinstance(thinking, dict) and thinking.get("type") != "disabled")


def _chat_reports_usage(payload: dict[str, Any]) -> bool:
    options = payload.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


_GEMINI = re.compile(
    r"(?:/v1beta|/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/publishers/google)/models/([^/]+):(generate|streamGenerate)Content"
)


def _gemini_addressed(request: LlmRequest, path: str) -> LlmRequest:
    """Give the request with the model and whether to stream, which are in the URL."""
    found = _GEMINI.fullmatch(path)
    if found is None:
        return request
    return replace(request, model=unquote(found[1]), stream=found[2] == "streamGenerate")


ROUTES = (
    Route(
        base="/v1",
        path="/chat/completions",
        aliases=re.compile(r"/openai/v1/chat/completions|/openai/deployments/[^/]+/chat/completions"),
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
        path="/messages",
        limit_headers=anthropic_headers,
        id_header="request-id",
        voice=Voice(
            protocol=ProviderProtocol.CLAUDE_MESSAGES,
            response_id="msg_{}",
            call_id="toolu_{}",
            signs_reasoning=True,
            stopped_at=_anthropic_stop,
            reasons=_anthropic_reasons,
        ),
    ),
    Route(
        base="/v1beta",
        path="/models/local:generateContent",
        aliases=_GEMINI,
        limit_headers=google_headers,
        addressed=_gemini_addressed,
        voice=Voice(
            protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT,
            response_id="resp-{}",
            call_id="call_{}",
            signs_reasoning=True,
        ),
    ),
)
BY_PROTOCOL = {route.protocol: route for route in ROUTES}
_BY_PATH = {route.base + route.path: route for route in ROUTES}


def find_route(path: str) -> Route | None:
    """Give the row that serves a path."""
    found = _BY_PATH.get(path)
    if found is not None:
        return found
    return next((route for route in ROUTES if route.aliases is not None and route.aliases.fullmatch(path)), None)
