"""Doubles to test against: a provider on loopback, a server that follows a script of bytes, a recorder, a clock moved by hand."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._steps import Step, answer, break_stream, delay, fail, hang, malformed
from .local_provider import LocalProvider, ReceivedRequest

if TYPE_CHECKING:
    from .clock import FakeClock
    from .recorder import Tape, UnrecordedRequestError, record, replay
    from .scripted import ScriptedServer

_LAZY = {
    "FakeClock": ".clock",
    "ScriptedServer": ".scripted",
    "Tape": ".recorder",
    "UnrecordedRequestError": ".recorder",
    "record": ".recorder",
    "replay": ".recorder",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module, __name__), name)


__all__ = [
    "FakeClock",
    "LocalProvider",
    "ReceivedRequest",
    "ScriptedServer",
    "Step",
    "Tape",
    "UnrecordedRequestError",
    "answer",
    "break_stream",
    "delay",
    "fail",
    "hang",
    "malformed",
    "record",
    "replay",
]
