"""Budgets: money is reserved before a call, and settled by what the call cost.

Purpose: the accounts of every budget, by scope and calendar window; and the one-budget façade for use alone.
Contract: money is an integer number of pico-dollars. The caller holds the lock and commits the changes it is handed.
Rules:
- ``spent + reserved <= limit`` whenever something is admitted; a call that costs nothing is always admitted.
- What a call cost beyond its reservation is counted all the same: late results may overshoot, nothing is hidden.
- A day or a month begins on the wall clock of its time zone and never steps back; a call counts where it settles.
- A call without a tenant belongs to the tenant without a name.
- An account without money in it is forgotten sooner or later; one that is named again begins at zero, as it was.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .alone import alone
from .ledger import Change
from .limits import PICO, Budget, BudgetScope, BudgetWindow, check_count, pico_usd, zone

__all__ = ["PICO", "Account", "Book", "BudgetRefusal", "BudgetStatus", "BudgetTracker", "period_end"]


class BudgetRefusal(NamedTuple):
    """Say which budget has no room, and how much it lacks (pico-dollars); ``resets_at`` is Unix seconds."""

    scope: BudgetScope
    limit: int
    used: int
    reserved: int
    needed: int
    resets_at: float | None = None


class BudgetStatus(NamedTuple):
    """Tell how one budget stands (pico-dollars), for one tenant, key or model where its scope is that."""

    scope: BudgetScope
    subject: str | None
    window: BudgetWindow
    limit: int
    used: int
    reserved: int
    resets_at: float | None = None


AccountId = tuple[int, str | None, str | None]  # which budget, and whose: a pool's key, or no pool's tenant or model
ACCOUNTS_KEPT = 1024  # as many may lie idle before somebody looks


_Sums = tuple[int, int, float]  # spent, reserved, when the window resets; plain, for each call makes two


def period_end(window: BudgetWindow, where: dt.tzinfo, wall: float) -> float:
    """Give when the calendar window that holds this moment ends (Unix seconds); never, for ``total``."""
    if window == "total":
        return math.inf
    today = dt.datetime.fromtimestamp(wall, where).date()
    first = today + dt.timedelta(days=1)
    if window == "month":
        first = (today.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return dt.datetime.combine(first, dt.time(), where).timestamp()


class Account:
    """One budget of one subject: what was spent, and what calls in flight have reserved."""

    __slots__ = ("_sums", "_zone", "budget", "id", "limit", "subject")

    def __init__(self, budget: Budget, subject: str | None, wall: float, *, id: AccountId = (0, None, None)) -> None:
        self.id = id
        self.budget = budget
        self.subject = subject
        self.limit = budget.limit_pico
        self._zone = zone(budget.timezone)
        self._sums: _Sums = (0, 0, period_end(budget.window, self._zone, wall))

    def roll(self, wall: float) -> None:
        """Begin the next day or month where this one is over; what is reserved stays reserved."""
        _, reserved, resets_at = self._sums
        if wall >= resets_at:
            self._sums = (0, reserved, period_end(self.budget.window, self._zone, wall))

    def allows(self, charge: int) -> bool:
        """Tell whether that much may be reserved."""
        spent, reserved, _ = self._sums
        return spent + reserved + charge <= self.limit or charge == 0

    @property
    def left(self) -> float:
        """Give the fraction of the limit that is neither spent nor reserved, never below zero."""
        spent, reserved, _ = self._sums
        free = self.limit - spent - reserved
        return free / self.limit if free > 0 else 0.0

    def reserving(self, charge: int) -> Change:
        """Plan to reserve."""
        spent, reserved, resets_at = self._sums
        return setattr, (self, "_sums", (spent, reserved + charge, resets_at))

    def settling(self, charge: int, actual: int) -> Change:
        """Plan to spend what the call cost in place of what it had reserved."""
        spent, reserved, resets_at = self._sums
        return setattr, (self, "_sums", (spent + actual, reserved - charge, resets_at))

    def refusal(self, charge: int) -> BudgetRefusal:
        """Say why that much is not to be had."""
        spent, reserved, _ = self._sums
        return BudgetRefusal(self.budget.scope, self.limit, spent, reserved, charge, self.resets_at)

    def status(self) -> BudgetStatus:
        """Tell how it stands."""
        spent, reserved, _ = self._sums
        return BudgetStatus(self.budget.scope, self.subject, self.budget.window, self.limit, spent, reserved, self.resets_at)

    def is_idle(self, wall: float) -> bool:
        """Tell whether it has no money in it: nothing reserved, nor spent in the window of now."""
        spent, reserved, resets_at = self._sums
        return reserved == 0 and (spent == 0 or wall >= resets_at)

    @property
    def resets_at(self) -> float | None:
        """Give when the next day or month begins (Unix seconds)."""
        _, _, resets_at = self._sums
        return None if math.isinf(resets_at) else resets_at


class Book:
    """Keep the accounts of all budgets, and find those that a call must fit."""

    __slots__ = ("_accounts", "_by_key", "_everybodys", "_look_at", "_shared", "has_calendar", "has_key_budgets", "spent")

    def __init__(self, budgets: Sequence[Budget], wall: float) -> None:
        self.spent = 0
        self._by_key = [(place, budget) for place, budget in enumerate(budgets) if budget.scope == "key"]
        self._shared = [(place, budget) for place, budget in enumerate(budgets) if budget.scope != "key"]
        self.has_key_budgets = bool(self._by_key)
        self.has_calendar = any(budget.window != "total" for budget in budgets)
        self._accounts: dict[AccountId, Account] = {}
        self._everybodys: Sequence[Account] = ()
        self._look_at = ACCOUNTS_KEPT
        everybody = [(place, budget) for place, budget in self._shared if budget.scope == "gateway"]
        self._everybodys = self.keep([Account(budget, None, wall, id=(place, None, None)) for place, budget in everybody])

    def shared(self, *, tenant: str | None, model: str, wall: float, keep: bool = True) -> Sequence[Account]:
        """Find the accounts a call must fit whatever key it gets; only to look at them, those that are new are not kept."""
        if len(self._everybodys) == len(self._shared):  # none is a tenant's or a model's: always the same, and never forgotten
            if self.has_calendar:
                for account in self._everybodys:
                    account.roll(wall)
            return self._everybodys
        subjects = {"gateway": None, "tenant": tenant, "model": model}
        found = [self._account(place, budget, (None, subjects[budget.scope]), wall) for place, budget in self._shared]
        return self.keep(found, wall) if keep else found

    def of_key(self, pool: str, label: str, wall: float, *, keep: bool = True) -> Sequence[Account]:
        """Find the accounts a call must fit with that key; only to look at them, those that are new are not kept."""
        found = [self._account(place, budget, (pool, label), wall) for place, budget in self._by_key]
        return self.keep(found, wall) if keep else found

    def refusal_of_key(self, pool: str, label: str, charge: int, wall: float) -> BudgetRefusal | None:
        """Give why that much may not be spent with that key, as cheaply as can be: it is asked of many keys for one call."""
        for place, budget in self._by_key:
            account = self._accounts.get((place, pool, label)) or self._account(place, budget, (pool, label), wall)
            if self.has_calendar:
                account.roll(wall)
            if not account.allows(charge):
                return account.refusal(charge)
        return None

    def left(self, pool: str, labels: Iterable[str], *, tenant: str | None, model: str, wall: float) -> float:
        """Give the fraction left of the tightest account that a call must fit; of the keys' accounts that of the best key."""
        shared = self.shared(tenant=tenant, model=model, wall=wall, keep=False)
        tightest = min((account.left for account in shared), default=1.0)
        if not self._by_key:
            return tightest
        keys = (self.of_key(pool, label, wall, keep=False) for label in labels)
        return min(tightest, max((min(account.left for account in accounts) for accounts in keys), default=1.0))

    def keep(self, accounts: Sequence[Account], wall: float = 0.0) -> Sequence[Account]:
        """Keep the accounts; give for each the one that is kept, were it forgotten and named again since it was found."""
        if accounts is self._everybodys:
            return accounts
        kept = [self._accounts.setdefault(account.id, account) for account in accounts]
        if len(self._accounts) > self._look_at:
            self._forget(wall, kept)
        return kept

    def spending(self, actual: int) -> Change:
        """Plan to count what was spent in all, whatever budgets there are."""
        return (setattr, (self, "spent", self.spent + actual))

    def statuses(self, wall: float) -> Iterator[BudgetStatus]:
        """Tell how every account stands that was ever used."""
        for account in self._accounts.values():
            account.roll(wall)
            yield account.status()

    def _account(self, place: int, budget: Budget, subject: tuple[str | None, str | None], wall: float) -> Account:
        id = (place, *subject)
        account = self._accounts.get(id)
        if account is None:
            return Account(budget, subject[1], wall, id=id)
        if self.has_calendar:
            account.roll(wall)
        return account

    def _forget(self, wall: float, kept: Sequence[Account]) -> None:
        """Forget the accounts without money in them, but for those just asked for."""
        asked = {account.id for account in kept}
        lasting = {
            id: account
            for id, account in self._accounts.items()
            if id in asked or account.budget.scope == "gateway" or not account.is_idle(wall)
        }
        self._look_at = max(ACCOUNTS_KEPT, 2 * len(lasting))  # a look costs as much as what was added since the last
        self._accounts = lasting


