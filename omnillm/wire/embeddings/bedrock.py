"""Embeddings at Bedrock, by InvokeModel: the body is the model's own, Titan's or Cohere's.

Rules: Titan embeds one text a request. A model whose name tells no family (the ARN of an inference profile) is spoken to as
Cohere's are. The tokens that Cohere's answer does not count are in a header.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import MissingFieldError
from ...types.enums import HostFormat, ProviderProtocol
from ...types.retrieval import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector
from .._codec import Payload
from .._endpoint import EndpointCodec, invoke_path, lose_fields
from .._fields import Emission, Fields, kept, spelling
from . import cohere
from ._vectors import in_order, numbers

WIRE = HostFormat.BEDROCK_EMBEDDINGS
INPUT_TOKENS = "x-amzn-bedrock-input-token-count"
_TYPES = ("float", "binary")  # AWS, "Amazon Titan Embeddings Text": embeddingTypes


# --- Titan --------------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> EmbeddingRequest:
    """Read a request for Titan."""
    fields = Fields(payload)
    text, dimensions = fields.required_text("inputText"), fields.integer("dimensions")
    types, encoding = fields.peek("embeddingTypes"), None
    if isinstance(types, list) and len(types) == 1 and types[0] in _TYPES:
        encoding = types[0]
        fields.take("embeddingTypes")
    return EmbeddingRequest("", (EmbeddingInput(text),), dimensions, encoding, vendor_extensions=fields.extensions(WIRE))


def emit_request(request: EmbeddingRequest, emission: Emission) -> Payload:
    """Write a request for Titan."""
    out: Payload = {"inputText": request.input[0].text or "" if request.input else ""}
    for i, item in enumerate(request.input):
        if i:
            emission.lose(f"/input/{i}", "Titan embeds one text a request")
        elif item.text is None:
            emission.lose(f"/input/{i}", "Titan embeds texts")
        emission.lay({}, item.vendor_extensions, f"/input/{i}")
    if request.dimensions is not None:
        out["dimensions"] = request.dimensions
    if request.encoding_format in _TYPES:
        out["embeddingTypes"] = [request.encoding_format]
    else:
        lose_fields(emission, request, ("encoding_format",))
    lose_fields(emission, request, ("user",))
    return emission.lay(out, request.vendor_extensions, "")


def parse_response(payload: Payload) -> EmbeddingResponse:
    """Read an answer of Titan's."""
    fields = Fields(payload)
    typed = fields.maybe_object("embeddingsByType")
    given = fields.array("embedding")
    if given is None and typed is not None:
        kind = next((name for name in _TYPES if isinstance(typed.get(name), list)), None)
        given = None if kind is None else typed[kind]
        fields.spell("embedding", kind)
        typed = {name: value for name, value in typed.items() if name != kind}
    elif typed is not None and typed.get("float") == given:
        typed = {name: value for name, value in typed.items() if name != "float"}
        fields.spell("embedding", "both")
    if given is None:
        raise MissingFieldError("embedding: required, and not there", pointer="/embedding")
    if typed:
        fields.keep("embeddingsByType", typed)
    count = fields.maybe_count("inputTextTokenCount")
    usage = None if count is None else EmbeddingUsage(count)
    vector = EmbeddingVector(0, numbers(given, "/embedding"))
    return EmbeddingResponse("", (vector,), usage, vendor_extensions=fields.extensions(WIRE))


def emit_response(response: EmbeddingResponse, emission: Emission) -> Payload:
    """Write an answer of Titan's."""
    if response.model:
        emission.lose("/model", "Titan's answer does not name the model")
    vectors = in_order(response, emission)
    for i in range(1, len(vectors)):
        emission.lose(f"/data/{i}", "Titan's answer has one embedding")
    values: list[Any] = list(vectors[0].embedding) if vectors else []
    kind, rest = spelling(response.vendor_extensions, WIRE).get("embedding"), kept(response.vendor_extensions, WIRE)
    out: Payload = {} if kind in _TYPES else {"embedding": values}
    if kind is not None:
        out["embeddingsByType"] = {**rest.get("embeddingsByType", {}), "float" if kind == "both" else kind: values}
    if response.usage is not None:
        out["inputTextTokenCount"] = response.usage.prompt_tokens
    return emission.lay(out, response.vendor_extensions, "")


_TITAN = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.BEDROCK_CONVERSE,
    request_type=EmbeddingRequest,
    response_type=EmbeddingResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=invoke_path,
    batch_limit=1,
    usage_header=INPUT_TOKENS,
)


# --- Cohere -------------------------------------------------------------------------------------------------------------------


def _without_model(request: EmbeddingRequest, emission: Emission) -> Payload:
    return cohere.emit_request(replace(request, model=""), emission)


_COHERE = replace(
    cohere.CODEC,
    protocol=ProviderProtocol.BEDROCK_CONVERSE,
    emit_request=_without_model,
    path=invoke_path,
    usage_header=INPUT_TOKENS,
)


def codec_for(model: str) -> EndpointCodec:
    """Give the codec of a model's requests."""
    return _TITAN if "titan" in model else _COHERE
