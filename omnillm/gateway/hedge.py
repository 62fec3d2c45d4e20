"""A second attempt beside a late one: whichever answers first is the call's, the other one is closed and charged.

Purpose: cut the longest waits, at the price of the prompts that are sent twice.
Contract: ``Race.run`` takes a step on the first attempt in the caller's own thread. Only where its first byte is late is a second
one admitted, on another key, and a thread started for it; until then there is neither thread nor timer.
Rules:
- Who claims the race has won it, by one atomic step. Only then is the other ended; it says nothing about its key.
- An attempt that fails while the other runs leaves the call to the other.
- The thread owns the second attempt until the caller has taken what came of it. A caller that is gone, however, leaves it to the
  thread to close and to settle; the thread holds the race weakly, and so notices.
- A daemon: a name server that does not answer holds up neither the caller, who waits a moment, nor the interpreter's exit.
"""

from __future__ import annotations

import contextvars
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from .._bell import Bell
from ..errors import CallCancelledError, DeadlineExceededError, GatewayError, Sent
from ..transport import Watch
from ..types.hooks import HedgeStarted
from ..types.response import Metered
from ._threads import start
from .attempt import Attempt

if TYPE_CHECKING:
    from .route import Walk

T = TypeVar("T")

WAKE_EVERY_S = 0.05
GRACE_S = 0.1  # of real time: an attempt that was ended needs less, unless its name is being resolved


class Race(Generic[T]):
    """Let a first attempt run, and a second beside it where the first byte has not come ``after`` so many seconds.

    ``decider`` is the attempt whose error was raised; none where what was raised is final.
    """

    __slots__ = ("__weakref__", "_after", "_claims", "_failure", "_rival", "_step", "_walk", "decider", "first")

    def __init__(self, walk: Walk, first: Attempt, step: Callable[[Attempt], T], after: float) -> None:
        self._walk = walk
        self._after = after
        self._step = step
        self._rival: Rival[T] | None = None
        self._failure: BaseException | None = None
        self._claims: dict[str, Attempt] = {}
        self.first = first
        self.decider: Attempt | None = first

    def run(self) -> T:
        """Give the outcome of the step for whichever attempt has one first."""
        first = self.first
        watch = first.watch = Watch(first.started + self._after, self._start)
        try:
            try:
                outcome = self._step(first)
                if self.claim(first):
                    return self._told(outcome)
                self._failure = beaten(watch.sent)
            except GatewayError as error:
                if self._rival is None:
                    raise
                error.__traceback__ = None
                self._failure = beaten(error.sent) if watch.aborted else error
            rival = self._rival
            assert rival is not None
            if self._second(rival):
                return self._told(rival.outcome)
            raise self._failure
        finally:
            # a traceback holds this very frame and its caller's, and so the stream that is made of a later outcome
            self._failure = watch.on_late = None
            self._end()

    def claim(self, attempt: Attempt) -> bool:
        """Claim the race for the attempt; true for the first who does."""
        return self._claims.setdefault("won", attempt) is attempt

    def _start(self) -> None:
        """Start a second attempt, if it is admitted; the thread of the first one comes by here while it waits."""
        walk = self._walk
        attempt = walk.beside(self.first)
        if attempt is None:
            return
        if walk.core.config.hooks:
            delay = walk.core.clock.monotonic() - self.first.started
            walk.core.emit(HedgeStarted(attempt.route.name, attempt.model, delay, walk.call.id))
        rival = self._rival = Rival(attempt, self._step, weakref.ref(self))
        try:
            start(rival.thread)
        except RuntimeError:  # the machine has no thread left
            self._rival = None
            attempt.cancel()
            walk.core.allowance.end_hedge(walk.call.ticket)

    def _second(self, rival: Rival[T]) -> bool:
        """Tell, the first attempt being out, whether the second was answered; where not, ``_failure`` decides what follows."""
        assert self._failure is not None
        self.first.hang_up()
        self.first.fail(self._failure)
        self._await(rival)
        if rival.answered:
            rival.take()
            return True
        theirs, rival.error = rival.error, None
        if isinstance(theirs, GatewayError) and self._walk.may_go_on(rival.attempt):
            self._walk.note(rival.attempt, theirs)
        elif theirs is not None:
            self.decider, self._failure = rival.attempt, theirs
        return False

    def _await(self, rival: Rival[T]) -> None:
        """Wait for the second attempt's end; raises what ends the call before."""
        walk, decider = self._walk, self.decider
        self.decider = None  # what is raised here is final
        while not rival.done.is_set():
            walk.check()
            if walk.call.deadline.expired or not (rival.thread.is_alive() or rival.done.is_set()):
                raise self._failure if isinstance(self._failure, DeadlineExceededError) else _late()
            walk.core.clock.wait(rival.done, WAKE_EVERY_S)
        self.decider = decider

    def _told(self, outcome: T) -> T:
        """End the other attempt, and give the outcome with both in its history."""
        if self._rival is None:
            return outcome
        self._end()
        self._walk.core.allowance.end_hedge(self._walk.call.ticket)
        self._walk.call.records.sort(key=lambda record: record.outcome == "ok")  # the answer is last, as it always is
        response = outcome[0] if isinstance(outcome, tuple) else outcome  # with the route that it came by, of an endpoint
        if isinstance(response, Metered):
            self.first.retell(response)
        return outcome

    def _end(self) -> None:
        """End what nobody will take; doing it twice is once."""
        rival = self._rival
        if rival is None:
            return
        self.claim(self.first)  # from here on the second one cannot win
        if not rival.taken:
            rival.give_up()
        self._rival = None


