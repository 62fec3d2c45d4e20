"""The local provider's sessions, spoken to by websocket-client itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
import websocket

from omnillm.testing import LocalProvider, answer, break_stream, fail

LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
OPENAI = "/v1/realtime?model=gpt-realtime"


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider(keys=["good"]) as it:
        yield it


Connect = Callable[..., Any]


@pytest.fixture
def connect(provider: LocalProvider) -> Iterator[Connect]:
    """Open sessions that are closed in the end."""
    with ExitStack() as stack:

        def connect(path: str, key: str = "good") -> Any:
            url = provider.base_url.replace("http", "ws", 1) + path
            made = websocket.create_connection(url, header={"Authorization": f"Bearer {key}"}, timeout=5)
            stack.callback(made.shutdown)
            return made

        yield connect


def read(socket: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv())
    return found


def test_a_turn_of_openais(connect: Connect) -> None:
    """An item is echoed, an answer comes in words, and what is no event is an error that ends nothing."""
    socket = connect(OPENAI)
    assert read(socket)["session"]["model"] == "gpt-realtime"
    socket.send(json.dumps({"type": "nonsense"}))
    assert read(socket)["error"]["code"] == "invalid_value"
    for event in ({"type": "input_audio_buffer.append", "audio": "AAAA"}, {"type": "input_audio_buffer.clear"}):
        socket.send(json.dumps(event))
    assert read(socket)["type"] == "input_audio_buffer.cleared"
    item = {"type": "function_call_output", "call_id": "c", "output": "22 degrees"}
    socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    socket.send(json.dumps({"type": "response.create"}))
    events = []
    while not events or events[-1]["type"] != "response.done":
        events.append(read(socket))
    assert "".join(event.get("delta", "") for event in events) == "echo: 22 degrees"
    assert events[-1]["response"]["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("first", ["{}", "no JSON", "[]", '{"setup": {}}'])
def test_a_session_of_geminis_begins_with_its_setup(connect: Connect, first: str) -> None:
    """Anything else closes it, with the code of an invalid payload."""
    socket = connect(LIVE)
    socket.send(first)
    opcode, data = socket.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1007)


def test_a_script_holds_for_sessions(provider: LocalProvider, connect: Connect) -> None:
    """A refusal, an answer, and a failure in the midst."""
    provider.script(fail(503), answer("as told"), break_stream(2, how="error_event"))
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        connect(OPENAI)
    socket = connect(OPENAI)
    socket.send('{"type": "response.create"}')
    assert "as told" in "".join(read(socket).get("text", "") for _ in range(7))
    socket = connect(OPENAI)
    read(socket)
    socket.send('{"type": "response.create"}')
    read(socket)
    assert int.from_bytes(socket.recv_data()[1][:2], "big") == 1011
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        connect(OPENAI, "bad")


def test_a_request_without_a_handshake_is_refused(provider: LocalProvider) -> None:
    """In the protocol's own form."""
    key = {"Authorization": "Bearer good"}
    with requests.Session() as session:
        assert session.get(provider.base_url + OPENAI, headers=key, timeout=5).status_code == 400
        assert session.post(provider.base_url + OPENAI, headers=key, timeout=5).status_code == 405
