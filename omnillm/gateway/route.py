"""Which attempt comes next: another key, another try, another endpoint, or the error for the caller.

Rules: changing the key after 401, 403 or 429 is free; any other retry spends one of ``max_attempts`` and a share of the gateway's
allowance, waits with full jitter and never past the deadline, on another key first. A server's wait is kept, where it is not
longer than the policy's cap; a longer one is the caller's to wait for. Then the fallbacks, in order. Where the policy hedges, one
attempt of a call may have a second one beside it (``hedge``), and the two end as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import (
    AdmissionError,
    CallCancelledError,
    ClosedError,
    GatewayError,
    LossyRequestError,
    NoAvailableKeyError,
    OmniLLMError,
    RateLimitedError,
    TlsError,
)
from ..types.hooks import FallbackTaken, RetryScheduled
from .attempt import Attempt
from .call import Call
from .hedge import WAKE_EVERY_S, Race

if TYPE_CHECKING:
    from .core import Core, Route

T = TypeVar("T")


class Walk:
    """Walk the routes for one call: ``run`` a step on attempt after attempt until one is through or the error is final."""

    __slots__ = (
        "_ahead",
        "_avoided",
        "_error",
        "_first_error",
        "_hedge_after",
        "_refusing",
        "_route",
        "_tries",
        "_waits",
        "call",
        "core",
    )

    def __init__(self, core: Core, call: Call) -> None:
        self.core = core
        self.call = call
        self._hedge_after = core.config.retry.hedge_after if call.may_repeat else None  # seconds, until there was a hedge
        self._route = call.routes[0]
        self._ahead = call.routes[1:]
        self._first_error: GatewayError | None = None
        self._begin(self._route)
        if core.config.hooks:
            call.begun(core)

    def _begin(self, route: Route) -> None:
        self._route = route
        self._tries = 0
        self._refusing: frozenset[str] = frozenset()  # keys that answered 401, 403 or 429 in this call
        self._avoided: frozenset[str] = frozenset()  # keys that failed otherwise: others come first
        self._waits = True  # a key that refused may be used again after its wait
        self._error: GatewayError | None = None

    def run(self, step: Callable[[Attempt], T]) -> T:
        """Take the step on an attempt; raises the error that is final, with everything that was tried."""
        try:
            while True:
                attempt = self._admit()
                race = None if self._hedge_after is None else Race(self, attempt, step, self._hedge_after)
                try:
                    with attempt:
                        outcome = step(attempt) if race is None else race.run()
                    self._let_go()
                    return outcome
                except BaseException as error:
                    failed = attempt if race is None else race.decider
                    final = error if failed is None else self.failed(failed, error)
                    if final is error:
                        raise
                if final is not None:
                    raise final
        except GatewayError as error:
            self.call.account(error)
            if not (isinstance(error, CallCancelledError) and self.core.closed) or self.call.is_cancelled:
                raise
            closed = ClosedError("the gateway was closed", sent=error.sent, attempts=error.attempts)
        raise closed

    def _let_go(self) -> None:
        """Free the frames that earlier errors hold: what is given to the caller now must go when the caller lets it go."""
        for error in (self._error, self._first_error):
            if error is not None:
                error.__traceback__ = None

    def _admit(self) -> Attempt:
        while True:
            try:
                # nobody waits for another key while one that failed has room
                patience = 0.0 if self._avoided else None
                exclude = self._refusing | self._avoided
                return Attempt.admit(self.core, self.call, self._route, exclude, timeout=patience)
            except AdmissionError as refusal:
                final = self._refused(refusal)
            if final is not None:
                raise final

    def _refused(self, refusal: AdmissionError) -> GatewayError | None:
        """Say what follows where no attempt was admitted: the final error, or ``None`` for another try."""
        error = self._error
        if error is None:
            return self._give_up(refusal)
        if not isinstance(refusal, NoAvailableKeyError):
            return self._give_up(error)  # something was sent, and an AdmissionError would deny it
        if self._avoided:
            self._avoided = frozenset()  # no other key has room: one that failed may do
            return None
        if isinstance(error, RateLimitedError) and self._refusing:  # of a key that the refusal knows nothing of
            wait = error.retry_after = _sooner(error.retry_after, refusal.retry_after)
        else:
            wait = refusal.retry_after
            error.retry_after = _longer(error.retry_after, wait)
        if wait is not None and self._waits and self._may_try(wait):
            self._refusing = frozenset()
            self._pause(wait, error)
            return None
        return self._give_up(error)

    def failed(self, attempt: Attempt, error: BaseException) -> BaseException | None:
        """Say what follows a failed attempt: the final error, or ``None``, after waiting, for another try."""
        disposition = attempt.disposition
        if not isinstance(error, GatewayError) or disposition is None or disposition.retry == "never":
            if isinstance(error, TlsError | LossyRequestError) or (isinstance(error, GatewayError) and attempt.elsewhere):
                return self._give_up(error)
            return error
        if not self.core.config.retry.permits(disposition) and disposition.retry == "unknown":
            return error  # a fallback would be another try all the same
        self.note(attempt, error)
        if disposition.retry == "another_key":
            return None
        delay = self.core.config.retry.backoff(self._tries, self.core.rng, hint=error.retry_after)
        if not self._may_try(delay):
            return self._give_up(error)
        self._pause(delay, error)
        return None

    def may_go_on(self, attempt: Attempt) -> bool:
        """Tell whether another try may follow the failed attempt, by its error and the policy."""
        disposition = attempt.disposition
        return disposition is not None and (disposition.retry == "another_key" or self.core.config.retry.permits(disposition))

    def note(self, attempt: Attempt, error: GatewayError) -> None:
        """Remember of which key the failure was, and when that may be used again."""
        disposition = attempt.disposition
        if disposition is None or disposition.retry != "another_key":
            self._error = error
            self._avoided |= {attempt.lease.label}
            return
        self._refusing |= {attempt.lease.label}
        self._waits = self._waits and disposition.waits
        if isinstance(error, RateLimitedError) and error.retry_after is None:
            error.retry_after = disposition.key.seconds  # that long the key cools
        self._error = _back_first(self._error, error)

    def beside(self, first: Attempt) -> Attempt | None:
        """Admit a second attempt beside one that is late, on another key; ``None`` where anything speaks against it.

        It spends one of ``max_attempts`` and a share of the allowance, and it is the only one of the call.
        """
        allowance, ticket = self.core.allowance, self.call.ticket
        if self._tries + 1 >= self.core.config.retry.max_attempts or not allowance.try_hedge(ticket):
            return None
        try:
            exclude = self._refusing | self._avoided | {first.lease.label}
            attempt = Attempt.admit(self.core, self.call, self._route, exclude, timeout=0.0)
        except OmniLLMError:
            allowance.end_hedge(ticket)
            return None
        self._tries += 1
        self._hedge_after = None
        return attempt

    def _may_try(self, delay: float) -> bool:
        """Spend one attempt, if there is one, a share of the allowance, and time for the wait."""
        policy = self.core.config.retry
        if self._tries + 1 >= policy.max_attempts or delay > policy.cap or delay >= self.call.deadline.remaining():
            return False
        if not self.core.allowance.try_retry(self.call.ticket):
            return False
        self._tries += 1
        return True

    def _give_up(self, error: GatewayError) -> GatewayError | None:
        """Leave this route: for the next one, or for good."""
        if self._first_error is None or (isinstance(self._first_error, AdmissionError) and not isinstance(error, AdmissionError)):
            self._first_error = error
        if self.call.deadline.expired:
            return error
        if not self._ahead:
            return self._first_error
        left, self._ahead = self._route, self._ahead[1:]
        self._begin(self.call.routes[len(self.call.routes) - len(self._ahead) - 1])
        if self.core.config.hooks:
            model = self._route.model(self.call.request.model)
            self.core.emit(FallbackTaken(left.name, self._route.name, model, type(error).__name__, self.call.id))
        return None

    def _pause(self, seconds: float, error: GatewayError) -> None:
        """Let the time pass; ends at once, with its error, on cancel and close."""
        core, call = self.core, self.call
        if core.config.hooks:
            model = self._route.model(call.request.model)
            core.emit(RetryScheduled(self._route.name, model, seconds, type(error).__name__, call.id))
        until = core.clock.monotonic() + seconds
        while (left := until - core.clock.monotonic()) > 0:
            self.check()
            core.clock.sleep(min(left, WAKE_EVERY_S))

    def check(self) -> None:
        """Raise what ends a call that waits: the gateway's end, its stream's, its token's."""
        self.core.check()
        if self.call.left:
            raise ClosedError("the stream was closed while it waited")
        if self.call.cancel is not None:
            self.call.cancel.raise_if_cancelled()


def _back_first(one: GatewayError | None, other: GatewayError) -> GatewayError:
    """Give the refusal whose key can be used again first; one that is not a rate limit says nothing of that."""
    if not isinstance(one, RateLimitedError) or one.retry_after is None:
        return other
    return other if other.retry_after is not None and other.retry_after < one.retry_after else one


def _sooner(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _longer(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)
