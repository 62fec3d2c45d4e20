"""The shape of a codec of an endpoint that does not generate text, and what those codecs share.

A row is four pure functions over JSON objects, as a generation format's, and what its bodies are where they are no JSON: a form
to upload, bytes of audio, a text. A function that has no JSON form to give raises ``TransportRequiredError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

from .. import _json
from ..errors import InvalidShapeError, TransportRequiredError
from ..types.enums import ProviderProtocol
from ..types.transport import JsonBody, MultipartBody, RequestBody, ResponseBody
from ..types.usage import TokenUsage
from ._codec import Payload, value_of
from ._fields import Emission, Fields, Wire, payload_object, spelling

JSON = "application/json"
EVENTS = "text/event-stream"


def _json_answer(_request: Any) -> str:
    return JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCodec:
    """Gather what one format of an endpoint can do.

    ``emit_body`` and ``parse_body`` are for requests that may be no JSON, ``parse_answer`` for answers: it is given the body and
    its content type. ``accepts`` is the type of answer to ask for. ``batch_limit`` is how many inputs one request may hold,
    ``max_bytes`` and ``max_values`` bound the answer. ``usage_header`` names the header in which a host tells
    the tokens of the input that its answer does not.
    """

    wire_format: Wire
    protocol: ProviderProtocol  # whose errors are spoken here
    request_type: type
    response_type: type
    parse_request: Callable[[Payload], Any]
    emit_request: Callable[[Any, Emission], Payload]
    parse_response: Callable[[Payload], Any]
    emit_response: Callable[[Any, Emission], Payload]
    path: Callable[[Any, bool], str]
    headers: dict[str, str] = field(default_factory=dict)
    emit_body: Callable[[Any, Emission], RequestBody] | None = None
    parse_body: Callable[[RequestBody], Any] | None = None
    parse_answer: Callable[[ResponseBody | None, str], Any] | None = None
    accepts: Callable[[Any], str] = _json_answer
    batch_limit: int | None = None
    max_bytes: int = _json.MAX_BYTES
    max_values: int = _json.MAX_VALUES
    usage_header: str | None = None

    def write_body(self, request: Any, emission: Emission, _streamed: bool) -> RequestBody:
        """Give the body that is sent."""
        if self.emit_body is None:
            return JsonBody(self.emit_request(request, emission))
        return self.emit_body(request, emission)

    def read_body(self, body: RequestBody) -> Any:
        """Read a request from the body that was sent."""
        if self.parse_body is not None and not isinstance(body, JsonBody):
            return self.parse_body(body)
        return self.parse_request(payload_object(value_of(body)))

    def accept(self, request: Any, _streamed: bool) -> str:
        """Give the type of answer to ask for."""
        return self.accepts(request)

    def read_answer(self, body: ResponseBody | None, content_type: str) -> Any:
        """Read what came back."""
        if self.parse_answer is not None:
            return self.parse_answer(body, content_type)
        return self.parse_response(payload_object(value_of(body)))


def text_of(body: ResponseBody | None) -> str:
    """Give the text of a body that is no JSON."""
    value = value_of(body)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise InvalidShapeError("expected a text")
    return value


def form_of(body: RequestBody) -> MultipartBody:
    """Give the form that a request is; raises ``TransportRequiredError`` where it is none."""
    if not isinstance(body, MultipartBody):
        no_json("the request")
    return body


def no_json(what: str) -> NoReturn:
    """Refuse to give or take as JSON what has no such form."""
    raise TransportRequiredError(f"{what} is no JSON: use emit_transport_request and parse_transport_response")


# --- reading and writing fields -----------------------------------------------------------------------------------------------


def lone_text(fields: Fields, name: str) -> str:
    """Take a text that may be missing; an empty one stays among the rest, and is the same."""
    return fields.text(name) or "" if fields.peek(name) else ""


def constant(fields: Fields, name: str, value: str) -> None:
    """Take what a field always says; another value stays, and is spelled."""
    if fields.peek(name) == value:
        fields.take(name)
    else:
        fields.spell(name, False)


def write_constant(out: Payload, spelled: Mapping[str, Any], name: str, value: str) -> None:
    """Write what a field always says, but where it was read without it."""
    if spelled.get(name) is not False:
        out[name] = value


def objects(value: list[Any], pointer: str) -> list[Fields]:
    """Read the objects of an array."""
    return [Fields(item, f"{pointer}/{i}") for i, item in enumerate(value)]


def set_fields(out: Payload, value: Any, names: Mapping[str, str]) -> Payload:
    """Write the fields that are set; ``names`` maps the canonical names to the wire's."""
    for name, wire_name in names.items():
        found = getattr(value, name)
        if found is not None:
            out[wire_name] = found
    return out


def lose_fields(emission: Emission, value: Any, names: tuple[str, ...]) -> None:
    """Record the fields that are set and have no place in the format."""
    for name in names:
        if getattr(value, name) is not None:
            emission.lose(f"/{name}", f"{emission.wire.value} has no {name}")


_COUNTS = {"prompt_tokens": ("input_tokens", "prompt_tokens"), "completion_tokens": ("output_tokens", "completion_tokens")}


def read_usage(fields: Fields, wire: Wire) -> TokenUsage | None:
    """Take the usage of images and audio, where it counts tokens; what counts seconds or money stays."""
    given = fields.peek("usage")
    if not isinstance(given, dict):
        return None
    inner = Fields(given, fields.at("usage"))
    counts: dict[str, int | None] = {}
    for name, (usual, other) in _COUNTS.items():
        counts[name] = inner.maybe_count(usual)
        if counts[name] is None:
            counts[name] = inner.maybe_count(other)
            inner.spell(name, other if counts[name] is not None else False)
    total = inner.maybe_count("total_tokens")
    prompt, completion = counts["prompt_tokens"], counts["completion_tokens"]
    if prompt is None and completion is None:
        return None
    fields.take("usage")
    estimated = prompt is None or completion is None
    return TokenUsage(prompt or 0, completion or 0, total, estimated=estimated, vendor_extensions=inner.extensions(wire))


def write_usage(out: Payload, usage: TokenUsage | None, emission: Emission) -> None:
    """Write the usage of images and audio, where there is one."""
    if usage is None:
        return
    spelled = spelling(usage.vendor_extensions, emission.wire)
    told: Payload = {}
    for name, (usual, _) in _COUNTS.items():
        called = spelled.get(name, usual)
        if called is not False:
            told[called] = getattr(usage, name)
    if usage.total_tokens is not None:
        told["total_tokens"] = usage.total_tokens
    out["usage"] = emission.lay(told, usage.vendor_extensions, "/usage")


def invoke_path(request: Any, _streamed: bool) -> str:
    """Give the path of Bedrock's InvokeModel; an ARN's colons and slashes are part of its one segment."""
    return f"/model/{quote(request.model or '', safe='', errors='replace')}/invoke"


def model_segment(model: str) -> str:
    """Give a model as a segment of a path."""
    return quote(model, safe="")
