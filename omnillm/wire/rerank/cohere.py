"""Rerank as Cohere has it: ``POST /v2/rerank``, and what Bedrock answers for its models.

Rules: v2 gives no documents back; ``return_documents`` is v1's, and is written only where it was read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.enums import ProviderProtocol, WireFormat
from ...types.retrieval import RerankRequest, RerankResponse, RerankUsage
from .._codec import Payload
from .._endpoint import EndpointCodec
from .._fields import Emission, Fields, fill, kept, spelling
from ._shared import read_request, read_response, write_request, write_response

WIRE = WireFormat.COHERE_RERANK


def parse_request(payload: Payload) -> RerankRequest:
    """Read a request."""
    return read_request(Fields(payload), WIRE)


def emit_request(request: RerankRequest, emission: Emission) -> Payload:
    """Write a request."""
    out = write_request(request, emission)
    if request.return_documents is not None:
        if spelling(request.vendor_extensions, WIRE).get("return_documents") == "said":
            out["return_documents"] = request.return_documents
        elif request.return_documents:
            emission.lose("/return_documents", "the documents do not come back here: find them by their index")
    return emission.lay(out, request.vendor_extensions, "")


def parse_response(payload: Payload) -> RerankResponse:
    """Read a response."""
    fields = Fields(payload)
    return read_response(fields, WIRE, _read_usage(fields))


_BILLED = {"search_units": "search_units", "prompt_tokens": "input_tokens"}


def _read_usage(fields: Fields) -> RerankUsage | None:
    """Read what is billed; it stays where it is, in ``meta``."""
    counts: dict[str, int] = {}
    for name, called in _BILLED.items():
        value = _billed(fields.peek("meta")).get(called)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
            counts[name] = int(value)
    return RerankUsage(counts.get("search_units"), counts.get("prompt_tokens")) if counts else None


def _billed(meta: Any) -> Mapping[str, Any]:
    billed = meta.get("billed_units") if isinstance(meta, Mapping) else None
    return billed if isinstance(billed, Mapping) else {}


def emit_response(response: RerankResponse, emission: Emission) -> Payload:
    """Write a response."""
    out = write_response(response, emission)
    known, usage = kept(response.vendor_extensions, WIRE), response.usage
    if response.model and "model" not in spelling(response.vendor_extensions, WIRE) and WIRE.value in response.vendor_extensions:
        out["model"] = response.model
    elif response.model:
        emission.lose("/model", "Cohere's answer does not name the model")
    if usage is not None:
        meta = known.get("meta")
        billed = _billed(meta)
        told = {called: getattr(usage, name) for name, called in _BILLED.items() if getattr(usage, name) is not None}
        told = {name: billed[name] if billed.get(name) == value else value for name, value in told.items()}
        out["meta"] = {**(meta if isinstance(meta, Mapping) else {}), "billed_units": fill(told, billed)}
        if usage.total_tokens is not None:
            emission.lose("/usage/total_tokens", "Cohere counts searches, or the input's tokens alone")
        emission.lay({}, usage.vendor_extensions, "/usage")
    return emission.lay(out, response.vendor_extensions, "")


def _path(_request: RerankRequest, _streamed: bool) -> str:
    return "/rerank"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.OPENAI_CHAT_COMPLETIONS,
    request_type=RerankRequest,
    response_type=RerankResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=_path,
)
