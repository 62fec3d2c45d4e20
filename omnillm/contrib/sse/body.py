"""The body of a response that tells a stream as server-sent events, as WSGI takes it: an iterator of bytes with ``close``."""

from __future__ import annotations

import logging
import queue  # looked up in when used: gevent may have replaced its queues since this module was imported
import time
from typing import NoReturn, Self

from ..._clock import seconds_of
from ...errors import ConfigurationError, OmniLLMError
from ...wire.sse import encode_sse
from .frames import Frames, failed, frames_of
from .pull import End, Events, Opens, Pull

logger = logging.getLogger("omnillm")

HEARTBEAT_S = 10.0
LONGEST_S = 3600.0
OPENING = b": open\n\n"  # sends the headers on their way, before the model says anything
HEARTBEAT = b": silent\n\n"


class Telling:
    """Turn what was pulled into bytes; the part of a body that waits for nothing.

    ``frames`` gives the frames of an event; it is called where the body is iterated. A stream that breaks off ends with an
    ``error`` event; what is a fault of the program, not of the call, is raised behind that, for the server to log. Whoever leaves
    the body closes it: the upstream's connection is closed, key and money are settled.
    """

    def __init__(self, stream: Events | Opens, *, heartbeat: float = HEARTBEAT_S, frames: Frames = frames_of) -> None:
        self._heartbeat = min(seconds_of(heartbeat, "heartbeat"), LONGEST_S)
        self._frames = frames
        self._pull = Pull(stream)
        self._over = False
        self._fault: BaseException | None = None

    def close(self) -> None:
        """Leave the stream, from any thread; what was received is paid for."""
        self._over = True
        self._pull.close()

    def _ready(self) -> bytes:
        """Give what there is to be sent now, perhaps nothing."""
        told: list[bytes] = []
        try:
            for event in self._pull.take():
                if isinstance(event, End):
                    self._over = True
                    return b"".join(told) if event.error is None else self._broken(told, event.error)  # closed by its thread
                told += [encode_sse(frame) for frame in self._frames(event)]
        except Exception as error:  # noqa: BLE001  # of the caller's frames: the headers are sent, an event is all that can tell
            self._over = True
            self._leave()
            return self._broken(told, error)
        return b"".join(told)

    def _leave(self) -> None:
        """Close the stream, where it is iterated."""
        self.close()

    def _broken(self, told: list[bytes], error: BaseException) -> bytes:
        if isinstance(error, OmniLLMError) and not isinstance(error, ConfigurationError):
            logger.warning("a stream of events ended with %s", type(error).__name__)  # its text may be the provider's
        else:
            self._fault = error
        return b"".join([*told, encode_sse(failed(error))])

    def _raise_end(self, end: type[Exception]) -> NoReturn:
        fault, self._fault = self._fault, None
        try:
            raise end if fault is None else fault
        finally:
            del fault  # its traceback holds this frame


class SseBody(Telling):
    """Iterate over the bytes of a stream's events, with a comment whenever nothing was sent for ``heartbeat`` seconds.

    ``stream`` is open, or is opened when the body is first iterated, by ``partial(gateway.stream, "Hello")``, with heartbeats
    from the first moment. ``close()`` it, or read it to its end.
    """

    def __init__(self, stream: Events | Opens, *, heartbeat: float = HEARTBEAT_S, frames: Frames = frames_of) -> None:
        super().__init__(stream, heartbeat=heartbeat, frames=frames)
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._over:
            self._raise_end(StopIteration)
        if not self._pull.started:
            rings = self._rings
            self._pull.start(lambda: rings.put(None))
            return OPENING
        until = time.monotonic() + self._heartbeat
        while not (told := self._ready()):
            if self._over:
                self._raise_end(StopIteration)
            try:
                self._rings.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                return HEARTBEAT
        return told
