"""Choosing the error class that fits a provider's status and code; the wire formats share the rule, not the shape.

Rules: 429 is a rate limit unless the code says that it is for good (billing, spend limits: coming back later does not help). Such
a code says so with any status that blames the request: OpenAI's images answer 400 with ``billing_hard_limit_reached``.
"""

from __future__ import annotations

from typing import Any

from ..errors import (
    BadRequestError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
)
from ..types.enums import ProviderProtocol

# OpenAI error codes guide; Anthropic errors page, `error_code` values of details; the codes of compatible servers
EXHAUSTED_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "quota_exceeded",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "ramp_limit_exceeded",
        "insufficient_balance",
        "insufficient_credits",
    }
)

# google.rpc.ErrorInfo reasons with which Google answers 400, not 401, to a key
_REJECTED_KEY_CODES = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: UnauthorizedError,
    402: QuotaExhaustedError,
    403: PermissionDeniedError,
    424: ServerError,  # Bedrock: the model failed, not the request
    429: RateLimitedError,
    503: OverloadedError,
    529: OverloadedError,
}


def error_class(status: int | None, codes: frozenset[str]) -> type[ProviderError]:
    """Give the class that fits; ``codes`` are the provider's code, type and detail codes."""
    if status is not None and 400 <= status < 500 and codes & EXHAUSTED_CODES:
        return QuotaExhaustedError
    if status == 400 and codes & _REJECTED_KEY_CODES:
        return UnauthorizedError
    if status is None:
        return ServerError
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    return BadRequestError if 400 <= status < 500 else ServerError


def provider_error(
    protocol: ProviderProtocol,
    status: int | None,
    body: Any,
    *,
    message: str,
    code: str | None = None,
    codes: frozenset[str] = frozenset(),
    request_id: str | None = None,
    vendor_extensions: dict[str, Any] | None = None,
) -> ProviderError:
    """Make the error of a provider's body; ``code`` is the most telling of its words, ``codes`` all of them."""
    cls = error_class(status, codes | ({code} if code else frozenset()))
    return cls(
        message,
        protocol=protocol,
        status=status,
        code=code,
        request_id=request_id,
        raw_body=body,
        vendor_extensions=vendor_extensions,
    )
