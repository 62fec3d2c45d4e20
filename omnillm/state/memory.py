"""The store of one process: one lock, made of the state machines in ``policy``.

Purpose: admission and settlement as single atomic decisions over keys, windows, breaker and budgets.
Contract: every operation may be called from any thread and interrupted between any two bytecodes; quota and money survive.
Rules:
- Under the lock there is dictionary work only: no I/O, no sleep, no logging, no user code.
- An operation first plans, then commits all its changes through the journal; the next one finishes what was cut short.
- Which seats are parked is a memory only; an interrupt clears it.
- Who comes back into an operation of its own thread (a signal handler, a finaliser of the user's) is refused, never deadlocked.
- Finalisers append to the ledger's queue; the next operation settles what they left.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .._clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigurationError
from ..policy.alone import alone
from ..policy.aside import Aside
from ..policy.breaker import Outcome
from ..policy.budget import Account, Book, last_refusal
from ..policy.lane import Key, Lane, Seat
from ..policy.ledger import Change, Journal, KeyLease, LeaseRef, Ledger, Reservation
from ..policy.limits import Budget, ModelLimits, PoolConfig
from ..policy.roster import Roster, Usable
from ..policy.window import Slot, seconds_until
from . import Ask, BudgetRefusal, KeySpec, KeyStatus, ObservedLimits, Refusal, Settlement, Snapshot, Verdict

_WHAT = "the key pool"
_REFUND = Settlement(0, 0, Verdict.neutral(), refund_request=True)


class _Pool:
    """The keys of one pool, and a roster for each model with limits of its own; that of ``None`` serves all others."""

    __slots__ = ("aside", "config", "keys", "name", "rosters", "specs")

    def __init__(self, name: str, specs: Iterable[KeySpec], config: PoolConfig) -> None:
        self.name = name
        self.config = config
        self.specs: dict[str, KeySpec] = {}
        self.keys: dict[str, Key] = {}
        self.aside = Aside()
        models: dict[str | None, None] = {None: None}
        for spec in specs:
            if spec.label in self.keys:
                raise ConfigurationError(f"label: {spec.label!r} is given twice in pool {name!r}", field="label")
            self.specs[spec.label] = spec
            self.keys[spec.label] = Key(spec.label, ModelLimits(spec.tpm_limit, spec.rpm_limit), spec.models)
            models.update(dict.fromkeys(spec.models))
        self.rosters = {model: Roster(Seat(key, model) for key in self.keys.values()) for model in models}

    def same_as(self, other: _Pool) -> bool:
        """Tell whether it was configured alike; how long callers wait, and what they reserve, is theirs."""
        ours, theirs = self.config, other.config
        return self.specs == other.specs and ours == replace(
            theirs, acquire_timeout=ours.acquire_timeout, default_output_tokens=ours.default_output_tokens
        )

    def roster(self, model: str) -> Roster:
        return self.rosters.get(model) or self.rosters[None]

    def wake(self, label: str) -> None:
        for roster in self.rosters.values():
            if roster.parked:
                roster.wake(label)


class _Held:
    """What the ledger holds for one reservation: all that settling it needs."""

    __slots__ = ("accounts", "generation", "key", "lane", "pool", "ref", "reservation", "slot")

    def __init__(  # noqa: PLR0917  # as a reservation: by position
        self, pool: _Pool, seat: Seat, reservation: Reservation, slot: Slot, accounts: Sequence[Account], ref: LeaseRef
    ) -> None:
        self.pool = pool
        self.key = seat.key
        self.lane = lane = seat.lane
        self.generation = lane.breaker.generation
        self.reservation = reservation
        self.slot = slot
        self.accounts = accounts
        self.ref = ref


class MemoryState:
    """Keep the state of keys and budgets in this process, for any number of threads, and of gateways that are configured alike.

    ``pool_config`` is for pools that come without one; a gateway's come with its own.
    """

    def __init__(
        self,
        pools: Mapping[str, Iterable[KeySpec]] | None = None,
        *,
        pool_config: PoolConfig | None = None,
        budgets: Sequence[Budget] = (),
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        self._config = pool_config or PoolConfig()
        self._clock = clock
        self._rng = rng or random.Random()
        self._budgets = tuple(budgets) or None  # none until somebody says which
        self._book = Book(budgets, clock.wall())
        self._journal = Journal()
        self._ledger: Ledger[_Held] = Ledger()
        self._lock = threading.RLock()
        self._open = False  # an operation is under way; seen at the start of one, the last was interrupted
        self._pools: dict[str, _Pool] = {}
        for name, specs in (pools or {}).items():
            self.add_pool(name, specs)

    # --- the protocol ---------------------------------------------------------------------------------------------------------

    def add_pool(self, name: str, specs: Iterable[KeySpec], *, config: PoolConfig | None = None) -> None:
        """Add a pool of keys, or share the one that is there.

        Raises ``ConfigurationError`` for a pool of that name that is configured otherwise, and for a label given twice.
        """
        pool = _Pool(name, specs, config or self._config)
        with alone(self._lock, _WHAT):  # Critical section: one name, one pool
            if not self._pools.setdefault(name, pool).same_as(pool):
                raise ConfigurationError(f"pool: there is one named {name!r} already, configured otherwise", field="pool")

    def add_budgets(self, budgets: Sequence[Budget]) -> None:
        """Set the budgets, or share those that are there; raises ``ConfigurationError`` where they differ."""
        given = tuple(budgets)
        with alone(self._lock, _WHAT):  # Critical section: one set of budgets
            if self._budgets is None:
                book = Book(given, self._clock.wall())
                book.spent = self._book.spent
                self._budgets, self._book = given, book
            elif self._budgets != given:
                raise ConfigurationError("budgets: the state store has others already", field="budgets")

    def queue(self, pool: str, model: str) -> str | None:
        """Name the queue of the model's calls: those of one queue compete for the same keys."""
        found = self._pool(pool)
        return model if model in found.rosters or found.aside.of(model) else None

    def pause(self) -> float:
        """Give how long who waits for a key must not ask again: not at all, for nobody else is asked."""
        return 0.0

    def admit(self, ask: Ask) -> KeyLease | Refusal:
        """Take a key, its windows and the money in one step, or nothing at all."""
        pool = self._pool(ask.pool)
        with alone(self._lock, _WHAT):  # Critical section: choose and book
            now, wall = self._begin()
            accounts = self._book.shared(tenant=ask.tenant, model=ask.model, wall=wall, keep=False)
            found = self._decide(pool, ask, now, wall, accounts)
            if isinstance(found, Seat):
                if self._book.has_key_budgets:
                    accounts = [*accounts, *self._book.of_key(pool.name, found.key.label, wall, keep=False)]
                accounts = self._book.keep(accounts, wall)
                outcome: KeyLease | Refusal = self._admitted(pool, found, ask, now, accounts)
            else:
                outcome = found
            self._open = False
            return outcome

    def peek(self, ask: Ask) -> Refusal | None:
        """Give what ``admit`` would refuse now, and take nothing."""
        pool = self._pool(ask.pool)
        with alone(self._lock, _WHAT):  # Critical section: choose
            now, wall = self._begin()
            accounts = self._book.shared(tenant=ask.tenant, model=ask.model, wall=wall, keep=False)
            found = self._decide(pool, ask, now, wall, accounts)
            self._open = False
            return None if isinstance(found, Seat) else found

    def budget_left(self, ask: Ask) -> float:
        """Give how much (a fraction of its limit) is left of the tightest budget that applies to the call; 1 where none does.

        Of the budgets of keys that is the one of the key with the most left.
        """
        pool = self._pool(ask.pool)
        with alone(self._lock, _WHAT):  # Critical section: read the accounts
            _, wall = self._begin()
            living = [label for label, key in pool.keys.items() if key.aside_until < math.inf]
            left = self._book.left(pool.name, living, tenant=ask.tenant, model=ask.model, wall=wall)
            self._open = False
            return left

    def settle(self, reservation_id: str, settlement: Settlement) -> bool:
        """Correct what the call had reserved by what it used; true the first time only."""
        with alone(self._lock, _WHAT):  # Critical section: correct what is held
            now, wall = self._begin()
            held = self._ledger.held.get(reservation_id)
            if held is not None:
                self._settled(held, settlement, _OUTCOMES.get(settlement.verdict.kind, "neutral"), now, wall)
            self._open = False
            return held is not None

    def release(self, reservation_id: str) -> bool:
        """Give back everything, as if the call had never been; true the first time only."""
        return self.settle(reservation_id, _REFUND)

    def renew(self, reservation_id: str) -> None:
        """Say that the call's owner is alive; in one process the lease itself says so."""

    def report(self, pool: str, label: str, model: str, limits: ObservedLimits) -> None:
        """Believe the provider's rate-limit headers where they say that less is left than is counted here."""
        found = self._pool(pool)
        key = found.keys.get(label)
        if key is None:
            raise ConfigurationError(f"label: pool {pool!r} has no key {label!r}", field="label")
        with alone(self._lock, _WHAT):  # Critical section: correct one window
            now, _ = self._begin()
            self._journal.commit(key.lane(model).window.correcting(limits, now))
            found.wake(label)
            self._open = False

    def revive(self, label: str) -> None:
        """Let keys of that label be used again: not retired, set aside, cooling or failing any longer."""
        with alone(self._lock, _WHAT):  # Critical section: forget what was held against the keys
            found = [(pool, pool.keys[label]) for pool in self._pools.values() if label in pool.keys]
            if not found:
                raise ConfigurationError(f"label: there is no key {label!r}", field="label")
            self._begin()
            for pool, key in found:
                changes: list[Change] = [(setattr, (key, "aside_until", 0.0))]
                changes.append((setattr, (pool, "aside", pool.aside.without(label))))
                for lane in (key.shared, *key.lanes.values()):
                    changes += [(setattr, (lane, "cool_until", 0.0)), (setattr, (lane, "breaker", lane.breaker.reset()))]
                self._journal.commit(changes)
                pool.wake(label)
            self._open = False

    def snapshot(self) -> Snapshot:
        """Tell how everything stands."""
        with alone(self._lock, _WHAT):  # Critical section: read all
            now, _ = self._begin()
            wall = self._clock.wall()
            held = list(self._ledger.held.values())
            inflight: dict[Lane, int] = {}
            for one in held:
                inflight[one.lane] = inflight.get(one.lane, 0) + one.reservation.tokens
            keys = [(pool, key) for pool in self._pools.values() for key in pool.keys.values()]
            snapshot = Snapshot(
                keys=tuple(_Observer(pool, inflight, now=now, wall=wall).status(key) for pool, key in keys),
                budgets=tuple(self._book.statuses(wall)),
                held_tokens=sum(one.reservation.tokens for one in held),
                held_requests=len(held),
                spent=self._book.spent,
            )
            self._open = False
            return snapshot

    def after_fork(self) -> None:
        """Begin anew in a forked child: own locks, nothing in flight; what was spent stays spent."""
        self._rng.seed()
        self._lock = threading.RLock()  # another thread of the parent may have held the old one; it does not exist here
        with alone(self._lock, _WHAT):  # Critical section: give back what the parent's calls hold
            self._ledger.lost.clear()
            now, wall = self._begin()
            for held in list(self._ledger.held.values()):
                self._settled(held, _REFUND, "neutral", now, wall)
            self._ledger = self._ledger.heir()
            self._open = False

    # --- inside the lock ------------------------------------------------------------------------------------------------------

    def _pool(self, name: str) -> _Pool:
        try:
            return self._pools[name]
        except KeyError:
            raise ConfigurationError(f"pool: there is none named {name!r}", field="pool") from None

    def _begin(self) -> tuple[float, float]:
        """Begin an operation: finish what an interrupt left, settle what owners lost, and read the clocks."""
        if self._open:
            self._journal.replay()
            for pool in self._pools.values():
                for roster in pool.rosters.values():
                    roster.reset()
        self._open = True
        now = self._clock.monotonic()
        wall = self._clock.wall() if self._book.has_calendar else 0.0
        lost = self._ledger.lost
        while lost:
            held = self._ledger.held.get(getattr(lost[0], "reservation_id", ""))
            if held is not None:
                reservation = held.reservation
                seen = Settlement(reservation.observed_tokens, reservation.observed_charge, Verdict.neutral())
                self._settled(held, _REFUND if reservation.sent == "no" else seen, "lost", now, wall)
            lost.popleft()
        return now, wall

    def _decide(self, pool: _Pool, ask: Ask, now: float, wall: float, accounts: Sequence[Account]) -> Seat | Refusal:
        refused = last_refusal(accounts, ask.charge)
        if refused is not None:
            return _no_money(refused, wall)
        usable = willing = self._willing(pool, ask, wall) if ask.exclude or self._book.has_key_budgets else None
        aside = pool.aside.of(ask.model)
        if aside:
            usable = lambda seat: aside.get(seat.key.label, 0.0) <= now and (willing is None or willing(seat))  # noqa: E731
        roster = pool.roster(ask.model)
        seat = roster.find(ask.tokens, now, rng=self._rng, selection=pool.config.selection, usable=usable)
        if seat is not None:
            return seat
        openings = [roster.first_back(ask.tokens, now, usable)]
        for label, until in aside.items():
            seat = roster.seats[label]
            if now < until < math.inf and (willing is None or willing(seat)):
                openings.append(seat.opening(ask.tokens, now, until))
        at, reason = min(openings, key=lambda opening: opening[0])
        if math.isfinite(at):
            return Refusal(reason, seconds_until(at, now))
        return self._hopeless(pool, ask, now, wall)

    def _willing(self, pool: _Pool, ask: Ask, wall: float) -> Usable | None:
        """Give what a key must fulfil beside having room and not being set aside, or ``None`` where that is nothing."""
        if not (self._book.has_key_budgets and ask.charge):
            return (lambda seat: seat.key.label not in ask.exclude) if ask.exclude else None
        return lambda seat: (
            seat.key.label not in ask.exclude and self._book.refusal_of_key(pool.name, seat.key.label, ask.charge, wall) is None
        )

    def _hopeless(self, pool: _Pool, ask: Ask, now: float, wall: float) -> Refusal:
        """Say why no key will ever take the request."""
        seats = [seat for label, seat in pool.roster(ask.model).seats.items() if label not in ask.exclude]
        if not seats:
            return Refusal("no_key")
        if all(ask.tokens > seat.lane.window.tpm_limit for seat in seats):
            return Refusal("too_large")
        aside = pool.aside.of(ask.model)
        living = [seat for seat in seats if not math.isinf(seat.blocked(now, aside.get(seat.key.label, 0.0))[0])]
        if not living:
            return Refusal("dead")
        for seat in living:
            refused = self._book.refusal_of_key(pool.name, seat.key.label, ask.charge, wall)
            if refused is not None:
                return _no_money(refused, wall)
        return Refusal("too_large")

    def _admitted(self, pool: _Pool, seat: Seat, ask: Ask, now: float, accounts: Sequence[Account]) -> KeyLease:
        lane, ledger, tokens, charge = seat.lane, self._ledger, ask.tokens, ask.charge
        breaker, id = lane.breaker, ledger.new_id()
        trial = breaker.open_until is not None
        reservation = Reservation(id, pool.name, seat.key.label, ask.model, ask.tenant, tokens, charge, now, trial)
        lease = KeyLease(reservation)
        slot, changes = lane.window.admitting(tokens, now)
        held = _Held(pool, seat, reservation, slot, accounts, ledger.watch(lease))
        if trial:
            changes.append((setattr, (lane, "breaker", breaker.trying(id))))
        for account in accounts:
            changes.append(account.reserving(charge))  # a list made in between costs more than the loop
        changes.append((ledger.held.__setitem__, (id, held)))
        self._journal.commit(changes)
        return lease

    def _settled(self, held: _Held, settlement: Settlement, outcome: Outcome, now: float, wall: float) -> None:
        reservation, lane = held.reservation, held.lane
        charge = max(0, settlement.charge)
        tokens = max(0, settlement.tokens)
        requests = 0 if settlement.refund_request else 1
        changes = lane.window.settling(held.slot, requests=requests, tokens=tokens, now=now)
        for account in self._book.keep(held.accounts, wall):
            account.roll(wall)
            changes.append(account.settling(reservation.charge, charge))
        changes.append(self._book.spending(charge))
        if outcome != "success" or not lane.breaker.is_untouched:
            breaker = lane.breaker.after(
                outcome,
                reservation_id=reservation.id,
                generation=held.generation,
                now=now,
                threshold=held.pool.config.circuit_breaker_threshold,
                cooldown=held.pool.config.circuit_breaker_cooldown,
            )
            if breaker is not lane.breaker:
                changes.append((setattr, (lane, "breaker", breaker)))
        changes += self._deserved(held, settlement.verdict, now)
        changes.append((self._ledger.held.pop, (reservation.id, None)))
        self._journal.commit(changes)
        held.pool.wake(reservation.label)

    def _deserved(self, held: _Held, verdict: Verdict, now: float) -> list[Change]:
        """Plan what the verdict means for the key beside its breaker."""
        lane, took = held.lane, verdict.latency
        if verdict.kind == "success":
            return [] if took is None else lane.measuring(took, now)
        changes = lane.measuring(took, now) if took is not None and lane.latency is not None and took > lane.latency else []
        key, pool, until = held.key, held.pool, now + verdict.seconds
        match verdict.kind:
            case "cool":
                changes.append((setattr, (lane, "cool_until", max(lane.cool_until, until))))
            case "retire":
                changes.append((setattr, (key, "aside_until", math.inf)))
            case "set_aside" if verdict.per_model:
                changes.append((setattr, (pool, "aside", pool.aside.adding(held.reservation.model, key.label, until, now))))
            case "set_aside":
                changes.append((setattr, (key, "aside_until", max(key.aside_until, until))))
        return changes