class Rival(Generic[T]):
    """The second attempt of a race, in a thread of its own."""

    __slots__ = ("_decided", "_race", "_step", "_watch", "answered", "attempt", "done", "error", "outcome", "taken", "thread")

    outcome: T

    def __init__(self, attempt: Attempt, step: Callable[[Attempt], T], race: weakref.ref[Race[T]]) -> None:
        self.attempt = attempt
        self.answered = False
        self.error: BaseException | None = None
        self.done = Bell()
        self.taken = False
        self._step = step
        self._race = race
        self._decided = Bell()  # whether what came of it is taken
        self._watch = attempt.watch = Watch()
        context = contextvars.copy_context()  # a hook finds the caller's
        self.thread = threading.Thread(target=context.run, args=(self._run,), name="omnillm-hedge", daemon=True)

    def take(self) -> None:
        """Take what came of the attempt: it is the caller's now."""
        self.taken = True
        self._decided.set()

    def give_up(self) -> None:
        """End the attempt: its connection is closed, and it is settled, by its own thread if that comes back in a moment."""
        self._decided.set()
        self._watch.abort()
        if self.thread.is_alive():  # and not merely numbered: an interrupt may have come before it was under way
            self.thread.join(GRACE_S)
        if not self.done.is_set():
            self.attempt.fail(beaten(self._watch.sent))

    def _run(self) -> None:
        attempt = self.attempt
        try:
            with attempt:
                outcome = self._answer(attempt)
            race = self._race()
            if race is None or not race.claim(attempt):
                self._leave()
                return
            self.outcome = outcome
            self.answered = True
            if race.first.watch is not None:
                race.first.watch.abort()
            del race
            self.done.set()
            self._hand_over()
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            self.error = error.with_traceback(None)  # its frames hold the attempt
        finally:
            self.done.set()

    def _answer(self, attempt: Attempt) -> T:
        try:
            return self._step(attempt)
        except CallCancelledError as error:
            if not self._watch.aborted:
                raise
            sent = error.sent
        raise beaten(sent)

    def _hand_over(self) -> None:
        """Keep what was opened until it is taken, or close it where nobody is there to take it."""
        while not self._decided.wait(WAKE_EVERY_S):
            if self._race() is None:
                break
        if not self.taken:
            self._leave()

    def _leave(self) -> None:
        self.attempt.hang_up()
        self.attempt.fail(beaten("yes"))


def _late() -> DeadlineExceededError:
    return DeadlineExceededError("time ran out before the second attempt was answered", phase="first_byte", sent="maybe")


def beaten(sent: Sent) -> CallCancelledError:
    """Say that the other attempt was faster, or that the call ended without either."""
    return CallCancelledError("the attempt was ended: another one answered first, or the call was over", sent=sent)
