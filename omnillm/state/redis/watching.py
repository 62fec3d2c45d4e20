"""Looking at a shared state from outside: what its processes wrote down says which pools and budgets there are."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

from ...policy.limits import PICO, Budget
from ...policy.window import WINDOW_S
from .. import Snapshot
from .accounts import Accounts
from .link import Link
from .seats import Pool
from .telling import Teller, prefix_of, text_of

TIMEOUT_S = 5.0


class Watcher:
    """Look at the state of that name; nothing is admitted, and no limit is known but those written down."""

    def __init__(self, target: Any, *, name: str = "omnillm") -> None:
        self._prefix = prefix_of(name)
        self._link = Link(target, timeout=TIMEOUT_S)
        self._teller = Teller(self._link, self._prefix)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._link.close()

    def look(self) -> Snapshot:
        """Tell how everything stands."""
        answer, _ = self._link.run("pools", self._prefix)
        told = [text_of(part) for part in answer]
        entries = dict(zip(told[::2], told[1::2], strict=True))
        budgets = [
            Budget(pico / PICO, scope=scope, window=window, timezone=zone) for pico, scope, window, zone in _budgets(entries)
        ]
        pools = [Pool.from_json(self._prefix, name, text) for name, text in sorted(entries.items())]
        return self._teller.snapshot(pools, Accounts(budgets), given=-1.0, window=WINDOW_S)


def _budgets(entries: dict[str, str]) -> list[Any]:
    found: list[Any] = json.loads(entries.pop("", "[]"))
    return found
