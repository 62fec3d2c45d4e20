"""Errors of OpenAI and of the servers that speak like it, whatever the format of what they answer.

Rules: the body may be ``{"error": {…}}``, ``{"error": "…"}``, the error object itself, FastAPI's ``detail``, a list of one of
these, or no JSON at all. The provider's own words become ``message`` and ``code``; the rest of its error object, the extensions.
"""

from __future__ import annotations

from typing import Any

from .. import _json
from ..errors import (
    InvalidJsonError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
)
from ..types.enums import ProviderProtocol
from ._codec import Payload
from ._errors import provider_error

_TYPES: tuple[tuple[type[ProviderError], str], ...] = (
    (RateLimitedError, "rate_limit_error"),
    (QuotaExhaustedError, "insufficient_quota"),
    (UnauthorizedError, "authentication_error"),
    (PermissionDeniedError, "permission_error"),
    (OverloadedError, "server_error"),
    (ServerError, "server_error"),
)


def read_error(protocol: ProviderProtocol, status: int | None, body: Any) -> ProviderError:
    """Read an error body of any form."""
    said = error_object(body)
    message, kind = _message(said), said.get("type")
    words = [word for word in (said.get("code"), kind) if isinstance(word, str) and word]
    code = words[0] if words else None
    if code is None and type(said.get("code")) is int:
        code = str(said["code"])
    rest = {name: value for name, value in said.items() if name not in ("message", "code")}
    request_id = body.get("request_id") if isinstance(body, dict) else None
    return provider_error(
        protocol,
        status,
        body,
        message=message or _fallback(status, body),
        code=code,
        codes=frozenset(words),
        request_id=request_id if isinstance(request_id, str) else None,
        vendor_extensions={protocol.wire_format.value: rest} if rest else {},
    )


def error_object(body: Any) -> dict[str, Any]:
    """Find the error object in a body; empty where there is none."""
    if isinstance(body, list):  # Gemini's compatible route
        return error_object(body[0]) if body and not isinstance(body[0], list) else {}
    if isinstance(body, str):
        return {"message": body}
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str) and error and not isinstance(body.get("message"), str):
        return {**body, "message": error}
    return body


def _message(said: dict[str, Any]) -> str:
    for name in ("message", "detail", "error"):
        value = said.get(name)
        if isinstance(value, str) and value:
            return value
    for name in ("message", "detail"):
        value = said.get(name)
        if isinstance(value, dict | list) and value:
            try:
                return _json.dumps(value)
            except InvalidJsonError:
                return str(value)
    return ""


def _fallback(status: int | None, body: Any) -> str:
    said = "the provider answered with an error" if status is None else f"the provider answered {status}"
    return f"{said}: {str(body)[:200]}" if body else said


def write_error(error: ProviderError) -> Payload:
    """Write an error in the form that both formats share."""
    return {"error": {"message": error.message, "type": error_type(error), "param": None, "code": error.code}}


def error_type(error: ProviderError) -> str:
    """Give the type that an error has in these formats."""
    return next((name for cls, name in _TYPES if isinstance(error, cls)), "invalid_request_error")


def embedded_status(body: Payload) -> int | None:
    """Give the HTTP status that an error object names itself (OpenRouter, Groq)."""
    said = error_object(body)
    for name in ("code", "status_code", "status"):
        value = said.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return None