def last_refusal(accounts: Iterable[Account], charge: int) -> BudgetRefusal | None:
    """Give the refusal that lasts longest, of the accounts without room for the charge; of several alike the first."""
    last: BudgetRefusal | None = None
    for account in accounts:
        if not account.allows(charge):
            refusal = account.refusal(charge)
            if last is None or (refusal.resets_at or math.inf) > (last.resets_at or math.inf):
                last = refusal
    return last


class BudgetTracker:
    """Track one budget by amounts, for use alone and from any thread; a gateway settles by reservation, never by amounts.

    A signal handler or finaliser that comes back into an operation of its own thread gets ``StateUnavailableError``.
    What is reserved counts as used until it is settled: ``used_usd() + remaining_usd()`` is the limit unless it is overshot.
    """

    __slots__ = ("__weakref__", "_limit", "_lock", "_used")

    def __init__(self, limit_usd: float) -> None:
        self._limit = pico_usd(limit_usd, "limit_usd")
        self._lock = threading.RLock()
        self._used = 0
        _TRACKERS.add(self)

    def try_reserve(self, pico: int) -> bool:
        """Reserve that many pico-dollars if the limit has room for them; nothing always fits."""
        check_count(pico, "pico", least=0)
        with alone(self._lock, _WHAT):  # Critical section: one comparison, one store
            if pico and self._used + pico > self._limit:
                return False
            self._used += pico
            return True

    def settle(self, estimated: int, actual: int) -> None:
        """Spend the actual pico-dollars in place of the estimated ones that were reserved."""
        check_count(estimated, "estimated", least=0)
        check_count(actual, "actual", least=0)
        with alone(self._lock, _WHAT):  # Critical section: one store
            self._used = max(0, self._used - estimated + actual)

    def used_usd(self) -> float:
        """Give what is spent and reserved (USD)."""
        return self._used / PICO

    def limit_usd(self) -> float:
        """Give the limit (USD)."""
        return self._limit / PICO

    def remaining_usd(self) -> float:
        """Give what may still be reserved (USD), never below zero."""
        return max(0, self._limit - self._used) / PICO


_WHAT = "the budget tracker"
_TRACKERS: weakref.WeakSet[BudgetTracker] = weakref.WeakSet()


def _after_fork() -> None:
    """Give the trackers of a forked child locks of their own: what held the old ones does not exist there."""
    for tracker in list(_TRACKERS):
        tracker._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
