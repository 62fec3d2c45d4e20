"""P15, P26: whatever an upstream answers, calls and streams end in an answer or in one error of ours, and hold nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from damage import places, put
from gateway_scripts import held, more, open_stream
from whole_payloads import WHOLE, Whole

from omnillm.errors import GatewayError, OmniLLMError, StreamInterruptedError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Peer, expect, stall
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import Completed, StreamFailed
from omnillm.wire import SseFrame, encode_sse

VALUES: list[Any] = [None, True, -1, 1e300, 10**30, "", "x", "\ud800", [], [None], {}, {"type": "nobody knows"}, [[]], {"": 1}]
TURNS = 60  # of each protocol and seed
JUNK = [
    b"",
    b"\0",
    b"\r\n",
    b"\xff",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"null",
    b"-1",
    b"1e999",
    b"data: ",
    b"\\u",
    b"\n\n",
]
FIELDS = [
    b"",
    b"",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate, br\r\n",
    b"Transfer-Encoding: x\r\n",
    b"Retry-After: -1\r\n",
]
STATUSES = [b"200 OK"] * 9 + [b"204 No", b"302 Go", b"400 No", b"429 Slow", b"500 Oops", b"999 What"]


def damaged_value(value: Any, chance: random.Random, often: float = 0.1) -> Any:
    """Give the value, now and then with another one somewhere in it."""
    if chance.random() > often:
        return value
    return put(value, chance.choice(list(places(value))), chance.choice(VALUES))


def answer(whole: Whole, chance: random.Random, *, streamed: bool) -> bytes:
    """Give an answer of the protocol's, damaged in its head, in its framing or in its body."""
    done = [b"data: [DONE]\n\n"] if whole.protocol is ProviderProtocol.OPENAI_CHAT_COMPLETIONS else []
    if streamed:
        frames = [SseFrame(event, json.dumps(damaged_value(data, chance))) for event, data in whole.frames]
        pieces = [encode_sse(frame) for frame in frames] + done
    else:
        pieces = [json.dumps(damaged_value(whole.response, chance, often=0.7)).encode()]
    if streamed and chance.random() < 0.3:
        place = chance.randrange(len(pieces))
        pieces[place : place + chance.randint(0, 2)] = chance.choice([[], [pieces[-1]], [pieces[place]] * 2, pieces[::-1][:2]])
    body = bytearray(b"".join(pieces))
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        place = chance.randrange(len(body)) if body else 0
        body[place : place + chance.randint(0, 3)] = chance.choice(JUNK)
    if chance.random() < 0.15:
        del body[chance.randrange(len(body) + 1) :]
    kind = (
        b"text/event-stream" if streamed == (chance.random() < 0.95) else chance.choice([b"application/json", b"text/html", b""])
    )
    length = len(body) + chance.choice([0] * 8 + [-3, 3])
    framing = b"Content-Length: %d\r\n" % max(length, 0) if chance.random() < 0.7 else b""
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%b%b\r\n" % (chance.choice(STATUSES), kind, chance.choice(FIELDS), framing)
    return head + bytes(body)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("name", [name for name in WHOLE if name != "bedrock"])
def test_p26_whatever_is_answered_only_errors_of_ours_leave(build: Any, name: str, how: str, seed: int) -> None:
    """Damaged heads, framings, payloads of every protocol: a value or an ``OmniLLMError``, and one end of a stream, its last."""
    whole, chance, ends = WHOLE[name], random.Random(f"{name} {how} {seed}"), {"value": 0, "error": 0}

    def damaged(peer: Peer) -> None:
        peer.sock.sendall(answer(whole, chance, streamed=how == "stream"))

    with ScriptedServer([expect(), damaged]) as server:
        gateway = build(
            server,
            protocol=whole.protocol,
            retry=RetryPolicy(max_attempts=1),
            timeouts={"total": 5, "idle": 5, "first_byte": 5},
            pool_config=PoolConfig(circuit_breaker_threshold=10**9),
        )
        for _ in range(TURNS):
            gateway.revive("k1")
            seen: list[Any] = []
            try:
                if how == "call":
                    gateway.call("hi")
                else:
                    seen.extend(iter(gateway.stream("hi")))
                    assert [type(event) for event in seen].count(Completed) == 1
                    assert isinstance(seen[-1], Completed)
                ends["value"] += 1
            except OmniLLMError as error:
                assert isinstance(error, GatewayError)  # noqa: PT017
                assert not isinstance(error, TimeoutError)  # noqa: PT017
                assert len(error.attempts) == 1  # noqa: PT017
                ends["error"] += 1
            assert not any(isinstance(event, StreamFailed) for event in seen)
        assert held(gateway) == (0, 0)
        assert gateway._core.allowance.in_flight == 0
        assert 0 <= gateway.budget_used_usd() < 1e9
    assert min(ends.values()) > 2  # neither all broken nor all whole


def test_what_came_and_is_no_answer_keeps_no_call_open(build: Any) -> None:
    """A stream that breaks on a piece which no answer can be made of ends as any other: with its error, record and money."""
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]} for text in ("Hi", True)]
    frames = [encode_sse(SseFrame(None, json.dumps(chunk))) for chunk in chunks]
    steps = [expect(), open_stream(frames[0]), more(frames[1]), stall()]
    with ScriptedServer(steps) as server:
        gateway = build(server, protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT)
        stream = gateway.stream("hi")
        assert next(stream.text()) == "Hi"
        with pytest.raises(StreamInterruptedError) as caught:
            list(stream)
        assert (len(caught.value.attempts), held(gateway), gateway._core.allowance.in_flight) == (1, (0, 0), 0)
        assert gateway.budget_used_usd() > 0
        assert next(stream, None) is None
