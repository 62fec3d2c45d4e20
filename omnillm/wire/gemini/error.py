"""Google's errors, read from whatever a body is, and written.

``{"error": {"code", "message", "status", "details"}}``, alone or in an array, as an HTTP body and inside a stream.
Rules: where no status of failure came, the error's own code counts, or the code that its status word stands for. A key that is
not valid is a 400 here; its reason tells it from other bad requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import ProviderError
from .._codec import Payload
from .._errors import provider_error
from ._own import PROTOCOL, WIRE

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_MORE_STATUSES = {
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "ALREADY_EXISTS": 409,
    "DATA_LOSS": 500,
    "UNKNOWN": 500,
}
_WORDS = {status: word for word, status in _STATUSES.items()} | {402: "RESOURCE_EXHAUSTED", 529: "UNAVAILABLE"}


def parse_error(status: int | None, body: Any) -> ProviderError:
    """Read an error body, whatever it is."""
    first = body[0] if isinstance(body, list) and body else body
    outer = first if isinstance(first, Mapping) else {}
    inner = outer.get("error", outer)
    if not isinstance(inner, Mapping):
        inner = {"message": inner}
    word, message, code = _word(inner.get("status")), _word(inner.get("message")), inner.get("code")
    if message is None and isinstance(body, str):
        message = _word(body)
    if status is None or status < 400:
        own = code if type(code) is int and 400 <= code < 600 else None
        status = own or (_STATUSES | _MORE_STATUSES).get(word or "", status)
    rest = {name: value for name, value in inner.items() if name not in ("code", "message", "status")}
    return provider_error(
        PROTOCOL,
        status,
        body,
        message=message or ("an error without a message" if status is None else f"HTTP status {status}"),
        code=word,
        codes=frozenset(_reasons(inner.get("details"))),
        vendor_extensions={WIRE.value: rest} if rest and inner is not outer else None,
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _reasons(details: Any) -> Iterator[str]:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and isinstance(detail.get("reason"), str):
            yield detail["reason"]


def emit_error(error: ProviderError) -> Payload:
    """Write an error: as it came where it came from here."""
    body = error.raw_body
    if isinstance(body, list) and body:
        body = body[0]
    if error.protocol is PROTOCOL and isinstance(body, dict) and embedded_error(body) is not None:
        return body
    word = error.code if error.code in _STATUSES or error.code in _MORE_STATUSES else None
    code = error.status or (_STATUSES | _MORE_STATUSES).get(word or "", 500)
    word = word or _WORDS.get(code) or ("INVALID_ARGUMENT" if code < 500 else "INTERNAL")
    return {"error": {"code": code, "message": error.message, "status": word}}


def embedded_error(payload: Payload) -> ProviderError | None:
    """Give the error that a body of success holds instead of an answer, or ``None``."""
    if not payload.get("error") or payload.get("candidates"):
        return None
    return parse_error(None, payload)
