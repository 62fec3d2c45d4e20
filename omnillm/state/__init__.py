"""The state of keys, windows and budgets: the protocol that every store speaks, and its values.

Purpose: one decision for key, windows, breaker and budgets together, for one process or many.
Contract: ``admit`` is all or nothing; ``settle`` and ``release`` are idempotent by reservation id. A store knows labels, never
secrets; it raises nothing but ``ConfigurationError`` for what was never configured, and ``StateUnavailableError``.
Rules:
- If any key can take a request, it is admitted.
- A lease that is dropped gives back what it holds, whatever ended its owner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from ..errors import ConfigurationError, NoKeyReason
from ..policy.budget import BudgetRefusal, BudgetStatus
from ..policy.hints import ObservedLimits
from ..policy.lane import KeyReason
from ..policy.ledger import KeyLease, Reservation
from ..policy.limits import Budget, ModelLimits, PoolConfig, check_count

__all__ = [
    "Ask",
    "BudgetRefusal",
    "BudgetStatus",
    "KeyLease",
    "KeySpec",
    "KeyStatus",
    "ObservedLimits",
    "Refusal",
    "Reservation",
    "Settlement",
    "Snapshot",
    "StateStore",
    "Verdict",
]

VerdictKind = Literal["success", "failure", "neutral", "cool", "retire", "set_aside"]


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Describe one key to the store: its name and limits; ``models`` have limits of their own, beside the key's."""

    label: str
    tpm_limit: int
    rpm_limit: int
    models: Mapping[str, ModelLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label:
            raise ConfigurationError(f"label: expected a name, got {self.label!r}", field="label")
        check_count(self.tpm_limit, "tpm_limit")
        check_count(self.rpm_limit, "rpm_limit")
        object.__setattr__(self, "models", MappingProxyType(dict(self.models)))


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for a key: ``tokens`` is prompt and output as estimated, ``charge`` what they may cost (pico-dollars).

    ``prompt_tokens`` and ``prompt_charge`` are what is counted where the process is never heard of again.
    """

    pool: str
    model: str
    tokens: int
    charge: int
    tenant: str | None = None
    exclude: frozenset[str] = frozenset()
    prompt_tokens: int = 0
    prompt_charge: int = 0

    def __post_init__(self) -> None:
        check_count(self.tokens, "tokens", least=0)
        check_count(self.charge, "charge", least=0)


class Verdict(NamedTuple):
    """Say what a call's outcome means for its key; ``seconds`` is how long it rests, infinity until it is revived.

    ``latency`` is how long it took (seconds): of a success that, of anything else that long at least.
    """

    kind: VerdictKind = "success"
    seconds: float = 0.0
    per_model: bool = False
    latency: float | None = None

    @classmethod
    def success(cls, latency: float | None = None) -> Verdict:
        """Count a success, which took that long."""
        return cls("success", latency=latency)

    @classmethod
    def failure(cls) -> Verdict:
        """Count a failure of the key's breaker."""
        return cls("failure")

    @classmethod
    def neutral(cls) -> Verdict:
        """Say nothing about the key."""
        return cls("neutral")

    @classmethod
    def cool(cls, seconds: float) -> Verdict:
        """Let the key cool down; its breaker counts nothing."""
        return cls("cool", seconds)

    @classmethod
    def retire(cls) -> Verdict:
        """Retire the key for good."""
        return cls("retire", math.inf)

    @classmethod
    def set_aside(cls, seconds: float = math.inf, *, per_model: bool = False) -> Verdict:
        """Set the key aside, or its use for this one model."""
        return cls("set_aside", seconds, per_model)


class Settlement(NamedTuple):
    """Say how a call ended: what it used, what it cost (pico-dollars) and what its key deserves.

    ``refund_request``: nothing was sent, so that the request's place in the window goes back too.
    """

    tokens: int
    charge: int
    verdict: Verdict = Verdict()
    refund_request: bool = False


class Refusal(NamedTuple):
    """Say why nothing was admitted: no key (``reason``), or no money (``budget``)."""

    reason: NoKeyReason | None = None
    retry_after: float | None = None
    budget: BudgetRefusal | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether waiting for a key cannot help."""
        return self.budget is not None or self.retry_after is None


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """Tell how a key stands: what counts against its limits now, and until when it rests (Unix seconds).

    ``tpm_used`` includes ``tpm_inflight``, what calls in flight have reserved. ``models`` tells the same of each model that has
    limits of its own; the rest is about all other models.
    """

    label: str
    available: bool
    reason: KeyReason | None
    tpm_inflight: int
    tpm_used: int
    tpm_limit: int
    rpm_used: int
    rpm_limit: int
    cool_down_until: float | None
    failure_cool_down_until: float | None
    consecutive_failures: int
    dead: bool
    pool: str = field(default="", kw_only=True)
    models: Mapping[str, KeyStatus] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Tell how everything stands at one moment; money is pico-dollars, ``spent`` is all that was ever settled."""

    keys: tuple[KeyStatus, ...]
    budgets: tuple[BudgetStatus, ...]
    held_tokens: int
    held_requests: int
    spent: int = 0


class StateStore(Protocol):
    """Keep the state of keys and budgets; ``MemoryState`` does for one process, ``RedisState`` for many."""

    def add_pool(self, name: str, specs: Iterable[KeySpec], *, config: PoolConfig | None = None) -> None:
        """Add a pool of keys, or share the one that is there.

        Of ``config``, how keys are chosen and rested is the store's; how long callers wait, and what they reserve, is theirs.
        Raises ``ConfigurationError`` for a pool of that name that is configured otherwise, and for a label given twice.
        """

    def add_budgets(self, budgets: Sequence[Budget]) -> None:
        """Set the budgets, or share those that are there; raises ``ConfigurationError`` where they differ."""

    def queue(self, pool: str, model: str) -> str | None:
        """Name the queue of the model's calls: those of one queue compete for the same keys."""

    def pause(self) -> float:
        """Give how long who waits for a key must not ask again (seconds); each time it is asked, a turn is taken."""

    def admit(self, ask: Ask) -> KeyLease | Refusal:
        """Take a key, its windows and the money in one step, or nothing at all."""

    def peek(self, ask: Ask) -> Refusal | None:
        """Give what ``admit`` would refuse now, and take nothing."""

    def budget_left(self, ask: Ask) -> float:
        """Give how much (a fraction of its limit) is left of the tightest budget that applies to the call; 1 where none does.

        Of the budgets of keys that is the one of the key with the most left.
        """

    def settle(self, reservation_id: str, settlement: Settlement) -> bool:
        """Correct what the call had reserved by what it used; true the first time only."""

    def release(self, reservation_id: str) -> bool:
        """Give back everything, as if the call had never been; true the first time only."""

    def renew(self, reservation_id: str) -> None:
        """Say that the call's owner is alive."""

    def report(self, pool: str, label: str, model: str, limits: ObservedLimits) -> None:
        """Believe the provider's rate-limit headers where they say that less is left than is counted here."""

    def revive(self, label: str) -> None:
        """Let keys of that label be used again: not retired, set aside, cooling or failing any longer."""

    def snapshot(self) -> Snapshot:
        """Tell how everything stands."""

    def after_fork(self) -> None:
        """Begin anew in a forked child: own locks, nothing in flight; what was spent stays spent."""
