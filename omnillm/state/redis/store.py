"""The store of many processes: one script for each operation, on one Redis or Valkey, by its clock.

Purpose: what ``MemoryState`` is for one process, for any number of processes and machines. ``docs/scaling.md`` has the layout of
keys, what each script reads and writes, and what happens when the server is in trouble.
Contract: an admission is one round trip, and a settlement is one more; reports of the provider's headers ride along.
Rules:
- Every operation is idempotent by reservation id, which is known before anything is sent.
- No lock here: signal handlers and finalisers may come in between any two bytecodes.
- Money fails closed. Windows do what ``on_state_error`` says; a call stays in one of the two worlds until it is settled.
- The state knows labels and names of pools, never a key.
"""

from __future__ import annotations

import math
import random
import secrets
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

from ..._clock import SYSTEM_CLOCK, Clock, seconds_of
from ...errors import ConfigurationError, NoKeyReason, StateUnavailableError
from ...policy.budget import BudgetRefusal
from ...policy.hints import ObservedLimits
from ...policy.ledger import KeyLease, Reservation
from ...policy.limits import PICO, Budget, PoolConfig
from ...policy.roster import EXPLORE_EVERY
from ...policy.window import WINDOW_S
from ...types._given import check_choice
from .. import Ask, KeySpec, Refusal, Settlement, Snapshot
from .accounts import Accounts, joined
from .endings import AGAIN_S, GRACE_S, REFUND, Ending, Endings
from .link import Link
from .pulse import Pulse
from .seats import Pool
from .share import Share
from .telling import Teller, log, prefix_of, text_of

StateError = Literal["closed", "local_share"]

LEASE_S, TIMEOUT_S = 30.0, 0.25
POLLS_PER_SECOND = 20
MOST_DISOWNED = 100  # in one beat
SEEDS = 2**31
_NO_BOOKS = "the state store has lost its books, and what was spent is not known: RedisState.reopen() opens new ones"
_NO_REPORTS: tuple[int | float, ...] = (-1, -1, -1, -1)
_SELECTIONS = {"random": 0, "least_loaded": 1, "latency": 2}
_ADMIT, _SETTLE, _REPORT = struct.Struct("<15d"), struct.Struct("<13d"), struct.Struct("<4dH")


