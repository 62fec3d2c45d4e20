"""Faults between a request that was sent and the head of its answer."""

from __future__ import annotations

import threading

import pytest
from fault_play import SHORT, Play, good
from gateway_scripts import whole

from omnillm.config import KeyConfig
from omnillm.testing import scripted
from omnillm.testing.scripted import Peer, Step, dribble, expect, half_close, repeat, reset, respond, send, signal, stall
from omnillm.types.request import LlmRequest

OK = b"HTTP/1.1 200 OK\r\n"
LARGE = LlmRequest("m", "x" * (8 << 20))
ROOMY = [KeyConfig("sk-1", "k1", tpm_limit=10**8)]


def test_row_8_a_kept_connection_closed_while_idle(play: Play) -> None:
    """The second call finds the connection of the first one closed, and takes a new one."""
    left = threading.Event()

    def leave(peer: Peer) -> None:
        peer.sock.close()
        left.set()

    played = play([*good("call"), leave], good("call"), calls=2, requests=2, between=lambda: left.wait(5))
    assert played.response.text == "hello"


@pytest.mark.parametrize("ending", [[], [reset()]], ids=["closed", "reset"])
def test_row_9_a_kept_connection_dies_as_it_is_used(play: Play, ending: list[Step]) -> None:
    """The request goes out once more, on a new connection: one attempt, one charge."""
    played = play([*good("call"), expect(), *ending], good("call"), calls=2, requests=3)
    assert played.gateway.budget_used_usd() == 2 * played.response.cost_usd


@pytest.mark.parametrize("ending", [[], [reset()]], ids=["closed", "reset"])
def test_row_10_a_new_connection_without_an_answer(play: Play, ending: list[Step]) -> None:
    """Nobody knows what the server did: it is asked again, and each prompt is charged."""
    play([expect(), *ending])


def test_row_11_reset_after_an_answer(play: Play) -> None:
    """A server that refuses a large body unread, and hangs up, is heard."""
    early: list[Step] = [lambda peer: peer.receive_until(b"\r\n\r\n"), respond(413, body=b"too large"), half_close(), stall()]
    play(early, face="after an answer (413)", request=LARGE, requests=0, keys=ROOMY)


def test_row_11_reset_without_an_answer(play: Play) -> None:
    """One that says nothing may have read it."""
    play([lambda peer: peer.receive_until(b"\r\n\r\n"), reset()], face="without an answer", request=LARGE, requests=0, keys=ROOMY)


def test_row_12_a_stall_before_the_headers(play: Play) -> None:
    """A call waits for its own time, a stream for that of the first byte; neither is sent again."""
    play([expect(), stall()], face="a call", options={"timeout": SHORT}, within=SHORT)
    play([expect(), stall()], face="a stream", how="stream", timeouts={"first_byte": SHORT}, within=SHORT)


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("head", [b"", OK], ids=["status line", "headers"])
def test_row_13_a_dribbled_head(play: Play, head: bytes, how: str) -> None:
    """No byte extends the time."""
    slow = dribble((OK + b"X-Pad: " + b"y" * 9_000)[len(head) :], 0.01)
    play([expect(), send(head), slow], how=how, options={"timeout": SHORT}, within=SHORT)


@pytest.mark.parametrize("head", [b"HTTP/1.1 20", OK + b"Content-Length: 5\r\n", OK + b"Content-Le"])
def test_row_14_cut_in_the_headers(play: Play, head: bytes) -> None:
    """Half a head is no answer with an empty body."""
    play([expect(), send(head)])


GARBAGE = {
    "garbage": b"\x16\x03\x01\x00\x02\x02\x16\r\n",
    "garbage without a line end": b"garbage",
    "HTTP/0.9": b"<html>hello</html>\n",
    "a huge status line": b"HTTP/1.1 200 " + b"x" * 70_000,
    "a huge header": OK + b"A: " + b"x" * 70_000,
    "101 headers": OK + b"A: b\r\n" * 101 + b"\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_row_15_what_is_no_head(play: Play, name: str) -> None:
    """It is refused as soon as that is known, and the connection is closed, although the server would leave it open."""
    left = threading.Event()
    play([expect(), send(GARBAGE[name]), stall(), signal(left)])
    assert left.wait(5)


@pytest.mark.parametrize("lengths", [b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5, 6\r\n"])
def test_row_16_two_lengths(play: Play, lengths: bytes) -> None:
    """Two answers might hide in one."""
    play([expect(), send(OK + lengths + b"\r\n123456"), stall()])


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.parametrize("count", [1, 8])
def test_row_17_interim_answers(play: Play, status: int, count: int) -> None:
    """They are skipped, and the next request on the connection gets its own answer."""
    between = send(b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status * count)
    steps = [expect(), between, respond(body=whole("first")), expect(), between, respond(body=whole("second"))]
    played = play(steps, calls=2, requests=2)
    assert (played.response.text, played.server.connections) == ("second", 1)


def test_row_18_no_end_of_interim_answers(play: Play) -> None:
    """There is a bound to how often a server may say that it will answer."""
    play([expect(), repeat(send(b"HTTP/1.1 103 Early\r\n\r\n"))])


def test_row_19_a_switch_of_protocols(play: Play) -> None:
    """A protocol that nobody asked for is no answer, and would be none the next time."""
    play([expect(), send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), stall()])


def test_row_20_bytes_on_an_idle_connection(play: Play) -> None:
    """An answer that nobody asked for is not taken for that of the next request."""
    forged, there = scripted.respond(body=whole("forged")), threading.Event()

    def forge(peer: Peer) -> None:
        forged(peer)
        there.set()

    played = play([*good("call"), forge, stall()], [*good("call")], calls=2, requests=2, between=lambda: there.wait(5))
    assert played.response.text == "hello"
