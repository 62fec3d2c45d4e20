"""What each error means: the table of dispositions, row by row."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from omnillm import errors
from omnillm.errors import (
    AdmissionError,
    BadRequestError,
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    MalformedResponseError,
    NoAvailableKeyError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    StateUnavailableError,
    StreamInterruptedError,
    TlsError,
    UnauthorizedError,
)
from omnillm.policy.retry import Disposition, KeyVerdict, classify

FAILURE, NEUTRAL = KeyVerdict("failure"), KeyVerdict("neutral")
RETIRE = KeyVerdict("retire", math.inf)
DENY = KeyVerdict("set_aside", math.inf, per_model=True)
PARK = KeyVerdict("set_aside", 3_600.0)
COOL = KeyVerdict("cool", 60.0)

REFUSED = Disposition("never", NEUTRAL, "none")
AGAIN = Disposition("attempt", NEUTRAL, "none")
FAILED = Disposition("attempt", FAILURE, "none")

TABLE: list[tuple[BaseException, Disposition]] = [
    (UnauthorizedError(status=401), Disposition("another_key", RETIRE, "none")),
    (PermissionDeniedError(status=403), Disposition("another_key", DENY, "none")),
    (QuotaExhaustedError(status=429), Disposition("another_key", PARK, "none")),
    (QuotaExhaustedError(status=402), Disposition("another_key", PARK, "none")),
    (RateLimitedError(status=429), Disposition("another_key", COOL, "none")),
    (RateLimitedError(status=429, retry_after=7.5), Disposition("another_key", KeyVerdict("cool", 7.5), "none")),
    *((BadRequestError(status=status), REFUSED) for status in (400, 404, 405, 413, 415, 422, 424, 499)),
    *((BadRequestError(status=status), AGAIN) for status in (408, 409, 425)),
    (BadRequestError(), REFUSED),
    *((ServerError(status=status), FAILED) for status in (500, 502, 504, 520)),
    *((OverloadedError(status=status), FAILED) for status in (503, 529)),
    (OverloadedError(), FAILED),
    (ProviderError(status=401), Disposition("another_key", RETIRE, "none")),
    (ProviderError(status=402), Disposition("another_key", PARK, "none")),
    (ProviderError(status=403), Disposition("another_key", DENY, "none")),
    (ProviderError(status=429), Disposition("another_key", COOL, "none")),
    (ProviderError(status=500), FAILED),
    (ProviderError(status=418), REFUSED),
    (ProviderError(), REFUSED),
    (ConnectError(), FAILED),
    (TlsError(), Disposition("never", FAILURE, "none")),
    (ConnectionLostError(sent="no"), FAILED),
    (ConnectionLostError(sent="maybe"), Disposition("unknown", FAILURE, "prompt")),
    (ConnectionLostError(sent="yes", phase="body"), Disposition("unknown", FAILURE, "observed")),
    (MalformedResponseError(sent="yes", status=200), Disposition("unknown", FAILURE, "prompt")),
    (MalformedResponseError(sent="maybe"), Disposition("unknown", FAILURE, "prompt")),
    *((MalformedResponseError(status=s), Disposition("never", FAILURE, "none")) for s in (300, 301, 302, 303, 307, 308, 399)),
    (DeadlineExceededError(phase="admission"), REFUSED),
    (DeadlineExceededError(phase="backoff"), REFUSED),
    (DeadlineExceededError(phase="connect"), REFUSED),
    (DeadlineExceededError(phase="first_byte", sent="maybe"), Disposition("never", FAILURE, "prompt")),
    (DeadlineExceededError(phase="body", sent="yes"), Disposition("never", FAILURE, "observed")),
    (StreamInterruptedError(sent="yes"), Disposition("unknown", FAILURE, "prompt")),
    (StreamInterruptedError(sent="yes", partial_response="half"), Disposition("never", FAILURE, "observed")),
    *(
        (StreamInterruptedError(sent="yes", phase=phase), Disposition("never", FAILURE, "observed"))
        for phase in ("idle", "error", "no_terminal")
    ),
    *((kind(), REFUSED) for kind in (AdmissionError, NoAvailableKeyError, BudgetExceededError, StateUnavailableError)),
    (CallCancelledError(), REFUSED),
    (CallCancelledError(sent="maybe"), Disposition("never", NEUTRAL, "prompt")),
    (CallCancelledError(sent="yes"), Disposition("never", NEUTRAL, "observed")),
    (ClosedError(), REFUSED),
    (ClosedError(sent="yes"), Disposition("never", NEUTRAL, "observed")),
    (KeyboardInterrupt(), Disposition("never", NEUTRAL, "prompt")),
    (MemoryError(), Disposition("never", NEUTRAL, "prompt")),
    (ValueError("a bug"), Disposition("never", NEUTRAL, "prompt")),
]


def _name(row: object) -> str | None:
    if isinstance(row, Disposition):
        return f"{row.retry}-{row.key.kind}-{row.charge}"
    parts = (getattr(row, name, None) for name in ("status", "phase", "sent"))
    return "-".join((type(row).__name__, *(str(part) for part in parts if part is not None)))


@pytest.mark.parametrize(("error", "expected"), TABLE, ids=_name)
def test_the_table(error: BaseException, expected: Disposition) -> None:
    """Every error means what its row says."""
    assert classify(error) == expected


def test_every_error_of_the_library_has_a_meaning() -> None:
    """No class of the tree is without a disposition, and a subclass of a user's means what its base means."""
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.OmniLLMError):
            own: Any = type("Own", (kind,), {})
            assert classify(own()) == classify(kind())


