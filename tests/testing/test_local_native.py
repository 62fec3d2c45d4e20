"""The local provider keeps what native calls make: by number and in order, refused and broken off as everything else there."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import omnillm as o
from omnillm.testing import FakeClock, LocalProvider, answer, break_stream, delay, fail, hang, record, replay

CLAUDE = {"x-api-key": "good", "anthropic-version": "2023-06-01"}
OPENAI = {"authorization": "Bearer good"}
GEMINI = {"x-goog-api-key": "good"}
TURNS = [{"role": "user", "content": "Say hello"}]


def ask(
    provider: LocalProvider, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)) as connection:
        connection.request(method, path, data, OPENAI if headers is None else headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def told(provider: LocalProvider, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    status, _, data = ask(provider, method, path, body, headers)
    return status, json.loads(data)


def test_one_path_is_of_several_providers(provider: LocalProvider) -> None:
    """Who asks is told by the headers that only one of them has."""
    assert told(provider, "GET", "/v1/models")[1]["object"] == "list"
    assert told(provider, "GET", "/v1/models", headers=CLAUDE)[1]["first_id"] == "local-large"
    assert told(provider, "GET", "/v1/models", headers=GEMINI)[1]["models"][0]["name"] == "models/local-large"
    assert told(provider, "GET", "/v1beta/models", headers=GEMINI)[1]["models"][1]["version"] == "001"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "said"),
    [
        ("GET", "/v1/files/file-9", OPENAI, 404, "No such file object: file-9"),
        ("GET", "/v1/batches/b", OPENAI, 404, "No such batch object: b"),
        ("GET", "/v1/models/none", OPENAI, 404, "The model 'none' does not exist"),
        ("GET", "/v1/messages/batches/b", CLAUDE, 404, "batch b not found"),
        ("GET", "/v1beta/files/9", GEMINI, 404, "files/9 is not found"),
        ("GET", "/v1beta/operations/9", GEMINI, 404, "operations/9 is not found"),
        ("PUT", "/v1/files", OPENAI, 405, "PUT is not allowed here"),
        ("GET", "/v1/uploads", OPENAI, 405, "GET is not allowed here"),
        ("POST", "/v1/batches", OPENAI, 400, "field required at /input_file_id"),
        ("POST", "/v1/files", OPENAI, 400, "expected multipart/form-data"),
        ("POST", "/v1/messages/batches", CLAUDE, 400, "field required at /requests"),
        ("POST", "/v1/messages/count_tokens", CLAUDE, 400, "field required at /model"),
        ("POST", "/v1beta/cachedContents", GEMINI, 400, "field required at /model"),
        ("POST", "/v1beta/models/m:batchGenerateContent", GEMINI, 400, "field required at /batch/inputConfig"),
        ("GET", "/v1/files", {}, 401, "no API key was given"),
        ("GET", "/v1/files", {"authorization": "Bearer dead"}, 401, "the API key is not valid"),
    ],
)
def test_refusals_are_in_the_providers_words(
    provider: LocalProvider, method: str, path: str, headers: dict[str, str], status: int, said: str
) -> None:
    """What is not there, not allowed, lacking or not known is refused in the form of whoever is spoken to."""
    found = told(provider, method, path, {} if method == "POST" else None, headers)
    assert found[0] == status
    assert said in found[1]["error"]["message"]


def test_the_same_requests_make_the_same_ids() -> None:
    """Everything that is kept is numbered by its kind, from one."""
    seen = []
    for _ in range(2):
        with LocalProvider() as it:
            body = {"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "x/y"}
            seen.append([told(it, "POST", "/v1/uploads", body)[1] for _ in range(2)])
    assert seen[0] == seen[1]
    assert [upload["id"] for upload in seen[0]] == ["upload_1", "upload_2"]


def test_an_upload_must_be_as_long_as_it_was_said(provider: LocalProvider) -> None:
    """Parts that do not add up are refused, and what is over takes no more."""
    body = {"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "x/y"}
    upload = told(provider, "POST", "/v1/uploads", body)[1]["id"]
    status, refused = told(provider, "POST", f"/v1/uploads/{upload}/complete", {"part_ids": []})
    assert (status, "expected 1 bytes, got 0" in refused["error"]["message"]) == (400, True)
    assert told(provider, "POST", f"/v1/uploads/{upload}/cancel")[1]["status"] == "cancelled"
    assert told(provider, "POST", f"/v1/uploads/{upload}/complete", {"part_ids": []})[0] == 400


def test_a_batch_runs_what_it_is_given_and_says_what_failed(provider: LocalProvider) -> None:
    """A request that would be refused by itself is refused in the batch."""
    requests = [
        {"custom_id": "good", "params": {"model": "m", "max_tokens": 9, "messages": TURNS}},
        {"custom_id": "bad", "params": {"model": "m", "max_tokens": 9, "messages": 3}},
    ]
    made = told(provider, "POST", "/v1/messages/batches", {"requests": requests}, CLAUDE)[1]["id"]
    assert ask(provider, "GET", f"/v1/messages/batches/{made}/results", headers=CLAUDE)[0] == 404
    for _ in range(2):
        told(provider, "GET", f"/v1/messages/batches/{made}", headers=CLAUDE)
    _, headers, data = ask(provider, "GET", f"/v1/messages/batches/{made}/results", headers=CLAUDE)
    assert headers["content-type"] == "application/x-jsonl"
    assert [json.loads(line)["result"]["type"] for line in data.splitlines()] == ["succeeded", "errored"]
    assert told(provider, "POST", f"/v1/messages/batches/{made}/cancel", headers=CLAUDE)[0] == 400


def test_the_url_of_an_upload_is_its_own_key(provider: LocalProvider) -> None:
    """The second step of a resumable upload shows no key; the first one does."""
    start = {**GEMINI, "x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    _, headers, _ = ask(provider, "POST", "/upload/v1beta/files", {"file": {"displayName": "a"}}, start)
    path = headers["x-goog-upload-url"].removeprefix(provider.base_url)
    first = ask(provider, "POST", path, b"he", {"x-goog-upload-command": "upload"})
    assert first[1]["x-goog-upload-status"] == "active"
    status, last = told(provider, "POST", path, b"llo", {"x-goog-upload-command": "upload, finalize"})
    assert (status, last["file"]["displayName"], last["file"]["sizeBytes"]) == (200, "a", "5")
    assert ask(provider, "POST", "/upload/v1beta/files", b"x", {})[0] == 401


def test_a_file_goes_up_with_its_description(provider: LocalProvider) -> None:
    """Both in one request, as ``multipart/related``."""
    body = (
        b'--b\r\nContent-Type: application/json\r\n\r\n{"file": {"displayName": "a"}}\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
    )
    kind = {**GEMINI, "content-type": "multipart/related; boundary=b"}
    file = told(provider, "POST", "/upload/v1beta/files", body, kind)[1]["file"]
    assert (file["displayName"], file["mimeType"], file["sizeBytes"]) == ("a", "text/plain", "5")
    assert ask(provider, "GET", f"/v1beta/{file['name']}:download?alt=media", headers=GEMINI)[2] == b"hello"


def test_scripts_hold_for_native_requests(provider: LocalProvider, clock: FakeClock) -> None:
    """Failures, delays and broken bodies come where they were scripted; an answer for a model is none of theirs."""
    provider.script(fail(503, message="not now"), delay(5.0), break_stream(how="no_terminal"), break_stream(how="error_event"))
    provider.script(answer("unheard"), hang())
    assert told(provider, "GET", "/v1/models")[1]["error"]["message"] == "not now"
    before = clock.monotonic()
    assert told(provider, "GET", "/v1/models")[0] == 200
    assert clock.monotonic() == before + 5
    with pytest.raises(json.JSONDecodeError):
        told(provider, "GET", "/v1/models")
    assert "error" in told(provider, "GET", "/v1/models")[1]
    assert told(provider, "GET", "/v1/models")[0] == 200
    assert provider.steps_left == 1


def test_limits_hold_for_native_requests(provider: LocalProvider) -> None:
    """A request is a request, whatever it asks."""
    small = {"authorization": "Bearer small"}
    assert [ask(provider, "GET", "/v1/models", headers=small)[0] for _ in range(3)] == [200, 200, 429]


def test_native_calls_are_recorded_and_played(provider: LocalProvider, tmp_path: Path) -> None:
    """Lists, forms, files and streams come back from the tape as they were, without a network."""
    from omnillm.primitive import PrimitiveRequest

    body = {"model": "m", "input": "hi", "stream": True}

    def exchange(gateway: o.Gateway) -> list[Any]:
        fields = {"purpose": "batch", "file": b"\0hello"}
        stream = PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, body).with_stream("sse")
        content = PrimitiveRequest.get("open_ai", "files", "open_ai_files", path="/files/file-1/content")
        return [
            gateway.primitive_call(PrimitiveRequest.get("open_ai", "models", "open_ai_models")).json(),
            gateway.primitive_call(PrimitiveRequest.form("open_ai", "files", "open_ai_files", None, fields)).json(),
            gateway.primitive_call(content).content,
            list(gateway.primitive_stream(stream)),
        ]

    def gateway() -> o.Gateway:
        return o.GatewayBuilder(provider.endpoint("responses")).add_key(o.KeyConfig("good")).build()

    tape = tmp_path / "tape.json"
    with gateway() as first, record(tape, first):
        seen = exchange(first)
    count = len(provider.requests)
    with gateway() as second, replay(tape, second):
        assert exchange(second) == seen
    assert len(provider.requests) == count
    assert "Bearer good" not in tape.read_text()
