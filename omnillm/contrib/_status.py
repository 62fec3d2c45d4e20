"""How gateways stand, as a table and as JSON: keys by their labels, windows, and money; never a key."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..gateway.gateway import Gateway
from ..policy.limits import PICO
from ..state import KeyStatus

_HEAD = ("gateway", "pool", "key", "requests", "tokens", "in flight", "state")
_MONEY = ("gateway", "budget", "whose", "spent", "reserved", "limit")


def as_json(gateways: Mapping[str, Gateway]) -> str:
    """Tell how they stand as JSON, by alias."""
    return json.dumps({alias: told(gateway) for alias, gateway in gateways.items()}, ensure_ascii=False, indent=2)


def told(gateway: Gateway) -> dict[str, Any]:
    """Tell how a gateway stands; amounts are USD."""
    left = gateway.budget_remaining_usd()
    return {
        "keys": [_key(status) for status in gateway.pool_status()],
        "budgets": [
            {
                "scope": budget.scope,
                "subject": budget.subject,
                "window": budget.window,
                "limit_usd": budget.limit / PICO,
                "used_usd": budget.used / PICO,
                "reserved_usd": budget.reserved / PICO,
                "resets_at": budget.resets_at,
            }
            for budget in _snapshot(gateway).budgets
        ],
        "used_usd": gateway.budget_used_usd(),
        "remaining_usd": None if math.isinf(left) else left,
    }


def _snapshot(gateway: Gateway) -> Any:
    core = gateway._core
    core.mend()
    return core.store.snapshot()


def _key(status: KeyStatus) -> dict[str, Any]:
    fields = {field.name: getattr(status, field.name) for field in dataclasses.fields(status) if field.name != "models"}
    return {**fields, "models": {model: _key(own) for model, own in status.models.items()}}


def as_text(gateways: Mapping[str, Gateway]) -> str:
    """Tell how they stand as tables."""
    keys = [row for alias, gateway in gateways.items() for status in gateway.pool_status() for row in _rows(alias, status)]
    lines = [*_table(_HEAD, keys)]
    money = [row for alias, gateway in gateways.items() for row in _money(alias, gateway)]
    if money:
        lines += ["", *_table(_MONEY, money)]
    return "\n".join(lines)


def _rows(alias: str, status: KeyStatus, name: str | None = None) -> Iterator[Sequence[str]]:
    state = "ready" if status.available else "dead" if status.dead else str(status.reason)
    requests, tokens = f"{status.rpm_used}/{status.rpm_limit}", f"{status.tpm_used}/{status.tpm_limit}"
    yield alias, status.pool, name or status.label, requests, tokens, str(status.tpm_inflight), state
    for model, own in status.models.items():
        yield from _rows(alias, own, f"{status.label} ({model})")


def _money(alias: str, gateway: Gateway) -> Iterator[Sequence[str]]:
    for budget in _snapshot(gateway).budgets:
        what = budget.scope if budget.window == "total" else f"{budget.scope} by {budget.window}"
        amounts = (f"${pico / PICO:.6f}" for pico in (budget.used, budget.reserved, budget.limit))
        yield alias, what, budget.subject or "", *amounts


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
