"""The pieces of work that are measured, and their targets."""

from __future__ import annotations

import json
from collections.abc import Iterator

import omnillm as o
from omnillm import _json
from omnillm.state import Ask, KeyLease, KeySpec, Settlement
from omnillm.state.memory import MemoryState

from .measure import Case
from .payloads import PROTOCOLS, conversation, stream

REQUEST_TARGET = 5.0
EVENT_TARGET = 3.0


def cases() -> list[Case]:
    """Give every case, in the order in which they are shown."""
    found = [case for name in PROTOCOLS for case in _request_cases(name)]
    found += [_event_case(name) for name in PROTOCOLS]
    return [*found, _sse_case(), _floats_case(), _admission_case()]


def _request_cases(name: str) -> Iterator[Case]:
    protocol = PROTOCOLS[name]
    payload = o.emit_request(protocol, conversation())
    text = json.dumps(payload)
    request = o.parse_request(protocol, payload)
    yield Case(f"{name}: parse request", lambda: o.parse_request(protocol, payload), lambda: json.loads(text), REQUEST_TARGET)
    yield Case(f"{name}: emit request", lambda: o.emit_request(protocol, request), lambda: json.loads(text), REQUEST_TARGET)


def _event_case(name: str) -> Case:
    opening, delta = stream(name)
    parser = o.StreamParser(PROTOCOLS[name])
    for frame in opening:
        parser.feed(frame)
    return Case(f"{name}: stream event", lambda: parser.feed(delta), lambda: json.loads(delta.data), EVENT_TARGET)


def _sse_case() -> Case:
    _, delta = stream("chat")
    data = o.encode_sse(delta)
    decoder = o.SseDecoder()
    return Case("SSE: one event", lambda: decoder.feed(data), lambda: json.loads(delta.data))


def _floats_case() -> Case:
    text = json.dumps([0.001 * i / 7 for i in range(1536)])
    return Case("JSON: 1536 floats", lambda: _json.loads(text), lambda: json.loads(text))


def _admission_case() -> Case:
    text = json.dumps(o.emit_request(PROTOCOLS["chat"], conversation()))
    state = MemoryState({"main": [KeySpec(f"key-{i}", tpm_limit=10**12, rpm_limit=10**9) for i in range(3)]})
    ask, settlement = Ask("main", "a-model", tokens=1_000, charge=0), Settlement(tokens=900, charge=0)

    def admit_and_settle() -> None:
        lease = state.admit(ask)
        if not isinstance(lease, KeyLease):
            raise TypeError(f"refused: {lease}")
        state.settle(lease.reservation.id, settlement)

    return Case("state: admit and settle", admit_and_settle, lambda: json.loads(text))
