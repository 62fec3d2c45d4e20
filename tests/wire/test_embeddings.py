"""Embeddings in OpenAI's, Gemini's and Cohere's forms: read, written, and rewritten for each other."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

import omnillm as o

OPENAI, GEMINI, COHERE = o.WireFormat.OPENAI_EMBEDDINGS, o.WireFormat.GEMINI_EMBED_CONTENT, o.WireFormat.COHERE_EMBED


def b64(values: list[float], kind: str = "f") -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode()


def part(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


REQUESTS: list[tuple[o.WireFormat, dict[str, Any]]] = [
    (OPENAI, {"model": "m", "input": "a"}),
    (OPENAI, {"model": "m", "input": ["a"]}),
    (OPENAI, {"model": "m", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "user": "u"}),
    (OPENAI, {"model": "m", "input": [1, 2]}),
    (OPENAI, {"model": "m", "input": [[1, 2]]}),
    (OPENAI, {"model": "m", "input": [[1, 2], "a"]}),
    (OPENAI, {"model": "m", "input": []}),
    (OPENAI, {"input": "a", "model": "m", "dimensions": None, "truncation": True, "input_type": "document"}),
    (OPENAI, {"model": "m", "input": [{"text": "a"}, {"image": "x"}, {"text": "b", "task": "t"}]}),
    (OPENAI, {"input": "a"}),
    (GEMINI, {"content": part("a")}),
    (GEMINI, {"model": "models/m", "content": part("a"), "taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 3}),
    (GEMINI, {"model": "m", "content": {"role": "user", "parts": [{"text": "a", "thought": False}]}}),
    (GEMINI, {"content": {"parts": [{"text": "a"}, {"text": "b"}]}}),
    (GEMINI, {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}),
    (GEMINI, {"requests": [{"model": "models/m", "content": part("a")}, {"model": "models/m", "content": part("b")}]}),
    (GEMINI, {"requests": [{"model": "models/m", "content": part("a"), "outputDimensionality": 3, "taskType": "X"}]}),
    (GEMINI, {"requests": [{"model": "models/m", "content": part("a")}, {"model": "models/n", "content": part("b")}]}),
    (GEMINI, {"requests": [{"content": part("a"), "outputDimensionality": 3}, {"content": part("b")}]}),
    (GEMINI, {"requests": []}),
    (GEMINI, {"instances": [{"content": "a", "task_type": "X"}], "parameters": {"outputDimensionality": 3, "truncate": True}}),
    (GEMINI, {"instances": [{"content": "a"}], "parameters": {}}),
    (COHERE, {"model": "m", "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"]}),
    (COHERE, {"model": "m", "texts": ["a"], "truncate": None, "output_dimension": 3}),
    (COHERE, {"model": "m", "texts": ["a"], "embedding_types": ["float", "int8"], "input_type": "classification"}),
    (COHERE, {"model": "m", "images": ["data:image/png;base64,AA=="], "input_type": "image", "embedding_types": ["base64"]}),
    (COHERE, {"model": "m", "inputs": [{"content": [{"type": "text", "text": "a"}]}], "input_type": "x"}),
    (COHERE, {"model": "m", "inputs": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, {"content": []}]}),
]  # fmt: skip
RESPONSES: list[tuple[o.WireFormat, dict[str, Any]]] = [
    (OPENAI, {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}], "model": "m",
              "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
    (OPENAI, {"data": [{"embedding": [0.5]}, {"embedding": [1.5], "index": 1, "text": None}], "usage": {"total_tokens": 3}}),
    (OPENAI, {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": b64([0.5, -1.25])}], "model": "m"}),
    (OPENAI, {"object": "other", "data": [], "model": None, "usage": {"prompt_tokens": "x", "cost": 1e-7}}),
    (GEMINI, {"embedding": {"values": [0.5]}}),
    (GEMINI, {"embedding": {"values": [], "shape": [0]}, "usageMetadata": {"promptTokenCount": 4, "promptTokenDetails": []}}),
    (GEMINI, {"embeddings": [{"values": [0.5]}]}),
    (GEMINI, {"embeddings": [{"values": [0.5]}, {}], "usageMetadata": {"totalTokenCount": 4}}),
    (GEMINI, {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 3, "truncated": False}}}],
              "metadata": {"billableCharacterCount": 29}}),
    (COHERE, {"id": "x", "texts": ["a"], "embeddings": {"float": [[0.5, 1]]}, "response_type": "embeddings_by_type",
              "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}}}),
    (COHERE, {"embeddings": [[0.5]], "response_type": "embeddings_floats", "meta": {"billed_units": {"input_tokens": 2.0}}}),
    (COHERE, {"embeddings": {"int8": [[1, -2]], "uint8": [[1, 254]]}}),
    (COHERE, {"embeddings": {"base64": [b64([0.5, 1.0])]}}),
    (COHERE, {"embeddings": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "payload"), REQUESTS)
def test_a_request_is_written_as_it_was_read(wire: o.WireFormat, payload: dict[str, Any]) -> None:
    """What the canonical value does not name rides along; at rest, too."""
    request = o.parse_api_request(wire, payload).value
    assert o.emit_api_request(wire, request).value == payload
    assert o.emit_api_request(wire, o.EmbeddingRequest.from_json(request.to_json())).value == payload


@pytest.mark.parametrize(("wire", "payload"), RESPONSES)
def test_a_response_is_written_as_it_was_read(wire: o.WireFormat, payload: dict[str, Any]) -> None:
    """What the canonical value does not name rides along; at rest, too."""
    response = o.parse_api_response(wire, payload).value
    assert o.emit_api_response(wire, response).value == payload
    assert o.emit_api_response(wire, o.EmbeddingResponse.from_json(response.to_json())).value == payload


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        (OPENAI, {"model": "m", "input": ["a", "b"], "dimensions": 3}),
        (COHERE, {"model": "m", "texts": ["a", "b"], "output_dimension": 3, "input_type": "x", "embedding_types": ["float"]}),
        (GEMINI, {"requests": [{"model": "models/m", "content": part(text), "outputDimensionality": 3} for text in "ab"]}),
    ],
)
def test_all_three_say_the_same_in_the_canonical_form(wire: o.WireFormat, payload: dict[str, Any]) -> None:
    """Model, texts and dimensions have one place, whatever the wire."""
    request = o.parse_api_request(wire, payload).value
    assert (request.model, [item.text for item in request.input], request.dimensions) == ("m", ["a", "b"], 3)


@pytest.mark.parametrize("source", [OPENAI, GEMINI, COHERE])
@pytest.mark.parametrize("target", [OPENAI, GEMINI, COHERE])
def test_a_response_says_the_same_in_another_form(source: o.WireFormat, target: o.WireFormat) -> None:
    """Vectors and tokens cross; a format without a place for the model says that it is lost."""
    answer = o.EmbeddingResponse("m", (o.EmbeddingVector(0, (0.5, 1.0)), o.EmbeddingVector(1, (2.0,))), o.EmbeddingUsage(3, 3))
    payload = o.emit_api_response(source, answer).value
    report = o.transcode_api_response(source, target, payload)
    again = o.parse_api_response(target, report.value).value
    assert (again.embeddings, again.usage.prompt_tokens) == (((0.5, 1.0), (2.0,)), 3)
    assert report.bridged is (source is not target)


@pytest.mark.parametrize(
    ("target", "lost"),
    [
        (GEMINI, {"/encoding_format", "/user", "/vendor_extensions/open_ai_embeddings/truncation", "/input/1/tokens"}),
        (COHERE, {"/user", "/vendor_extensions/open_ai_embeddings/truncation", "/input/1/tokens"}),
    ],
)
def test_what_a_target_cannot_carry_is_named(target: o.WireFormat, lost: set[str]) -> None:
    """Each loss points to its field, and there are no others."""
    payload = {"model": "m", "input": ["a", [1]], "encoding_format": "base64", "user": "u", "truncation": True}
    report = o.transcode_api_request(OPENAI, target, payload)
    assert {loss.pointer for loss in report.losses} == lost


def test_media_of_one_vendor_are_lost_to_another() -> None:
    """An image for Gemini has no place at OpenAI: its data is named."""
    payload = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}
    report = o.transcode_api_request(GEMINI, OPENAI, payload)
    assert [loss.pointer for loss in report.losses] == ["/input/0/vendor_extensions/gemini_embed_content/content"]
    assert "inlineData" in report.loss_reasons[0]


def test_a_hand_built_request_is_written_in_each_form() -> None:
    """One text is a text, several are a list; Gemini's form follows their number; Cohere is told what it must be told."""
    one, two = o.EmbeddingRequest("m", "a"), o.EmbeddingRequest("m", ["a", "b"], 3)
    assert o.emit_api_request(OPENAI, one).value == {"model": "m", "input": "a"}
    assert o.emit_api_request(OPENAI, two).value == {"model": "m", "input": ["a", "b"], "dimensions": 3}
    assert o.emit_transport_request(GEMINI, one).value.path == "/models/m:embedContent"
    assert o.emit_transport_request(GEMINI, two).value.path == "/models/m:batchEmbedContents"
    written = {"model": "m", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]}
    assert o.emit_api_request(COHERE, one).value == written


