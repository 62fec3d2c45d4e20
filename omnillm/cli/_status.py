"""``omnillm status``: how every key and budget of a shared state stands, once or live."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..policy.budget import BudgetStatus
from ..policy.limits import PICO
from ..state import KeyStatus, Snapshot
from ._terminal import console, for_stdout, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

_BUDGET = ("scope", "subject", "window", "limit", "used", "reserved", "resets_at")
BUDGETS = ("budget", "whose", "spent", "reserved", "limit", "resets")
KEYS = ("pool", "key", "requests", "tokens", "in flight", "state")


def status(options: argparse.Namespace) -> int:
    """Print how the state stands; with ``--watch`` again and again, until it is interrupted."""
    from ..state.redis.watching import Watcher

    with Watcher(options.state, name=options.name) as watcher:
        if options.watch is None:
            _print(watcher.look(), as_json=options.json)
        else:
            _watch(watcher, options.watch, as_json=options.json)
    return 0


def _watch(watcher: Any, every: float, *, as_json: bool) -> None:
    screen = None if as_json else console()
    if screen is None:  # one after the other, as fits a pipe
        while True:
            _print(watcher.look(), as_json=as_json)
            sys.stdout.flush()
            time.sleep(every)
    from rich.console import Group
    from rich.live import Live

    with Live(console=screen, auto_refresh=False) as live:
        while True:
            live.update(Group(*_tables(watcher.look())), refresh=True)
            time.sleep(every)


def _print(snapshot: Snapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(_told(snapshot), indent=2)
        return
    screen = console()
    if screen is not None:
        screen.print(*_tables(snapshot), sep="\n")
        return
    for head, rows in _sections(snapshot):
        print(for_stdout("\n".join(columns(head, rows))), end="\n\n")
    print(_sum(snapshot))


def _sum(snapshot: Snapshot) -> str:
    return f"in flight: {snapshot.held_requests} calls, {snapshot.held_tokens} tokens; spent in all: {_usd(snapshot.spent)}"


def _told(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "keys": [as_dict(key) for key in snapshot.keys],
        "budgets": [{name: getattr(budget, name) for name in _BUDGET} for budget in snapshot.budgets],
        "held_requests": snapshot.held_requests,
        "held_tokens": snapshot.held_tokens,
        "spent_usd": snapshot.spent / PICO,
    }


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give a table as lines."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_dict(key: KeyStatus) -> dict[str, Any]:
    """Give what is told of a key, and of its models."""
    told = {field.name: getattr(key, field.name) for field in dataclasses.fields(key) if field.name != "models"}
    return {**told, "models": {model: as_dict(own) for model, own in key.models.items()}}


def _sections(snapshot: Snapshot) -> Iterator[tuple[Sequence[str], list[Sequence[str]]]]:
    yield KEYS, [row for key in snapshot.keys for row in key_rows(key)]
    if snapshot.budgets:
        yield BUDGETS, [money_row(budget) for budget in snapshot.budgets]


def key_rows(key: KeyStatus, name: str | None = None) -> Iterator[Sequence[str]]:
    """Give a row for a key, and for each model that has limits of its own."""
    until = max(key.cool_down_until or 0.0, key.failure_cool_down_until or 0.0)
    state = "ready" if key.available else "dead" if key.dead else str(key.reason)
    if not key.available and not key.dead and until > time.time():
        state += f" for {until - time.time():.0f} s"
    if key.consecutive_failures:
        state += f", {key.consecutive_failures} failures"
    requests, tokens = f"{key.rpm_used}/{key.rpm_limit}", f"{key.tpm_used}/{key.tpm_limit}"
    yield key.pool, name or key.label, requests, tokens, str(key.tpm_inflight), state
    for model, own in key.models.items():
        yield from key_rows(own, f"{key.label} ({model})")


def money_row(budget: BudgetStatus) -> Sequence[str]:
    """Give the row of a budget."""
    resets = "" if budget.resets_at is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(budget.resets_at)) + " UTC"
    what, whose = f"{budget.scope} by {budget.window}" if budget.window != "total" else budget.scope, budget.subject or ""
    return what, whose, _usd(budget.used), _usd(budget.reserved), _usd(budget.limit), resets


def _usd(pico: int) -> str:
    return f"${pico / PICO:.6f}".rstrip("0").rstrip(".")


def _tables(snapshot: Snapshot) -> Iterator[Table | str]:
    for head, rows in _sections(snapshot):
        yield table(head, rows)
    yield _sum(snapshot)


def seconds(text: str) -> float:
    """Read how often to look."""
    try:
        every = float(text)
    except ValueError:
        every = 0.0
    if not 0.1 <= every < 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds, at least 0.1, got {text!r:.40}") from None
    return every
