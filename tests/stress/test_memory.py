"""Hostile answers of any size, read in a process of its own: its memory stays near what it was."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from own_process import environment

from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Peer, expect, send

pytestmark = [pytest.mark.stress, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]

MIB = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

READER = """
import os, resource, sys
from omnillm.config import KeyConfig
from omnillm.errors import OmniLLMError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def read(url, kind):
    builder = GatewayBuilder(ProviderEndpoint("open_ai_chat_completions", url + "/v1")).default_model("m")
    gateway = builder.add_key(KeyConfig("sk-1")).retry(RetryPolicy(max_attempts=1)).build()
    def use():
        try:
            gateway.call("hi", timeout=60) if kind == "call" else list(gateway.stream("hi", timeout=60))
        except OmniLLMError as error:
            return type(error).__name__
        return "an answer"
    use()  # the first answer is a small one: it loads what is needed
    base = peak()
    print(use(), peak() - base, flush=True)

for line in sys.stdin:  # each in a process of its own, whose peak is that of the fork at first
    pid = os.fork()
    if not pid:
        read(*line.split())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    """A process that forks another one for each line."""
    command = [sys.executable, "-c", READER]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        yield it
        it.communicate(timeout=60)


def endless(head: bytes, piece: bytes, most: int = 256 * MIB) -> Callable[[Peer], None]:
    """Send a head, and the piece until the peer has had enough, or so many bytes."""

    def step(peer: Peer) -> None:
        try:
            peer.sock.sendall(head)
            for _ in range(most // len(piece)):
                peer.sock.sendall(piece)
        except OSError:
            pass

    return step


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(192 * MIB), 1)  # more than three times the cap


def explode(peer: Peer) -> None:
    endless(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb()), bomb(), len(bomb()))(peer)


PIECE = b"x" * 65_536

ROWS: dict[str, tuple[str, Callable[[Peer], None], int]] = {
    "an endless body": ("call", endless(HEAD + b"\r\n", PIECE), 32 * MIB),
    "a bomb": ("call", explode, 32 * MIB),
    "an endless header": ("call", endless(b"HTTP/1.1 200 OK\r\nX-A: ", PIECE), MIB),
    "endless headers": ("call", endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"x" * 60_000 + b"\r\n"), 8 * MIB),
    "an endless error": ("call", endless(b"HTTP/1.1 500 No\r\n\r\n", PIECE), MIB),
    "an endless redirect": ("call", endless(b"HTTP/1.1 302 No\r\nLocation: /\r\n\r\n", PIECE), MIB),
    "an event without an end": ("stream", endless(STREAM + b"data: ", PIECE), MIB),
    "a stream of nothing": ("stream", endless(STREAM, (b": " + b"p" * 1_021 + b"\n") * 64, 64 * MIB), MIB),
}


@pytest.mark.parametrize("row", ROWS)
def test_p25_bounded_memory(reader: subprocess.Popen[str], row: str) -> None:
    """What is sent without end or measure raises an error of ours, and takes no more than three times its cap and a little."""
    kind, step, cap = ROWS[row]
    small = send(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    scripts: list[Any] = [[expect(), small], [expect(), step]]
    with ScriptedServer(*scripts) as server:
        assert reader.stdin is not None
        assert reader.stdout is not None
        print(server.base_url, kind, file=reader.stdin, flush=True)
        outcome, grown = reader.stdout.readline().split()
    assert outcome.endswith("Error")
    assert int(grown) < 3 * cap + 16 * MIB, f"{int(grown) / MIB:.1f} MiB"
