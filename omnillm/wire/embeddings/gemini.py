"""Embeddings as Google has them: ``embedContent`` for one input, ``batchEmbedContents`` for several, and Vertex AI's ``predict``.

Contract: the text of a content is an input's; a content of several parts, or with media, rides whole in the input's extensions
beside it, and so do ``taskType`` and ``title``. What a caller adds to the request goes into each of a batch's. Which of the three
forms it was is spelled; of a request that was not read it follows from the number of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ...errors import InvalidShapeError, MissingFieldError
from ...types.enums import ProviderProtocol, WireFormat
from ...types.retrieval import EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EmbeddingVector
from .._codec import Payload
from .._endpoint import EndpointCodec, lone_text, lose_fields, model_segment, objects
from .._fields import SPELLING, WIRE_NAMES, Emission, Fields, fill, kept, spelling
from ._vectors import in_order, numbers

WIRE = WireFormat.GEMINI_EMBED_CONTENT
MAX_INPUTS = 100  # Gemini, "Embeddings": requests of one batch
_PREFIX = "models/"
T = TypeVar("T")


# --- requests -----------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> EmbeddingRequest:
    """Read a request of any of the three forms."""
    fields = Fields(payload)
    if fields.peek("requests") is not None:
        return _read_batch(fields)
    if fields.peek("instances") is not None:
        return _read_predict(fields)
    if fields.peek("content") is None:
        raise MissingFieldError("content: required, and not there", pointer="/content")
    model = "" if fields.peek("model") == _PREFIX else lone_text(fields, "model")
    if not model.startswith(_PREFIX):
        fields.spell("model", "bare")
    content = {"content": fields.take("content")}
    for name in ("taskType", "title"):
        if fields.peek(name) is not None:
            content[name] = fields.take(name)
    item, dimensions = _read_input(Fields(content)), fields.integer("outputDimensionality")
    fields.spell("form", "single")
    return EmbeddingRequest(model.removeprefix(_PREFIX), (item,), dimensions, vendor_extensions=fields.extensions(WIRE))


def _read_batch(fields: Fields) -> EmbeddingRequest:
    requests = objects(fields.required_array("requests"), "/requests")
    model, dimensions = _common(requests, "model", str), _common(requests, "outputDimensionality", int)
    fields.spell("form", "batch")
    if model and not model.startswith(_PREFIX):
        fields.spell("model", "bare")
    items = tuple(_read_input(request, i) for i, request in enumerate(requests))
    name = "" if model is None else model.removeprefix(_PREFIX)
    return EmbeddingRequest(name, items, dimensions, vendor_extensions=fields.extensions(WIRE))


def _common(requests: list[Fields], name: str, kind: type[T]) -> T | None:
    """Take a field that all the requests of a batch have alike; else each keeps its own."""
    values = [request.peek(name) for request in requests]
    first = values[0] if values else None
    if type(first) is not kind or first in ("", _PREFIX) or any(type(value) is not kind or value != first for value in values):
        return None
    for request in requests:
        request.take(name)
    return first


def _read_predict(fields: Fields) -> EmbeddingRequest:
    items = []
    for i, instance in enumerate(objects(fields.required_array("instances"), "/instances")):
        text = instance.maybe_text("content")
        items.append(_made(text, instance, i))
    parameters = fields.maybe_object("parameters")
    inner = Fields({} if parameters is None else parameters, "/parameters")
    size = inner.integer("outputDimensionality")
    if inner.rest() or (parameters is not None and size is None):
        fields.keep("parameters", inner.rest())
    fields.spell("form", "predict")
    return EmbeddingRequest("", tuple(items), size, vendor_extensions=fields.extensions(WIRE))


def _read_input(fields: Fields, place: int = 0) -> EmbeddingInput:
    """Read a content: a lone text is the input's, whatever stands beside it stays."""
    content = fields.peek("content")
    text = _text_of(content)
    if text is not None and isinstance(content, dict):
        rest = {name: value for name, value in content.items() if name != "parts"}
        part = {name: value for name, value in content["parts"][0].items() if name != "text"}
        if len(content["parts"]) > 1:
            rest["parts"] = content["parts"]
        elif part:
            rest["parts"] = [part]
        fields.take("content")
        if rest:
            fields.keep("content", rest)
    return _made(text, fields, place)


def _made(text: str | None, fields: Fields, place: int) -> EmbeddingInput:
    extensions = fields.extensions(WIRE)
    if text is None and not extensions:
        raise InvalidShapeError("expected a content", pointer=fields.pointer or f"/instances/{place}")
    return EmbeddingInput(text, vendor_extensions=extensions)


