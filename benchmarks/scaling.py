"""How cost grows with keys, threads, the length of a stream and the number of messages: flat or linear, never worse."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import omnillm as o

from . import admission, clients
from .answers import events
from .calls import per_second
from .measure import Effort, Row, counted, interleaved, row, timed
from .payloads import PROTOCOLS
from .upstream import Upstream

KEYS = (1, 10, 100, 1_000, 10_000)
THREADS = (1, 4, 16, 64, 256)
DELTAS = (10, 100, 1_000, 10_000, 100_000)
MESSAGES = (1, 20, 200, 2_000)
CALLS = 800


def keys(effort: Effort) -> Iterator[Row]:
    """Measure admission and settlement with more and more keys, of which nearly all are saturated."""
    counts = sorted({effort.of(count) for count in KEYS})
    works = {f"{count} keys": timed(admission.admission(count, count - max(1, count // 100)), effort.seconds) for count in counts}
    for name, seen in interleaved(works, effort.rounds).items():
        yield row("admission by keys", name, [one * 1e6 for one in seen], unit="us")


def threads(effort: Effort) -> Iterator[Row]:
    """Measure calls per second from more and more threads."""
    with Upstream() as upstream:
        call = clients.gateway_call(upstream.url, "chat")
        often = effort.of(CALLS)
        works = {f"{count} threads": per_second(call, count, often) for count in sorted({effort.of(count) for count in THREADS})}
        for name, seen in interleaved(works, effort.rounds).items():
            yield row("calls/s by threads", name, seen, unit="/s")


def deltas(effort: Effort) -> Iterator[Row]:
    """Measure a stream's cost for each delta, and what the longest one holds against the text that it gives."""
    counts = sorted({effort.of(count) for count in DELTAS})
    with Upstream() as upstream:
        works = {}
        for count in counts:
            read = clients.gateway_stream(upstream.url, f"deltas-{count}", "chat")
            works[count] = counted(read, max(1, effort.of(1_000) // count))
        for count, seen in interleaved({str(count): work for count, work in works.items()}, effort.rounds).items():
            yield row("stream by deltas", f"{count} deltas", [one / int(count) * 1e6 for one in seen], unit="us")
    yield row(
        "memory of a stream", f"{counts[-1]} deltas, to its text", [_held(counts[-1]) for _ in range(2)][1:]
    )  # the first imports


def _held(count: int) -> float:
    """Give what a stream has allocated at its end, when its pieces and its answer are there, as a multiple of its text."""
    opening, delta, *closing = events("chat", 1)
    decoder, parser = o.SseDecoder(), o.StreamParser(PROTOCOLS["chat"])
    lot = 100 * delta
    gc.collect()
    tracemalloc.start()
    size = 0
    for data in (opening, *(lot for _ in range(max(1, count // 100))), *closing):
        for frame in decoder.feed(data):
            for event in parser.feed(frame):
                size += len(event.delta) if isinstance(event, o.TextDelta) else 0
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / max(size, 1)


def messages(effort: Effort) -> Iterator[Row]:
    """Measure a request's way through its codec, each message of it, with more and more messages."""
    works = {}
    for count in sorted({effort.of(count) for count in MESSAGES}):
        payload = o.emit_request(PROTOCOLS["chat"], clients.request("chat", max(2, count)))
        request = o.parse_request(PROTOCOLS["chat"], payload)
        works[f"{count} messages, parse"] = timed(_parsing(payload), effort.seconds)
        works[f"{count} messages, emit"] = timed(_emitting(request), effort.seconds)
        works[f"{count} messages, json.loads"] = timed(_loading(json.dumps(payload)), effort.seconds)
    for name, seen in interleaved(works, effort.rounds).items():
        yield row("request by messages", name, [one / int(name.split()[0]) * 1e6 for one in seen], unit="us")


def _parsing(payload: dict[str, object]) -> Callable[[], object]:
    return lambda: o.parse_request(PROTOCOLS["chat"], payload)


def _emitting(request: o.LlmRequest) -> Callable[[], object]:
    return lambda: o.emit_request(PROTOCOLS["chat"], request)


def _loading(text: str) -> Callable[[], object]:
    return lambda: json.loads(text)


FAMILIES: dict[str, Callable[[Effort], Iterable[Row]]] = {
    "keys": keys,
    "threads": threads,
    "deltas": deltas,
    "messages": messages,
}
