"""What ``on_event`` receives: frozen facts about a gateway's work. None holds a key, a header, a prompt or an answer."""

from __future__ import annotations

from typing import Protocol

from .._dataclass import dataclass
from ..errors import AttemptRecord
from .usage import TokenUsage


class Lease(Protocol):
    """What a hook sees of a key's lease; a hook that keeps it keeps nothing reserved."""

    @property
    def label(self) -> str:
        """Name the key."""

    @property
    def reserved_tokens(self) -> int:
        """Give the tokens reserved for the attempt."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A key was leased and a request is about to go out."""

    endpoint: str
    model: str
    lease: Lease

    @property
    def key_label(self) -> str:
        """Name the key."""
        return self.lease.label

    @property
    def reserved_tokens(self) -> int:
        """Give the tokens reserved for the attempt."""
        return self.lease.reserved_tokens


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
class HedgeStarted:
    """The first byte of an attempt is late: after so many seconds a second one begins beside it, in a thread of its own."""

    endpoint: str
    model: str
    delay: float


@dataclass(frozen=True, slots=True)
class ModelDowngraded:
    """A budget runs low, and a call is given another model; ``left`` is the fraction of the tightest budget's limit."""

    asked: str
    model: str
    left: float


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


HookEvent = AttemptStarted | AttemptEnded | RetryScheduled | HedgeStarted | ModelDowngraded | FallbackTaken | CallEnded
