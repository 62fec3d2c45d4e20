"""One exchange: a request, its answer, and what may end them from outside.

Purpose. Everything that happens on a socket for one request goes by the clock and the flag kept here: how long the next
socket call may take, whether the call was aborted, how far the exchange came, and so which error a failure is.

Contract. ``timeout()`` before every socket call, ``lost()`` after a failed one. ``abort()`` from any thread, a signal handler or
a finaliser: it takes no lock, and the owner's socket call returns at once.

Rules.
- Errors travel inside ``StoppedError``, of which urllib3 knows nothing: it cleans up and lets it through, unwrapped and unlogged.
- No text names more than host and port: never a path, a query or a header.
- A file descriptor may be closed and given out again while another thread is about to shut it down. So ``abort`` shuts down a
  duplicate, made first and used only if the socket is still this exchange's: its owner forgets it before closing it.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import weakref
from collections.abc import Callable

from .._clock import Deadline
from ..errors import (
    CallCancelledError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
    Sent,
    TlsError,
)

_LONGEST = 1e6  # seconds; a socket takes no infinity
GLANCE = 0.5  # seconds; a signal that comes just before the system's wait begins does not end it, so no wait is long


class StoppedError(Exception):
    """Carry an error of ours out through urllib3 and requests."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__()
        self.error = error


class Watch:
    """Follow an exchange from outside: be told, once, where its first byte is late, and end it from any thread.

    ``on_late`` is called in the midst of the waiting, by the thread that waits, at ``late_at`` of the monotonic clock.
    """

    __slots__ = ("_exchange", "aborted", "late_at", "on_late")

    def __init__(self, late_at: float = math.inf, on_late: Callable[[], None] | None = None) -> None:
        self._exchange: weakref.ref[Exchange] | None = None
        self.aborted = False
        self.late_at = late_at
        self.on_late = on_late

    def begin(self, exchange: Exchange) -> None:
        """Follow that exchange; one that was ended before it began ends at once."""
        self._exchange = weakref.ref(exchange)
        if self.aborted:
            exchange.abort()

    def abort(self) -> None:
        """End the exchange, or the one to come."""
        self.aborted = True
        exchange = None if self._exchange is None else self._exchange()
        if exchange is not None:
            exchange.abort()

    @property
    def sent(self) -> Sent:
        """Tell what the peer has seen of the request."""
        if self._exchange is None:
            return "no"
        exchange = self._exchange()
        return "maybe" if exchange is None else exchange.sent

    def until_late(self, now: float) -> float:
        """Give the seconds until the first byte is late, above zero; tells, once, where it is."""
        if now >= self.late_at:
            self.late_at = math.inf
            if self.on_late is not None:
                self.on_late()
        return self.late_at - now


