"""Embeddings as OpenAI has them: ``POST /v1/embeddings``; Azure, Mistral, Voyage, Jina, OpenRouter and vLLM follow it.

Contract: an input is a text or token ids; an object (Jina's images) rides in that input's extensions. An embedding in base64 is
numbers here and is written as base64 again.
"""

from __future__ import annotations

from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import ProviderProtocol, WireFormat
from ...types.retrieval import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector
from .._codec import Payload
from .._endpoint import EndpointCodec, constant, lone_text, objects, set_fields, write_constant
from .._fields import Emission, Fields, spelling
from ._vectors import KINDS, decoded, encoded, numbers

WIRE = WireFormat.OPENAI_EMBEDDINGS
_SETTINGS = {"dimensions": "dimensions", "encoding_format": "encoding_format", "user": "user"}
MAX_INPUTS = 2048  # OpenAI, "Create embeddings", input
MAX_BYTES, MAX_VALUES = 256 << 20, 8_000_000  # that many inputs, of 3 072 dimensions


# --- requests -----------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> EmbeddingRequest:
    """Read a request."""
    fields = Fields(payload)
    return EmbeddingRequest(
        lone_text(fields, "model"),
        _read_input(fields),
        fields.integer("dimensions"),
        fields.text("encoding_format"),
        fields.text("user"),
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_input(fields: Fields) -> tuple[EmbeddingInput, ...]:
    value = fields.peek("input")
    if value is None:
        raise MissingFieldError("input: required, and not there", pointer="/input")
    if not isinstance(value, str | list):
        fields.refuse("input", "a text or an array")
    fields.take("input")
    if isinstance(value, str):
        return (EmbeddingInput(value),)
    if value and all(type(item) is int for item in value):
        return (EmbeddingInput(tokens=tuple(value)),)
    if len(value) == 1:
        fields.spell("input", "array")
    return tuple(_read_item(item, f"/input/{i}") for i, item in enumerate(value))


def _read_item(value: Any, pointer: str) -> EmbeddingInput:
    if isinstance(value, str):
        return EmbeddingInput(value)
    if isinstance(value, list) and all(type(item) is int for item in value):
        return EmbeddingInput(tokens=tuple(value))
    if not isinstance(value, dict):
        raise InvalidShapeError("expected a text, token ids or an object", pointer=pointer)
    item = Fields(value, pointer)
    text = item.maybe_text("text")
    item.spell("input", "object")
    return EmbeddingInput(text, vendor_extensions=item.extensions(WIRE))


def emit_request(request: EmbeddingRequest, emission: Emission) -> Payload:
    """Write a request; one input goes without an array, unless it was read in one."""
    out: Payload = {"model": request.model} if request.model else {}
    items = [_write_item(item, emission, f"/input/{i}") for i, item in enumerate(request.input)]
    spelled = spelling(request.vendor_extensions, WIRE).get("input") == "array"
    out["input"] = items[0] if len(items) == 1 and not spelled and not isinstance(items[0], dict) else items
    set_fields(out, request, _SETTINGS)
    return emission.lay(out, request.vendor_extensions, "")


def _write_item(item: EmbeddingInput, emission: Emission, pointer: str) -> Any:
    more = emission.lay({}, item.vendor_extensions, pointer) if item.vendor_extensions else {}
    if item.tokens is not None:
        if more:
            emission.lose(f"{pointer}/vendor_extensions", f"token ids stand alone, without {', '.join(more)}")
        return list(item.tokens)
    if more or spelling(item.vendor_extensions, WIRE).get("input") == "object":
        return more if item.text is None else {"text": item.text, **more}
    return item.text or ""


# --- responses ----------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> EmbeddingResponse:
    """Read a response."""
    fields = Fields(payload)
    constant(fields, "object", "list")
    if not fields.peek("model"):
        fields.spell("model", False)
    model = lone_text(fields, "model")
    data = tuple(_read_vector(item, i) for i, item in enumerate(objects(fields.required_array("data"), "/data")))
    return EmbeddingResponse(model, data, _read_usage(fields), vendor_extensions=fields.extensions(WIRE))


def _read_vector(fields: Fields, place: int) -> EmbeddingVector:
    constant(fields, "object", "embedding")
    index = fields.integer("index")
    if index is None:
        fields.spell("index", False)
    value, pointer = fields.take("embedding"), fields.at("embedding")
    if isinstance(value, str):
        vector, kind = decoded(value, pointer)
        fields.spell("embedding", kind)
        if encoded(vector, kind) != value:
            fields.spell("base64", value)
    elif isinstance(value, list):
        vector = numbers(value, pointer)
    elif value is None:
        vector = ()
        fields.spell("embedding", False)
    else:
        raise InvalidShapeError("expected numbers, or base64 of them", pointer=pointer)
    return EmbeddingVector(place if index is None else index, vector, vendor_extensions=fields.extensions(WIRE))


def _read_usage(fields: Fields) -> EmbeddingUsage | None:
    given = fields.maybe_object("usage")
    if given is None:
        fields.spell("usage", False)
        return None
    inner = Fields(given, "/usage")
    prompt, total = inner.maybe_count("prompt_tokens"), inner.maybe_count("total_tokens")
    if prompt is None:
        inner.spell("prompt_tokens", False)
    if total is None:
        inner.spell("total_tokens", False)
    return EmbeddingUsage(total or 0 if prompt is None else prompt, total, vendor_extensions=inner.extensions(WIRE))


def emit_response(response: EmbeddingResponse, emission: Emission) -> Payload:
    """Write a response."""
    spelled = spelling(response.vendor_extensions, WIRE)
    out: Payload = {}
    write_constant(out, spelled, "object", "list")
    out["data"] = [_write_vector(vector, emission, f"/data/{i}") for i, vector in enumerate(response.data)]
    if response.model or spelled.get("model") is not False:
        out["model"] = response.model
    usage = response.usage
    if usage is not None:
        out["usage"] = _write_usage(usage, emission)
    elif spelled.get("usage") is not False:
        out["usage"] = {"prompt_tokens": 0, "total_tokens": 0}
    return emission.lay(out, response.vendor_extensions, "")


def _write_vector(vector: EmbeddingVector, emission: Emission, pointer: str) -> Payload:
    spelled = spelling(vector.vendor_extensions, WIRE)
    out: Payload = {}
    write_constant(out, spelled, "object", "embedding")
    if spelled.get("index") is not False:
        out["index"] = vector.index
    kind = spelled.get("embedding")
    if kind in KINDS:
        raw = spelled.get("base64")
        same = isinstance(raw, str) and decoded(raw, pointer)[0] == vector.embedding
        out["embedding"] = raw if same else encoded(vector.embedding, kind)
    elif vector.embedding or kind is not False:
        out["embedding"] = list(vector.embedding)
    return emission.lay(out, vector.vendor_extensions, pointer)


def _write_usage(usage: EmbeddingUsage, emission: Emission) -> Payload:
    spelled = spelling(usage.vendor_extensions, WIRE)
    out: Payload = {} if spelled.get("prompt_tokens") is False else {"prompt_tokens": usage.prompt_tokens}
    if usage.total_tokens is not None:
        out["total_tokens"] = usage.total_tokens
    elif spelled.get("total_tokens") is not False:
        out["total_tokens"] = usage.total()
    return emission.lay(out, usage.vendor_extensions, "/usage")


def _path(_request: EmbeddingRequest, _streamed: bool) -> str:
    return "/embeddings"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
    request_type=EmbeddingRequest,
    response_type=EmbeddingResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=_path,
    batch_limit=MAX_INPUTS,
    max_bytes=MAX_BYTES,
    max_values=MAX_VALUES,
)
