"""What a script is made of: each step says how one request is treated. Made by the functions, which check what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from .._clock import seconds_of
from .._dataclass import dataclass
from ..errors import ConfigurationError
from ..types.response import LlmResponse

Break = Literal["cut", "reset", "error_event", "no_terminal", "hang"]
_BREAKS = ("cut", "reset", "error_event", "no_terminal", "hang")


@dataclass(frozen=True, slots=True)
class Fail:
    """Refuse with a status."""

    status: int
    times: int = 1
    retry_after: float | None = None
    code: str | None = None
    message: str | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, then go on."""

    seconds: float
    then: Step | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class BreakStream:
    """Break the answer off."""

    after_events: int
    how: Break
    times: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Give this answer."""

    answer: str | LlmResponse
    times: int = 1


@dataclass(frozen=True, slots=True)
class Malformed:
    """Answer with these bytes."""

    body: bytes
    content_type: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""

    times: int = 1


Step = Fail | Delay | BreakStream | Answer | Malformed | Hang


def fail(
    status: int,
    *,
    times: int = 1,
    retry_after: float | None = None,
    code: str | None = None,
    message: str | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Fail:
    """Refuse with a status, in the protocol's own error form, or with ``body``: JSON, a text or bytes, sent as it is."""
    if isinstance(status, bool) or not isinstance(status, int) or not 300 <= status <= 599:
        raise ConfigurationError(f"status: expected a status of failure, got {status!r}", field="status")
    wait = None if retry_after is None else seconds_of(retry_after, "retry_after", allow_zero=True)
    return Fail(status, _times(times), wait, code, message, body, dict(headers or {}))


def delay(seconds: float, *, then: Step | None = None, times: int = 1) -> Delay:
    """Wait that long, on the provider's clock, before the answer, or before what ``then`` says."""
    return Delay(seconds_of(seconds, "seconds", allow_zero=True), then, _times(times))


def break_stream(after_events: int = 1, *, how: Break = "cut", times: int = 1) -> BreakStream:
    """Break a stream off after that many events, never later than right before its terminal ones.

    ``cut`` closes the connection, ``reset`` resets it, ``error_event`` sends the protocol's error event and ends the body,
    ``no_terminal`` ends the body as if all were said, ``hang`` falls silent. An answer that is not streamed breaks off in the
    middle of its body; ``error_event`` makes it an error with status 200, ``no_terminal`` half a JSON value.
    """
    if how not in _BREAKS:
        raise ConfigurationError(f"how: expected one of {', '.join(_BREAKS)}, got {how!r}", field="how")
    if isinstance(after_events, bool) or not isinstance(after_events, int) or after_events < 0:
        raise ConfigurationError(f"after_events: expected a count, got {after_events!r}", field="after_events")
    return BreakStream(after_events, how, _times(times))


def answer(answer: str | LlmResponse, *, times: int = 1) -> Answer:
    """Give this text, or this response, whatever was asked."""
    if not isinstance(answer, str | LlmResponse):
        raise ConfigurationError(f"answer: expected a text or an LlmResponse, got {type(answer).__name__}", field="answer")
    return Answer(answer, _times(times))


def malformed(body: bytes, *, content_type: str = "application/json", times: int = 1) -> Malformed:
    """Answer with status 200 and these bytes as the body."""
    if not isinstance(body, bytes):
        raise ConfigurationError(f"body: expected bytes, got {type(body).__name__}", field="body")
    return Malformed(body, content_type, _times(times))


def hang(*, times: int = 1) -> Hang:
    """Read the request and never answer it."""
    return Hang(_times(times))


def _times(times: int) -> int:
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ConfigurationError(f"times: expected a count of at least 1, got {times!r}", field="times")
    return times
