"""The local provider's Converse: the model in the URL, a signed key, and a stream of binary frames."""

from __future__ import annotations

import binascii
import http.client
import json
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from omnillm.testing import LocalProvider, break_stream, fail
from omnillm.testing._eventstream import encode_event
from omnillm.types.enums import FinishReason, ProviderProtocol
from omnillm.types.events import Completed, TextDelta
from omnillm.wire import SseFrame, StreamParser, parse_error, parse_response

BEDROCK = ProviderProtocol.BEDROCK_CONVERSE
ARN = "arn:aws:bedrock:us-east-1:1:inference-profile/m"
SIGNED = "AWS4-HMAC-SHA256 Credential={}/20250101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}]}


def post(
    provider: LocalProvider,
    text: str = "Say hello",
    *,
    model: str = "m",
    stream: bool = False,
    authorization: str = "Bearer good",
    **fields: Any,
) -> tuple[int, dict[str, str], bytes]:
    """Ask over HTTP; give the status, the headers and the body."""
    path = f"/model/{model}/converse{'-stream' if stream else ''}"
    body = json.dumps({"messages": [{"role": "user", "content": [{"text": text}]}], **fields})
    with closing(http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", path, body, {"authorization": authorization})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def frames_of(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Read binary frames, their checksums checked: the headers and the payload of each."""
    while data:
        total, size, checksum = struct.unpack(">III", data[:12])
        assert checksum == binascii.crc32(data[:8])
        assert struct.unpack(">I", data[total - 4 : total]) == (binascii.crc32(data[: total - 4]),)
        yield dict(_headers(data[12 : 12 + size])), data[12 + size : total - 4]
        data = data[total:]


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    while data:
        end = 1 + data[0]
        kind, length = struct.unpack(">BH", data[end : end + 3])
        assert kind == 7
        yield data[1:end].decode(), data[end + 3 : end + 3 + length].decode()
        data = data[end + 3 + length :]


def test_a_frame_is_as_aws_writes_it() -> None:
    """A frame has its lengths, its headers, its payload and both checksums, byte by byte."""
    assert encode_event(SseFrame("messageStart", '{"role":"assistant"}')) == b"".join(
        [
            b"\x00\x00\x00v\x00\x00\x00R\x96\xd5\xfa\xde",
            b"\x0b:event-type\x07\x00\x0cmessageStart",
            b"\x0d:content-type\x07\x00\x10application/json",
            b"\x0d:message-type\x07\x00\x05event",
            b'{"role":"assistant"}',
            b"o\xa8\xc5\x99",
        ]
    )


def test_an_answer_is_a_message(provider: LocalProvider) -> None:
    """The answer is of the protocol, with the name of its request in AWS's header."""
    status, headers, body = post(provider)
    response = parse_response(BEDROCK, body)
    assert (status, headers["x-amzn-requestid"]) == (200, "req_1")
    assert (response.text, response.finish_reason, response.raw_finish_reason) == (
        "echo: Say hello",
        FinishReason.STOP,
        "end_turn",
    )
    assert response.usage.completion_tokens == 3


def test_a_stream_is_binary(provider: LocalProvider) -> None:
    """A stream says the same in frames with checksums, a word each, and ends in the usage."""
    _, headers, body = post(provider, stream=True)
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    parser, events, kinds = StreamParser(BEDROCK), [], []
    for fields, payload in frames_of(body):
        assert (fields[":message-type"], fields[":content-type"]) == ("event", "application/json")
        kinds.append(fields[":event-type"])
        events += parser.feed(SseFrame(kinds[-1], payload.decode()))
    events += parser.finish()
    assert (kinds[0], kinds[-2:]) == ("messageStart", ["messageStop", "metadata"])
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["echo:", " Say", " hello"]
    last = events[-1]
    assert isinstance(last, Completed)
    assert (last.response.finish_reason, last.response.usage.completion_tokens) == (FinishReason.STOP, 3)


def test_a_stream_may_break_with_an_exception(provider: LocalProvider) -> None:
    """A scripted error in a stream is a frame of an exception."""
    provider.script(break_stream(2, how="error_event"))
    *_, (fields, payload) = frames_of(post(provider, stream=True)[2])
    assert (fields[":message-type"], fields[":exception-type"]) == ("exception", "internalServerException")
    assert json.loads(payload) == {"message": "scripted failure of a stream"}


def test_a_tool_is_called_and_a_stop_sequence_named(provider: LocalProvider) -> None:
    """A call has an id as AWS gives it, and a stop sequence is the stop reason."""
    called = parse_response(BEDROCK, post(provider, "call weather", toolConfig=TOOLS)[2])
    assert [(call.call_id, call.name) for call in called.tool_calls] == [("tooluse_1_0", "weather")]
    assert called.raw_finish_reason == "tool_use"
    stopped = parse_response(BEDROCK, post(provider, "one two", inferenceConfig={"stopSequences": ["two"]})[2])
    assert (stopped.text, stopped.raw_finish_reason) == ("echo: one ", "stop_sequence")


@pytest.mark.parametrize("authorization", ["Bearer {}", SIGNED])
def test_the_key_is_signed_or_shown(provider: LocalProvider, authorization: str) -> None:
    """A key is the bearer's token or the credential of a signature; the model is in the URL, an ARN quoted."""
    model = ARN.replace(":", "%3A").replace("/", "%2F")
    assert post(provider, model=model, authorization=authorization.format("other"))[0] == 200
    assert provider.requests[-1].key == "other"
    status, _, body = post(provider, authorization=authorization.format("dead"))
    assert parse_error(BEDROCK, status, body).status == 401
    provider.forbidden.add(("other", ARN))
    status, _, body = post(provider, model=model, authorization=authorization.format("other"))
    assert parse_error(BEDROCK, status, body).code == "AccessDeniedException"


def test_a_failure_is_an_exception_by_name(provider: LocalProvider) -> None:
    """A scripted failure is written as AWS writes it."""
    provider.script(fail(429, message="slow down", retry_after=2))
    status, headers, body = post(provider)
    assert (status, headers["retry-after"]) == (429, "2")
    assert json.loads(body) == {"__type": "ThrottlingException", "message": "slow down"}