class Exchange:
    """Hold the time, the socket and the progress of one exchange."""

    __slots__ = (
        "__weakref__",
        "_connect",
        "_connected",
        "_first_byte",
        "_pid",
        "aborted",
        "begun",
        "deadline",
        "fresh",
        "is_here",
        "phase",
        "reused",
        "socket",
        "started",
        "stream",
        "switches",
        "total",
        "watch",
        "where",
    )

    def __init__(
        self,
        where: str,
        total: Deadline,
        *,
        connect: float,
        first_byte: float,
        stream: bool,
        watch: Watch | None = None,
        begun: Callable[[], object] = bool,
    ) -> None:
        self.where = where
        self.total = total
        self.stream = stream
        self.switches = False  # whether the answer may be that the protocol is another from here on
        self.is_here = False  # whether it may go nowhere but to this machine
        self.begun = begun  # to be told before the first byte goes out
        self.deadline = total  # of the step that is running
        self.phase = "connect"
        self.socket: socket.socket | None = None
        self.aborted = False
        self.fresh = False  # whether only a new connection will do
        self.reused = False  # whether the request went over a kept connection
        self.started = False  # whether a byte of the answer has come
        self._connect = connect
        self._connected = False
        self._first_byte = first_byte
        self._pid = os.getpid()
        self.watch = watch
        if watch is not None:
            watch.begin(self)

    # --- steps ------------------------------------------------------------------------------------------------------------------

    def to_connect(self) -> None:
        """Begin with a new connection."""
        self._connected = True
        self.deadline = self.total.sooner(self._connect)

    def to_send(self, sock: socket.socket) -> None:
        """Begin with the request: from here on, nobody knows what the peer has seen."""
        self.socket = sock
        self.phase = "first_byte"
        self.reused = not self._connected
        self.started = False  # a proxy's answer was not this one
        self.deadline = self.total.sooner(self._first_byte)
        self.begun()

    def to_read(self) -> None:
        """Begin with the body."""
        self.phase = "body"
        self.deadline = self.total

    def again(self) -> bool:
        """Start over on a new connection, where a kept one turned out dead before a byte came; tell whether it is so."""
        stale = self.reused and not (self.started or self.aborted or self.total.expired)
        if stale:
            self.phase, self.deadline, self.fresh, self.reused = "connect", self.total, True, False
        return stale

    # --- socket calls -----------------------------------------------------------------------------------------------------------

    def timeout(self) -> float | None:
        """Give the seconds that the next socket call may take; stop where there are none or the call was aborted."""
        if self.aborted:
            raise StoppedError(self.cancelled())
        deadline = self.deadline
        left = deadline.at - deadline.clock.monotonic()
        if left <= 0:
            raise StoppedError(self.late())
        return left if left < _LONGEST else None

    def glance(self) -> float:
        """Give the seconds of a socket call that is made again where they are over: short, for signals and for who watches."""
        left = self.timeout()
        longest = GLANCE if left is None or left > GLANCE else left
        if self.watch is None or self.started:
            return longest
        return min(longest, self.watch.until_late(self.deadline.clock.monotonic()))

    def abort(self) -> None:
        """End the exchange from any thread; the socket call that waits for the peer returns at once."""
        self.aborted = True
        self.shut()

    def shut(self) -> None:
        """Shut the connection down, for every process that holds it; does nothing in the child of a fork."""
        sock = self.socket
        if sock is None or self._pid != os.getpid():
            return
        try:
            with twin_of(sock) as twin:
                if self.socket is sock:
                    twin.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already

    def is_foreign(self) -> bool:
        """Tell whether the exchange belongs to another process."""
        return self._pid != os.getpid()

    # --- errors -----------------------------------------------------------------------------------------------------------------

    @property
    def sent(self) -> Sent:
        """Tell what the peer has seen of the request."""
        if self.phase == "connect":
            return "no"
        return "yes" if self.started else "maybe"

    def cancelled(self) -> GatewayError:
        """Say that the call was aborted."""
        return CallCancelledError(f"the call to {self.where} was cancelled", sent=self.sent)

    def late(self) -> GatewayError:
        """Say which time ran out."""
        if self.phase == "connect" and self.deadline is not self.total:
            return ConnectError(f"no connection to {self.where} within {self._connect:g} s", sent="no")
        if self.phase == "first_byte" and self.deadline is not self.total:
            why = f"no answer from {self.where} within {self._first_byte:g} s, which is timeouts(first_byte=…)"
            return DeadlineExceededError(why, phase="first_byte", sent=self.sent)
        phase = "idle" if self.phase == "body" and self.stream and self.deadline.at < self.total.at else self.phase
        return DeadlineExceededError(f"time ran out with {self.where} ({phase})", phase=phase, sent=self.sent)

    def unreachable(self, why: str, *, final: bool = False) -> GatewayError:
        """Say that there is no connection; ``final`` where there will be none."""
        if self.aborted:
            return self.cancelled()
        return ConnectError(f"cannot connect to {self.where}: {why}", sent="no", final=final)

    def untrusted(self, why: str) -> GatewayError:
        """Say that TLS failed."""
        return self.cancelled() if self.aborted else TlsError(f"no TLS with {self.where}: {why}", sent="no")

    def lost(self) -> GatewayError:
        """Say that the connection ended too early."""
        if self.aborted:
            return self.cancelled()
        if self.phase == "connect":
            return ConnectError(f"{self.where} closed the connection", sent="no")
        if self.phase == "body":
            return ConnectionLostError(f"{self.where} closed the connection in mid-body", phase="body", sent="yes")
        if self.started:
            return self.malformed("the answer was cut in its headers")
        return ConnectionLostError(f"{self.where} closed the connection without an answer", phase="first_byte", sent="maybe")

    def malformed(self, why: str, *, final: bool = False) -> GatewayError:
        """Say that the answer is none; ``final`` where the next one would be none either."""
        return MalformedResponseError(f"{self.where}: {why}", sent="yes", final=final)


def twin_of(sock: socket.socket) -> socket.socket:
    """Duplicate a socket: no interrupt finds a moment at which a descriptor is nobody's, and would stay open for good."""
    if os.name == "nt":
        return sock.dup()
    twin = socket.socket()
    try:
        os.dup2(sock.fileno(), twin.fileno(), inheritable=False)
    except BaseException:
        twin.close()
        raise
    return twin


# By thread, for urllib3 hands nothing of ours down to the connection, and a thread runs one exchange at a time. No thread-local:
# one that was made before gevent patches threads is the same for all greenlets.
_running: dict[int, Exchange] = {}


def running() -> Exchange | None:
    """Give the exchange that this thread is running, if there is one."""
    return _running.get(threading.get_ident())


def current() -> Exchange:
    """Give the exchange that this thread is running."""
    exchange = running()
    if exchange is None:
        raise RuntimeError("a connection was used outside an exchange")
    return exchange


class Turn:
    """Make an exchange this thread's; a signal handler may run another in the midst of it."""

    __slots__ = ("_exchange", "_outer")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._outer: Exchange | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        self._outer = _running.get(me)
        _running[me] = self._exchange

    def __exit__(self, *_: object) -> None:
        if self._outer is None:
            _running.pop(threading.get_ident(), None)
        else:
            _running[threading.get_ident()] = self._outer


def _forget_other_threads() -> None:
    """Be without the threads that were not forked: one of the child's may be given the number of theirs."""
    me = threading.get_ident()
    for thread in list(_running):
        if thread != me:
            _running.pop(thread, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