def test_the_caller_s_own_fields_go_where_they_are_understood() -> None:
    """Of a batch of Gemini's, each request says what the caller added; Cohere's default gives way."""
    request = o.EmbeddingRequest("m", ["a", "b"], vendor_extensions={"taskType": "X", "input_type": "search_query"})
    assert [inner["taskType"] for inner in o.emit_api_request(GEMINI, request).value["requests"]] == ["X", "X"]
    assert o.emit_api_request(COHERE, request).value["input_type"] == "search_query"


# --- base64 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, -0.25, 1.0], "f"),
        ([0.0] * 8, "f"),
        ([], "f"),
        ([0.1] * 8, "d"),
        ([0.0016345977783203125, -0.5, 0.25, 1.5], "d"),  # of half precision: each low word is zero
        ([1, -2, 3, -4, 127, -128, 0, 9] * 4, "b"),
    ],
)
def test_base64_is_read_as_what_it_is_of(values: list[float], kind: str) -> None:
    """Single precision, doubles or bytes: the numbers are those that were put in, and are written as they came."""
    payload = {"data": [{"index": 0, "embedding": b64(values, kind)}], "model": "m"}
    response = o.parse_api_response(OPENAI, payload).value
    assert list(response.data[0].embedding) == values
    assert o.emit_api_response(OPENAI, response).value == payload


