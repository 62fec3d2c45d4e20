"""Anthropic's errors, read from whatever a body is, and written.

``{"type": "error", "error": {"type", "message", "details"}, "request_id"}``, as an HTTP body and as an event of a stream.
Rules: in a stream, where no status of failure came, the error's type stands for its status (Errors page, "HTTP errors").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import (
    BadRequestError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    UnauthorizedError,
)
from .._codec import Payload
from .._errors import provider_error
from ._own import PROTOCOL, WIRE

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPES = {status: kind for kind, status in _STATUSES.items()}
_TYPES_OF_CLASSES: tuple[tuple[type[ProviderError], str], ...] = (
    (RateLimitedError, "rate_limit_error"),
    (QuotaExhaustedError, "billing_error"),
    (UnauthorizedError, "authentication_error"),
    (PermissionDeniedError, "permission_error"),
    (BadRequestError, "invalid_request_error"),
    (OverloadedError, "overloaded_error"),
)


def parse_error(status: int | None, body: Any) -> ProviderError:
    """Read an error body, whatever it is."""
    first = body[0] if isinstance(body, list) and body else body  # Vertex AI wraps some in an array
    outer = first if isinstance(first, Mapping) else {}
    inner = outer.get("error", outer)
    if not isinstance(inner, Mapping):
        inner = {"message": inner}
    kind, message = _word(inner.get("type")), _word(inner.get("message"))
    if message is None:
        message = (
            body
            if isinstance(body, str) and body
            else ("an error without a message" if status is None else f"HTTP status {status}")
        )
    if status is None or status < 400:
        status = _STATUSES.get(kind or "", status)
    rest = {name: value for name, value in inner.items() if name not in ("type", "message")}
    return provider_error(
        PROTOCOL,
        status,
        body,
        message=message,
        code=kind,
        codes=frozenset(_codes(inner.get("details"))),
        request_id=_word(outer.get("request_id")),
        vendor_extensions={WIRE.value: rest} if rest and inner is not outer else None,
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _codes(details: Any) -> Iterator[str]:
    """Give every code that the details hold, as an object or as a list of them."""
    for detail in details if isinstance(details, list) else [details]:
        if isinstance(detail, Mapping):
            yield from (detail[name] for name in ("error_code", "code", "type") if isinstance(detail.get(name), str))


def emit_error(error: ProviderError) -> Payload:
    """Write an error: as it came where it came from here."""
    body = error.raw_body
    if error.protocol is PROTOCOL and isinstance(body, dict) and embedded_error(body) is not None:
        return body
    out: Payload = {"type": "error", "error": {"type": _type_of(error), "message": error.message}}
    if error.request_id is not None:
        out["request_id"] = error.request_id
    return out


def _type_of(error: ProviderError) -> str:
    if error.code in _STATUSES:
        return error.code
    kind = _TYPES.get(error.status or 0)
    return kind or next((kind for cls, kind in _TYPES_OF_CLASSES if isinstance(error, cls)), "api_error")


def embedded_error(payload: Payload) -> ProviderError | None:
    """Give the error that a body of success holds instead of a message, or ``None``."""
    if payload.get("type") != "error" and (payload.get("error") is None or "content" in payload):
        return None
    return parse_error(None, payload)
