"""What may be configured of limits, money and selection, as values.

Purpose: the vocabulary of the pool and the budgets; nothing here acts.
Contract: a value that exists is valid; a wrong one raises ``ConfigurationError`` naming its field.
Rules: money is given in USD and kept exact, as an integer number of pico-dollars; durations are seconds.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from .._clock import seconds_of
from .._late import importing
from ..errors import ConfigurationError
from ..types._given import check_choice

PICO = 10**12

Selection = Literal["random", "least_loaded", "latency"]
PromptEstimate = Literal["fixed", "learned", "tokenizer"]
BudgetScope = Literal["gateway", "tenant", "key", "model"]
BudgetWindow = Literal["total", "day", "month"]
BudgetEstimate = Literal["default", "strict"]


class LossPolicy(StrEnum):
    """Say what a gateway does where a request does not survive its protocol whole."""

    ALLOW = "allow"
    WARN = "warn"
    RAISE = "raise"


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Configure how keys are chosen, waited for and rested.

    ``acquire_timeout`` is how long a call waits for a key: 0 fails at once. ``default_output_tokens`` is reserved for the
    output of a request that sets no cap. ``selection`` chooses among the keys with room. ``prompt_estimates`` says what a prompt
    is taken for until its usage is known: a quarter of its bytes, or what was learned of the model's tokens to a character, or
    what tiktoken counts (extra ``tokens``).
    """

    circuit_breaker_threshold: int = 5
    circuit_breaker_cooldown: float = 30.0
    acquire_timeout: float = 0.0
    default_output_tokens: int = 1024
    selection: Selection = "random"
    _: KW_ONLY
    prompt_estimates: PromptEstimate = "fixed"

    def __post_init__(self) -> None:
        check_count(self.circuit_breaker_threshold, "circuit_breaker_threshold")
        check_count(self.default_output_tokens, "default_output_tokens")
        for field, zero in (("circuit_breaker_cooldown", False), ("acquire_timeout", True)):
            object.__setattr__(self, field, seconds_of(getattr(self, field), field, allow_zero=zero))
        if math.isinf(self.circuit_breaker_cooldown):
            field = "circuit_breaker_cooldown"
            raise ConfigurationError(f"{field}: expected a finite number of seconds", field=field)
        check_choice(self.selection, Selection, "selection")
        check_choice(self.prompt_estimates, PromptEstimate, "prompt_estimates")


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Limit what a key may use of one model in 60 seconds: tokens and requests."""

    tpm_limit: int
    rpm_limit: int

    def __post_init__(self) -> None:
        check_count(self.tpm_limit, "tpm_limit")
        check_count(self.rpm_limit, "rpm_limit")


@dataclass(frozen=True, slots=True)
class Budget:
    """Limit what may be spent (USD): in all, or by each tenant, key or model; for good, or by the calendar day or month.

    ``timezone`` says where the day or month begins. ``estimate="strict"`` admits only what cannot cost more than reserved.
    """

    limit_usd: float
    scope: BudgetScope = "gateway"
    window: BudgetWindow = "total"
    timezone: str = "UTC"
    _: KW_ONLY
    estimate: BudgetEstimate = "default"

    def __post_init__(self) -> None:
        pico_usd(self.limit_usd, "limit_usd")
        check_choice(self.scope, BudgetScope, "scope")
        check_choice(self.window, BudgetWindow, "window")
        check_choice(self.estimate, BudgetEstimate, "estimate")
        zone(self.timezone)

    @property
    def limit_pico(self) -> int:
        """Give the limit in pico-dollars, exactly as its decimal digits say."""
        return pico_usd(self.limit_usd, "limit_usd")


def zone(name: str) -> dt.tzinfo:
    """Give the time zone of that name; ``UTC`` needs no zone data."""
    if name == "UTC":
        return dt.UTC
    with importing:
        import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ConfigurationError(f"timezone: {name!r} is not a time zone this machine knows", field="timezone") from None


def pico_usd(value: object, field: str) -> int:
    """Read an amount of USD as an integer number of pico-dollars; raises ``ConfigurationError`` for anything but an amount."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConfigurationError(f"{field}: expected an amount of USD, got {value!r}", field=field)
    if not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"{field}: expected a finite amount of USD, not below zero, got {value!r}", field=field)
    return int(Decimal(str(value)).scaleb(12))


def check_count(value: object, field: str, *, least: int = 1) -> None:
    """Raise ``ConfigurationError`` unless the value is an ``int`` of at least that much."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{field}: expected an integer of at least {least}, got {value!r}", field=field)
