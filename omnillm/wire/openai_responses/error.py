"""Errors of Responses: HTTP bodies, the ``error`` of a response that failed, and the ``error`` event of a stream.

Rules: where no status of failure came, the error's code stands for its status.
"""

from __future__ import annotations

from typing import Any

from ...errors import ProviderError
from .._codec import Payload
from .._openai_error import embedded_status, error_object, error_type, read_error, write_error
from ._own import PROTOCOL

# Responses API reference, error.code, and the types of the error codes guide; every other code is the request's fault
_STATUSES = {
    "authentication_error": 401,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "internal_error": 500,
    "overloaded_error": 503,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "vector_store_timeout": 504,
}
_UNTOLD = frozenset({"error", "server_error"})  # words that say no more than that it failed


def parse_error(status: int | None, body: Any) -> ProviderError:
    """Read an error body of any form."""
    return read_error(PROTOCOL, status, body)


def error_inside(body: Payload) -> ProviderError:
    """Read an error that came with a status of success, in a response or a stream."""
    said = error_object(body)
    status = embedded_status(body)
    if status is None:
        words = [said[name] for name in ("code", "type") if isinstance(said.get(name), str)]
        known = next((_STATUSES[word] for word in words if word in _STATUSES), None)
        told = [word for word in words if word not in _UNTOLD]
        status = known or (400 if told else None)
    return parse_error(status, body)


def emit_error(error: ProviderError) -> Payload:
    """Write an error; one that came in this form goes out as it came."""
    body = error.raw_body
    if error.protocol is PROTOCOL and isinstance(body, dict) and body.get("error"):
        return body
    return write_error(error)


def error_of_response(error: ProviderError) -> Payload:
    """Give the error as the ``error`` of a response or the fields of an ``error`` event."""
    return {"code": error.code or error_type(error), "message": error.message}


def embedded_error(body: Payload) -> ProviderError | None:
    """Find the error of a body that came with a status of success; a response that failed has one too."""
    if not body.get("error") and not (body.get("status") == "failed" and body.get("object") == "response"):
        return None
    return error_inside(body)
