"""Embeddings as Cohere has them: ``POST /v2/embed``, and what v1 and Bedrock's Cohere models answer.

Contract: ``texts`` are inputs, and so are ``inputs``, whose content rides in their extensions where it is more than a text;
images stay with the request. Of several types of embeddings the first of float, base64, int8, uint8, binary, ubinary is the
vectors'; the others ride with the response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import ProviderProtocol, WireFormat
from ...types.retrieval import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector
from .._codec import Payload
from .._endpoint import EndpointCodec, lone_text, lose_fields, objects
from .._fields import Emission, Fields, fill, kept, spelling
from ._vectors import decoded, encoded, in_order, numbers

WIRE = WireFormat.COHERE_EMBED
MAX_INPUTS = 96  # Cohere, "Embed API (v2)", texts
_TYPES = ("float", "base64", "int8", "uint8", "binary", "ubinary")


# --- requests -----------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> EmbeddingRequest:
    """Read a request."""
    fields = Fields(payload)
    model, items = lone_text(fields, "model"), _read_input(fields)
    dimensions = fields.integer("output_dimension")
    types, encoding = fields.peek("embedding_types"), None
    if isinstance(types, list) and len(types) == 1 and isinstance(types[0], str):
        encoding = types[0]
        fields.take("embedding_types")
    elif types is None:
        fields.spell("embedding_types", False)
    if fields.peek("input_type") is None:
        fields.spell("input_type", False)
    return EmbeddingRequest(model, items, dimensions, encoding, vendor_extensions=fields.extensions(WIRE))


def _read_input(fields: Fields) -> tuple[EmbeddingInput, ...]:
    if fields.peek("texts") is not None:
        texts = fields.required_array("texts")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidShapeError("expected a text", pointer=f"/texts/{i}")
        return tuple(map(EmbeddingInput, texts))
    if fields.peek("inputs") is not None:
        fields.spell("texts", "inputs")
        return tuple(_read_content(item) for item in objects(fields.required_array("inputs"), "/inputs"))
    if fields.peek("images") is None:
        raise MissingFieldError("texts: required, and not there", pointer="/texts")
    fields.spell("texts", False)
    return ()


def _read_content(fields: Fields) -> EmbeddingInput:
    content = fields.peek("content")
    text = None
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict) and set(content[0]) == {"type", "text"}:
        text = content[0]["text"] if content[0]["type"] == "text" and isinstance(content[0]["text"], str) else None
    if text is not None:
        fields.take("content")
    extensions = fields.extensions(WIRE)
    if text is None and not extensions:
        raise InvalidShapeError("expected a content", pointer=fields.pointer)
    return EmbeddingInput(text, vendor_extensions=extensions)


def emit_request(request: EmbeddingRequest, emission: Emission) -> Payload:
    """Write a request; what the inputs are for (``input_type``) is ``search_document`` where nothing is said of it."""
    spelled = spelling(request.vendor_extensions, WIRE)
    out: Payload = {"model": request.model} if request.model else {}
    if spelled.get("texts") == "inputs" or any(kept(item.vendor_extensions, WIRE) for item in request.input):
        out["inputs"] = [_write_content(item, emission, f"/input/{i}") for i, item in enumerate(request.input)]
    elif request.input or spelled.get("texts") is not False:
        out["texts"] = [_write_text(item, emission, f"/input/{i}") for i, item in enumerate(request.input)]
    if spelled.get("input_type") is not False and "input_type" not in kept(request.vendor_extensions, WIRE):
        out["input_type"] = "search_document"
    if request.dimensions is not None:
        out["output_dimension"] = request.dimensions
    known = "embedding_types" in kept(request.vendor_extensions, WIRE)
    if request.encoding_format is not None or not (known or spelled.get("embedding_types") is False):
        out["embedding_types"] = [request.encoding_format or "float"]
    lose_fields(emission, request, ("user",))
    return emission.lay(out, request.vendor_extensions, "")


def _write_text(item: EmbeddingInput, emission: Emission, pointer: str) -> str:
    for name in emission.lay({}, item.vendor_extensions, pointer):
        emission.lose(f"{pointer}/vendor_extensions/{name}", "a text of Cohere's is nothing but a text")
    if item.tokens is not None:
        emission.lose(f"{pointer}/tokens", "Cohere embeds texts, not token ids")
    elif item.text is None:
        emission.lose(f"{pointer}/text", "the input has no text, and nothing that Cohere could embed")
    return item.text or ""


def _write_content(item: EmbeddingInput, emission: Emission, pointer: str) -> Payload:
    out: Payload = {}
    if item.text is not None or not kept(item.vendor_extensions, WIRE):
        out["content"] = [{"type": "text", "text": item.text or ""}]
    if item.tokens is not None:
        emission.lose(f"{pointer}/tokens", "Cohere embeds texts, not token ids")
    return emission.lay(out, item.vendor_extensions, pointer)


# --- responses ----------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> EmbeddingResponse:
    """Read a response."""
    fields = Fields(payload)
    model, given = lone_text(fields, "model"), fields.take("embeddings")
    if isinstance(given, list):
        kind, vectors = "list", given
    elif isinstance(given, dict):
        kind = next((name for name in _TYPES if given.get(name) is not None), "")
        rest = Fields(given, "/embeddings")
        vectors = rest.array(kind) or []
        if rest.rest():
            fields.keep("embeddings", rest.rest())
    else:
        raise MissingFieldError("embeddings: required, and not there", pointer="/embeddings")
    fields.spell("embeddings", kind)
    pointer = "/embeddings" if kind == "list" else f"/embeddings/{kind}"
    data = tuple(_read_vector(vector, kind, f"{pointer}/{i}", i) for i, vector in enumerate(vectors))
    return EmbeddingResponse(model, data, _read_usage(fields), vendor_extensions=fields.extensions(WIRE))


def _read_vector(value: Any, kind: str, pointer: str, index: int) -> EmbeddingVector:
    if kind == "base64":
        if not isinstance(value, str):
            raise InvalidShapeError("expected base64", pointer=pointer)
        vector, form = decoded(value, pointer)
        fields = Fields({})
        fields.spell("embedding", form)
        if encoded(vector, form) != value:
            fields.spell("base64", value)
        return EmbeddingVector(index, vector, vendor_extensions=fields.extensions(WIRE))
    if not isinstance(value, list):
        raise InvalidShapeError("expected an array of numbers", pointer=pointer)
    return EmbeddingVector(index, numbers(value, pointer))


def _read_usage(fields: Fields) -> EmbeddingUsage | None:
    """Read what is billed; it stays where it is, in ``meta``, with what is not counted in tokens."""
    meta = fields.peek("meta")
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    tokens = billed.get("input_tokens") if isinstance(billed, dict) else None
    if not isinstance(tokens, int | float) or isinstance(tokens, bool) or not 0 <= tokens < 1e12:
        return None
    return EmbeddingUsage(int(tokens))


def emit_response(response: EmbeddingResponse, emission: Emission) -> Payload:
    """Write a response."""
    spelled = spelling(response.vendor_extensions, WIRE)
    kind = spelled.get("embeddings", "float")
    out: Payload = {"model": response.model} if response.model and "embeddings" in spelled else {}
    if response.model and not out:
        emission.lose("/model", "Cohere's answer does not name the model")
    vectors = [_write_vector(vector, kind, emission, f"/data/{i}") for i, vector in enumerate(in_order(response, emission))]
    known = kept(response.vendor_extensions, WIRE)
    if kind == "list":
        out["embeddings"] = vectors
    else:
        out["embeddings"] = fill({kind: vectors} if kind else {}, known.get("embeddings"))
    if response.usage is not None:
        _write_usage(out, response.usage, emission, known.get("meta"))
    return emission.lay(out, response.vendor_extensions, "")


def _write_vector(vector: EmbeddingVector, kind: Any, emission: Emission, pointer: str) -> Any:
    for name in emission.lay({}, vector.vendor_extensions, pointer):
        emission.lose(f"{pointer}/vendor_extensions/{name}", "an embedding of Cohere's is nothing but numbers")
    if kind != "base64":
        return list(vector.embedding)
    spelled = spelling(vector.vendor_extensions, WIRE)
    raw, form = spelled.get("base64"), spelled.get("embedding", "f")
    if isinstance(raw, str) and decoded(raw, pointer)[0] == vector.embedding:
        return raw
    return encoded(vector.embedding, form)


def _write_usage(out: Payload, usage: EmbeddingUsage, emission: Emission, known: Any) -> None:
    meta = dict(known) if isinstance(known, Mapping) else {}
    billed = meta.get("billed_units")
    said = billed.get("input_tokens") if isinstance(billed, Mapping) else None
    tokens = said if said is not None and said == usage.prompt_tokens else usage.prompt_tokens
    out["meta"] = {**meta, "billed_units": fill({"input_tokens": tokens}, billed)}
    if usage.total_tokens not in (None, usage.prompt_tokens):
        emission.lose("/usage/total_tokens", "Cohere counts the input's tokens alone")
    emission.lay({}, usage.vendor_extensions, "/usage")


def _path(_request: EmbeddingRequest, _streamed: bool) -> str:
    return "/embed"


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
)
