"""Answers in bytes, for servers that follow a script, and what the tests of gateways ask of one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Any

from omnillm.gateway.gateway import Gateway
from omnillm.state import KeyStatus
from omnillm.testing import FakeClock, scripted
from omnillm.testing.scripted import Step

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
JSON_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(text: str = "hello", **fields: Any) -> bytes:
    """Give the body of a Chat answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}
    return json.dumps(
        {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **fields}
    ).encode()


def chunk(text: str | None = None, *, finish: str | None = None, **fields: Any) -> str:
    """Give the data of one chunk of a Chat stream."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return json.dumps({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **fields})


def data(*frames: str) -> bytes:
    """Give events as bytes."""
    return "".join(f"data: {frame}\n\n" for frame in frames).encode()


def streamed(*texts: str) -> bytes:
    """Give a whole Chat stream of those texts."""
    return data(*map(chunk, texts), chunk(finish="stop"), "[DONE]")


def http_chunk(body: bytes) -> bytes:
    """Give bytes as one chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def open_stream(body: bytes = b"") -> Step:
    """Begin a chunked stream."""
    return scripted.send((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + (http_chunk(body) if body else b""))


def more(body: bytes) -> Step:
    """Send one more chunk."""
    return scripted.send(http_chunk(body))


def key_of(gateway: Gateway, label: str = "k1") -> KeyStatus:
    """Give how one key stands."""
    return next(status for status in gateway.pool_status() if status.label == label)


def held(gateway: Gateway) -> tuple[int, int]:
    """Give the tokens and requests that are held now."""
    snapshot = gateway._core.store.snapshot()
    return snapshot.held_tokens, snapshot.held_requests


def labels(source: Any) -> list[str | None]:
    """Give the keys of what was tried."""
    return [record.key_label for record in source.attempts]


def let_pass(clock: FakeClock, threads: Iterable[Thread]) -> None:
    """Let the time pass, second by second, until the threads have ended."""
    for thread in threads:
        for _ in range(1_000):
            if not thread.is_alive():
                break
            clock.advance(1)
            thread.join(0.005)
        assert not thread.is_alive()


def wait_until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for what makes no sound."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        Event().wait(0.001)
