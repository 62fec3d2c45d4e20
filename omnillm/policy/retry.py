"""What an error means: whether to try again, what it says of the key, and what it cost.

Purpose: the one table from which the route, the key pool and the ledger read the same verdict.
Contract: pure. ``classify`` is total over exceptions and never raises; clock, random numbers and deadline are the caller's.
Rules:
- Trying *another key* after 401, 403 or 429 is free: the provider did no work. It spends neither attempts nor the allowance.
- An unknown outcome (sent, lost, no answer) may have been paid for: it is its own kind, and the policy decides.
- A time-out after sending is final: the answer was slow, and the next would be as slow and as dear.
- The caller's own mistakes, cancellations and interrupts say nothing about a key.
- What was sent is charged: an answer in part by what was seen of it, no answer by the prompt estimate.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from .._clock import seconds_of
from ..errors import (
    AdmissionError,
    BadRequestError,
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    Sent,
    ServerError,
    StreamInterruptedError,
    TlsError,
    UnauthorizedError,
)
from .allowance import CallTicket, RetryAllowance
from .hints import ObservedLimits, is_quota_exhausted, observed_limits, server_hint, should_retry

__all__ = [
    "CallTicket",
    "Charge",
    "Disposition",
    "KeyVerdict",
    "ObservedLimits",
    "Retry",
    "RetryAllowance",
    "RetryPolicy",
    "Verdict",
    "classify",
    "is_quota_exhausted",
    "observed_limits",
    "server_hint",
    "should_retry",
]

Retry = Literal["never", "another_key", "attempt", "unknown"]
Verdict = Literal["success", "failure", "neutral", "cool", "retire", "set_aside"]
Charge = Literal["none", "prompt", "observed"]

RATE_LIMIT_COOLING_S = 60.0
QUOTA_SET_ASIDE_S = 3_600.0

_MOST_DOUBLINGS = 63  # beyond it the cap holds in any case, and a float would overflow


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Say how often and how patiently a call is tried; seconds are ``base``, ``cap`` and ``hedge_after``.

    ``retry_unknown`` allows another attempt where the first may have reached the model. With ``hedge_after`` an attempt whose
    first byte has not come by then gets another one beside it, on another key, once in a call; ``None`` is never.
    """

    max_attempts: int = 3
    base: float = 0.5
    cap: float = 30.0
    retry_unknown: bool = True
    hedge_after: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts: expected 1 or more, got {self.max_attempts!r}", field="max_attempts")
        if not isinstance(self.retry_unknown, bool):
            raise ConfigurationError(f"retry_unknown: expected True or False, got {self.retry_unknown!r}", field="retry_unknown")
        for name in ("base", "cap"):
            object.__setattr__(self, name, _finite_seconds(getattr(self, name), name))
        if self.hedge_after is not None:
            object.__setattr__(self, "hedge_after", seconds_of(self.hedge_after, "hedge_after"))

    def permits(self, disposition: Disposition) -> bool:
        """Tell whether this policy spends another attempt on such an outcome."""
        return disposition.retry == "attempt" or (disposition.retry == "unknown" and self.retry_unknown)

    def backoff(self, attempt: int, rng: random.Random, *, hint: float | None = None) -> float:
        """Give the seconds to wait before the next attempt: full jitter, never shorter than the server's hint.

        ``attempt`` counts the waits from 0: the first is up to ``base`` seconds, each next up to twice as long, none above
        ``cap`` unless the server asks for it.
        """
        ceiling = min(self.cap, self.base * 2.0 ** min(max(attempt, 0), _MOST_DOUBLINGS))
        return max(rng.random() * ceiling, hint or 0.0)


def _finite_seconds(value: object, field: str) -> float:
    seconds = seconds_of(value, field, allow_zero=True)
    if math.isinf(seconds):
        raise ConfigurationError(f"{field}: expected a finite number of seconds", field=field)
    return seconds


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """Say what an outcome means for the key it was had with.

    ``seconds`` is how long a key cools or is set aside (``math.inf``: until it is revived); ``per_model`` limits that to the
    model.
    """

    kind: Verdict
    seconds: float = 0.0
    per_model: bool = False


@dataclass(frozen=True, slots=True)
class Disposition:
    """Say what follows from an error: another try or none, the verdict on the key, and what the lost attempt is charged.

    ``waits`` is false where the server forbids the same request with the same key, however long one waits.
    """

    retry: Retry
    key: KeyVerdict
    charge: Charge
    waits: bool = True


_FAILURE = KeyVerdict("failure")
_NEUTRAL = KeyVerdict("neutral")