def _text_of(content: Any) -> str | None:
    """Give the text of a content that is made of texts."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not parts:
        return None
    texts = [text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def emit_request(request: EmbeddingRequest, emission: Emission) -> Payload:
    """Write a request in the form that it was read in, or that its number of inputs asks for."""
    return write_request(request, emission, form_of(request))


def write_request(request: EmbeddingRequest, emission: Emission, form: str) -> Payload:
    """Write a request in one of the forms: ``single``, ``batch``, ``predict``."""
    lose_fields(emission, request, ("encoding_format", "user"))
    if form == "predict":
        return _write_predict(request, emission)
    model = request.model and (request.model if _is_bare(request) else _PREFIX + request.model)
    own = {name: value for name, value in request.vendor_extensions.items() if name not in WIRE_NAMES}
    bodies = []
    for i, item in enumerate(request.input):
        body: Payload = {"model": model} if model else {}
        body |= _write_input(item, emission, f"/input/{i}")
        if request.dimensions is not None:
            body["outputDimensionality"] = request.dimensions
        bodies.append({**body, **own} if form == "batch" else body)
    if form == "single":
        return emission.lay(bodies[0] if bodies else {}, request.vendor_extensions, "")
    foreign = {name: value for name, value in request.vendor_extensions.items() if name in WIRE_NAMES}
    return emission.lay({"requests": bodies}, foreign, "")


def form_of(request: EmbeddingRequest) -> str:
    """Tell in which of its forms the request goes out."""
    form = spelling(request.vendor_extensions, WIRE).get("form")
    if form in ("batch", "predict"):
        return str(form)
    return "single" if len(request.input) == 1 else "batch"


def _is_bare(request: EmbeddingRequest) -> bool:
    return spelling(request.vendor_extensions, WIRE).get("model") == "bare"


def _write_input(item: EmbeddingInput, emission: Emission, pointer: str) -> Payload:
    known = kept(item.vendor_extensions, WIRE).get("content")
    out: Payload = {}
    if item.tokens is not None:
        emission.lose(f"{pointer}/tokens", "Gemini embeds texts, not token ids")
        out["content"] = {"parts": [{"text": ""}]}
    elif item.text is not None:
        out["content"] = _write_content(item.text, known)
    elif not kept(item.vendor_extensions, WIRE):
        emission.lose(f"{pointer}/text", "the input has no text, and nothing that Gemini could embed")
        out["content"] = {"parts": [{"text": ""}]}
    return emission.lay(out, item.vendor_extensions, pointer)


def _write_content(text: str, known: Any) -> Payload:
    if not isinstance(known, Mapping):
        return {"parts": [{"text": text}]}
    parts = known.get("parts")
    if isinstance(parts, list) and len(parts) > 1 and _text_of(known) == text:
        return dict(known)
    part = {"text": text}
    if isinstance(parts, list) and len(parts) == 1:
        fill(part, parts[0])
    return fill({"parts": [part]}, known)


_OF_INSTANCES = {"taskType": "task_type", "task_type": "task_type", "title": "title"}


def _write_predict(request: EmbeddingRequest, emission: Emission) -> Payload:
    out: Payload = {"instances": []}
    given = request.vendor_extensions
    own = {_OF_INSTANCES[name]: value for name, value in given.items() if name in _OF_INSTANCES}
    for i, item in enumerate(request.input):
        instance: Payload = dict(own) if item.text is None else {**own, "content": item.text}
        if item.tokens is not None:
            emission.lose(f"/input/{i}/tokens", "Vertex AI embeds texts, not token ids")
        out["instances"].append(emission.lay(instance, item.vendor_extensions, f"/input/{i}"))
    if request.dimensions is not None:
        out["parameters"] = fill(
            {"outputDimensionality": request.dimensions}, kept(request.vendor_extensions, WIRE).get("parameters")
        )
    rest = {name: value for name, value in given.items() if name not in _OF_INSTANCES} if own else given
    return emission.lay(out, rest, "")


# --- responses ----------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> EmbeddingResponse:
    """Read a response of any of the three forms."""
    fields = Fields(payload)
    if fields.peek("predictions") is not None:
        return _read_predictions(fields)
    if fields.peek("embedding") is not None:
        single = fields.object("embedding")
        vectors = [Fields(single, "/embedding")]
        fields.spell("form", "single")
    else:
        vectors = objects(fields.required_array("embeddings"), "/embeddings")
        fields.spell("form", "batch")
    data = tuple(_read_vector(vector, i) for i, vector in enumerate(vectors))
    return EmbeddingResponse("", data, _read_usage(fields), vendor_extensions=fields.extensions(WIRE))


def _read_vector(fields: Fields, index: int) -> EmbeddingVector:
    values = fields.array("values")
    if values is None:
        fields.spell("values", False)
    vector = numbers(values or [], fields.at("values"))
    return EmbeddingVector(index, vector, vendor_extensions=fields.extensions(WIRE))


def _read_predictions(fields: Fields) -> EmbeddingResponse:
    data, tokens = [], 0
    for i, prediction in enumerate(objects(fields.required_array("predictions"), "/predictions")):
        given = prediction.object("embeddings")
        if given is None:
            raise MissingFieldError("embeddings: required, and not there", pointer=prediction.at("embeddings"))
        inner = Fields(given, prediction.at("embeddings"))
        statistics = inner.peek("statistics")
        count = statistics.get("token_count") if isinstance(statistics, dict) else None
        tokens += count if type(count) is int and count > 0 else 0
        values = inner.array("values")
        if inner.rest() or values is None:
            prediction.keep("embeddings", inner.rest())
        if values is None:
            prediction.spell("values", False)
        vector = numbers(values or [], inner.at("values"))
        data.append(EmbeddingVector(i, vector, vendor_extensions=prediction.extensions(WIRE)))
    fields.spell("form", "predict")
    usage = EmbeddingUsage(tokens, vendor_extensions={WIRE.value: {SPELLING: {"usage": "statistics"}}}) if tokens else None
    return EmbeddingResponse("", tuple(data), usage, vendor_extensions=fields.extensions(WIRE))


def _read_usage(fields: Fields) -> EmbeddingUsage | None:
    given = fields.maybe_object("usageMetadata")
    if given is None:
        return None
    inner = Fields(given, "/usageMetadata")
    prompt, total = inner.maybe_count("promptTokenCount"), inner.maybe_count("totalTokenCount")
    if prompt is None:
        inner.spell("prompt_tokens", False)
    return EmbeddingUsage(total or 0 if prompt is None else prompt, total, vendor_extensions=inner.extensions(WIRE))


def emit_response(response: EmbeddingResponse, emission: Emission) -> Payload:
    """Write a response."""
    if response.model:
        emission.lose("/model", "Gemini's answer does not name the model")
    form, ordered = spelling(response.vendor_extensions, WIRE).get("form"), in_order(response, emission)
    if form == "predict":
        out: Payload = {"predictions": [_write_prediction(v, emission, f"/data/{i}") for i, v in enumerate(ordered)]}
    else:
        vectors = [_write_vector(vector, emission, f"/data/{i}") for i, vector in enumerate(ordered)]
        single = len(vectors) == 1 and form != "batch"
        out = {"embedding": vectors[0]} if single else {"embeddings": vectors}
    usage = response.usage
    if usage is not None and spelling(usage.vendor_extensions, WIRE).get("usage") != "statistics":
        out["usageMetadata"] = _write_usage(usage, emission)
    return emission.lay(out, response.vendor_extensions, "")


def _write_usage(usage: EmbeddingUsage, emission: Emission) -> Payload:
    unsaid = spelling(usage.vendor_extensions, WIRE).get("prompt_tokens") is False
    out: Payload = {} if unsaid else {"promptTokenCount": usage.prompt_tokens}
    if usage.total_tokens is not None:
        out["totalTokenCount"] = usage.total_tokens
    return emission.lay(out, usage.vendor_extensions, "/usage")


def _write_vector(vector: EmbeddingVector, emission: Emission, pointer: str) -> Payload:
    absent = spelling(vector.vendor_extensions, WIRE).get("values") is False
    out: Payload = {} if absent and not vector.embedding else {"values": list(vector.embedding)}
    return emission.lay(out, vector.vendor_extensions, pointer)


def _write_prediction(vector: EmbeddingVector, emission: Emission, pointer: str) -> Payload:
    absent = spelling(vector.vendor_extensions, WIRE).get("values") is False
    values: Payload = {} if absent and not vector.embedding else {"values": list(vector.embedding)}
    out: Payload = {"embeddings": fill(values, kept(vector.vendor_extensions, WIRE).get("embeddings"))}
    return emission.lay(out, vector.vendor_extensions, pointer)


def _path(request: EmbeddingRequest, _streamed: bool) -> str:
    return path_of(request.model, form_of(request))


def path_of(model: str, form: str) -> str:
    """Give the path of a form."""
    action = {"single": "embedContent", "batch": "batchEmbedContents", "predict": "predict"}[form]
    return f"/models/{model_segment(model.removeprefix(_PREFIX))}:{action}"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT,
    request_type=EmbeddingRequest,
    response_type=EmbeddingResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=_path,
    batch_limit=MAX_INPUTS,
    max_bytes=256 << 20,
    max_values=8_000_000,
)
