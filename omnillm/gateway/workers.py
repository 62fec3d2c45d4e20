"""The threads of ``submit``, ``map`` and the tools that run at once: daemons, made on first use, never waited for at exit.

Rules. Tasks are taken in the order they came, by at most ``limit`` threads; an idle one is used before another is made, and ends
after ``IDLE_S``. What a worker submits gets a thread beyond the limit where none is idle: it may be waited for by its own worker,
which would otherwise wait for itself. A future is completed by whoever claims it, once; no lock is held while that runs code of
the user's. All locks are reentrant, for a signal handler or a finaliser may cancel in the midst of anything.

An interrupt may come between any two bytecodes of who submits, cancels or closes. So a claim, and a thread that is being started,
count as long as the frame that made them is there, by a weak reference; a worker finishes what a claimer could not. The idle
wait on a queue of C, for ``threading.Condition`` keeps a list of who waits, and loses a wake-up where that is left half changed.
"""

from __future__ import annotations

import contextvars
import math
import os
import queue  # looked up in when used: gevent may replace its queues after this module was imported
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from .._bell import Bell
from .._cancel import CancellationToken
from ..errors import CallCancelledError, ClosedError
from ..hooks import logger
from ._threads import start

T = TypeVar("T")

IDLE_S = 10.0
LOOK_AGAIN_S = 0.05


class _Condition(threading.Condition):
    """Be entered and left in one step of C, as its lock is: an interrupt between two would leave it locked for ever."""

    __enter__ = property(lambda self: self._lock.__enter__)
    __exit__ = property(lambda self: self._lock.__exit__)


class _Presence:
    """Be held by a frame, and be gone with it."""

    __slots__ = ("__weakref__",)


class WorkerFuture(Future[T]):
    """Be the answer that a worker will bring; ``cancel()`` ends its call even where that runs already.

    A call that was running raises ``CallCancelledError`` from ``result()`` then, one that was not ``CancelledError``, as any
    future does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._condition = _Condition(threading.RLock())
        self.token = CancellationToken()
        self._pid = os.getpid()
        self._gate = threading.RLock()
        self._claim: weakref.ref[_Presence] | None = None
        self._over = False
        bell = self._bell = Bell()
        self.add_done_callback(lambda _: bell.set())

    def cancel(self) -> bool:
        """End the call, running or not; ``False`` where it is over, or another process's."""
        if self._is_foreign():
            return False
        if super().cancel():
            self.claim(_Presence())  # which tells those who wait for several futures
            return True
        if self.done():
            return False
        self.token.cancel()
        return True

    def obey(self, token: CancellationToken) -> None:
        """End the call, with ``CallCancelledError``, when the token is cancelled; the token is not ours to cancel."""
        handle = token.subscribe(self.end)
        self.add_done_callback(lambda _: token.unsubscribe(handle))

    def end(self) -> None:
        """End the call by its token, at once where it has not begun; in another process it is not ours to end."""
        if self._is_foreign():
            return
        self.token.cancel()
        self.fail(CallCancelledError("the call was cancelled by its token"))

    def result(self, timeout: float | None = None) -> T:
        """Wait for the answer; raises what the call raised, and ``ClosedError`` in a process that is not its own."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for what the call raised, ``None`` where it gave an answer."""
        self._wait(timeout)
        return super().exception(0)

    def set_result(self, result: T) -> None:
        """Complete the future; for its worker."""
        super().set_result(result)
        self._over = True

    def set_exception(self, exception: BaseException | None) -> None:
        """Complete the future; for its worker."""
        super().set_exception(exception)
        self._over = True

    # --- for the workers --------------------------------------------------------------------------------------------------------

    def claim(self, claim: _Presence) -> bool:
        """Take it, to complete it while the claim is held; ``False`` where it is another's, or over."""
        with self._gate:  # Critical section: one thread takes it
            if self._is_claimed():
                return False
            if self._state in ("PENDING", "CANCELLED"):  # asked of no other: it would be logged as a fault
                self.set_running_or_notify_cancel()
            if self.done():
                return False
            self._claim = weakref.ref(claim)
            return True

    def fail(self, error: BaseException) -> None:
        """Complete a future that no worker has taken."""
        claim = _Presence()
        try:
            if self.claim(claim):
                self.set_exception(error)
        except BaseException:
            if self._claim is not None and self._claim() is claim:
                self._claim = None  # the traceback of an interrupt may be kept, and holds this frame
            raise

    def run(self, work: Callable[[], T]) -> None:
        """Do the work, unless the future was completed before; whatever it raises is the future's."""
        claim = _Presence()
        while not self.claim(claim):
            if self.done():
                return
            time.sleep(LOOK_AGAIN_S)  # somebody is about to complete it, or was interrupted in that
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # the boundary of a thread: it belongs to who waits for the future
            self.set_exception(error)
            del self, work  # the traceback holds this frame
        else:
            self.set_result(result)
        del claim

    def _is_claimed(self) -> bool:
        return self._claim is not None and self._claim() is not None

    def _is_foreign(self) -> bool:
        return self._pid != os.getpid()

    def _wait(self, timeout: float | None) -> None:
        """Wait until it is over; not on the condition, which an interrupt may leave in a way that raises another error."""
        if self._is_foreign() and not self._over:
            raise ClosedError("the future belongs to another process")
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self.done():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._bell.wait(min(left, LOOK_AGAIN_S))


