"""What the provider says: a pure function of the request, the voice of the protocol and a number.

Rules, in this order:

* tool results at the end of the input are quoted: ``NAME gave: OUTPUT`` (``failed`` for an error), joined by ``; ``;
* a user's text that starts with ``refuse`` is refused;
* tools that are offered are called where the text says ``call NAME`` or ``call NAME with {json}`` (several times: several calls),
  where the tool choice names one, or, the first of them, where it requires one; arguments not given are the schema's least value;
* structured output is the schema's least value as JSON text;
* anything else is echoed: ``echo: TEXT``.

Reasoning that was asked for comes first. Stop sequences cut the text, ``max_output_tokens`` cuts all of it. Every delta of a
stream is one output token: a word with the blanks before it, eight characters of a tool call's arguments. Prompt tokens are
``LlmRequest.estimated_prompt_tokens()``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .._dataclass import dataclass
from ..types.capabilities import ReasoningCapability, ToolDefinition
from ..types.enums import FinishReason, MessageRole, ProviderProtocol
from ..types.events import (
    AnnotationAdded,
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    TextDelta,
    ToolCallDelta,
    UsageUpdated,
)
from ..types.message import Message, RequestItem
from ..types.parts import MessagePart, ReasoningPart, RefusalPart, TextPart, ToolCallPart, ToolResultPart
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ._schema import least_instance

REFUSAL = "I cannot help with that."
THOUGHT = "I shall do as I am told."
ARGUMENT_CHARS = 8

_WORD = re.compile(r"\s*\S+|\s+\Z")
_CALL = re.compile(r"\bcall\s+([A-Za-z0-9_.-]*[A-Za-z0-9_-])(?:\s+with\s+(?=\{))?")
_JSON = json.JSONDecoder()


def asks_for_effort(asked: ReasoningCapability) -> bool:
    """Tell whether reasoning is asked for by an effort, a budget or a summary."""
    return asked.effort not in (None, "none") or asked.budget_tokens is not None or asked.summary is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Say what differs from protocol to protocol in a model's answer.

    ``reasons`` tells whether reasoning is asked for. ``stopped_at`` gives the word and the extensions by which an answer names
    the stop sequence that ended it, or none; ``nulls`` gives the fields that a message has though nothing is in them.
    ``origin`` is the protocol that an answer comes from: another one where the codec is to give its items their ids.
    """

    protocol: ProviderProtocol
    response_id: str
    call_id: str
    signs_reasoning: bool = False
    reasons: Callable[[ReasoningCapability], bool] = asks_for_effort
    stopped_at: Callable[[str | None], tuple[str | None, dict[str, Any]]] | None = None
    nulls: Callable[[Sequence[MessagePart]], dict[str, Any]] | None = None
    origin: ProviderProtocol | None = None


_Said = tuple[list[MessagePart], FinishReason, str | None]  # the last one is the stop sequence that ended it


def respond(request: LlmRequest, voice: Voice, number: int) -> LlmResponse:
    """Give the answer to a request, the ``number``-th of the provider."""
    parts, finish, stop = _say(request, voice, number)
    asked = request.capabilities.reasoning
    if asked is not None and voice.reasons(asked):
        parts = [_reasoning(voice), *parts]
    parts, was_cut = _cut(parts, request.generation.max_output_tokens)
    if was_cut:
        finish, stop = FinishReason.LENGTH, None
    return _response((parts, finish, stop), request, voice, number)


def respond_with(text: str, request: LlmRequest, voice: Voice, number: int) -> LlmResponse:
    """Give an answer of this text, whatever was asked."""
    return _response(([TextPart(text)], FinishReason.STOP, None), request, voice, number)


