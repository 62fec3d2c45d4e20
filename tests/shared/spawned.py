"""What runs in the processes of a pool, which import it by name."""

from __future__ import annotations

import os
from typing import Any

from omnillm.config import GatewayConfig
from omnillm.gateway.gateway import Gateway

gateway: Gateway | None = None  # of the parent, where the processes are forked


def ask_anew(config: GatewayConfig, text: str) -> tuple[int, str]:
    """Make a gateway of the configuration, and ask it."""
    with Gateway(config) as own:
        return os.getpid(), own.call(text).text


def ask(text: str) -> tuple[int, str, int]:
    """Ask the gateway that the parent made before it forked."""
    assert gateway is not None
    answer = gateway.submit(text).result(20).text
    held: Any = gateway._core.store.snapshot().held_requests
    return os.getpid(), answer, held