_REFUSED = Disposition("never", _NEUTRAL, "none")
_AGAIN = Disposition("attempt", _NEUTRAL, "none")
_FAILED = Disposition("attempt", _FAILURE, "none")
_BROKEN = Disposition("never", _FAILURE, "none")
_RETIRED = Disposition("another_key", KeyVerdict("retire", math.inf), "none")
_DENIED = Disposition("another_key", KeyVerdict("set_aside", math.inf, per_model=True), "none")
_EXHAUSTED = Disposition("another_key", KeyVerdict("set_aside", QUOTA_SET_ASIDE_S), "none")

_CHARGES: dict[Sent, Charge] = {"no": "none", "maybe": "prompt", "yes": "observed"}


def _limited(error: ProviderError, _sent: Sent) -> Disposition:
    seconds = RATE_LIMIT_COOLING_S if error.retry_after is None else error.retry_after
    return Disposition("another_key", KeyVerdict("cool", seconds), "none")


def _lost(_error: BaseException, sent: Sent) -> Disposition:
    return _FAILED if sent == "no" else Disposition("unknown", _FAILURE, _CHARGES[sent])


def _late(_error: BaseException, sent: Sent) -> Disposition:
    return _REFUSED if sent == "no" else Disposition("never", _FAILURE, _CHARGES[sent])


def _unconnected(error: ConnectError, _sent: Sent) -> Disposition:
    return _REFUSED if error.final else _FAILED  # a proxy that wants credentials says nothing of a key


def _malformed(error: MalformedResponseError, _sent: Sent) -> Disposition:
    redirect = error.status is not None and 300 <= error.status < 400
    return _BROKEN if redirect else Disposition("never" if error.final else "unknown", _FAILURE, "prompt")


def _interrupted(error: StreamInterruptedError, _sent: Sent) -> Disposition:
    if error.phase == "cut" and error.partial_response is None:
        return Disposition("unknown", _FAILURE, "prompt")
    return Disposition("never", _FAILURE, "observed")


def _ended(_error: BaseException, sent: Sent) -> Disposition:
    return Disposition("never", _NEUTRAL, _CHARGES[sent])


_Rule = Callable[[Any, Sent], Disposition]

_BY_STATUS: dict[int, Disposition | _Rule] = {
    401: _RETIRED,
    402: _EXHAUSTED,
    403: _DENIED,
    408: _AGAIN,
    409: _AGAIN,
    425: _AGAIN,
    429: _limited,
}


def _by_status(error: ProviderError, sent: Sent) -> Disposition:
    status = error.status or 0
    rule = _BY_STATUS.get(status, _FAILED if 500 <= status < 600 else _REFUSED)
    return rule if isinstance(rule, Disposition) else rule(error, sent)


# The nearest class wins. ConnectionLostError and the time-outs depend on what was sent, the rest on what they are.
_BY_CLASS: dict[type[BaseException], Disposition | _Rule] = {
    UnauthorizedError: _RETIRED,
    PermissionDeniedError: _DENIED,
    QuotaExhaustedError: _EXHAUSTED,
    RateLimitedError: _limited,
    BadRequestError: _by_status,
    OverloadedError: _FAILED,
    ServerError: _FAILED,
    ProviderError: _by_status,
    ConnectError: _unconnected,
    TlsError: _BROKEN,
    ConnectionLostError: _lost,
    MalformedResponseError: _malformed,
    DeadlineExceededError: _late,
    StreamInterruptedError: _interrupted,
    AdmissionError: _REFUSED,
    CallCancelledError: _ended,
    ClosedError: _ended,
    BaseException: _ended,
}


def classify(error: BaseException, *, should_retry: bool | None = None, sent: Sent | None = None) -> Disposition:
    """Give what an error means; ``should_retry`` is the server's own word, which stands above the table.

    ``sent`` is what the attempt knows better than the error, a ``KeyboardInterrupt`` for one; where nobody knows, it may have
    been.
    """
    known: Sent = sent or (error.sent if isinstance(error, GatewayError) else "maybe")
    rule = next(_BY_CLASS[cls] for cls in type(error).__mro__ if cls in _BY_CLASS)
    found = rule if isinstance(rule, Disposition) else rule(error, known)
    if should_retry is False:
        # OpenAI sends it with an exhausted quota: what is in vain with this key is not with another
        return replace(found, waits=False) if found.retry == "another_key" else replace(found, retry="never")
    if should_retry and isinstance(error, ProviderError) and found.retry == "never":
        return replace(found, retry="attempt")
    return found