def _response(said: _Said, request: LlmRequest, voice: Voice, number: int) -> LlmResponse:
    parts, finish, stop = said
    raw, extensions = (None, {}) if voice.stopped_at is None else voice.stopped_at(stop)
    nulls = {} if voice.nulls is None else voice.nulls(parts)
    return LlmResponse(
        output=(Message(MessageRole.ASSISTANT, tuple(parts), vendor_extensions=nulls),),
        usage=usage_of(request, parts),
        model=request.model,
        provider_protocol=voice.origin or voice.protocol,
        finish_reason=finish,
        raw_finish_reason=raw,
        response_id=voice.response_id.format(number),
        vendor_extensions=extensions,
    )


def usage_of(request: LlmRequest, parts: Sequence[object]) -> TokenUsage:
    """Count the tokens of a request and of the parts of its answer."""
    prompt, output = request.estimated_prompt_tokens(), sum(map(tokens_of, parts))
    reasoning = sum(tokens_of(part) for part in parts if isinstance(part, ReasoningPart))
    return TokenUsage(prompt, output, prompt + output, reasoning_tokens=reasoning or None)


def tokens_of(part: object) -> int:
    """Count the tokens of an output part: the deltas it takes in a stream."""
    return len(_pieces(part))


# --- what to say --------------------------------------------------------------------------------------------------------------


def _say(request: LlmRequest, voice: Voice, number: int) -> _Said:
    items = request.normalized_input()
    results = _last_results(items)
    if results:
        return _text(_quoted(results, items), request)
    text = _last_user_text(items)
    if text.lstrip().lower().startswith("refuse"):
        return [RefusalPart(REFUSAL)], FinishReason.STOP, None
    calls = _calls(request, text, voice, number)
    if calls:
        return [*calls], FinishReason.TOOL_CALL, None
    structured = request.capabilities.structured_output
    if structured is not None:
        value = {} if structured.schema is None else least_instance(structured.schema)
        return _text(json.dumps(value, ensure_ascii=False), request)
    return _text(f"echo: {text}" if text else "echo:", request)


def _text(text: str, request: LlmRequest) -> _Said:
    """Say a text, up to the first of the stop sequences."""
    found = [(text.find(stop), stop) for stop in request.generation.stop_sequences or () if stop and stop in text]
    if not found:
        return [TextPart(text)], FinishReason.STOP, None
    at, stop = min(found)
    return [TextPart(text[:at])], FinishReason.STOP, stop


def _last_user_text(items: Sequence[RequestItem]) -> str:
    for item in reversed(items):
        if isinstance(item, Message) and item.role is MessageRole.USER:
            return item.plain_text()
    return ""


def _last_results(items: Sequence[RequestItem]) -> list[ToolResultPart]:
    """Give the tool results that the input ends with."""
    results: list[ToolResultPart] = []
    for item in reversed(items):
        parts = item.parts if isinstance(item, Message) else (item,)
        found = [part for part in parts if isinstance(part, ToolResultPart)]
        if not found:
            break
        results[:0] = found
    return results


def _quoted(results: Sequence[ToolResultPart], items: Sequence[RequestItem]) -> str:
    names = {
        part.call_id: part.name
        for item in items
        for part in (item.parts if isinstance(item, Message) else (item,))
        if isinstance(part, ToolCallPart)
    }
    return "; ".join(
        f"{result.name or names.get(result.call_id, result.call_id)} {'failed' if result.is_error else 'gave'}: {result.text()}"
        for result in results
    )


def _calls(request: LlmRequest, text: str, voice: Voice, number: int) -> list[ToolCallPart]:
    choice = request.capabilities.tool_choice
    mode = "auto" if choice is None else choice.mode
    offered = {tool.name: tool for tool in request.capabilities.tools}
    if mode == "none" or not offered:
        return []
    wanted = [(name, arguments) for name, arguments in _written_calls(text) if name in offered]
    if mode == "named" and choice is not None and choice.name in offered:
        wanted = [call for call in wanted if call[0] == choice.name] or [(choice.name, None)]
    elif mode == "required" and not wanted:
        wanted = [(next(iter(offered)), None)]
    if request.capabilities.parallel_tool_calls is False:
        wanted = wanted[:1]
    return [
        ToolCallPart(voice.call_id.format(f"{number}_{i}"), name, _arguments(offered[name]) if arguments is None else arguments)
        for i, (name, arguments) in enumerate(wanted)
    ]


