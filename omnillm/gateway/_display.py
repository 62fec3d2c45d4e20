"""What a notebook shows of a gateway: how its keys and budgets stand."""

from __future__ import annotations

from collections.abc import Iterable

from ..policy.budget import PICO
from ..state import KeyStatus, Snapshot
from ..types._display import Row, dollars, html_table, markdown_table

KEYS = ("key", "state", "requests / min", "tokens / min", "tokens in flight", "failures")
BUDGETS = ("budget", "spent", "reserved", "limit")


def html_of(found: Snapshot) -> str:
    """Show keys and budgets in HTML."""
    budgets = html_table(BUDGETS, _budgets(found)) if found.budgets else ""
    return html_table(KEYS, key_rows(found.keys)) + budgets


def markdown_of(found: Snapshot) -> str:
    """Show keys and budgets in Markdown."""
    tables = [markdown_table(KEYS, key_rows(found.keys))]
    if found.budgets:
        tables.append(markdown_table(BUDGETS, _budgets(found)))
    return "\n\n".join(tables)


def key_rows(keys: Iterable[KeyStatus]) -> list[Row]:
    """Give a row for each key, and for each model that has limits of its own."""
    rows: list[Row] = []
    for key in keys:
        rows.append(_row(key.label, key))
        rows += [_row(f"{key.label}: {model}", status) for model, status in key.models.items()]
    return rows


def _row(name: str, key: KeyStatus) -> Row:
    state = "ready" if key.available else str(key.reason or "busy")
    requests, tokens = f"{key.rpm_used:,} of {key.rpm_limit:,}", f"{key.tpm_used:,} of {key.tpm_limit:,}"
    return name, state, requests, tokens, key.tpm_inflight, key.consecutive_failures


def _budgets(found: Snapshot) -> list[Row]:
    return [
        (budget.scope, dollars(budget.used / PICO), dollars(budget.reserved / PICO), dollars(budget.limit / PICO))
        for budget in found.budgets
    ]
