"""Pulling a stream on a thread of its own, so that whoever waits for its events may do something else meanwhile.

Rules. The thread begins with the first wait, and ends with the stream: it closes it whatever happens. It is at most ``AHEAD``
events ahead of its reader. ``close`` ends it at once, also where it waits for the upstream or for its reader; a ``Pull`` that was
lost, unclosed, is ended by its finaliser, which takes no lock. What is queued are single steps of C, which no interrupt cuts.
"""

from __future__ import annotations

import contextvars
import queue  # looked up in when used: gevent may have replaced its queues since this module was imported
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..._cancel import CancellationToken
from ...errors import ClosedError, ConfigurationError
from ...gateway._threads import start
from ...types.events import LlmStreamEvent

AHEAD = 64


class Events(Protocol):
    """Be a stream of events that any thread may close: a ``GatewayStream``, a ``ConversationStream``."""

    def __iter__(self) -> Iterator[LlmStreamEvent]:
        """Give what iterates."""

    def close(self) -> None:
        """Leave the stream."""


class Opens(Protocol):
    """Open a stream that the token ends: ``partial(gateway.stream, "Hello")``."""

    def __call__(self, *, cancel: CancellationToken) -> Events:
        """Open it."""


@dataclass(frozen=True, slots=True)
class End:
    """Be what comes behind the last event; ``error`` is what the stream ended with, if not well."""

    error: BaseException | None = None


class _Work:
    """What the thread and its reader share; no reference leads from here to the reader, who may be lost."""

    __slots__ = ("buffer", "closed", "opens", "ring", "room", "stream", "token")

    def __init__(self, source: Events | Opens) -> None:
        self.stream: Events | None = None
        self.opens: Opens | None = None
        if _is_stream(source):
            self.stream = source  # type: ignore[assignment]  # seen to be one
        elif callable(source):
            self.opens = source
        else:
            raise _wrong(source)
        self.buffer: deque[LlmStreamEvent | End] = deque()
        self.room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.ring: Callable[[], object] = bool
        self.token = CancellationToken()
        self.closed = False

    def run(self) -> None:
        """Be the thread."""
        self.buffer.append(self._outcome())
        self.ring()

    def _outcome(self) -> End:
        try:
            self._pull()
        except BaseException as error:  # noqa: BLE001  # the boundary of a thread: it belongs to who reads
            return End(None if self.closed else error)
        return End()

    def _pull(self) -> None:
        if self.stream is None and self.opens is not None:
            opened = self.opens(cancel=self.token)
            if not _is_stream(opened):
                raise _wrong(opened)
            self.stream = opened
        stream = self.stream
        if stream is None:
            raise ClosedError("the stream was closed before it was opened")
        try:
            for event in stream:
                self.room.get()
                if self.closed:
                    break
                self.buffer.append(event)
                self.ring()
        finally:
            stream.close()

    def end(self) -> None:
        """Wake the thread wherever it waits, from a finaliser too."""
        self.closed = True
        self.token.cancel()
        self.room.put(None)


def _is_stream(value: object) -> bool:
    return callable(getattr(value, "close", None)) and hasattr(value, "__iter__")


def _wrong(value: object) -> ConfigurationError:
    what = "expected a stream, as gateway.stream(…) gives it, or what opens one, as partial(gateway.stream, …)"
    return ConfigurationError(f"stream: {what}; got {type(value).__name__}", field="stream")


class Pull:
    """Pull the events of a stream, or of one that is opened on the thread; ``ring`` is called there when there are more."""

    __slots__ = ("_context", "_started", "_work")

    def __init__(self, source: Events | Opens) -> None:
        self._work = _Work(source)
        self._context = contextvars.copy_context()
        self._started = False

    @property
    def started(self) -> bool:
        """Tell whether its thread was started."""
        return self._started

    def start(self, ring: Callable[[], object]) -> None:
        """Begin to pull."""
        work = self._work
        work.ring = ring
        for _ in range(AHEAD):
            work.room.put(None)
        thread = threading.Thread(target=self._context.run, args=(work.run,), name="omnillm-sse", daemon=True)
        self._started = True
        start(thread)

    def take(self) -> list[LlmStreamEvent | End]:
        """Give what there is, without waiting."""
        taken: list[LlmStreamEvent | End] = []
        work = self._work
        while work.buffer and len(taken) < AHEAD:
            taken.append(work.buffer.popleft())
            work.room.put(None)
        return taken

    def close(self) -> None:
        """End it: a stream that is open is closed and settled when this returns, one that is being opened ends on its thread."""
        work = self._work
        work.end()
        if work.stream is not None:
            work.stream.close()

    def __del__(self) -> None:
        work = getattr(self, "_work", None)
        if work is not None:
            work.end()
