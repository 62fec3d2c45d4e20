"""Rerank in Cohere's form and in the one of the others."""

from __future__ import annotations

from typing import Any

import pytest

import omnillm as o

OPENAI, COHERE = o.WireFormat.OPENAI_RERANK, o.WireFormat.COHERE_RERANK
BOTH = pytest.mark.parametrize("wire", [OPENAI, COHERE])

REQUESTS: list[dict[str, Any]] = [
    {"model": "m", "query": "q", "documents": ["a", "b"]},
    {"model": "m", "query": "q", "documents": ["a", {"title": "t"}, {"text": "b"}], "top_n": 2, "return_documents": True},
    {"model": "m", "query": "q", "documents": [], "top_k": 2, "truncation": None, "return_documents": False},
    {"query": "q", "documents": ["a"], "max_tokens_per_doc": None},
]
RESPONSES: list[dict[str, Any]] = [
    {"id": "x", "results": [{"index": 1, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
    {"results": [{"index": 1, "relevanceScore": 0.5, "document": {"text": "a"}}, {"index": 0, "score": 1}]},
    {
        "object": "list",
        "data": [{"index": 0, "relevance_score": 0.5, "document": "a"}],
        "model": "m",
        "usage": {"total_tokens": 3},
    },
    {"model": "m", "results": [{"index": 0, "relevance_score": 0, "document": {}}], "usage": {"prompt_tokens": 3, "x": None}},
    {"results": [], "model": "", "usage": None, "meta": {"billed_units": {"search_units": 2.0, "input_tokens": 5}}},
]


@BOTH
@pytest.mark.parametrize("payload", REQUESTS)
def test_a_request_is_written_as_it_was_read(wire: o.WireFormat, payload: dict[str, Any]) -> None:
    """Names of hosts' own stay, objects stay objects; at rest, too."""
    request = o.parse_api_request(wire, payload).value
    assert o.emit_api_request(wire, request).value == payload
    assert o.emit_api_request(wire, o.RerankRequest.from_json(request.to_json())).value == payload


@BOTH
@pytest.mark.parametrize("payload", RESPONSES)
def test_a_response_is_written_as_it_was_read(wire: o.WireFormat, payload: dict[str, Any]) -> None:
    """Names of hosts' own stay, objects stay objects; at rest, too."""
    response = o.parse_api_response(wire, payload).value
    assert o.emit_api_response(wire, response).value == payload
    assert o.emit_api_response(wire, o.RerankResponse.from_json(response.to_json())).value == payload


@pytest.mark.parametrize("payload", RESPONSES[:4])
def test_the_results_mean_the_same_whatever_they_are_called(payload: dict[str, Any]) -> None:
    """Index and score have one place."""
    first = o.parse_api_response(OPENAI, payload).value.results[0]
    said = (payload.get("results") or payload["data"])[0]
    assert (first.index, first.relevance_score) == (said["index"], said.get("relevance_score", said.get("relevanceScore")))


def test_what_cohere_has_no_place_for_is_named() -> None:
    """Documents do not come back there; a document's other fields and a host's own settings are lost."""
    payload = {
        "model": "m",
        "query": "q",
        "documents": [{"text": "a", "title": "t"}],
        "return_documents": True,
        "truncation": True,
    }
    report = o.transcode_api_request(OPENAI, COHERE, payload)
    assert report.value == {"model": "m", "query": "q", "documents": ["a"]}
    assert {loss.pointer for loss in report.losses} == {
        "/documents/0/vendor_extensions/open_ai_rerank/title",
        "/return_documents",
        "/vendor_extensions/open_ai_rerank/truncation",
    }


def test_units_cross() -> None:
    """Searches that Cohere billed are told as such."""
    report = o.transcode_api_response(COHERE, OPENAI, RESPONSES[0])
    assert report.value["usage"] == {"search_units": 1}
    assert report.value["results"] == RESPONSES[0]["results"]


@BOTH
@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"documents": []}, "/query"),
        ({"query": "q"}, "/documents"),
        ({"query": "q", "documents": [5]}, "/documents/0"),
        ({"query": "q", "documents": [], "top_n": "2"}, "/top_n"),
        ({"query": "q", "documents": [], "return_documents": 1}, "/return_documents"),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_place(wire: o.WireFormat, payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_request(wire, payload)
    assert caught.value.pointer == pointer


@BOTH
@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, "/results"),
        ({"results": [{}]}, "/results/0/index"),
        ({"results": [{"index": 0}]}, "/results/0/relevance_score"),
        ({"results": [{"index": 0, "relevance_score": "high"}]}, "/results/0/relevance_score"),
        ({"data": [{"index": "0"}]}, "/data/0/index"),
    ],
)
def test_a_response_that_is_none_is_refused_with_its_place(wire: o.WireFormat, payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_response(wire, payload)
    assert caught.value.pointer == pointer