_Task = tuple[WorkerFuture[Any], Callable[[], Any]]


class Workers:
    """Run tasks on threads of their own, at most ``limit`` at once."""

    __slots__ = ("_bell", "_closed", "_idle", "_idle_s", "_limit", "_lock", "_queue", "_starting", "_threads")

    def __init__(self, limit: int, *, idle_s: float = IDLE_S) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._lock = threading.RLock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # one ring wakes one of the idle; one too many does no harm
        self._queue: deque[_Task] = deque()
        self._starting: dict[weakref.ref[_Presence], threading.Thread] = {}  # by who starts them
        self._threads: set[threading.Thread] = set()
        self._idle: set[threading.Thread] = set()  # those included that were woken and have not taken their task yet
        self._closed = False

    def submit(self, work: Callable[[], T], future: WorkerFuture[T] | None = None) -> WorkerFuture[T]:
        """Have a worker do the work, in this thread's context, for the future."""
        future = WorkerFuture() if future is None else future
        task: _Task = future, partial(contextvars.copy_context().run, work)
        presence = _Presence()
        try:
            thread = self._queue_up(task, presence)
            if thread is not None:
                start(thread)
        except BaseException as error:
            if self._gave_up(task, presence, wanted=isinstance(error, RuntimeError)):
                future.end()
                raise
        return future  # where the machine has no thread left, one of those that there are will take it

    def _queue_up(self, task: _Task, starter: _Presence) -> threading.Thread | None:
        """Queue the task, and wake an idle thread, or give another one to be started where the task needs it."""
        with self._lock:  # Critical section: queue it, and decide who takes it
            if self._closed:
                raise ClosedError("the gateway is closed")
            self._queue.append(task)
            if len(self._queue) <= len(self._idle):
                self._bell.put(None)
                return None
            if self._count() >= self._limit and threading.current_thread() not in self._threads:
                return None
            begun = weakref.ref(starter)
            thread = self._starting[begun] = threading.Thread(
                target=self._work, args=(begun,), name="omnillm-worker", daemon=True
            )
            return thread

    def _count(self) -> int:
        """Count the threads, and those that are not under way yet: whose starter is there still, or which begin to run."""
        self._starting = {start: thread for start, thread in self._starting.items() if start() is not None or thread.is_alive()}
        return len(self._threads) + len(self._starting)

    def _gave_up(self, task: _Task, starter: _Presence, *, wanted: bool) -> bool:
        """Forget a thread that did not start; tell whether the task is over, for nobody is left to take it, or wants it.

        It leaves the queue then: the idle may not have been told of it, and would let it lie.
        """
        with self._lock:  # Critical section: the count of threads and the queue change together
            self._starting.pop(weakref.ref(starter), None)
            queued = task in self._queue
            if wanted and (self._count() or not queued):
                return False
            if queued:
                self._queue.remove(task)
            return True

    def _work(self, begun: weakref.ref[_Presence]) -> None:
        me = threading.current_thread()
        try:
            with self._lock:  # Critical section: from here on it counts by itself
                self._threads.add(me)
                self._starting.pop(begun, None)
            while (task := self._next(me)) is not None:
                future, work = task
                try:
                    future.run(work)
                except BaseException as error:  # noqa: BLE001  # of a callback of the user's: the worker has others to serve
                    logger.error("a done callback of a future raised %s", type(error).__name__)  # as hooks are logged
                del future, work, task  # nothing is kept alive while there is nothing to do
        finally:
            self._leave(me)

    def _next(self, me: threading.Thread) -> _Task | None:
        """Wait for a task; ``None`` where none came in time, or the gateway was closed."""
        patience: float | None = None
        while True:
            with self._lock:  # Critical section: leave with a task or for good, or count as idle
                self._idle.discard(me)
                if self._queue and not self._closed:
                    return self._queue.popleft()
                if patience is None:
                    patience = self._idle_s if len(self._threads) <= self._limit else 0.0
                if self._closed or patience <= 0:
                    self._leave(me)
                    return None
                self._idle.add(me)
            try:
                self._bell.get(timeout=patience)
            except queue.Empty:
                patience = 0.0

    def _leave(self, me: threading.Thread) -> None:
        with self._lock:  # Critical section: it is no longer counted
            self._idle.discard(me)
            self._threads.discard(me)

    def close(self) -> None:
        """End the idle threads, and fail what waits with ``ClosedError``; what runs is ended by its gateway."""
        with self._lock:  # Critical section: from here on nothing is queued, and nothing taken
            self._closed = True
            for _ in self._idle:
                self._bell.put(None)
        for future, _ in list(self._queue):
            future.fail(ClosedError("the gateway was closed"))
        self._queue.clear()  # last: a close that was interrupted can be done again
