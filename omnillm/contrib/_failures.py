"""What the public is told of an error: a code, a status and a sentence of ours; the provider's words stay here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import (
    BadRequestError,
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    DeadlineExceededError,
    GatewayError,
    IncompleteStreamError,
    LossyRequestError,
    NoAvailableKeyError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    StateUnavailableError,
    StreamInterruptedError,
    TransportError,
    UnsupportedFeatureError,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Say what went wrong, to whoever asked: nothing of it comes from the error but ``retry_after`` (seconds)."""

    code: str
    status: int
    message: str
    retry_after: float | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Give it as JSON holds it."""
        told: dict[str, Any] = {"code": self.code, "message": self.message}
        return told if self.retry_after is None else {**told, "retry_after": self.retry_after}

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers of an answer that tells it."""
        return {} if self.retry_after is None else {"Retry-After": str(math.ceil(self.retry_after))}


_BUSY = Failure("busy", 503, "There is no room for this request now.")
_INTERNAL = Failure("internal", 500, "Something went wrong.")
# the first that fits
_TOLD: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Failure], ...] = (
    ((NoAvailableKeyError, RateLimitedError, OverloadedError, StateUnavailableError), _BUSY),
    (BudgetExceededError, Failure("budget", 429, "The budget for this is used up.")),
    (DeadlineExceededError, Failure("timeout", 504, "The answer took too long.")),
    ((StreamInterruptedError, IncompleteStreamError), Failure("interrupted", 502, "The answer broke off.")),
    ((ClosedError, CallCancelledError), Failure("closed", 503, "The answer was ended.")),
    ((LossyRequestError, UnsupportedFeatureError), Failure("refused", 422, "This cannot be asked of the model.")),
    (BadRequestError, Failure("refused", 422, "The model refuses the request.")),
    ((ProviderError, TransportError), Failure("unavailable", 502, "The model cannot be reached.")),
    (ProtocolError, Failure("unfit", 502, "The answer is not what was asked for.")),
    (GatewayError, Failure("unavailable", 503, "The model cannot be asked now.")),
)


def failure_of(error: BaseException) -> Failure:
    """Give what the public is told of an error."""
    found = next((told for kinds, told in _TOLD if isinstance(error, kinds)), _INTERNAL)
    wait = getattr(error, "retry_after", None)
    if not isinstance(wait, int | float) or not math.isfinite(wait):
        return found
    return Failure(found.code, found.status, found.message, round(max(wait, 0.0), 3))
