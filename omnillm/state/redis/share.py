"""The share: this process's part of the limits, for as long as the server is in trouble and the caller wants that.

The windows of the share begin empty: in the first minute the fleet may send what it had sent, and what its shares allow on top.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..._clock import Clock
from ...policy.ledger import KeyLease
from ...policy.limits import ModelLimits
from .. import Ask, KeySpec, Refusal, Settlement
from ..memory import MemoryState
from .seats import Pool

TRY_AGAIN_S = 1.0


class Share:
    """Admit by this process's share of each limit: at least one request and one token in a minute."""

    def __init__(self, is_on: bool, clock: Clock) -> None:
        self.is_on = is_on
        self.processes = 1  # as far as the server told
        self.until = 0.0
        self._clock = clock
        self._pools: dict[str, Pool] = {}
        self._memory: MemoryState | None = None

    def add_pool(self, name: str, pool: Pool) -> None:
        """Know a pool."""
        self._pools[name] = pool

    def admit(self, ask: Ask, pool: Pool) -> KeyLease | Refusal:
        """Take a key by the share; for a second the server is not asked again."""
        self.until = self._clock.monotonic() + TRY_AGAIN_S
        memory = self._memory
        if memory is None:
            memory = self._memory = MemoryState(clock=self._clock)
        memory.add_pool(pool.name, self._parts(pool.specs.values()), config=pool.config)
        return memory.admit(ask)

    def settle(self, reservation_id: str, settlement: Settlement) -> bool:
        """Settle what was admitted here."""
        return self._memory is not None and self._memory.settle(reservation_id, settlement)

    def revive(self, label: str) -> None:
        """Take a key back here, too."""
        for pool in self._pools.values():
            if self._memory is not None and label in pool.specs and pool.name in self._memory._pools:
                self._memory.revive(label)
                return

    def after_fork(self) -> None:
        """Hold nothing in the child."""
        if self._memory is not None:
            self._memory.after_fork()

    def _parts(self, specs: Iterable[KeySpec]) -> list[KeySpec]:
        part = max(1, self.processes)
        return [
            KeySpec(
                spec.label,
                tpm_limit=max(1, spec.tpm_limit // part),
                rpm_limit=max(1, spec.rpm_limit // part),
                models={
                    name: ModelLimits(max(1, own.tpm_limit // part), max(1, own.rpm_limit // part))
                    for name, own in spec.models.items()
                },
            )
            for spec in specs
        ]
