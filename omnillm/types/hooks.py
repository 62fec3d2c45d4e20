"""What ``on_event`` receives: frozen facts about a gateway's work. None holds a key or a header.

None but ``CallContent`` holds a prompt or an answer, and that is told to those hooks alone that have an attribute
``wants_content`` which is ``True``; ``ChunkReceived`` to those with ``wants_chunks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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
class CallStarted:
    """A call, or a stream, begins, told by the thread that makes it; nothing is admitted yet.

    ``kind`` is ``generation``, an ``EndpointKind`` or, of a native call, its kind of endpoint. ``endpoint`` is the first that
    will be tried, ``provider`` whose prices hold there. ``settings`` are the numbers that were set for the generation.
    """

    call_id: str
    kind: str
    model: str
    endpoint: str
    provider: str | None
    streaming: bool
    tenant: str | None = None
    structured: bool = False
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallContent:
    """What was asked, before the first attempt, or what was answered, before the call's end; for who ``wants_content``."""

    call_id: str
    request: Any = field(default=None, repr=False)
    response: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A key was leased and a request is about to go out."""

    endpoint: str
    model: str
    lease: Lease
    call_id: str = ""
    attempt_id: str = ""
    provider: str | None = None

    @property
    def key_label(self) -> str:
        """Name the key."""
        return self.lease.label

    @property
    def reserved_tokens(self) -> int:
        """Give the tokens reserved for the attempt."""
        return self.lease.reserved_tokens


@dataclass(frozen=True, slots=True)
class ChunkReceived:
    """So many bytes of a stream came, with one or several events; for who ``wants_chunks``."""

    call_id: str
    size: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt is over, and settled: ``tokens`` and ``cost_usd`` are what it was charged, ``None`` without a price.

    One that failed before its request was written has no ``AttemptStarted``. Of a stream that was lost, what it was charged is
    not known here.
    """

    record: AttemptRecord
    call_id: str = ""
    attempt_id: str = ""
    tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Another attempt will be made after so many seconds."""

    endpoint: str
    model: str
    delay: float
    error: str
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class HedgeStarted:
    """The first byte of an attempt is late: after so many seconds a second one begins beside it, in a thread of its own."""

    endpoint: str
    model: str
    delay: float
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class ModelDowngraded:
    """A budget runs low, and a call is given another model; ``left`` is the fraction of the tightest budget's limit."""

    asked: str
    model: str
    left: float
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class FallbackTaken:
    """A call moves from one endpoint to the next."""

    from_endpoint: str
    to_endpoint: str
    model: str
    error: str
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call, or a stream, is over: ``ok``, ``failed``, or ``closed`` by its reader; ``error`` is the class of what it raised.

    ``usage`` and ``cost_usd`` are of the answer: what attempts without one were charged, their ends tell. The time to the
    first event of a stream is in seconds from the call.
    """

    model: str
    outcome: str
    attempts: tuple[AttemptRecord, ...]
    usage: TokenUsage | None
    cost_usd: float | None
    latency: float
    call_id: str = ""
    kind: str = "generation"
    error: str | None = None
    finish_reason: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    time_to_first_event: float | None = None


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool that a model called begins to run, in the thread that says so; ``tool_call_id`` is the model's."""

    run_id: str
    name: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool has run, for so many seconds; ``error`` is the class of what it raised. Told by the thread of its start."""

    run_id: str
    name: str
    tool_call_id: str
    error: str | None
    duration: float


HookEvent = (
    CallStarted
    | CallContent
    | AttemptStarted
    | ChunkReceived
    | AttemptEnded
    | RetryScheduled
    | HedgeStarted
    | ModelDowngraded
    | FallbackTaken
    | CallEnded
    | ToolStarted
    | ToolEnded
)
