"""Damaging payloads, and what must hold whatever was damaged: nothing but ``ProtocolError``, and it says where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from whole_payloads import WHOLE, Whole

import omnillm as o

Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Give the path of every value inside a value, itself included."""
    yield path
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value: Any, path: Path, new: Any) -> Any:
    """Give the value with another one at a path; only what is on the way is copied."""
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


def drop(value: Any, path: Path) -> Any:
    """Give the value without what is at a path."""
    changed = value.copy()
    if len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = drop(value[path[0]], path[1:])
    return changed


def refused(function: Callable[[], object], payload: Any = None) -> o.ProtocolError | None:
    """Run a function; give the ``ProtocolError`` that it raised, its pointer checked against the payload."""
    error = None
    try:
        function()
    except o.ProtocolError as caught:
        error = caught
    assert error is None or payload is None or is_place(payload, error), f"{error!r}: no {error.pointer!r}"
    return error


def is_place(payload: Any, error: o.ProtocolError) -> bool:
    """Tell whether the error's pointer is a place in the payload, or names what is missing from one."""
    if not error.pointer:
        return bool(error.message)
    if isinstance(payload, str):
        payload = json.loads(payload)
    *way, last = (token.replace("~1", "/").replace("~0", "~") for token in error.pointer.split("/")[1:])
    here = payload
    for token in way:
        if isinstance(here, dict) and token in here:
            here = here[token]
        elif isinstance(here, list) and token.isdigit() and int(token) < len(here):
            here = here[int(token)]
        else:
            return False
    return isinstance(here, dict) or (isinstance(here, list) and last.isdigit() and int(last) < len(here))


def try_request(whole: Whole, payload: Any) -> None:
    """Read a request and write it for every protocol, through JSON at rest too."""
    protocol, found = whole.protocol, []
    if refused(lambda: found.append(o.parse_request(protocol, payload)), payload) is not None:
        return
    for target in WHOLE.values():
        refused(lambda target=target: json.dumps(o.emit_request(target.protocol, found[0])))  # type: ignore[misc]  # a default
    refused(lambda: o.LlmRequest.from_json(found[0].to_json()))


def try_response(whole: Whole, payload: Any) -> None:
    """Read an answer and write it for every protocol, through JSON at rest too."""
    protocol, found = whole.protocol, []
    if refused(lambda: found.append(o.parse_response(protocol, payload)), payload) is not None:
        return
    for target in WHOLE.values():
        refused(lambda target=target: json.dumps(o.emit_response(target.protocol, found[0])))  # type: ignore[misc]  # a default
    refused(lambda: o.LlmResponse.from_json(found[0].to_json()))


def try_stream(whole: Whole, frames: list[o.SseFrame]) -> None:
    """Read a stream to its end, and write what was read of it for every protocol."""
    parser = o.StreamParser(whole.protocol)
    events: list[Any] = []

    def read() -> None:
        for frame in frames:
            events.extend(parser.feed(frame))
        events.extend(parser.finish())

    refused(read)
    refused(parser.partial)
    refused(lambda: [o.parse_stream_event(whole.protocol, frame) for frame in frames])
    for target in WHOLE.values():
        emitter = o.StreamEmitter(target.protocol)
        refused(lambda emitter=emitter: [emitter.feed(event) for event in events] + [emitter.finish()])  # type: ignore[misc]  # a default
        refused(lambda target=target: [o.emit_stream_event(target.protocol, event) for event in events])  # type: ignore[misc]  # a default


def try_error(whole: Whole, status: int | None, payload: Any) -> None:
    """Read an error, which never fails, and write it for every protocol."""
    error = o.parse_error(whole.protocol, status, payload)
    assert isinstance(error, o.ProviderError)
    assert isinstance(error.message, str)
    for target in WHOLE.values():
        json.dumps(o.emit_error(target.protocol, error))
