"""What a streamed text delta costs, and how soon an event is there after it was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests

import omnillm as o

from . import clients
from .measure import Effort, Row, Sample, counted, interleaved, micros, ratios, row
from .upstream import Upstream

DELTAS, STREAMS, PACED = 1_000, 3, 3
TARGET, TARGET_FAST, TARGET_MS = 1.5, 1.0, 1.0


def rows(effort: Effort, *, fast: bool) -> Iterator[Row]:
    """Measure streams; ``fast`` says that orjson reads them."""
    with Upstream() as upstream:
        yield from _cpu(effort, upstream.url, TARGET_FAST if fast else TARGET)
        yield from _first_event(effort, upstream.url)


def _cpu(effort: Effort, url: str, target: float) -> Iterator[Row]:
    deltas, often = effort.of(DELTAS), effort.of(STREAMS)
    shape, works = f"deltas-{deltas}", {}
    for name in clients.NAMES:
        works[f"iter_lines, {name}"] = clients.session_stream(url, shape, name)
        works[f"gateway.stream, {name}"] = clients.gateway_stream(url, shape, name)
        works[f"raw socket, {name}"] = clients.socket_stream(url, shape, name)
    works |= clients.peer_streams(url, shape)
    taken = interleaved({name: counted(work, often) for name, work in works.items()}, effort.rounds)
    for name, seen in taken.items():
        unit = taken[f"iter_lines, {name.rpartition(', ')[2]}"]
        own = micros([one / deltas for one in seen])
        ours = name.startswith("gateway")
        yield row("CPU of a delta", name, ratios(seen, unit), own=own, target=target if ours else None)


def _first_event(effort: Effort, url: str) -> Iterator[Row]:
    samples: dict[str, Sample] = {}
    for framing in ("chunked", "close"):
        samples[f"requests, {framing}"] = _by_session(url, f"paced-{framing}-{PACED}")
        samples[f"gateway.stream, {framing}"] = _by_gateway(url, f"paced-{framing}-{PACED}")
    for name, seen in interleaved(samples, effort.rounds).items():
        target = TARGET_MS if name.startswith("gateway") else None
        yield row("first event", name, [one * 1e3 for one in seen], unit="ms", target=target)


def _by_gateway(url: str, shape: str) -> Sample:
    made, asked = clients.gateway(url, shape, "chat"), clients.request("chat")

    def sample() -> float:
        with made.stream(asked) as stream:
            return next(_since(event.delta) for event in stream if isinstance(event, o.TextDelta))

    return sample


def _by_session(url: str, shape: str) -> Sample:
    session, body = requests.Session(), clients.payload("chat", stream=True)

    def sample() -> float:
        events = clients.session_events(session, f"{url}/{shape}/chat/completions", body)
        return next(_since(event["choices"][0]["delta"]["content"]) for event in events)

    return sample


def _since(stamp: str) -> float:
    # the monotonic clock is the machine's: the upstream's process reads the same one
    return (time.monotonic_ns() - int(stamp)) / 1e9