def test_changed_numbers_are_written_as_base64_too() -> None:
    """The form stays, the numbers are the new ones."""
    read = o.parse_api_response(OPENAI, {"data": [{"index": 0, "embedding": b64([0.5])}], "model": "m"}).value
    vector = o.EmbeddingVector(0, (0.75,), vendor_extensions=read.data[0].vendor_extensions)
    written = o.emit_api_response(OPENAI, o.EmbeddingResponse("m", (vector,), vendor_extensions=read.vendor_extensions)).value
    assert written["data"][0]["embedding"] == b64([0.75])


# --- bad input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "payload", "pointer"),
    [
        (OPENAI, {"model": "m"}, "/input"),
        (OPENAI, {"model": "m", "input": 5}, "/input"),
        (OPENAI, {"model": "m", "input": ["a", 5]}, "/input/1"),
        (OPENAI, {"model": 5, "input": "a"}, "/model"),
        (OPENAI, {"model": "m", "input": "a", "dimensions": "3"}, "/dimensions"),
        (GEMINI, {}, "/content"),
        (GEMINI, {"requests": 5}, "/requests"),
        (GEMINI, {"requests": [5]}, "/requests/0"),
        (GEMINI, {"instances": [{}]}, "/instances/0"),
        (COHERE, {"model": "m"}, "/texts"),
        (COHERE, {"texts": [5]}, "/texts/0"),
        (COHERE, {"inputs": [{}]}, "/inputs/0"),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_place(wire: o.WireFormat, payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own, with a pointer into the payload."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_request(wire, payload)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("wire", "payload", "pointer"),
    [
        (OPENAI, {"model": "m"}, "/data"),
        (OPENAI, {"data": [{"embedding": ["x"]}]}, "/data/0/embedding/0"),
        (OPENAI, {"data": [{"embedding": [True]}]}, "/data/0/embedding/0"),
        (OPENAI, {"data": [{"embedding": "no base64"}]}, "/data/0/embedding"),
        (OPENAI, {"data": [{"embedding": b64([float("nan")] + [0.5] * 20)}]}, "/data/0/embedding"),
        (OPENAI, {"data": [{"embedding": {}}]}, "/data/0/embedding"),
        (GEMINI, {}, "/embeddings"),
        (GEMINI, {"embedding": {"values": [None]}}, "/embedding/values/0"),
        (GEMINI, {"predictions": [{}]}, "/predictions/0/embeddings"),
        (COHERE, {}, "/embeddings"),
        (COHERE, {"embeddings": {"float": [5]}}, "/embeddings/float/0"),
        (COHERE, {"embeddings": {"base64": [5]}}, "/embeddings/base64/0"),
    ],
)
def test_a_response_that_is_none_is_refused_with_its_place(wire: o.WireFormat, payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own, with a pointer into the payload."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_response(wire, payload)
    assert caught.value.pointer == pointer
