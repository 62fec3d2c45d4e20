"""What the codecs cost: requests read and written, stream events read, against ``json.loads`` of the same text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import omnillm as o
from omnillm import _json

from .measure import Effort, Row, Work, interleaved, micros, ratios, row, timed
from .payloads import PROTOCOLS, conversation, stream

FAMILY = "codecs"
REQUEST_TARGET = 3.0
EVENT_TARGET = 2.0
_Case = tuple[str, Work, str, float | None]


def rows(effort: Effort) -> Iterator[Row]:
    """Measure every codec."""
    for name, work, text, target in _cases():
        samples = {"own": timed(work, effort.seconds), "unit": timed(lambda text=text: json.loads(text), effort.seconds)}  # type: ignore[misc]
        taken = interleaved(samples, effort.rounds)
        yield row(FAMILY, name, ratios(taken["own"], taken["unit"]), own=micros(taken["own"]), target=target)


def _cases() -> Iterator[_Case]:
    for name in PROTOCOLS:
        yield from _request_cases(name)
    for name in PROTOCOLS:
        yield _event_case(name)
    yield _sse_case()
    floats = json.dumps([0.001 * i / 7 for i in range(1536)])
    yield "JSON: 1536 floats", lambda: _json.loads(floats), floats, None
    body = json.dumps(o.emit_request(PROTOCOLS["chat"], conversation())).encode()
    yield "JSON: a request of 20 messages", lambda: _json.loads(body), body.decode(), None


def _request_cases(name: str) -> Iterator[_Case]:
    protocol = PROTOCOLS[name]
    payload = o.emit_request(protocol, conversation())
    text = json.dumps(payload)
    request = o.parse_request(protocol, payload)
    yield f"{name}: parse request", lambda: o.parse_request(protocol, payload), text, REQUEST_TARGET
    yield f"{name}: emit request", lambda: o.emit_request(protocol, request), text, REQUEST_TARGET


def _event_case(name: str) -> _Case:
    opening, delta = stream(name)
    parser = o.StreamParser(PROTOCOLS[name])
    for frame in opening:
        parser.feed(frame)
    return f"{name}: stream event", lambda: parser.feed(delta), delta.data, EVENT_TARGET


def _sse_case() -> _Case:
    _, delta = stream("chat")
    data = o.encode_sse(delta)
    decoder = o.SseDecoder()
    return "SSE: one event", lambda: decoder.feed(data), delta.data, None
