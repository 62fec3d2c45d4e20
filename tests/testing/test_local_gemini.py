"""The local provider's generateContent: the model and whether to stream are in the URL."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

import pytest

from omnillm.testing import LocalProvider
from omnillm.types.enums import FinishReason, ProviderProtocol
from omnillm.types.events import Completed, TextDelta
from omnillm.wire import SseDecoder, StreamParser, parse_error, parse_response

GEMINI = ProviderProtocol.GEMINI_GENERATE_CONTENT
VERTEX = "/v1/projects/p/locations/us-central1/publishers/google"
TOOLS = [{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT", "properties": {}}}]}]


def post(provider: LocalProvider, path: str, text: str = "Say hello", *, key: str = "good", **fields: Any) -> tuple[int, bytes]:
    """Ask over HTTP; give the status and the body."""
    body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}
    with closing(http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", path, json.dumps(body), {"x-goog-api-key": key})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
        ("/v1beta/models/a%2Fb%3Ac:generateContent", "a/b:c"),
        (f"{VERTEX}/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro"),
    ],
)
def test_the_model_is_in_the_path(provider: LocalProvider, path: str, model: str) -> None:
    """The answer is of the model that the path names, at Google's own path and at Vertex AI's."""
    status, body = post(provider, path)
    response = parse_response(GEMINI, body)
    assert (status, response.text, response.model) == (200, "echo: Say hello", model)
    assert (response.finish_reason, response.raw_finish_reason) == (FinishReason.STOP, "STOP")


def test_the_path_says_whether_to_stream(provider: LocalProvider) -> None:
    """The streaming method gives the same answer word by word."""
    _, body = post(provider, "/v1beta/models/m:streamGenerateContent?alt=sse")
    decoder, parser = SseDecoder(), StreamParser(GEMINI)
    events = [event for frame in [*decoder.feed(body), *decoder.finish()] for event in parser.feed(frame)] + parser.finish()
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["echo:", " Say", " hello"]
    assert isinstance(events[-1], Completed)
    assert events[-1].response.usage.completion_tokens == 3


def test_a_tool_is_called(provider: LocalProvider) -> None:
    """A tool that is offered is called where the text says so."""
    _, body = post(provider, "/v1beta/models/m:generateContent", "call weather", tools=TOOLS)
    response = parse_response(GEMINI, body)
    assert [call.name for call in response.tool_calls] == ["weather"]
    assert response.finish_reason is FinishReason.TOOL_CALL


def test_a_key_and_a_model_may_be_refused(provider: LocalProvider) -> None:
    """A dead key and a forbidden model are refused in Google's form."""
    found = [
        post(provider, "/v1beta/models/m:generateContent", key="dead"),
        post(provider, "/v1beta/models/secret-model:generateContent"),
    ]
    errors = [parse_error(GEMINI, status, body) for status, body in found]
    assert [(error.status, error.code) for error in errors] == [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")]


def test_its_endpoint_is_known(provider: LocalProvider) -> None:
    """The endpoint of the protocol has Google's base path."""
    assert provider.endpoint(GEMINI).base_url == provider.base_url + "/v1beta"
