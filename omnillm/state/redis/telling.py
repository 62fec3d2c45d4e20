"""How everything stands: what the scripts tell of lanes and accounts, as the values of a snapshot."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterable, Mapping, Sequence

from ...errors import ConfigurationError
from ...policy.lane import KeyReason
from .. import KeyStatus, Snapshot
from .accounts import Accounts, joined
from .link import Link
from .seats import Pool

log = logging.getLogger("omnillm")


def prefix_of(name: str) -> str:
    """Give the beginning of all keys of the state of that name: one slot of a cluster, for a budget spans the pools."""
    if not isinstance(name, str) or not name or not name.isprintable() or set(name) & set("{}:"):
        raise ConfigurationError("name: expected a name without braces and colons", field="name")
    return f"omnillm:{{{name}}}:"


class Teller:
    """Ask the server how pools and budgets stand."""

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._prefix = prefix

    def snapshot(
        self, pools: Iterable[Pool], accounts: Accounts, *, given: float, window: float, reports: bytes = b""
    ) -> Snapshot:
        """Tell how everything stands at one moment; the figures of calls in flight are those of all processes."""
        keys: list[KeyStatus] = []
        held_requests = held_tokens = 0
        for pool in pools:
            blob, count = pool.every_lane
            head = struct.pack("<ddd", given, window, count)
            answer, _ = self._link.run("snapshot", self._prefix, head, pool.key, blob, reports)
            now, *rows = [text_of(part) for part in answer]
            lanes = [_Lane(row, float(now)) for row in rows]
            held_requests += sum(lane.in_flight_requests for lane in lanes)
            held_tokens += sum(lane.in_flight_tokens for lane in lanes)
            keys += _statuses(pool, lanes)
            reports = b""
        told, _ = self._link.run("books", self._prefix, struct.pack("<d", given))
        now, _, spent, *rest = [text_of(part) for part in told]
        rows_of_books = zip(rest[::2], rest[1::2], strict=True)
        budgets = accounts.statuses(rows_of_books, float(now))
        return Snapshot(tuple(keys), tuple(budgets), held_tokens, held_requests, joined(*spent.split()))


def _statuses(pool: Pool, lanes: Sequence[_Lane]) -> list[KeyStatus]:
    found, rest = [], iter(lanes)
    for spec in pool.specs.values():
        shared = next(rest)
        models = {model: next(rest) for model in spec.models}
        own = {
            model: lane.status(spec.label, limits.tpm_limit, limits.rpm_limit, pool.name)
            for (model, lane), limits in zip(models.items(), spec.models.values(), strict=True)
        }
        found.append(shared.status(spec.label, spec.tpm_limit, spec.rpm_limit, pool.name, own))
    return found


class _Lane:
    """One lane as the server tells it."""

    def __init__(self, row: str, now: float) -> None:
        figures = row.split()
        self.requests, self.tokens, self.in_flight_requests, self.in_flight_tokens = map(int, figures[:4])
        self.cool, self.aside, self.pair = map(float, figures[4:7])
        self.failures, self.open, self.trying = int(figures[7]), float(figures[8]), figures[9] == "1"
        self._now = now

    def status(
        self, label: str, tpm_limit: int, rpm_limit: int, pool: str, models: Mapping[str, KeyStatus] | None = None
    ) -> KeyStatus:
        """Tell how the key stands."""
        aside = max(self.aside, self.pair)
        until, blocked = self._blocked(aside)
        full = self.requests >= rpm_limit or self.tokens >= tpm_limit
        reason: KeyReason | None = blocked if until > self._now else "window" if full else None
        return KeyStatus(
            label=label,
            available=reason is None,
            reason=reason,
            tpm_inflight=self.in_flight_tokens,
            tpm_used=self.tokens,
            tpm_limit=tpm_limit,
            rpm_used=self.requests,
            rpm_limit=rpm_limit,
            cool_down_until=self._moment(max(self.cool, aside)),
            failure_cool_down_until=self._moment(self.open),
            consecutive_failures=self.failures,
            dead=math.isinf(aside),
            pool=pool,
            models=models or {},
        )

    def _blocked(self, aside: float) -> tuple[float, KeyReason]:
        cooling = max(aside, self.cool)
        resting = math.nextafter(self._now, math.inf) if self.trying and self._now >= self.open else self.open
        if resting > cooling:
            return resting, "breaker"
        return cooling, "dead" if math.isinf(aside) else "cooling"

    def _moment(self, until: float) -> float | None:
        return until if self._now < until < math.inf else None


def text_of(part: bytes | str) -> str:
    """Read what the server answered, whether or not the client decodes."""
    return part.decode() if isinstance(part, bytes) else part
