"""What holds for every payload of the endpoints that do not generate text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from damage import drop, places, put, refused
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

import omnillm as o

W = o.WireFormat
VECTOR = [0.5, -1.25]
REQUESTS: dict[o.WireFormat, list[dict[str, Any]]] = {
    W.OPENAI_EMBEDDINGS: [{"model": "m", "input": ["a", [1], {"image": "x"}], "dimensions": 3, "encoding_format": "f"}],
    W.GEMINI_EMBED_CONTENT: [
        {"model": "models/m", "content": {"parts": [{"text": "a"}], "role": "user"}, "taskType": "X", "outputDimensionality": 3},
        {"requests": [{"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3} for text in "ab"]},
        {"instances": [{"content": "a", "task_type": "X"}], "parameters": {"outputDimensionality": 3, "autoTruncate": True}},
    ],
    W.COHERE_EMBED: [
        {"model": "m", "texts": ["a", "b"], "input_type": "x", "embedding_types": ["float"], "output_dimension": 3},
        {"model": "m", "inputs": [{"content": [{"type": "text", "text": "a"}]}, {"content": [{"type": "image_url"}]}]},
    ],
    W.OPENAI_IMAGE_GENERATIONS: [
        {"prompt": "p", "model": "m", "n": 2, "images": [{"image_url": "u"}, {"file_id": "f"}], "mask": {"file_id": "g"}}
    ],
    W.OPENAI_AUDIO_SPEECH: [{"model": "m", "input": "t", "voice": {"id": "v"}, "speed": 1.5, "response_format": "wav"}],
    W.OPENAI_RERANK: [{"query": "q", "documents": ["a", {"text": "b", "c": 1}], "top_k": 2, "return_documents": False}],
    W.COHERE_RERANK: [{"query": "q", "documents": ["a", {"text": "b", "c": 1}], "top_k": 2, "return_documents": False}],
}  # fmt: skip
RESPONSES: dict[o.WireFormat, list[dict[str, Any]]] = {
    W.OPENAI_EMBEDDINGS: [
        {"object": "list", "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 2, "cost": 0.5},
         "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}, {"index": 1, "embedding": "AAAAPwAAoL8="}]},
    ],
    W.GEMINI_EMBED_CONTENT: [
        {"embedding": {"values": VECTOR}, "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2}},
        {"embeddings": [{"values": VECTOR}, {"values": VECTOR, "shape": [2]}]},
        {"predictions": [{"embeddings": {"values": VECTOR, "statistics": {"token_count": 3}}}], "metadata": {"count": 29}},
    ],
    W.COHERE_EMBED: [
        {"id": "x", "embeddings": {"float": [VECTOR], "int8": [[1, 2]]}, "meta": {"billed_units": {"input_tokens": 2}}},
        {"embeddings": [VECTOR], "texts": ["a"]},
    ],
    W.OPENAI_IMAGE_GENERATIONS: [
        {"created": 5, "data": [{"url": "u", "b64_json": "AA==", "mime_type": "x"}],
         "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_tokens_details": {"text_tokens": 1}}},
    ],
    W.OPENAI_AUDIO_TRANSCRIPTIONS: [
        {"text": "a", "language": "en", "duration": 1.5, "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": "a"}],
         "words": [{"word": "a", "start": 0, "end": 0.5}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ],
    W.OPENAI_RERANK: [
        {"model": "m", "results": [{"index": 1, "score": 0.5, "document": {"text": "a"}}], "usage": {"total_tokens": 3}},
    ],
    W.COHERE_RERANK: [
        {"id": "x", "results": [{"index": 1, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
    ],
}  # fmt: skip
EVERY_REQUEST = [(wire, payload) for wire, payloads in REQUESTS.items() for payload in payloads]
EVERY_RESPONSE = [(wire, payload) for wire, payloads in RESPONSES.items() for payload in payloads]
STRANGE = (None, True, 0, -1, 1 << 70, 0.5, "", "x", "models/", [], {}, [None], ["x"], [1], [{}], [[]], {"": None}, {"a": [{}]})


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """Give a payload with one to three places changed or left out."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(value))))
        new = draw(st.sampled_from(STRANGE) | json_values)
        value = drop(value, path) if path and draw(st.booleans()) else put(value, path, new)
    return value


@pytest.mark.parametrize(("wire", "payload"), EVERY_REQUEST)
@given(data=st.data())
def test_a_damaged_request_is_written_as_it_was_read_or_refused(wire: o.WireFormat, payload: Any, data: st.DataObject) -> None:
    """Nothing but ``ProtocolError``, with its place; what is taken is kept whole."""
    given = data.draw(damaged(payload))
    written = []
    refused(lambda: written.append(o.emit_api_request(wire, o.parse_api_request(wire, given).value).value), given)
    assert written in ([], [given])


