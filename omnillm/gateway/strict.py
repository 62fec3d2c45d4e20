"""The strict estimate: an upper bound of what a call may cost, or a refusal where nothing bounds it.

No tokenizer in use gives more tokens than the text has bytes, so the body that is sent bounds what is in it; what the provider
fetches by itself (URLs, file ids, stored conversations, its own tools' findings) is bounded by nothing. The output is bounded by
the cap that the body names.

Rules: canonical fields mean what they say. What the library does not know the meaning of (parts and fields of one vendor, the
caller's own fields) is refused, but for names that are known to cost nothing. A cap is looked for in the body as it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from ..errors import BudgetExceededError
from ..types._model import Model
from ..types.message import Message
from ..types.parts import AudioPart, FilePart, ImageBase64Part, ImageUrlPart, ToolResultPart, VendorPart
from ..types.request import LlmRequest
from ..wire._fields import SPELLING, WIRE_NAMES

# Pictures and sound are counted by their dimensions, which a small file may have large ones of: the dearest known rule is a
# 4K picture in tiles, below 20 000 tokens. A page of a PDF is read as text and as a picture.
MEDIA_TOKENS = 20_000
_CAP_NAMES = """
    max_tokens max_completion_tokens max_output_tokens maxOutputTokens maxTokens max_tokens_to_sample max_new_tokens max_gen_len
    maxTokenCount max_length
"""
_CONTENT_NAMES = """
    messages contents input system instructions systemInstruction system_instruction tools toolConfig metadata
    schema responseSchema responseJsonSchema response_schema response_json_schema
"""
_HARMLESS_NAMES = """
    allowedFunctionNames annotations anthropic_version cache_control citations description detail disable_parallel_tool_use
    eager_input_streaming filename format frequencyPenalty frequency_penalty generationConfig generation_config id include index
    inferenceConfig labels logit_bias logprobs logprobsCount metadata min_p mode mediaResolution name obfuscation output_config
    parallel_tool_calls phase presencePenalty presence_penalty prompt_cache_key prompt_cache_retention reasoning
    reasoning_content reasoning_effort refusal repetition_penalty requestMetadata response_format responseJsonSchema
    responseLogprobs responseMimeType responseSchema response_mime_type response_schema role safetySettings safety_identifier
    safety_settings seed signature status stop stopSequences stop_sequences store stream stream_options strict summary
    temperature text thinking thinkingConfig thought thoughtSignature title topK topP top_k top_logprobs top_p truncation type
    user verbosity
"""
_CAPS = frozenset(_CAP_NAMES.split())
_ANSWERS = frozenset({"n", "best_of", "candidateCount", "candidate_count"})
_TIERS = frozenset({"service_tier", "serviceTier"})
_PLAIN_TIERS = (None, "default", "auto", "standard", "standard_only")
_CONTENT = frozenset(_CONTENT_NAMES.split())  # what is said to the model, and about the request: no setting is in it
_HARMLESS = frozenset(_HARMLESS_NAMES.split()) | _CAPS | _ANSWERS | _TIERS  # the last three are looked at in the body


def strict_prompt_tokens(request: LlmRequest, size: int) -> int:
    """Bound the prompt's tokens by the size of the body; raises ``BudgetExceededError`` where nothing bounds them."""
    if request.capabilities.builtin_tools:
        raise unbounded("a tool that the provider runs adds to the prompt")
    _check_known(request)
    media = 0
    for item in request.normalized_input():
        for part in item.parts if isinstance(item, Message) else (item,):
            media += _media(part)
    return size + media


def check_payload(payload: Mapping[str, Any], cap: int | None) -> None:
    """Refuse a body that asks for more than one answer of ``cap`` tokens at the usual price, with ``BudgetExceededError``."""
    capped = False
    for name, value in _settings(payload):
        if name in _CAPS:
            if isinstance(value, bool) or not isinstance(value, int) or cap is None or value > cap:
                raise unbounded(f"{name} asks for more output than is reserved")
            capped = True
        elif name in _ANSWERS and value not in (None, 1):
            raise unbounded(f"{name} asks for several answers, each with the whole output cap")
        elif name in _TIERS and (value.get("type") if isinstance(value, Mapping) else value) not in _PLAIN_TIERS:
            raise unbounded(f"{name} asks for another tier, which has another price")
    if not capped:
        raise unbounded("the request has no output cap")


def output_cap(payload: Any) -> int | None:
    """Give the output cap that a body names, under whichever name; ``None`` where it names none."""
    caps = [value for name, value in _settings(payload) if name in _CAPS and type(value) is int and value >= 0]
    return max(caps, default=None)


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name, inner
            if name not in _CONTENT:
                yield from _settings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _settings(inner)


def _check_known(value: Any) -> None:
    """Refuse what the library does not know the meaning of, in the request and every part of it."""
    if isinstance(value, tuple):
        for inner in value:
            _check_known(inner)
    elif isinstance(value, VendorPart):
        raise unbounded("a part that only one vendor knows may bring more than is in the request")
    elif isinstance(value, Model):
        for field in fields(value):  # type: ignore[arg-type]  # every model is a dataclass
            given = getattr(value, field.name)
            if field.name != "vendor_extensions":
                _check_known(given)
            elif given:
                _check_extensions(given)


def _check_extensions(extensions: Mapping[str, Any]) -> None:
    for name, value in extensions.items():
        if name in WIRE_NAMES and isinstance(value, Mapping):
            _check_extensions(value)
        elif name not in _HARMLESS and name != SPELLING and value is not None:
            raise unbounded(f"{name} may add to the prompt or the price what is not in the request")


def _media(part: object) -> int:
    if isinstance(part, ImageUrlPart):
        raise unbounded("an image given by URL is not in the request")
    if isinstance(part, FilePart):
        if part.data is None:
            raise unbounded("a file given by URL or id is not in the request")
        return MEDIA_TOKENS
    if isinstance(part, ToolResultPart) and isinstance(part.output, tuple):
        return sum(_media(inner) for inner in part.output)
    return MEDIA_TOKENS if isinstance(part, ImageBase64Part | AudioPart) else 0


def unbounded(why: str) -> BudgetExceededError:
    """Say why a call is refused."""
    return BudgetExceededError(f"the budget's strict estimate cannot bound this call: {why}")
