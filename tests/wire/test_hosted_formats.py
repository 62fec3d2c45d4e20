"""The formats that hosts have of their own: read and written without a change, and never anything but a protocol error."""

from __future__ import annotations

from typing import Any

import pytest
from damage import drop, places, put
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

from omnillm.errors import ConfigurationError, ProtocolError, ProviderError
from omnillm.types.enums import HostFormat
from omnillm.wire import endpoint_codec
from omnillm.wire._fields import Emission

REQUESTS: list[tuple[HostFormat, str, dict[str, Any]]] = [
    (HostFormat.GOOGLE_IMAGES, "", {"instances": [{"prompt": "a"}]}),
    (HostFormat.GOOGLE_IMAGES, "", {
        "instances": [{"prompt": "a", "image": {"gcsUri": "gs://x"}}, {"prompt": "b"}],
        "parameters": {"sampleCount": 2, "aspectRatio": "1:1", "seed": 5, "outputOptions": {"mimeType": "image/png", "q": 1}},
        "labels": {"a": "b"},
    }),
    (HostFormat.VERTEX_EMBEDDINGS, "text-embedding-005", {"instances": [{"content": "a", "title": "t"}]}),
    (HostFormat.VERTEX_EMBEDDINGS, "gemini-embedding-2", {"content": {"parts": [{"text": "a"}]}, "taskType": "X"}),
    (HostFormat.BEDROCK_EMBEDDINGS, "amazon.titan-embed-text-v2:0", {"inputText": "a", "dimensions": 3, "normalize": False}),
    (HostFormat.BEDROCK_EMBEDDINGS, "amazon.titan-embed-text-v2:0", {"inputText": "a", "embeddingTypes": ["binary", "float"]}),
    (HostFormat.BEDROCK_EMBEDDINGS, "cohere.embed-v4:0", {"texts": ["a"], "input_type": "classification", "truncate": "END"}),
    (HostFormat.BEDROCK_RERANK, "amazon.rerank-v1:0", {"query": "q", "documents": ["a"], "top_n": 1}),
    (HostFormat.BEDROCK_RERANK, "cohere.rerank-v3-5:0", {"query": "q", "documents": ["a"], "api_version": 2}),
    (HostFormat.BEDROCK_IMAGES, "amazon.nova-canvas-v1:0", {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a", "negativeText": "b"},
        "imageGenerationConfig": {"numberOfImages": 1, "width": 512, "height": 256, "quality": "premium", "seed": 1},
    }),
    (HostFormat.BEDROCK_IMAGES, "amazon.nova-canvas-v1:0", {
        "taskType": "IMAGE_VARIATION", "imageVariationParams": {"text": "a", "images": ["iVBORw=="], "similarityStrength": 0.5},
    }),
    (HostFormat.BEDROCK_IMAGES, "amazon.nova-canvas-v1:0", {
        "taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": "iVBORw=="},
    }),
    (HostFormat.BEDROCK_IMAGES, "stability.sd3-5-large-v1:0", {
        "prompt": "a", "mode": "text-to-image", "aspect_ratio": "16:9", "output_format": "png", "seed": 3,
    }),
]  # fmt: skip
RESPONSES: list[tuple[HostFormat, str, dict[str, Any]]] = [
    (HostFormat.GOOGLE_IMAGES, "", {"predictions": [
        {"bytesBase64Encoded": "AA==", "mimeType": "image/png", "prompt": "p"}, {"raiFilteredReason": "no"}, {"gcsUri": "gs://x"},
    ]}),
    (HostFormat.GOOGLE_IMAGES, "", {}),
    (HostFormat.BEDROCK_EMBEDDINGS, "titan", {"embedding": [0.5, 1], "inputTextTokenCount": 5}),
    (HostFormat.BEDROCK_EMBEDDINGS, "titan", {
        "embedding": [0.5, 1], "embeddingsByType": {"binary": [0, 1], "float": [0.5, 1]}, "inputTextTokenCount": 5,
    }),
    (HostFormat.BEDROCK_EMBEDDINGS, "titan", {"embeddingsByType": {"binary": [0, 1]}, "inputTextTokenCount": 5}),
    (HostFormat.BEDROCK_RERANK, "amazon.rerank-v1:0", {"results": [{"index": 0, "relevanceScore": 0.5}]}),
    (HostFormat.BEDROCK_IMAGES, "amazon.", {"images": ["AA=="], "error": None}),
    (HostFormat.BEDROCK_IMAGES, "stability.", {"images": ["AA=="], "seeds": [1], "finish_reasons": [None]}),
    (HostFormat.BEDROCK_IMAGES, "amazon.", {"images": ["AA=="], "error": "one was blocked"}),
]  # fmt: skip


def codec_of(wire: HostFormat, model: str) -> Any:
    row = endpoint_codec(wire, model)
    assert row is not None
    return row


@pytest.mark.parametrize(("wire", "model", "payload"), REQUESTS)
def test_a_request_is_written_as_it_was_read(wire: HostFormat, model: str, payload: dict[str, Any]) -> None:
    """With what only the host knows, and without a loss."""
    row = codec_of(wire, model)
    emission = Emission(row.wire_format)
    assert (row.emit_request(row.parse_request(payload), emission), emission.losses) == (payload, [])


@pytest.mark.parametrize(("wire", "model", "payload"), RESPONSES)
def test_a_response_is_written_as_it_was_read(wire: HostFormat, model: str, payload: dict[str, Any]) -> None:
    """With what only the host knows, and without a loss."""
    row = codec_of(wire, model)
    emission = Emission(row.wire_format)
    assert (row.emit_response(row.parse_response(payload), emission), emission.losses) == (payload, [])


STRANGE = (None, True, 0, -1, 1 << 70, 0.5, "", "x", [], {}, [None], ["x"], [1], [{}], [[]], {"a": [{}]})


@pytest.mark.parametrize("what", ["request", "response"])
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(what: str, data: st.DataObject) -> None:
    """A damaged payload is a protocol error, or is written again."""
    wire, model, payload = data.draw(st.sampled_from(REQUESTS if what == "request" else RESPONSES))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(payload))))
        new = data.draw(st.sampled_from(STRANGE) | json_values)
        payload = drop(payload, path) if path and data.draw(st.booleans()) else put(payload, path, new)
    if not isinstance(payload, dict):
        return
    row = codec_of(wire, model)
    try:
        value = getattr(row, f"parse_{what}")(payload)
        getattr(row, f"emit_{what}")(value, Emission(row.wire_format))
    except (ProtocolError, ProviderError, ConfigurationError):  # the last: of a canonical value, which the callers turn
        return


@pytest.mark.parametrize(
    ("size", "model", "sent", "lost"),
    [
        ("1024x768", "stability.", {"aspect_ratio": "4:3"}, ["/size"]),
        ("huge", "stability.", {}, ["/size"]),
        ("huge", "amazon.", {}, ["/size"]),
        ("16:9", "amazon.", {}, ["/size"]),
    ],
)
def test_a_size_that_has_no_place_is_lost(size: str, model: str, sent: dict[str, Any], lost: list[str]) -> None:
    """Or goes as the ratio that it has, which is a loss too."""
    from omnillm import ImageGenerationRequest

    row = codec_of(HostFormat.BEDROCK_IMAGES, model)
    emission = Emission(row.wire_format)
    out = row.emit_request(ImageGenerationRequest("p", size=size), emission)
    assert {name: out[name] for name in ("aspect_ratio", "width") if name in out} == sent
    assert [loss.pointer for loss in emission.losses] == lost
