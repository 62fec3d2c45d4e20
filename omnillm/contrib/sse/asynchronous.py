"""The same body as ASGI takes it: an asynchronous iterator, which keeps no event loop waiting."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from .body import HEARTBEAT, HEARTBEAT_S, OPENING, Telling
from .frames import Frames, frames_of
from .pull import Events, Opens


class _Doorbell:
    """Wake the task that waits, from the thread that pulls; rings go through the loop, so that none is lost between waits."""

    __slots__ = ("_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter


class AsyncSseBody(Telling):
    """Iterate, in one event loop, over the bytes of a stream's events; the rest is as for ``SseBody``.

    A task that is cancelled while it waits here has left the stream.
    """

    def __init__(self, stream: Events | Opens, *, heartbeat: float = HEARTBEAT_S, frames: Frames = frames_of) -> None:
        super().__init__(stream, heartbeat=heartbeat, frames=frames)
        self._bell: _Doorbell | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            self._raise_end(StopAsyncIteration)
        if self._bell is None:
            self._bell = _Doorbell(asyncio.get_running_loop())
            self._pull.start(self._bell.ring)
            return OPENING
        try:
            async with asyncio.timeout(self._heartbeat):
                return await self._next(self._bell)
        except TimeoutError:
            return HEARTBEAT
        except asyncio.CancelledError:
            self._leave()
            raise

    async def aclose(self) -> None:
        """Leave the stream."""
        await asyncio.to_thread(self.close)

    def _leave(self) -> None:
        asyncio.get_running_loop().run_in_executor(None, self.close)  # to settle may be a round trip to a shared state

    async def _next(self, bell: _Doorbell) -> bytes:
        while not (told := self._ready()):
            if self._over:
                self._raise_end(StopAsyncIteration)
            await bell.wait()
        return told