_OUTCOMES: dict[str, Outcome] = {"success": "success", "failure": "failure"}


def _no_money(refused: BudgetRefusal, wall: float) -> Refusal:
    return Refusal(budget=refused, retry_after=None if refused.resets_at is None else max(0.0, refused.resets_at - wall))


class _Observer:
    """Tell how the keys of a pool stand at one moment."""

    __slots__ = ("_inflight", "_now", "_pool", "_wall")

    def __init__(self, pool: _Pool, inflight: Mapping[Lane, int], *, now: float, wall: float) -> None:
        self._pool = pool
        self._inflight = inflight
        self._now = now
        self._wall = wall

    def status(self, key: Key) -> KeyStatus:
        aside = {model: self._pool.aside.of(model).get(key.label, 0.0) for model in key.lanes}
        models = {model: self._status(Seat(key, model), {}, until) for model, until in aside.items()}
        return self._status(Seat(key, None), models, 0.0)

    def _status(self, seat: Seat, models: Mapping[str, KeyStatus], aside: float) -> KeyStatus:
        lane = seat.lane
        window, breaker = lane.window, lane.breaker
        requests, tokens = window.used(self._now)
        aside = max(aside, seat.key.aside_until)
        until, blocked = seat.blocked(self._now, aside)
        full = requests >= window.rpm_limit or tokens >= window.tpm_limit
        reason = blocked if until > self._now else "window" if full else None
        return KeyStatus(
            label=seat.key.label,
            available=reason is None,
            reason=reason,
            tpm_inflight=self._inflight.get(lane, 0),
            tpm_used=tokens,
            tpm_limit=window.tpm_limit,
            rpm_used=requests,
            rpm_limit=window.rpm_limit,
            cool_down_until=self._moment(max(lane.cool_until, aside)),
            failure_cool_down_until=self._moment(breaker.open_until or 0.0),
            consecutive_failures=breaker.failures,
            dead=math.isinf(aside),
            pool=self._pool.name,
            models=models,
        )

    def _moment(self, until: float) -> float | None:
        """Give the Unix time of a moment to come; none for one that is past, or never comes."""
        return self._wall + until - self._now if self._now < until < math.inf else None
