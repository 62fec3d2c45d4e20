"""Responses requests read into canonical ones, and written.

Contract: ``parse_request`` reads any JSON object or raises ``ProtocolError``; ``emit_request`` writes every canonical field
or records its loss. What the canonical request does not name (``store``, ``include``, ``previous_response_id``,
``conversation``, …) rides in its extensions, explicit nulls included.
Rules: an input that came as a string goes out as one while it is one text of the user's; a ``prompt`` or the response before it
may stand in for the input, and a ``prompt`` for the model too.
Sampling settings that only compatible servers take are written where the wire itself had them.
"""

from __future__ import annotations

from typing import Any

from ...types.enums import MessageRole
from ...types.message import Message
from ...types.parts import FilePart, ImageBase64Part, ImageUrlPart, JsonPart, TextPart
from ...types.request import GenerationConfig, LlmRequest
from .._codec import Payload
from .._fields import Emission, Fields
from .._openai_cache import CacheForm, PromptCacheWriter
from ._capabilities import place_verbosity, read_capabilities, write_capabilities
from ._own import WIRE, Item, kept, spelled
from ._read import read_items
from ._write import ItemWriter

_SAMPLING = ("temperature", "top_p")
_COMPATIBLE = ("top_k", "presence_penalty", "frequency_penalty", "seed")
_CACHED = frozenset({TextPart, JsonPart, ImageUrlPart, ImageBase64Part, FilePart})
_CACHE = CacheForm({role: _CACHED for role in MessageRole if role is not MessageRole.ASSISTANT}, long_ttl=True)


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> LlmRequest:
    """Read a request."""
    fields = Fields(payload)
    metadata = fields.take("metadata") if fields.peek("metadata") and isinstance(fields.peek("metadata"), dict) else {}
    return LlmRequest(
        fields.text("model") or "",
        _read_input(fields),
        instructions=fields.maybe_text("instructions"),
        generation=_read_generation(fields),
        capabilities=read_capabilities(fields),
        stream=fields.boolean("stream"),
        metadata=metadata,
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_input(fields: Fields) -> tuple[Any, ...]:
    given = fields.peek("input")
    if isinstance(given, str):
        fields.take("input")
        fields.spell("input", "text")
        return (Message(MessageRole.USER, (TextPart(given),)),)
    if "input" not in fields:
        fields.spell("input", "absent")
    return read_items(fields.required_array("input"), "/input") if given else ()


def _read_generation(fields: Fields) -> GenerationConfig:
    own = Fields({})
    found: dict[str, Any] = {}
    for name in _COMPATIBLE:
        if fields.peek(name) is not None:
            found[name] = fields.integer(name) if name == "seed" else fields.number(name)
            own.spell(name, name)
    return GenerationConfig(
        fields.integer("max_output_tokens"),
        fields.number("temperature"),
        fields.number("top_p"),
        **found,
        vendor_extensions=own.extensions(WIRE),
    )


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_request(request: LlmRequest, emission: Emission) -> Payload:
    """Write a request."""
    cache = PromptCacheWriter(request, _CACHE)
    request = cache.request
    out: Payload = {"model": request.model} if request.model else {}
    if request.instructions is not None:
        out["instructions"] = request.instructions
    given = _write_input(request, emission)
    if given or not (spelled(request.vendor_extensions).get("input") == "absent" or "input" in kept(request.vendor_extensions)):
        out["input"] = given
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
    placed = "verbosity" in spelled(request.vendor_extensions) or "verbosity" not in kept(request.vendor_extensions)
    place_verbosity(out, placed=placed)
    return out


def _write_input(request: LlmRequest, emission: Emission) -> str | list[Item]:
    place = "/input" if request.input else "/messages"
    writer = ItemWriter(emission)
    items = [out for i, item in enumerate(request.normalized_input()) for out in writer.write(item, f"{place}/{i}")]
    if spelled(request.vendor_extensions).get("input") == "text" and len(items) == 1 and items[0].keys() == {"role", "content"}:
        content = items[0]["content"]
        if items[0]["role"] == "user" and isinstance(content, str):
            return content
    return items


def _write_generation(generation: GenerationConfig, out: Payload, emission: Emission) -> None:
    if generation.max_output_tokens is not None:
        out["max_output_tokens"] = generation.max_output_tokens
    for name in _SAMPLING:
        value = getattr(generation, name)
        if value is not None:
            out[name] = value
    note = spelled(generation.vendor_extensions)
    for name in _COMPATIBLE:
        value = getattr(generation, name)
        if value is not None:
            if name in note:
                out[name] = value
            else:
                emission.lose(f"/generation/{name}", f"Responses has no {name}")
    if generation.stop_sequences:
        emission.lose("/generation/stop_sequences", "Responses has no stop sequences (stop, stopSequences)")
    emission.lay(out, generation.vendor_extensions, "/generation")


def ask_for_usage(body: Payload) -> Payload:
    """Give the body as it is: a stream's last event always reports the usage."""
    return body


def path(_request: LlmRequest, _stream: bool) -> str:
    """Give the path below the provider's base."""
    return "/responses"
