"""The threads of ``submit``, ``map`` and the tools that run at once: daemons, made on first use, never waited for at exit.

Rules. Tasks are taken in the order they came, by at most ``limit`` threads; an idle one is used before another is made, and ends
after ``IDLE_S``. What a worker submits gets a thread beyond the limit where none is idle: it may be waited for by its own worker,
which would otherwise wait for itself. A future is completed by whoever claims it, once; no lock is held while that runs code of
the user's. All locks are reentrant, for a signal handler or a finaliser may cancel in the midst of anything.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Any, TypeVar

from .._cancel import CancellationToken
from ..errors import CallCancelledError, ClosedError
from ..hooks import logger

T = TypeVar("T")

IDLE_S = 10.0


class _Condition(threading.Condition):
    """Be entered and left in one step of C, as its lock is: an interrupt between two would leave it locked for ever."""

    __enter__ = property(lambda self: self._lock.__enter__)
    __exit__ = property(lambda self: self._lock.__exit__)


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
        self._claimed = False
        self._over = False

    def cancel(self) -> bool:
        """End the call, running or not; ``False`` where it is over, or another process's."""
        if self._is_foreign():
            return False
        if super().cancel():
            self.claim()  # which tells those who wait for several futures
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
        self._check_process()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for what the call raised, ``None`` where it gave an answer."""
        self._check_process()
        return super().exception(timeout)

    def set_result(self, result: T) -> None:
        """Complete the future; for its worker."""
        super().set_result(result)
        self._over = True

    def set_exception(self, exception: BaseException | None) -> None:
        """Complete the future; for its worker."""
        super().set_exception(exception)
        self._over = True

    # --- for the workers --------------------------------------------------------------------------------------------------------

    def claim(self) -> bool:
        """Take it, to complete it; ``False`` where another thread did, or it was cancelled."""
        with self._gate:  # Critical section: one thread takes it
            if self._claimed:
                return False
            try:
                taken = self.set_running_or_notify_cancel()
            except InvalidStateError:  # whoever was interrupted in here had it
                taken = False
            self._claimed = True
            return taken

    def fail(self, error: BaseException) -> None:
        """Complete a future that no worker has taken."""
        if self.claim():
            self.set_exception(error)

    def run(self, work: Callable[[], T]) -> None:
        """Do the work, unless the future was completed before; whatever it raises is the future's."""
        if not self.claim():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # the boundary of a thread: it belongs to who waits for the future
            self.set_exception(error)
            del self, work  # the traceback holds this frame
        else:
            self.set_result(result)

    def _is_foreign(self) -> bool:
        return self._pid != os.getpid()

    def _check_process(self) -> None:
        if self._is_foreign() and not self._over:
            raise ClosedError("the future belongs to another process")


class Workers:
    """Run tasks on threads of their own, at most ``limit`` at once."""

    __slots__ = ("_changed", "_closed", "_idle", "_idle_s", "_limit", "_lock", "_queue", "_threads")

    def __init__(self, limit: int, *, idle_s: float = IDLE_S) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._lock = threading.RLock()  # entered by itself: an interrupt finds a way between a condition's own steps
        self._changed = threading.Condition(self._lock)
        self._queue: deque[tuple[WorkerFuture[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0  # threads that wait, those included that were woken and have not taken their task yet
        self._closed = False

    def submit(self, work: Callable[[], T], future: WorkerFuture[T] | None = None) -> WorkerFuture[T]:
        """Have a worker do the work, in this thread's context, for the future."""
        future = WorkerFuture() if future is None else future
        task = future, partial(contextvars.copy_context().run, work)
        me = threading.current_thread()
        with self._lock:  # Critical section: queue it, and decide who takes it
            if self._closed:
                raise ClosedError("the gateway is closed")
            self._queue.append(task)
            if len(self._queue) <= self._idle:
                self._changed.notify()
                return future
            if len(self._threads) >= self._limit and me not in self._threads:
                return future
            thread = threading.Thread(target=self._work, name="omnillm-worker", daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except BaseException as error:
            if self._gave_up(thread, task) or not isinstance(error, RuntimeError):
                future.end()
                raise
        return future  # where the machine has no thread left, one of those that there are will take it

    def _gave_up(self, thread: threading.Thread, task: tuple[WorkerFuture[Any], Callable[[], Any]]) -> bool:
        """Forget a thread that did not start; tell whether nobody is left to take its task, which is forgotten then too."""
        with self._lock:  # Critical section: the count of threads and the queue change together
            if thread.ident is None:
                self._threads.discard(thread)
            if self._threads or task not in self._queue:
                return False
            self._queue.remove(task)
            return True

    def _work(self) -> None:
        me = threading.current_thread()
        with self._lock:  # Critical section: counted, though whoever started it was interrupted
            self._threads.add(me)
        try:
            while (task := self._next(me)) is not None:
                future, work = task
                try:
                    future.run(work)
                except BaseException as error:  # noqa: BLE001  # of a callback of the user's: the worker has others to serve
                    logger.error("a done callback of a future raised %s", type(error).__name__)  # as hooks are logged
                del future, work, task  # nothing is kept alive while there is nothing to do
        finally:
            with self._lock:  # Critical section: it is no longer counted
                self._threads.discard(me)

    def _next(self, me: threading.Thread) -> tuple[WorkerFuture[Any], Callable[[], Any]] | None:
        """Wait for a task; ``None`` where none came in time, or the gateway was closed."""
        with self._lock:  # Critical section: wait counted as idle, and leave with a task or for good
            patience = self._idle_s if len(self._threads) <= self._limit else 0.0
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._queue or self._closed, patience)
            finally:
                self._idle -= 1
            if self._queue and not self._closed:
                return self._queue.popleft()
            self._threads.discard(me)
            return None

    def close(self) -> None:
        """End the idle threads, and fail what waits with ``ClosedError``; what runs is ended by its gateway."""
        with self._lock:  # Critical section: from here on nothing is queued, and nothing taken
            self._closed = True
            self._changed.notify_all()
        for future, _ in list(self._queue):
            future.fail(ClosedError("the gateway was closed"))
        self._queue.clear()  # last: a close that was interrupted can be done again
