"""A recording as values and as a file: what was sent below an endpoint's base, what came back, and JSON at rest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import _json
from ..errors import ConfigurationError, ProtocolError, ProviderError
from ..gateway.core import Core
from ..gateway.endpoints import endpoint_codec_at
from ..gateway.reading import MessageDecoder
from ..replay import ReplayFixture
from ..replay.scrubbing import Scrubber
from ..transport import Upload
from ..transport.http import HttpRequest
from ..types.enums import EndpointKind, HttpMethod, WireFormat
from ..types.request import LlmRequest
from ..types.transport import BinaryBody, JsonBody, MultipartBody, RequestBody, TextBody, TransportRequest
from ..wire import SseDecoder, StreamParser
from ..wire.multipart import read_form
from ._eventstream import MEDIA_TYPE as BINARY_STREAM
from ._eventstream import as_json, from_json

VERSION = 1
FORM = "multipart/form-data"
_STREAM = "text/event-stream"
_ENDPOINTS = {
    **dict.fromkeys(("embeddings", "embed", "embedContent", "batchEmbedContents", "predict"), EndpointKind.EMBEDDINGS),
    **dict.fromkeys(("generations", "edits"), EndpointKind.IMAGE_GENERATIONS),
    **dict.fromkeys(("transcriptions", "translations"), EndpointKind.AUDIO_TRANSCRIPTIONS),
    "speech": EndpointKind.AUDIO_SPEECH,
    "rerank": EndpointKind.RERANK,
}


def as_sent(request: HttpRequest, core: Core) -> tuple[WireFormat, TransportRequest]:
    """Give the request as its wire format has it: below the base of the endpoint it goes to."""
    wire_format, path = _found(request.url, core)
    headers = {name.lower(): value for name, value in request.headers.items()}
    accept = headers.pop("accept", None)
    body = None if request.body is None else as_body(_bytes_of(request.body), headers.get("content-type", ""))
    if isinstance(body, MultipartBody):
        headers["content-type"] = FORM  # its boundary is another one each time
    return wire_format, TransportRequest(HttpMethod(request.method), path, headers, accept, body)


def _bytes_of(body: bytes | Upload) -> bytes:
    return body if isinstance(body, bytes) else b"".join(body.chunks())


def _found(url: str, core: Core) -> tuple[WireFormat, str]:
    """Find the route of a URL: the one with its base whose format has such paths; several formats may share a base."""
    found: list[tuple[bool, WireFormat, str]] = []
    for route in core.routes:
        base = route.endpoint.base_url
        if url.startswith(base):
            path = _below_host(url) if route.endpoint.protocol.is_compat else url[len(base) :]
            last = _last(path)
            ends = {_last(route.codec.path(LlmRequest("m"), streamed)) for streamed in (False, True)}
            row = endpoint_codec_at(route, _ENDPOINTS[last], "") if last in _ENDPOINTS else None
            wire_format = (
                row.wire_format if row is not None and isinstance(row.wire_format, WireFormat) else route.codec.wire_format
            )
            found.append((last in ends or row is not None, wire_format, path))
    if not found:
        return core.routes[0].codec.wire_format, _below_host(url)
    _, wire_format, path = max(found, key=lambda one: one[0])
    return wire_format, path


def _below_host(url: str) -> str:
    split = urlsplit(url)
    return f"{split.path}?{split.query}" if split.query else split.path


def _last(path: str) -> str:
    return path.partition("?")[0].replace(":", "/").rpartition("/")[2]


def as_body(data: bytes, content_type: str = "") -> RequestBody:
    """Give the body that bytes are: a form, the messages of a binary stream, JSON, text, or bytes."""
    if content_type.startswith(FORM):
        return read_form(content_type, data)
    if content_type.startswith(BINARY_STREAM):
        messages = as_json(data)
        if messages is not None:
            return JsonBody(messages)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return BinaryBody(data)
    try:
        return JsonBody(_json.loads(text))
    except ProtocolError:
        return TextBody(text)


def bytes_of(body: RequestBody | None, content_type: str = "") -> bytes:
    """Give the bytes of a body."""
    if isinstance(body, JsonBody):
        if content_type.startswith(BINARY_STREAM) and isinstance(body.value, list):
            return from_json(body.value)
        return _json.dump_bytes(body.value)
    if isinstance(body, TextBody):
        return body.text.encode("utf-8")
    return body.data if isinstance(body, BinaryBody) else b""


def difference(recorded: RequestBody | None, asked: RequestBody | None) -> str:
    """Give the JSON Pointer of the first difference between two bodies."""
    return _differ(_value(recorded), _value(asked)) or "/"


def _value(body: RequestBody | None) -> Any:
    return body.value if isinstance(body, JsonBody) else body


def _differ(recorded: Any, asked: Any) -> str | None:
    if recorded == asked:
        return None
    pairs: Iterable[tuple[object, Any, Any]] = ()
    if isinstance(recorded, dict) and isinstance(asked, dict):
        pairs = ((name, recorded.get(name, _MISSING), asked.get(name, _MISSING)) for name in {**recorded, **asked})
    elif isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        pairs = ((n, *both) for n, both in enumerate(zip(recorded, asked, strict=True)))
    for name, one, other in pairs:
        inner = _differ(one, other)
        if inner is not None:
            return f"/{name}{inner}"
    return ""


_MISSING: Any = object()


def write_tape(path: Path, exchanges: tuple[ReplayFixture, ...], scrubber: Scrubber) -> None:
    """Write a recording; raises ``ConfigurationError``, and writes nothing, where a live key is in it."""
    text = _json.dumps({"version": VERSION, "exchanges": [fixture.to_dict() for fixture in exchanges]})
    if scrubber.holds_key(text) or any(scrubber.holds_key(_told(fixture)) for fixture in exchanges):
        raise ConfigurationError(f"{path}: not written: a key came back in an answer, in a form that cannot be taken out")
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that nobody guesses, and the owner's alone
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _told(fixture: ReplayFixture) -> str:
    """Give what a stream says in all: a key may have come in pieces."""
    kind, body = fixture.response.content_type or "", fixture.response.body
    if not kind.startswith((_STREAM, BINARY_STREAM)) or not fixture.wire_format.is_generation:
        return ""
    parser = StreamParser(fixture.wire_format.protocol)
    try:
        decoder = MessageDecoder() if kind.startswith(BINARY_STREAM) else SseDecoder()
        events = [event for frame in decoder.feed(bytes_of(body, kind)) for event in parser.feed(frame)]
    except (ProtocolError, ProviderError):
        return ""
    return "".join(str(getattr(event, "delta", "")) for event in events)


def _fixture(value: Any, place: int) -> ReplayFixture:
    """Read an exchange, and see that its answer can be played."""
    fixture, pointer = None, f"/exchanges/{place}"
    try:
        fixture = ReplayFixture.from_dict(value)
        bytes_of(fixture.response.body, fixture.response.content_type or "")
    except ProtocolError as error:
        error.pointer = pointer + ("" if fixture is None else "/response/body") + error.pointer
        raise
    return fixture


def read_tape(path: Path) -> tuple[ReplayFixture, ...]:
    """Read a recording; raises ``ConfigurationError`` naming the file."""
    problem: str
    try:
        value = _json.loads(path.read_bytes())
        if not isinstance(value, dict) or value.get("version") != VERSION or not isinstance(value.get("exchanges"), list):
            raise ConfigurationError(f"{path}: expected a recording of version {VERSION}", field="path")
        return tuple(_fixture(exchange, place) for place, exchange in enumerate(value["exchanges"]))
    except FileNotFoundError:
        problem = "no such recording: make it with omnillm.testing.record"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ProtocolError as error:
        problem = f"no recording: {error.message}{f' at {error.pointer}' if error.pointer else ''}"
    raise ConfigurationError(f"{path}: {problem}", field="path")
