"""Rerank at Bedrock, by InvokeModel: Cohere's body without the model, and with the version of the API for Cohere's own models."""

from __future__ import annotations

from dataclasses import replace

from ...types.enums import ProviderProtocol
from ...types.retrieval import RerankRequest
from .._codec import Payload
from .._endpoint import EndpointCodec, invoke_path
from .._fields import Emission
from . import cohere

API_VERSION = 2


def _emit_amazon(request: RerankRequest, emission: Emission) -> Payload:
    return cohere.emit_request(replace(request, model=""), emission)


def _emit_cohere(request: RerankRequest, emission: Emission) -> Payload:
    return {"api_version": API_VERSION, **_emit_amazon(request, emission)}


_COHERE = replace(cohere.CODEC, protocol=ProviderProtocol.BEDROCK_CONVERSE, emit_request=_emit_cohere, path=invoke_path)
_AMAZON = replace(_COHERE, emit_request=_emit_amazon)


def codec_for(model: str) -> EndpointCodec:
    """Give the codec of a model's requests."""
    return _AMAZON if "amazon.rerank" in model else _COHERE
