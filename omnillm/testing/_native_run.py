"""Running what stands in a batch: each request is answered as it would be by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import _json
from ..errors import OmniLLMError
from ..types.enums import ProviderProtocol
from ..types.request import LlmRequest
from ..wire import emit_response, parse_request
from ._answers import respond
from ._endpoint_routes import find_endpoint
from ._routes import BY_PROTOCOL, find_route


def generated(protocol: ProviderProtocol, payload: Any, number: int, model: str | None = None) -> dict[str, Any]:
    """Answer a payload of a protocol; raises ``ProtocolError`` where it is none."""
    request = parse_request(protocol, payload)
    if model is not None:
        request = replace(request, model=model)
    return emit_response(protocol, respond(request, BY_PROTOCOL[protocol].voice, number))


def answered(path: str, payload: Any, number: int) -> tuple[int, Any]:
    """Answer what is sent to a path: a status, and a JSON value."""
    body = _json.dump_bytes(payload)
    route, endpoint = find_route(path), find_endpoint(path, body)
    try:
        if route is not None:
            return 200, generated(route.protocol, payload, number)
        if endpoint is not None:
            return 200, _json.loads(endpoint.answer(endpoint.read(body, "application/json", path))[1])
    except OmniLLMError as error:
        return 400, {"error": {"message": str(error), "type": "invalid_request_error"}}
    return 404, {"error": {"message": f"no such path: {path}", "type": "not_found_error"}}


def prompt_tokens(protocol: ProviderProtocol, payload: Any) -> int:
    """Count the tokens of a payload as an answer to it would."""
    request: LlmRequest = parse_request(protocol, payload)
    return request.estimated_prompt_tokens()


def lines(data: bytes) -> list[Any]:
    """Read the JSON lines of a file; raises ``ProtocolError`` where one is none."""
    return [_json.loads(line) for line in data.splitlines() if line.strip()]


def as_lines(values: list[Any]) -> bytes:
    """Write JSON lines."""
    return b"".join(_json.dump_bytes(value) + b"\n" for value in values)
