"""Requests of Chat Completions.

Contract: ``parse_request`` reads any JSON object or raises ``ProtocolError``; ``emit_request`` writes every canonical field or
records its loss. Rules: instructions become the first system message; ``max_output_tokens`` is ``max_completion_tokens`` unless
the request came with the older name, or the endpoint knows no other; what the canonical request does not name rides in its
extensions, explicit nulls included.
"""

from __future__ import annotations

from typing import Any

from ...errors import InvalidShapeError
from ...types.enums import MessageRole
from ...types.request import GenerationConfig, LlmRequest
from .._codec import Payload
from .._fields import Emission, Fields, spelling
from .._openai_cache import CacheForm, PromptCacheWriter
from .._plain import read_plain
from ._capabilities import read_capabilities, write_capabilities
from ._content import MEDIA, TEXT, WIRE
from ._messages import PLAIN_ROLES, read_message, write_items

_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
_CACHE = CacheForm({role: TEXT | MEDIA if role is MessageRole.USER else TEXT for role in MessageRole}, long_ttl=False)


def parse_request(payload: Payload) -> LlmRequest:
    """Read a request."""
    fields = Fields(payload)
    model = fields.required_text("model")
    messages = fields.required_array("messages")
    generation = _read_generation(fields)
    capabilities = read_capabilities(fields)
    metadata = fields.peek("metadata")
    if metadata and isinstance(metadata, dict):
        fields.take("metadata")
    else:
        metadata = {}
    stream = fields.boolean("stream")
    items = [read_plain(message, PLAIN_ROLES) or read_message(message, f"/messages/{i}") for i, message in enumerate(messages)]
    return LlmRequest(
        model,
        tuple(items),
        generation=generation,
        capabilities=capabilities,
        stream=stream,
        metadata=metadata,
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_generation(fields: Fields) -> GenerationConfig:
    own = Fields({})
    cap = fields.integer("max_completion_tokens")
    if cap is None:
        cap = fields.integer("max_tokens")
        if cap is not None:
            own.spell("max_output_tokens", "max_tokens")
    top_k = fields.number("top_k")
    if top_k is not None:
        own.spell("top_k", "top_k")
    return GenerationConfig(
        max_output_tokens=cap,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=top_k,
        stop_sequences=_read_stop(fields, own),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        seed=fields.integer("seed"),
        vendor_extensions=own.extensions(WIRE),
    )


def _read_stop(fields: Fields, own: Fields) -> tuple[str, ...]:
    given = fields.peek("stop")
    if isinstance(given, str):
        own.spell("stop_sequences", "text")
        fields.take("stop")
        return (given,)
    if not given and given is not None:
        fields.array("stop")
        fields.keep("stop", given)
        return ()
    found = fields.array("stop")
    if found is None:
        return ()
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise InvalidShapeError("stop: expected strings", pointer=f"/stop/{i}")
    return tuple(found)


def emit_request(request: LlmRequest, emission: Emission) -> Payload:
    """Write a request."""
    cache = PromptCacheWriter(request, _CACHE)
    request = cache.request
    messages: list[Any] = []
    if request.instructions is not None:
        text = request.instructions
        content = [{"type": "text", "text": text}] if emission.text_content == "array" else text
        messages.append({"role": "system", "content": content})
    items = request.normalized_input()
    messages.extend(write_items(items, emission))
    out: Payload = {"model": request.model, "messages": messages}
    _write_generation(request.generation, out, emission)
    write_capabilities(request.capabilities, out, emission)
    cache.write(out, emission)
    stream = request.stream if emission.stream is None else emission.stream
    if stream is not None:
        out["stream"] = stream
    if request.metadata:
        out["metadata"] = dict(request.metadata)
    emission.lay(out, request.vendor_extensions, "")
    if emission.stream is False:
        out.pop("stream_options", None)  # the API refuses them where nothing is streamed
    return out


def _write_generation(generation: GenerationConfig, out: Payload, emission: Emission) -> None:
    spelled = spelling(generation.vendor_extensions, WIRE)
    if generation.max_output_tokens is not None:
        old = "max_tokens" in (spelled.get("max_output_tokens"), emission.output_cap)
        out["max_tokens" if old else "max_completion_tokens"] = generation.max_output_tokens
    for name in _SAMPLING:
        value = getattr(generation, name)
        if value is not None:
            out[name] = value
    stops = generation.stop_sequences
    if stops:
        out["stop"] = stops[0] if len(stops) == 1 and "stop_sequences" in spelled else list(stops)
    if generation.top_k is not None:
        if "top_k" in spelled:
            out["top_k"] = generation.top_k
        else:
            emission.lose("/generation/top_k", "Chat Completions has no top_k")
    emission.lay(out, generation.vendor_extensions, "/generation")


def ask_for_usage(body: Payload) -> Payload:
    """Give the body that makes a stream report its usage; what the caller said of it counts."""
    options = body.get("stream_options")
    if options is None:
        return {**body, "stream_options": {"include_usage": True}}
    if not isinstance(options, dict) or "include_usage" in options:
        return body
    return {**body, "stream_options": {**options, "include_usage": True}}


def path(_request: LlmRequest, _stream: bool) -> str:
    """Give the path below the provider's base."""
    return "/chat/completions"