@pytest.mark.parametrize(("wire", "payload"), EVERY_RESPONSE)
@given(data=st.data())
def test_a_damaged_response_is_written_as_it_was_read_or_refused(wire: o.WireFormat, payload: Any, data: st.DataObject) -> None:
    """Nothing but ``ProtocolError``, with its place; what is taken is kept whole."""
    given = data.draw(damaged(payload))
    written = []
    refused(lambda: written.append(o.emit_api_response(wire, o.parse_api_response(wire, given).value).value), given)
    assert written in ([], [given])


@pytest.mark.parametrize(("wire", "payload"), [*EVERY_REQUEST, *EVERY_RESPONSE])
@pytest.mark.parametrize("of", [str, bytes])
def test_a_text_and_bytes_do_as_well(wire: o.WireFormat, payload: Any, of: type) -> None:
    """A payload may be given as it came; what is rewritten is of the type that was given."""
    text = json.dumps(payload)
    given = text if of is str else text.encode()
    parse, transcode = o.parse_api_response, o.transcode_api_response
    if (wire, payload) in EVERY_REQUEST:
        parse, transcode = o.parse_api_request, o.transcode_api_request
    assert parse(wire, given) == parse(wire, payload)
    assert isinstance(transcode(wire, wire, given).value, of)


@pytest.mark.parametrize(("wire", "payload"), EVERY_REQUEST)
def test_a_request_of_another_kind_is_refused(wire: o.WireFormat, payload: Any) -> None:
    """A format takes its own kind, and is rewritten for its own kind."""
    with pytest.raises(o.EndpointMismatchError):
        o.emit_api_request(wire, o.LlmRequest("m", "hi"))
    with pytest.raises(o.EndpointMismatchError):
        o.emit_transport_request(wire, o.LlmRequest("m", "hi"))
    with pytest.raises(o.EndpointMismatchError):
        o.transcode_api_request(wire, W.OPENAI_RESPONSES, payload)
    with pytest.raises(o.EndpointMismatchError):
        o.emit_api_request(W.OPENAI_RESPONSES, o.parse_api_request(wire, payload).value)


@pytest.mark.parametrize(("wire", "payload"), EVERY_RESPONSE)
def test_a_response_comes_over_http(wire: o.WireFormat, payload: Any) -> None:
    """JSON as a value, as text or as bytes is the same answer; a status of failure is the provider's error."""
    for body in (o.JsonBody(payload), o.TextBody(json.dumps(payload)), o.BinaryBody(json.dumps(payload).encode())):
        answer = o.TransportResponse(200, {"Content-Type": "application/json"}, None, body)
        assert o.parse_transport_response(wire, answer).value == o.parse_api_response(wire, payload).value
    with pytest.raises(o.RateLimitedError, match="slow down"):
        o.parse_transport_response(wire, o.TransportResponse(429, {}, None, o.JsonBody({"error": {"message": "slow down"}})))


@pytest.mark.parametrize("wire", [wire for wire in W if not wire.is_generation])
def test_a_report_says_whether_a_bridge_was_crossed(wire: o.WireFormat) -> None:
    """OpenAI's forms are the canonical ones, and so is the only form there is."""
    payload = REQUESTS.get(wire, [None])[0]
    if payload is not None:
        report = o.parse_api_request(wire, payload)
        own = wire in (W.OPENAI_EMBEDDINGS, W.OPENAI_RERANK, W.OPENAI_IMAGE_GENERATIONS, W.OPENAI_AUDIO_SPEECH)
        assert (report.bridged, report.canonical_endpoint) == (not own, wire.endpoint_kind)


texts = st.text(max_size=12)


@given(
    st.lists(texts | st.lists(st.integers(0, 2**20), min_size=1, max_size=4), min_size=1, max_size=4),
    st.none() | st.integers(1, 5000),
    st.sampled_from([W.OPENAI_EMBEDDINGS, W.GEMINI_EMBED_CONTENT, W.COHERE_EMBED]),
)
def test_any_embedding_request_survives_its_format_or_names_what_does_not(
    inputs: Any, dimensions: Any, wire: o.WireFormat
) -> None:
    """Model, texts and dimensions come back from every format; tokens do, or are a loss."""
    request = o.EmbeddingRequest("m", inputs, dimensions)
    report = o.emit_api_request(wire, request)
    again = o.parse_api_request(wire, report.value).value
    assert (again.model, again.dimensions, len(again.input)) == ("m", dimensions, len(request.input))  # type: ignore[union-attr]
    lost = {loss.pointer for loss in report.losses}
    for i, (before, after) in enumerate(zip(request.input, again.input, strict=True)):  # type: ignore[union-attr]
        assert (before.text, before.tokens) == (after.text, after.tokens) or f"/input/{i}/tokens" in lost
