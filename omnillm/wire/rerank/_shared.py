"""What both forms of rerank share; the names that hosts give to the same things are spelled.

Contract: a document is a text, or an object whose other fields ride in its extensions.
"""

from __future__ import annotations

from typing import Any

from ...errors import InvalidShapeError, MissingFieldError
from ...types.retrieval import RerankDocument, RerankRequest, RerankResponse, RerankResult, RerankUsage
from .._codec import Payload
from .._endpoint import lone_text, objects
from .._fields import Emission, Fields, Wire, spelling

_SCORES = ("relevance_score", "relevanceScore", "score")  # Bedrock's, and that of Text Embeddings Inference
_LIMITS = ("top_n", "top_k")  # Voyage's
_RESULTS = ("results", "data")  # Voyage's


def read_request(fields: Fields, wire: Wire) -> RerankRequest:
    """Read a request."""
    model, query = lone_text(fields, "model"), fields.required_text("query")
    documents = tuple(
        _read_document(value, wire, f"/documents/{i}") for i, value in enumerate(fields.required_array("documents"))
    )
    limit = fields.integer(_called(fields, _LIMITS))
    returns = fields.boolean("return_documents")
    if returns is not None:
        fields.spell("return_documents", "said")
    return RerankRequest(model, query, documents, limit, returns, vendor_extensions=fields.extensions(wire))


def _called(fields: Fields, names: tuple[str, ...]) -> str:
    """Give the name under which a field is there, and spell it where it is not the usual one."""
    found = next((name for name in names if fields.peek(name) is not None), names[0])
    if found != names[0]:
        fields.spell(names[0], found)
    return found


def _spelled(extensions: dict[str, Any], wire: Wire, names: tuple[str, ...]) -> str:
    found = spelling(extensions, wire).get(names[0])
    return found if found in names else names[0]


def _read_document(value: Any, wire: Wire, pointer: str) -> RerankDocument:
    if isinstance(value, str):
        return RerankDocument(value)
    if not isinstance(value, dict):
        raise InvalidShapeError("expected a text or an object", pointer=pointer)
    rest = Fields(value, pointer)
    text = rest.maybe_text("text")
    rest.spell("document", "object")
    return RerankDocument(text, vendor_extensions=rest.extensions(wire))


def write_request(request: RerankRequest, emission: Emission) -> Payload:
    """Write what both forms have of a request; the extensions are the caller's to lay."""
    out: Payload = {"model": request.model} if request.model else {}
    out["query"] = request.query
    out["documents"] = [write_document(document, emission, f"/documents/{i}") for i, document in enumerate(request.documents)]
    if request.top_n is not None:
        out[_spelled(request.vendor_extensions, emission.wire, _LIMITS)] = request.top_n
    return out


def write_document(document: RerankDocument, emission: Emission, pointer: str) -> Any:
    """Write a document: a text, or an object where it has other fields or was one."""
    extensions = document.vendor_extensions
    if not extensions:
        return document.text or ""
    more = emission.lay({}, extensions, pointer)
    if more or spelling(extensions, emission.wire).get("document") == "object":
        return more if document.text is None else {"text": document.text, **more}
    return document.text or ""


def read_response(fields: Fields, wire: Wire, usage: RerankUsage | None) -> RerankResponse:
    """Read a response, the usage apart."""
    if not fields.peek("model"):
        fields.spell("model", False)
    model = lone_text(fields, "model")
    name = _called(fields, _RESULTS)
    results = tuple(_read_result(item, wire) for item in objects(fields.required_array(name), f"/{name}"))
    return RerankResponse(model, results, usage, vendor_extensions=fields.extensions(wire))


def _read_result(fields: Fields, wire: Wire) -> RerankResult:
    index = fields.integer("index")
    if index is None:
        raise MissingFieldError("index: required, and not there", pointer=fields.at("index"))
    score = fields.number(_called(fields, _SCORES))
    if score is None:
        raise MissingFieldError("relevance_score: required, and not there", pointer=fields.at("relevance_score"))
    given, document = fields.peek("document"), None
    if isinstance(given, str | dict):
        fields.take("document")
        document = _read_document(given, wire, fields.at("document"))
    return RerankResult(index, score, document, vendor_extensions=fields.extensions(wire))


def write_response(response: RerankResponse, emission: Emission) -> Payload:
    """Write what both forms have of a response; the extensions are the caller's to lay."""
    results = [_write_result(result, emission, f"/results/{i}") for i, result in enumerate(response.results)]
    return {_spelled(response.vendor_extensions, emission.wire, _RESULTS): results}


def _write_result(result: RerankResult, emission: Emission, pointer: str) -> Payload:
    score = _spelled(result.vendor_extensions, emission.wire, _SCORES)
    out: Payload = {"index": result.index, score: result.relevance_score}
    document = result.document
    if document is not None:
        out["document"] = write_document(document, emission, f"{pointer}/document")
    return emission.lay(out, result.vendor_extensions, pointer)
