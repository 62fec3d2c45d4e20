"""Bedrock's errors, read from whatever a body is, and written.

``{"message"}`` as an HTTP body, with the name of the exception in a header or as ``__type``; in a stream an event that has the
exception's name. Rules: like botocore, the status stands for a name that the body does not say; the two refusals of a security
token, which say it nowhere but in a header, are known by their text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import BadRequestError, OverloadedError, PermissionDeniedError, ProviderError, RateLimitedError, UnauthorizedError
from .._codec import Payload
from .._errors import provider_error
from ._own import PROTOCOL, WIRE

_STATUSES = {
    "AccessDeniedException": 403,
    "ConflictException": 400,
    "ExpiredTokenException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
_NAMES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
_NAMES_OF_CLASSES: tuple[tuple[type[ProviderError], str], ...] = (
    (RateLimitedError, "ThrottlingException"),
    (UnauthorizedError, "UnrecognizedClientException"),
    (PermissionDeniedError, "AccessDeniedException"),
    (BadRequestError, "ValidationException"),
    (OverloadedError, "ServiceUnavailableException"),
)
_TOKEN_REFUSALS = {
    "The security token included in the request is invalid": "UnrecognizedClientException",
    "The security token included in the request is expired": "ExpiredTokenException",
}
STREAM_EXCEPTIONS = frozenset(
    {
        "internalServerException",
        "modelStreamErrorException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    }
)


def parse_error(status: int | None, body: Any) -> ProviderError:
    """Read an error body, whatever it is."""
    outer = body if isinstance(body, Mapping) else {}
    name, inner = next(((key, outer[key]) for key in outer if key in STREAM_EXCEPTIONS), (None, outer))
    if name is None and isinstance(outer.get("Output"), Mapping):  # how the service's own layer says that it knows no such call
        inner = outer["Output"]
    if not isinstance(inner, Mapping):
        inner = {"message": inner}
    message = _word(inner.get("message")) or _word(inner.get("Message")) or _word(inner.get("originalMessage"))
    code = name or _bare(_word(inner.get("__type")) or _word(inner.get("code")))
    if code is None and message is not None:
        code = _TOKEN_REFUSALS.get(message.rstrip("."))
    if code is None and status is not None:
        code = str(status)
    if message is None:
        message = (
            body
            if isinstance(body, str) and body
            else "an error without a message"
            if status is None
            else f"HTTP status {status}"
        )
    if status is None or status < 400:
        status = _STATUSES.get(_exception(code), status)
    rest = {key: value for key, value in inner.items() if key not in ("message", "Message", "__type", "code")}
    return provider_error(
        PROTOCOL, status, body, message=message, code=code, vendor_extensions={WIRE.value: rest} if rest else None
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _bare(name: str | None) -> str | None:
    """Give an exception's name without the namespace before it and the link behind it."""
    return None if name is None else name.rpartition("#")[2].partition(":")[0] or None


def _exception(code: str | None) -> str:
    """Give the name of an exception as HTTP spells it; a stream begins it small."""
    return code[:1].upper() + code[1:] if code else ""


def emit_error(error: ProviderError) -> Payload:
    """Write an error: as it came where it came from here."""
    body = error.raw_body
    if error.protocol is PROTOCOL and isinstance(body, dict) and not STREAM_EXCEPTIONS.isdisjoint(body):
        (name,) = [key for key in body if key in STREAM_EXCEPTIONS][:1]
        return {"__type": _exception(name), "message": error.message}
    if error.protocol is PROTOCOL and isinstance(body, dict) and embedded_error(body) is not None:
        return body
    return {"__type": exception_name(error), "message": error.message}


def exception_name(error: ProviderError) -> str:
    """Give the exception that says an error."""
    code = _exception(error.code)
    if code in _STATUSES:
        return code
    name = _NAMES.get(error.status or 0)
    return name or next((name for cls, name in _NAMES_OF_CLASSES if isinstance(error, cls)), "InternalServerException")


def stream_exception_name(error: ProviderError) -> str:
    """Give the exception that says an error in a stream, where there are five."""
    name = exception_name(error)
    small = name[:1].lower() + name[1:]
    if small in STREAM_EXCEPTIONS:
        return small
    return {"BadRequestError": "validationException", "RateLimitedError": "throttlingException"}.get(
        type(error).__name__, "internalServerException"
    )


def embedded_error(payload: Payload) -> ProviderError | None:
    """Give the error that a body of success holds instead of a message, or ``None``."""
    if "output" in payload:
        return None
    names = ("message", "Message", "__type", "Output")
    if any(payload.get(name) is not None for name in names) or not STREAM_EXCEPTIONS.isdisjoint(payload):
        return parse_error(None, payload)
    return None