def _written_calls(text: str) -> list[tuple[str, Any]]:
    """Give the calls that a text asks for: names, and arguments where they are written out."""
    calls: list[tuple[str, Any]] = []
    for found in _CALL.finditer(text):
        arguments: Any = None
        if text.startswith("{", found.end()):
            try:
                arguments, _ = _JSON.raw_decode(text, found.end())
            except ValueError:
                arguments = None  # what follows is no JSON: the schema's least value it is
        calls.append((found[1], arguments))
    return calls


def _arguments(tool: ToolDefinition) -> Any:
    value = least_instance(tool.input_schema)
    return value if isinstance(value, dict) else {}


def _reasoning(voice: Voice) -> ReasoningPart:
    signature = base64.b64encode(hashlib.sha256(THOUGHT.encode()).digest()).decode() if voice.signs_reasoning else None
    return ReasoningPart(THOUGHT, signature=signature, protocol=voice.origin or voice.protocol)


def _cut(parts: list[MessagePart], cap: int | None) -> tuple[list[MessagePart], bool]:
    """Give what fits into that many tokens, and whether anything did not; a tool call is kept whole or not at all."""
    if cap is None:
        return parts, False
    kept: list[MessagePart] = []
    left = cap
    for part in parts:
        pieces = _pieces(part)
        if len(pieces) > left:
            if left > 0 and isinstance(part, TextPart | RefusalPart | ReasoningPart):
                kept.append(replace(part, text="".join(pieces[:left])))
            return kept, True
        kept.append(part)
        left -= len(pieces)
    return kept, False


# --- as a stream --------------------------------------------------------------------------------------------------------------


def _pieces(part: object) -> list[str]:
    if isinstance(part, TextPart | RefusalPart | ReasoningPart):
        return _WORD.findall(part.text)
    if isinstance(part, ToolCallPart):
        text = part.arguments_text()
        return [text[i : i + ARGUMENT_CHARS] for i in range(0, len(text), ARGUMENT_CHARS)]
    return []


def events_of(response: LlmResponse) -> list[LlmStreamEvent]:
    """Give the events of a stream that ends in this response; the last one is ``Completed``.

    The usage is told twice, as Anthropic does, the input at the start and all of it at the end; an estimate is not told.
    """
    usage, told = response.usage, not response.usage.estimated
    events: list[LlmStreamEvent] = [ResponseStarted(response.response_id, response.model, response.provider_protocol)]
    if told:
        events.append(UsageUpdated(TokenUsage(usage.prompt_tokens, prompt_cache=usage.prompt_cache)))
    for index, item in enumerate(response.output):
        if isinstance(item, Message):
            events.append(OutputItemAdded(replace(item, parts=(), raw_message=None), index))
            for part in item.parts:
                events.extend(_part_events(part, index))
        else:
            events.append(OutputItemAdded(item, index))
            events.extend(_part_events(item, index))
    return [*events, *([UsageUpdated(usage)] if told else []), Completed(response)]


def _part_events(part: MessagePart, index: int) -> list[LlmStreamEvent]:
    pieces = _pieces(part)
    if isinstance(part, TextPart):
        return [*(TextDelta(piece, index) for piece in pieces), *(AnnotationAdded(note, index) for note in part.annotations)]
    if isinstance(part, RefusalPart):
        return [RefusalDelta(piece, index) for piece in pieces]
    if isinstance(part, ToolCallPart):
        return [ToolCallDelta(part.call_id, part.name, piece, index) for piece in ["", *pieces]]
    if isinstance(part, ReasoningPart) and (pieces or part.signature):
        thoughts: list[LlmStreamEvent] = [ReasoningDelta(piece, index) for piece in pieces]
        return [*thoughts, ReasoningDelta("", index, signature=part.signature)] if part.signature else thoughts
    return [ContentPartAdded(part, index)]