class RedisState:
    """Keep the state of keys and budgets in Redis (6.2 or newer) or Valkey, for all processes that name it alike.

    ``target`` is a URL (``redis://…``, ``rediss://…``, ``unix://…``) or a client of redis-py, for Sentinel and Cluster. ``name``
    separates what does not belong together. A process that dies gives back what it held within ``lease`` seconds; a reply is
    waited for ``timeout`` seconds, twice. Where the server is in trouble, calls that cost money are refused; others are too
    (``on_state_error="closed"``), or go by this process's share of the limits (``"local_share"``).
    """

    def __init__(
        self,
        target: Any,
        *,
        name: str = "omnillm",
        lease: float = LEASE_S,
        timeout: float = TIMEOUT_S,
        on_state_error: StateError = "closed",
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        server_time: Callable[[], float] | None = None,
        window: float = WINDOW_S,
    ) -> None:
        check_choice(on_state_error, StateError, "on_state_error")
        self._link = Link(target, timeout=seconds_of(timeout, "timeout"))
        self._prefix = prefix_of(name)
        self._lease = seconds_of(lease, "lease")
        self._clock = clock
        self._rng = rng or random.Random()
        self._server_time = server_time  # tests': it stands in for the server's own
        self._window = window
        self._budgets: tuple[Budget, ...] | None = None
        self._accounts = Accounts(())
        self._epoch = b""
        self._pools: dict[str, Pool] = {}
        self._reports: dict[str, tuple[float, ...]] = {}
        self._share = Share(on_state_error == "local_share", clock)
        self._teller = Teller(self._link, self._prefix)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Be a process that holds nothing."""
        self._owner = secrets.token_hex(8).encode()
        self._id = self._owner.decode() + ":"
        self._endings = Endings()
        self._beaten_at = -math.inf
        self._turns: dict[int, object] = {}  # of those who wait, each for a twentieth of a second
        self._ahead = 0.0  # of the server's clock, as far as it had to be told
        self._cursor = b"0"
        self._strangers: set[str] = set()
        self._pulse = Pulse(self, self._lease / 3)

    # --- the protocol ---------------------------------------------------------------------------------------------------------

    def add_pool(self, name: str, specs: Iterable[KeySpec], *, config: PoolConfig | None = None) -> None:
        """Add a pool of keys, or share the one that is there; the server hears of it with the first call.

        Raises ``ConfigurationError`` for a pool of that name that is configured otherwise here, and for a label given twice.
        Where another process has other limits, each goes by its own, and the log says so.
        """
        pool = Pool(self._prefix, name, specs, config or PoolConfig())
        if not self._pools.setdefault(name, pool).same_as(pool):
            raise ConfigurationError(f"pool: there is one named {name!r} already, configured otherwise", field="pool")
        self._share.add_pool(name, pool)

    def add_budgets(self, budgets: Sequence[Budget]) -> None:
        """Set the budgets, or share those that are there; raises ``ConfigurationError`` where they differ."""
        given = tuple(budgets)
        if self._budgets is None:
            self._budgets, self._accounts = given, Accounts(given)
        elif self._budgets != given:
            raise ConfigurationError("budgets: the state store has others already", field="budgets")

    def queue(self, pool: str, model: str) -> str | None:
        """Name the queue of the model's calls: those of one queue compete for the same keys."""
        found = self._pool(pool)
        return model if model in found.by_model or model in found.denied else None

    def pause(self) -> float:
        """Give how long who waits must not ask again (seconds): no more than 20 of this process ask in a second."""
        now, me = self._clock.monotonic(), object()
        turn = int(now * POLLS_PER_SECOND) + 1
        while self._turns.setdefault(turn, me) is not me:  # taken by another thread
            turn += 1
        for past in [past for past in list(self._turns) if past < turn - POLLS_PER_SECOND]:
            self._turns.pop(past, None)
        return turn / POLLS_PER_SECOND - now

    def admit(self, ask: Ask) -> KeyLease | Refusal:
        """Take a key, its windows and the money in one step, or nothing at all."""
        pool = self._pool(ask.pool)
        if self._share.is_on and not self._needs_money(ask) and self._clock.monotonic() < self._share.until:
            return self._share.admit(ask, pool)
        try:
            return self._admitted(pool, ask)
        except StateUnavailableError as error:
            if not self._share.is_on or self._needs_money(ask):
                raise
            log.warning("%s: calls go by this process's share of the limits", error)
            return self._share.admit(ask, pool)

    def peek(self, ask: Ask) -> Refusal | None:
        """Give what ``admit`` would refuse now, and take nothing."""
        pool = self._pool(ask.pool)
        self._begin(pool)
        answer, _ = self._ask(pool, ask, b"", dry=True)
        return None if answer[0] == "+" else self._refused(pool, ask, answer)

    def budget_left(self, ask: Ask) -> float:
        """Give how much (a fraction of its limit) is left of the tightest budget that applies to the call; 1 where none does.

        Of the budgets of keys that is the one of the key with the most left.
        """
        pool = self._pool(ask.pool)
        if not self._accounts:
            return 1.0
        self._begin(pool)

        def args(now: float) -> Sequence[bytes]:
            shared = self._accounts.shared(tenant=ask.tenant, model=ask.model, now=now)
            return (
                struct.pack("<d", self._given),
                pool.key,
                shared,
                self._accounts.of_any_key(now),
                "\0".join(pool.specs).encode(),
            )

        return float(self._dated("left", args)[0][1])

    def settle(self, reservation_id: str, settlement: Settlement) -> bool:
        """Correct what the call had reserved by what it used; true the first time only.

        Where the server is in trouble it is told later: until then what was reserved stays so.
        """
        if ":" not in reservation_id:
            return self._share.settle(reservation_id, settlement)
        ending = self._endings.end(reservation_id, settlement, settlement.verdict.kind, self._clock.monotonic() + GRACE_S)
        if ending is None:
            return False
        self._try_to_tell(reservation_id, ending)
        return True

    def release(self, reservation_id: str) -> bool:
        """Give back everything, as if the call had never been; true the first time only."""
        return self.settle(reservation_id, REFUND)

    def renew(self, reservation_id: str) -> None:  # noqa: ARG002  # one lease for all that a process holds
        """Say that the call's owner is alive; the pulse does where the process has nothing else to say."""
        if self._clock.monotonic() - self._beaten_at > self._lease / 3:
            self.beat()

    def report(self, pool: str, label: str, model: str, limits: ObservedLimits) -> None:
        """Believe the provider's rate-limit headers where they say that less is left than is counted here.

        The server hears of them with the next operation.
        """
        found = self._pool(pool)
        if label not in found.specs:
            raise ConfigurationError(f"label: pool {pool!r} has no key {label!r}", field="label")
        lane = found.lane(label, model)
        sides = (limits.remaining_requests, limits.reset_requests, limits.remaining_tokens, limits.reset_tokens)
        told = [-1 if side is None else max(0, side) for side in sides]
        before = self._reports.get(lane, _NO_REPORTS)
        for left in (0, 2):  # of each side the newest word counts
            if told[left] < 0:
                told[left : left + 2] = before[left : left + 2]
        self._reports[lane] = tuple(told)

    def revive(self, label: str) -> None:
        """Let keys of that label be used again: not retired, set aside, cooling or failing any longer."""
        found = [pool for pool in self._pools.values() if label in pool.specs]
        if not found:
            raise ConfigurationError(f"label: there is no key {label!r}", field="label")
        self._share.revive(label)
        for pool in found:
            blob, count = pool.of_label(label)
            self._link.run("revive", self._prefix, struct.pack("<dd", self._given, count), pool.key, label.encode(), blob)

    def snapshot(self) -> Snapshot:
        """Tell how everything stands, in all processes."""
        for pool in self._pools.values():
            self._begin(pool)
        reports = self._take_reports()
        return self._teller.snapshot(
            self._pools.values(), self._accounts, given=self._given, window=self._window, reports=reports
        )

    def after_fork(self) -> None:
        """Begin anew in a forked child, in which nothing is in flight: what the parent holds is the parent's."""
        self._rng.seed()
        self._reports = {}
        self._share.after_fork()
        self._begin_anew()

    # --- beside the protocol --------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say that this process is alive, tell what could not be told, and give back what it does not know of."""
        self._beaten_at = self._clock.monotonic()
        self._endings.sweep(self._beaten_at)
        self._tell_due()
        head = struct.pack("<ddd", self._given, self._window, self._lease)
        acks = self._endings.acks(self._beaten_at)
        answer, _ = self._link.run("renew", self._prefix, head, self._owner, acks, self._cursor, self._take_reports())
        living, cursor, *names = [text_of(part) for part in answer]
        self._share.processes, self._cursor = max(1, int(living)), cursor.encode()
        unknown = {name for name in names if not self._endings.knows(name, self._id)}
        for name in sorted(unknown & self._strangers)[:MOST_DISOWNED]:  # twice in a row: it is nobody's
            self._link.run("settle", self._prefix, *self._disowned(name))
        self._strangers = unknown

    def reopen(self) -> None:
        """Take the books as they are now, or open new ones: after the server lost them, which stops all calls that cost money."""
        self._epoch = b""
        for pool in self._pools.values():
            pool.registered = False

    def close(self) -> None:
        """Close the connections, and stop the pulse; what is held may still be settled."""
        self._pulse.stop()
        self._link.close()

    @property
    def is_idle(self) -> bool:
        """Tell whether this process holds nothing, and has nothing to tell."""
        return self._endings.is_idle

    # --- one operation --------------------------------------------------------------------------------------------------------

    @property
    def _given(self) -> float:
        """Give the time that stands in for the server's; none below zero."""
        return -1.0 if self._server_time is None else self._server_time()

    def _now(self) -> float:
        """Guess the server's time: only which day or month it is depends on it, and the server says where that is wrong."""
        return self._clock.wall() + self._ahead if self._server_time is None else self._server_time()

    def _pool(self, name: str) -> Pool:
        try:
            return self._pools[name]
        except KeyError:
            raise ConfigurationError(f"pool: there is none named {name!r}", field="pool") from None

    def _needs_money(self, ask: Ask) -> bool:
        return bool(self._accounts) and ask.charge > 0

    def _begin(self, pool: Pool) -> None:
        """Begin an operation: tell the ends that nobody told, and enter what the server does not know."""
        if self._endings.ledger.lost:
            self._endings.collect(self._clock.monotonic())
        if self._endings.waiting:
            self._tell_due()
        if not pool.registered or (self._accounts and not self._epoch):
            self._register(pool)

    def _register(self, pool: Pool) -> None:
        epoch = (self._epoch or secrets.token_hex(8).encode()) if self._accounts else b""
        ours = pool.to_json()
        budgets = self._accounts.to_json() if self._accounts else ""
        answer, _ = self._link.run("register", self._prefix, pool.key, ours.encode(), epoch, budgets.encode())
        known, opened = (text_of(part) for part in answer)
        if known and known != ours:
            log.warning("pool %s: another process has other limits or rules; each goes by its own", pool.name)
        self._epoch = self._epoch or opened.encode()
        pool.registered = True

    def _dated(self, name: str, args: Callable[[float], Sequence[bytes]]) -> tuple[list[str], bool]:
        """Run a script that needs the calendar, again where the server's clock is in another day or month than ours."""
        for _ in range(3):
            reply, again = self._link.run(name, self._prefix, *args(self._now()))
            answer = text_of(reply).split()
            if answer[0] != "@":
                return answer, again
            self._ahead = float(answer[1]) - self._clock.wall()
        raise StateUnavailableError("the state store's clock does not stand still")

    def _take_reports(self) -> bytes:
        """Take what the providers said and the server has not heard yet."""
        taken, self._reports = self._reports, {}
        names = [(lane.encode(), numbers) for lane, numbers in list(taken.items())]
        return b"".join([_REPORT.pack(*numbers, len(lane)) + lane for lane, numbers in names])

    def _beats(self, now: float) -> bool:
        """Tell whether this operation says that the process is alive."""
        if now - self._beaten_at < self._lease / 3:
            return False
        self._beaten_at = now
        return True

    # --- admission ------------------------------------------------------------------------------------------------------------

    def _admitted(self, pool: Pool, ask: Ask) -> KeyLease | Refusal:
        self._begin(pool)
        number = self._endings.ledger.new_id()
        lease = KeyLease(self._reservation(ask, self._id + number))
        reservation = lease.reservation
        held = self._endings.hold(pool, lease)  # before it is asked for: who is interrupted has it given back
        try:
            answer, _ = self._ask(pool, ask, number.encode(), dry=False)
        except BaseException:
            self._endings.end(reservation.id, REFUND, "lost", self._clock.monotonic())
            raise
        if answer[0] != "+":
            self._endings.drop(reservation.id)
            return self._refused(pool, ask, answer)
        reservation.label = pool.seats(ask.model).labels[int(answer[1])]
        reservation.trial = answer[2] == "1"
        reservation.admitted_at = float(answer[3])  # by the server's clock
        if self._server_time is None:
            self._pulse.start()
        assert held.ref is not None
        return lease

    def _reservation(self, ask: Ask, reservation_id: str) -> Reservation:
        return Reservation(
            reservation_id,
            pool=ask.pool,
            label="",
            model=ask.model,
            tenant=ask.tenant,
            tokens=ask.tokens,
            charge=ask.charge,
            admitted_at=self._clock.monotonic(),
            trial=False,
        )

    def _ask(self, pool: Pool, ask: Ask, name: bytes, *, dry: bool) -> tuple[list[str], bool]:
        """Ask the server for a key; ``dry`` takes nothing."""
        seats, config, accounts = pool.seats(ask.model), pool.config, self._accounts
        selection = _SELECTIONS[config.selection]
        if selection == 2:
            pool.choices += 1
            selection = 0 if pool.choices % EXPLORE_EVERY == 0 else 2
        now = self._clock.monotonic()
        money = (*divmod(ask.charge, PICO), ask.prompt_tokens, *divmod(ask.prompt_charge, PICO))
        how = (int(self._rng.random() * SEEDS), selection, dry, False if dry else self._beats(now), self._lease)
        head = _ADMIT.pack(
            self._given, self._window, ask.tokens, *money, *how, len(seats.labels), config.circuit_breaker_cooldown
        )
        exclude = b"\0%b\0" % "\0".join(ask.exclude).encode() if ask.exclude else b""
        acks = b"" if dry else self._endings.acks(now)
        reports = self._take_reports() if self._reports else b""
        parts = (head, seats.blob, pool.key, name, self._owner, ask.model.encode(), exclude, self._epoch, acks, reports)

        def args(now: float) -> Sequence[bytes]:
            shared = accounts.shared(tenant=ask.tenant, model=ask.model, now=now)
            return *parts, shared, accounts.of_any_key(now)

        return self._dated("admit", args)

    def _refused(self, pool: Pool, ask: Ask, answer: Sequence[str]) -> Refusal:
        if answer[0] == "$":
            return self._no_money(ask, answer[1:])
        if answer[0] == "!":
            raise StateUnavailableError(_NO_BOOKS)
        if answer[0] != "-":
            raise StateUnavailableError("the state store says that the call is over")
        if answer[3] == "1":
            pool.denied.add(ask.model)
        wait = float(answer[2])
        return Refusal(cast(NoKeyReason, answer[1]), None if wait < 0 else wait)

    def _no_money(self, ask: Ask, answer: Sequence[str]) -> Refusal:
        budget = self._accounts.budget(int(answer[0]))
        resets, now = float(answer[5]), float(answer[6])
        refused = BudgetRefusal(
            budget.scope,
            budget.limit_pico,
            joined(*answer[1:3]),
            joined(*answer[3:5]),
            ask.charge,
            None if math.isinf(resets) else resets,
        )
        return Refusal(budget=refused, retry_after=None if refused.resets_at is None else max(0.0, refused.resets_at - now))

    # --- settlement -----------------------------------------------------------------------------------------------------------

    def _tell_due(self) -> None:
        """Tell the ends that nobody told; at the first trouble leave the rest for later."""
        for reservation_id, ending in self._endings.due(self._clock.monotonic()):
            if not self._try_to_tell(reservation_id, ending):
                return

    def _try_to_tell(self, reservation_id: str, ending: Ending) -> bool:
        try:
            self._tell(reservation_id, ending)
        except StateUnavailableError as error:
            ending.due = self._clock.monotonic() + AGAIN_S
            log.warning("%s: a settlement is told later; until then what was reserved stays so", error)
            return False
        except BaseException:
            ending.due = self._clock.monotonic()
            raise
        return True

    def _tell(self, reservation_id: str, ending: Ending) -> None:
        held, settlement, verdict = ending.held, ending.settlement, ending.settlement.verdict
        reservation, pool, config = held.reservation, held.pool, held.pool.config
        if verdict.kind == "set_aside" and verdict.per_model:
            pool.denied.add(reservation.model)
        now = self._clock.monotonic()
        charge = divmod(max(0, settlement.charge), PICO)
        requests = 0 if settlement.refund_request else 1
        took = -1 if verdict.latency is None else verdict.latency
        how = (requests, verdict.seconds, verdict.per_model, took)
        rules = (config.circuit_breaker_threshold, config.circuit_breaker_cooldown)
        head = _SETTLE.pack(
            self._given, self._window, max(0, settlement.tokens), *charge, *how, *rules, self._beats(now), self._lease
        )
        owner, _, name = reservation_id.partition(":")
        whose = (name.encode(), owner.encode(), pool.key, reservation.label.encode(), reservation.model.encode())
        acks = self._endings.acks(now)
        reports = self._take_reports() if self._reports else b""

        def args(now: float) -> Sequence[bytes]:
            accounts = self._accounts.shared(tenant=reservation.tenant, model=reservation.model, now=now)
            accounts += self._accounts.of_key(pool.name, reservation.label, now)
            return head, *whose, ending.kind.encode(), acks, accounts, self._epoch, reports

        _, again = self._dated("settle", args)
        self._endings.told(reservation_id, again=again, now=now)

    def _disowned(self, name: str) -> Sequence[bytes]:
        """Give what settles a reservation of this process that it does not know of: an interrupt came, and then the reply."""
        head = _SETTLE.pack(self._given, self._window, 0, 0, 0, 0, 0, 0, -1, 1, 1, 0, self._lease)
        return head, name.encode(), self._owner, b"", b"", b"", b"neutral", name.encode(), b"", self._epoch, b""
