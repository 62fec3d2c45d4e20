"""Embeddings at Vertex AI: ``predict`` for models of text, ``embedContent`` for Gemini's from the second on.

Both are forms of Google's format: what differs is which of them a model takes, and how many inputs.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...types.retrieval import EmbeddingRequest
from .._codec import Payload
from .._endpoint import EndpointCodec
from .._fields import Emission
from . import gemini

# Google, "Text embeddings API": "for gemini-embedding-001, each request can only include a single input text", else 250
MAX_INPUTS = 250
_OF_CONTENT = re.compile(r"gemini-embedding-(?!001\b).*")
_ALONE = re.compile(r"gemini-embedding-.*")


def _predicted(request: EmbeddingRequest, emission: Emission) -> Payload:
    return gemini.write_request(request, emission, "predict")


def _contained(request: EmbeddingRequest, emission: Emission) -> Payload:
    return gemini.write_request(replace(request, model=""), emission, "single")  # the model is in the path alone


_PREDICT = replace(
    gemini.CODEC,
    emit_request=_predicted,
    path=lambda request, _streamed: gemini.path_of(request.model, "predict"),
    batch_limit=MAX_INPUTS,
)
_CONTENT = replace(
    gemini.CODEC,
    emit_request=_contained,
    path=lambda request, _streamed: gemini.path_of(request.model, "single"),
    batch_limit=1,
)


def codec_for(model: str) -> EndpointCodec:
    """Give the codec of a model's requests."""
    name = model.rpartition("/")[2]
    if _OF_CONTENT.fullmatch(name):
        return _CONTENT
    return replace(_PREDICT, batch_limit=1) if _ALONE.fullmatch(name) else _PREDICT
