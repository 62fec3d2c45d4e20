"""Whether a task comes back after an error, and when: pure, the random number is the caller's."""

from __future__ import annotations

from ...errors import (
    AdmissionError,
    DeadlineExceededError,
    GatewayError,
    PermissionDeniedError,
    QuotaExhaustedError,
    StateUnavailableError,
    StreamInterruptedError,
    UnauthorizedError,
)
from ...policy.retry import classify

_IN_VAIN = (PermissionDeniedError, QuotaExhaustedError, UnauthorizedError)  # whatever the time: somebody has to do something
_MOST_DOUBLINGS = 63  # beyond it the ceiling holds in any case, and a float would overflow
_JITTER_SHARE = 0.25  # of the longest countdown, at most: the rest is left to the wait


def wait_after(error: BaseException, *, retry_unknown: bool = True) -> float | None:
    """Give how long to wait until another try may succeed (seconds; 0 where nobody says), or ``None`` where none will.

    It is what the gateway goes by within a call, but for two: a stream that broke off may begin anew, for the task does, and a
    limit or a budget may be waited for.
    """
    if not isinstance(error, GatewayError) or isinstance(error, _IN_VAIN):
        return None
    if isinstance(error, AdmissionError) and not isinstance(error, StateUnavailableError):
        return error.retry_after  # none: it is too large, or spent for good, or every key is dead
    if isinstance(error, StateUnavailableError):
        again = True
    elif isinstance(error, DeadlineExceededError):
        again = error.sent == "no"  # an answer that was too slow would be as slow again, and as dear
    elif isinstance(error, StreamInterruptedError):
        again = retry_unknown
    else:
        kind = classify(error).retry
        again = kind in ("another_key", "attempt") or (kind == "unknown" and retry_unknown)
    return (error.retry_after or 0.0) if again else None


def countdown_of(wait: float, retries: int, jitter: float, *, base: float, most: float) -> float:
    """Give the countdown (seconds): the wait and, on top, a random share (``jitter``, 0 to 1) of a spread that doubles each time.

    None is longer than ``most``. Of a wait that is, it is a piece: a task that comes back too early is refused, and waits on.
    """
    spread = min(base * 2.0 ** min(retries, _MOST_DOUBLINGS), most * _JITTER_SHARE)
    return min(wait, most - spread) + jitter * spread
