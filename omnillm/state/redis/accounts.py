"""Budgets as the scripts know them: which accounts a call must fit, under which names, and where its calendar stands.

Purpose: name the accounts, and hand the server the ends of days and months, which it cannot know: time zones are ours.
Contract: pure; time is given. Money goes over the wire as whole dollars and pico-dollars below one, each exact in a double.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
from collections.abc import Iterable, Sequence

from ...policy.budget import PICO, BudgetStatus, period_end
from ...policy.limits import Budget, BudgetWindow, zone

NOBODY = "-"
_SUBJECT = "="


def joined(dollars: str | bytes, pico: str | bytes) -> int:
    """Read an amount as the scripts write it."""
    return int(dollars) * PICO + int(pico)


def period_begin(window: BudgetWindow, where: dt.tzinfo, wall: float) -> float:
    """Give when the calendar window that holds this moment began (Unix seconds)."""
    if window == "total":
        return -math.inf
    today = dt.datetime.fromtimestamp(wall, where).date()
    return dt.datetime.combine(today.replace(day=1) if window == "month" else today, dt.time(), where).timestamp()


class _Named:
    """One budget: its name, and its numbers while the day or month lasts."""

    __slots__ = ("_zone", "budget", "name", "numbers", "valid")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.name = f"{budget.scope}:{budget.window}:{budget.timezone}:"
        self._zone = zone(budget.timezone)
        self.valid = (0.0, 0.0)
        self.numbers = b""

    def packed(self, subject: str, now: float) -> bytes:
        """Give the account of that subject as the scripts read it."""
        if not self.valid[0] <= now < self.valid[1]:
            begins, ends = period_begin(self.budget.window, self._zone, now), period_end(self.budget.window, self._zone, now)
            after = ends if math.isinf(ends) else period_end(self.budget.window, self._zone, ends)
            self.numbers = struct.pack("<ddddd", *divmod(self.budget.limit_pico, PICO), begins, ends, after)
            self.valid = begins, ends
        field = (self.name + subject).encode()
        return self.numbers + len(field).to_bytes(2, "little") + field


class Accounts:
    """The accounts of a set of budgets."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._shared = [_Named(budget) for budget in budgets if budget.scope != "key"]
        self._of_key = [_Named(budget) for budget in budgets if budget.scope == "key"]

    def __bool__(self) -> bool:
        return bool(self._shared or self._of_key)

    def shared(self, *, tenant: str | None, model: str, now: float) -> bytes:
        """Give those that a call must fit whatever key it gets."""
        if not self._shared:
            return b""
        subjects = {"gateway": NOBODY, "tenant": NOBODY if tenant is None else _SUBJECT + tenant, "model": _SUBJECT + model}
        return b"".join([named.packed(subjects[named.budget.scope], now) for named in self._shared])

    def of_any_key(self, now: float) -> bytes:
        """Give the beginnings of those that a call must fit with its key; the server adds pool and label."""
        return b"".join([named.packed(_SUBJECT, now) for named in self._of_key]) if self._of_key else b""

    def of_key(self, pool: str, label: str, now: float) -> bytes:
        """Give those that a call must fit with that key."""
        return b"".join([named.packed(f"{_SUBJECT}{pool}\x1f{label}", now) for named in self._of_key]) if self._of_key else b""

    def to_json(self) -> str:
        """Write down what the budgets are, for those who look at the state from outside."""
        budgets = [named.budget for named in (*self._shared, *self._of_key)]
        return json.dumps([[budget.limit_pico, budget.scope, budget.window, budget.timezone] for budget in budgets])

    def budget(self, place: int) -> Budget:
        """Give the budget that a refusal names by its place."""
        return (*self._shared, *self._of_key)[place].budget

    def statuses(self, rows: Iterable[tuple[str, str]], now: float) -> list[BudgetStatus]:
        """Tell how the accounts stand of which the server tells names and numbers; those of no budget here are passed by."""
        by_name = {named.name: named.budget for named in (*self._shared, *self._of_key)}
        found = []
        for field, numbers in rows:
            scope, window, where, subject = field.split(":", 3)
            budget = by_name.get(f"{scope}:{window}:{where}:")
            if budget is not None:
                found.append(_status(budget, _subject(subject), numbers.split(), now))
        for budget in by_name.values():  # nobody has used it yet
            if budget.scope == "gateway" and not any(_is_of(status, budget) for status in found):
                found.append(_status(budget, None, ["0", "0", "0", "0", "0"], now))
        return found


def _subject(text: str) -> str | None:
    return None if text == NOBODY else text[1:].rpartition("\x1f")[2]


def _is_of(status: BudgetStatus, budget: Budget) -> bool:
    return (status.scope, status.window) == (budget.scope, budget.window)


def _status(budget: Budget, subject: str | None, numbers: Sequence[str], now: float) -> BudgetStatus:
    spent, reserved, resets = joined(*numbers[:2]), joined(*numbers[2:4]), float(numbers[4])
    if now >= resets:
        spent, resets = (spent if budget.window == "total" else 0), period_end(budget.window, zone(budget.timezone), now)
    ends = None if math.isinf(resets) else resets
    return BudgetStatus(budget.scope, subject, budget.window, budget.limit_pico, spent, reserved, ends)
