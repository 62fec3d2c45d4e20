"""What admitting and settling a call costs, with one key and with ten thousand that are nearly all saturated."""

from __future__ import annotations

from collections.abc import Iterator

from omnillm.policy.limits import Budget
from omnillm.state import Ask, KeyLease, KeySpec, Settlement
from omnillm.state.memory import MemoryState

from .measure import Effort, Row, Work, interleaved, ratios, row, timed

FAMILY = "admission"
MANY = 10_000
FREE = 100  # of the many
TARGET_MICROS, TARGET_MANY = 15.0, 3.0


def rows(effort: Effort) -> Iterator[Row]:
    """Measure admission."""
    many = effort.of(MANY)
    samples = {
        "one": timed(admission(1, 0), effort.seconds),
        "many": timed(admission(many, many - many // FREE), effort.seconds),
    }
    taken = interleaved(samples, effort.rounds)
    yield row(FAMILY, "1 key", [one * 1e6 for one in taken["one"]], unit="us", target=TARGET_MICROS)
    name = f"{many} keys, 99 % saturated, to 1 key"
    yield row(FAMILY, name, ratios(taken["many"], taken["one"]), target=TARGET_MANY)


def admission(keys: int, saturated: int) -> Work:
    """Give the work of one admission and its settlement, of which so many keys have no room for it."""
    small = [KeySpec(f"full-{i}", tpm_limit=10**12, rpm_limit=1) for i in range(saturated)]
    large = [KeySpec(f"key-{i}", tpm_limit=10**12, rpm_limit=10**9) for i in range(max(1, keys - saturated))]
    state = MemoryState({"full": small, "main": [*small, *large]}, budgets=[Budget(1e6)])
    ask, settlement = Ask("main", "a-model", tokens=1_000, charge=10), Settlement(tokens=900, charge=9)

    def admit_and_settle() -> None:
        lease = state.admit(ask)
        if not isinstance(lease, KeyLease):
            raise TypeError(f"refused: {lease}")
        state.settle(lease.reservation.id, settlement)

    for _ in range(2 * saturated):  # one of two keys drawn is a full one, until all of them are known to be
        admit_and_settle()
    return admit_and_settle
