"""What ``on_event`` receives: frozen facts about a gateway's work. None holds a key, a header, a prompt or an answer."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import AttemptRecord
from .usage import TokenUsage


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A key was leased and a request is about to go out."""

    endpoint: str
    model: str
    key_label: str
    reserved_tokens: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt is over, and settled."""

    record: AttemptRecord


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Another attempt will be made after so many seconds."""

    endpoint: str
    model: str
    delay: float
    error: str


@dataclass(frozen=True, slots=True)
class FallbackTaken:
    """A call moves from one endpoint to the next."""

    from_endpoint: str
    to_endpoint: str
    model: str
    error: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call, or a stream, is over."""

    model: str
    outcome: str
    attempts: tuple[AttemptRecord, ...]
    usage: TokenUsage | None
    cost_usd: float | None
    latency: float


HookEvent = AttemptStarted | AttemptEnded | RetryScheduled | FallbackTaken | CallEnded
