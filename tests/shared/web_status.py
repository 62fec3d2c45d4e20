"""What a site of the tests tells of its process: what is held there by streams that nobody reads any more."""

from __future__ import annotations

import os
import threading

NARROW_RPM = 3


def held(gateway):
    """Tell what the gateway's calls hold, and which threads pull streams."""
    core = gateway._core
    core.mend()
    snapshot = core.store.snapshot()
    return {
        "pid": os.getpid(),
        "requests": snapshot.held_requests,
        "tokens": snapshot.held_tokens,
        "money": sum(budget.reserved for budget in snapshot.budgets),
        "streams": len(core.reading),
        "threads": sum(thread.name == "omnillm-sse" for thread in threading.enumerate()),
    }


def is_free(told):
    """Tell whether nothing is held."""
    return not any(value for name, value in told.items() if name != "pid")
