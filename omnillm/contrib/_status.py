"""How gateways stand, as a table and as JSON: keys by their labels, windows, and money; never a key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..cli._status import BUDGETS, KEYS, as_dict, columns, key_rows, money_row
from ..gateway.gateway import Gateway
from ..policy.limits import PICO
from ..state import Snapshot


def as_json(gateways: Mapping[str, Gateway]) -> str:
    """Tell how they stand as JSON, by alias."""
    return json.dumps({alias: told(gateway) for alias, gateway in gateways.items()}, ensure_ascii=False, indent=2)


def told(gateway: Gateway) -> dict[str, Any]:
    """Tell how a gateway stands; amounts are USD."""
    left = gateway.budget_remaining_usd()
    return {
        "keys": [as_dict(key) for key in gateway.pool_status()],
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


def _snapshot(gateway: Gateway) -> Snapshot:
    core = gateway._core
    core.mend()
    return core.store.snapshot()


def as_text(gateways: Mapping[str, Gateway]) -> str:
    """Tell how they stand as tables."""
    keys = [(alias, *row) for alias, gateway in gateways.items() for key in gateway.pool_status() for row in key_rows(key)]
    money = [(alias, *money_row(of)) for alias, gateway in gateways.items() for of in _snapshot(gateway).budgets]
    lines = [*columns(("gateway", *KEYS), keys)]
    if money:
        lines += ["", *columns(("gateway", *BUDGETS), money)]
    return "\n".join(lines)
