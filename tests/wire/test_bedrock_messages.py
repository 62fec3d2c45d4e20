"""Messages of AWS's event stream as frames: of Converse, of InvokeModel, and the exceptions of either."""

from __future__ import annotations

import base64
import json

import pytest

from omnillm.errors import InvalidJsonError, InvalidShapeError, OverloadedError, ProviderError, RateLimitedError, ServerError
from omnillm.wire import SseFrame
from omnillm.wire.bedrock.messages import read_message

EVENT = {":message-type": "event", ":content-type": "application/json"}


def chunk(value: object) -> bytes:
    return json.dumps({"bytes": base64.b64encode(json.dumps(value).encode()).decode(), "p": "abc"}).encode()


def test_an_event_of_converse_keeps_its_name() -> None:
    """The payload is the frame's data, as it is."""
    frame = read_message(EVENT | {":event-type": "messageStart"}, b'{"role":"assistant"}')
    assert frame == SseFrame("messageStart", '{"role":"assistant"}')


def test_a_chunk_of_invoke_model_is_what_is_inside() -> None:
    """Which is an event of the model's own protocol, and names itself."""
    frame = read_message(EVENT | {":event-type": "chunk"}, chunk({"type": "ping", "text": "ä"}))
    assert (frame.event, json.loads(frame.data)) == (None, {"type": "ping", "text": "ä"})


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"{}", InvalidShapeError),
        (b'{"bytes":5}', InvalidShapeError),
        (b'{"bytes":"*"}', InvalidShapeError),
        (b'{"bytes":"/w=="}', InvalidShapeError),
        (b"[]", InvalidShapeError),
        (b"x", InvalidJsonError),
        (b"\xff", InvalidShapeError),
    ],
)
def test_a_chunk_that_is_none_is_refused(payload: bytes, kind: type[Exception]) -> None:
    """By its shape; nothing else is raised."""
    with pytest.raises(kind):
        read_message(EVENT | {":event-type": "chunk"}, payload)


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "code", "message"),
    [
        (
            {":exception-type": "throttlingException"},
            b'{"message":"slow down"}',
            RateLimitedError,
            "throttlingException",
            "slow down",
        ),
        ({":exception-type": "modelStreamErrorException"}, b'{"message":"m"}', ServerError, "modelStreamErrorException", "m"),
        (
            {":exception-type": "serviceUnavailableException"},
            b'{"message":"m"}',
            OverloadedError,
            "serviceUnavailableException",
            "m",
        ),
        ({":exception-type": "modelTimeoutException"}, b'{"message":"m"}', ProviderError, "modelTimeoutException", "m"),
        ({":exception-type": "validationException"}, b'"text"', ProviderError, "validationException", '"text"'),
        ({}, b"", ServerError, "internalServerException", "an error without a message"),
    ],
)
def test_an_exception_is_the_error_that_it_names(
    headers: dict[str, str], payload: bytes, kind: type[ProviderError], code: str, message: str
) -> None:
    """With its status by its name, as over HTTP."""
    with pytest.raises(kind) as caught:
        read_message({":message-type": "exception", **headers}, payload)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_an_error_of_the_layer_below_is_one_too() -> None:
    """It has its words in headers, and no payload."""
    with pytest.raises(ServerError) as caught:
        read_message({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "it broke"}, b"")
    assert (caught.value.code, caught.value.message) == ("InternalFailure", "it broke")
    with pytest.raises(ServerError, match="an error without a message"):
        read_message({":message-type": "error"}, b"")