@pytest.mark.parametrize("error", [error for error, _ in TABLE], ids=_name)
def test_the_server_can_forbid_every_retry(error: BaseException) -> None:
    """``x-should-retry: false`` forbids the same request with the same key; another key, and what it is charged, stay."""
    plain, told = classify(error), classify(error, should_retry=False)
    if plain.retry == "another_key":
        assert told == Disposition("another_key", plain.key, plain.charge, waits=False)
    else:
        assert told == Disposition("never", plain.key, plain.charge)


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (BadRequestError(status=400), "attempt"),
        (BadRequestError(status=409), "attempt"),
        (ServerError(status=500), "attempt"),
        (RateLimitedError(status=429), "another_key"),
        (UnauthorizedError(status=401), "another_key"),
        (ConnectionLostError(sent="maybe"), "unknown"),
        (StreamInterruptedError(sent="yes", partial_response="half"), "never"),
        (CallCancelledError(), "never"),
        (DeadlineExceededError(sent="maybe"), "never"),
        (KeyboardInterrupt(), "never"),
    ],
    ids=_name,
)
def test_the_server_can_ask_for_a_retry_of_its_own_answers_alone(error: BaseException, retry: str) -> None:
    """``x-should-retry: true`` lifts a refusal of the provider, never a cancellation, a time-out or a stream that was begun."""
    assert classify(error, should_retry=True).retry == retry


@pytest.mark.parametrize(("sent", "charge"), [("no", "none"), ("maybe", "prompt"), ("yes", "observed")])
def test_what_the_attempt_knows_decides_what_an_interrupt_costs(sent: errors.Sent, charge: str) -> None:
    """Ctrl-C is charged by what was sent, and never counts against a key."""
    assert classify(KeyboardInterrupt(), sent=sent) == Disposition("never", NEUTRAL, charge)  # type: ignore[arg-type]  # a str of the table
    assert classify(CallCancelledError(), sent=sent).charge == charge


def test_a_wait_of_zero_is_kept() -> None:
    """A rate limit that ends at once does not cool the key for the default minute."""
    assert classify(RateLimitedError(retry_after=0.0)).key == KeyVerdict("cool", 0.0)
