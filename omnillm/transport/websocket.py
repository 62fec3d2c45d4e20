"""Messages over a WebSocket: the handshake is a request of the transport's, the frames are websocket-client's (extra: realtime).

Contract. One thread receives, any may send, close or abort. A message is whole or it is none; one longer than the limit is not
held. Time is the exchange's: whoever receives says until when, whoever sends waits at most ``stall`` seconds for the peer to take
it. What is raised is ``GatewayError`` and its subclasses, without a cause: the library quotes what it received.

Rules.
- The socket does not block: two threads may use one TLS connection, but not at the same moment, and none waits within it.
- A frame that was cut by an interrupt leaves nothing that could go on: the connection is closed.
- Pings are answered by whoever receives.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from urllib3.util.wait import wait_for_read, wait_for_write

from .._cancel import is_from_outside
from .._clock import Deadline
from .._late import importing
from ..errors import ClosedError, ConfigurationError, ConnectError, ConnectionLostError, GatewayError
from ._exchange import GLANCE, Exchange, StoppedError

if TYPE_CHECKING:
    from .body import HttpResponse

MAX_MESSAGE = 16 << 20
MAX_REASON = 123  # bytes of a close frame's reason: RFC 6455 section 5.5
GOODBYE_SECONDS = 1.0
LAST_LOOK_SECONDS = 0.2
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_WANTS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NORMAL, TOO_BIG, NO_STATUS = 1000, 1009, 1005  # RFC 6455 section 7.4.1
TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8  # section 5.2


def require() -> Any:
    """Give websocket-client; raises ``ConfigurationError`` that says what to install."""
    try:
        with importing:
            import websocket
    except ImportError:
        websocket = None
    if getattr(websocket, "frame_buffer", None) is None:  # another package has the same name
        raise ConfigurationError("sessions need websocket-client: pip install 'omnillm[realtime]'", field="request")
    return websocket


class Handshake:
    """Ask for a WebSocket: ``headers`` are those of the request."""

    __slots__ = ("_key", "headers")

    def __init__(self) -> None:
        self._key = base64.b64encode(os.urandom(16)).decode("ascii")
        self.headers: Mapping[str, str] = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": self._key,
        }

    def is_answered(self, headers: Mapping[str, str]) -> bool:
        """Tell whether an answer of 101 is to this."""
        wanted = base64.b64encode(hashlib.sha1(f"{self._key}{_GUID}".encode(), usedforsecurity=False).digest())
        given = headers.get("sec-websocket-accept", "").encode("latin-1", "replace")
        return headers.get("upgrade", "").lower() == "websocket" and hmac.compare_digest(wanted, given)


class WebSocketConnection:
    """Exchange messages over a connection that switched; ``close_code`` and ``close_reason`` are the peer's, where it closed."""

    __slots__ = (
        "__weakref__",
        "_closing",
        "_exchange",
        "_http",
        "_library",
        "_line",
        "_receiving",
        "_socket",
        "close_code",
        "close_reason",
    )

    def __init__(self, http: HttpResponse, handshake: Handshake, *, stall: float, max_message: int = MAX_MESSAGE) -> None:
        self._library = require()
        self._http = http
        self._closing = False
        self._receiving = False
        self.close_code: int | None = None
        self.close_reason = ""
        sock, received, self._exchange = http.switched()
        if not handshake.is_answered(http.headers):
            http.close()
            raise self._exchange.malformed("it switched to something that was not asked for", final=True)
        if not isinstance(sock, socket.socket):  # TLS within the TLS of a proxy waits within its reads
            http.close()
            raise ConnectError(f"no session with {self._exchange.where}: not through a proxy by https", sent="yes", final=True)
        self._line = _Line(sock, received, self._exchange, stall)
        self._socket = _library_socket(self._library, self._line, max_message)

    def __repr__(self) -> str:
        return f"<WebSocketConnection of {self._exchange.where}>"

    def send(self, message: str | bytes) -> None:
        """Send a message; raises ``ClosedError`` where the connection is closed.

        Where the peer is gone, what it had said before is looked through for why: then ``close_code`` is there.
        """
        if self._closing or self.close_code is not None or self._exchange.is_foreign():
            raise self._closed()
        opcode = TEXT if isinstance(message, str) else BINARY
        self._run(lambda: self._socket.send(message, opcode), lost=self._look_for_goodbye)

    def receive(self, deadline: Deadline) -> str | bytes | None:
        """Give the next message, ``None`` where the peer closed; raises ``DeadlineExceededError`` where none came in time."""
        if self.close_code is not None:
            return None
        if self._closing or self._exchange.is_foreign():
            raise self._closed()
        self._line.receive_by = deadline
        self._receiving = True
        try:
            opcode, frame = self._run(self._socket.recv_data_frame)
        finally:
            self._receiving = False
        if opcode == CLOSE:
            self._note(frame.data)
            self._http.close()
            return None
        data = bytes(frame.data)
        return data.decode("utf-8") if opcode == TEXT else data

    def wait_until(self, deadline: Deadline) -> None:
        """Let whoever receives wait until then, instead of until what was said before."""
        self._line.receive_by = deadline

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say good bye, wait a moment for the peer to say so too, and close; closing again does nothing.

        Where another thread receives, it wakes, with ``CallCancelledError``, and closes what it reads from.
        """
        if self._closing or self.close_code is not None or self._exchange.is_foreign() or self._exchange.aborted:
            self._closing = True
            self._http.close()
            return
        self._closing = True
        try:
            self._line.receive_by = self._line.send_by = Deadline.after(GOODBYE_SECONDS, self._exchange.total.clock)
            with _Quiet():  # whatever it is, there is nothing left to say
                self._socket.send_close(code, reason.encode("utf-8")[:MAX_REASON])
                if not self._receiving:
                    self._await_goodbye()
        finally:
            if self._receiving:
                self._exchange.abort()
            else:
                self._http.close()

    def abort(self) -> None:
        """End the connection from any thread, a signal handler or a finaliser: who waits raises ``CallCancelledError``."""
        self._exchange.abort()

    # --- within -----------------------------------------------------------------------------------------------------------------

    def _await_goodbye(self) -> None:
        while (frame := self._socket.recv_frame()).opcode != CLOSE:
            pass
        self._note(frame.data)

    def _look_for_goodbye(self) -> None:
        """Look at what the peer had said before it left, unless another thread does."""
        if not self._receiving:
            self._line.receive_by = Deadline.after(LAST_LOOK_SECONDS, self._exchange.total.clock)
            with _Quiet():  # whatever it is, nothing was said
                self._await_goodbye()

    def _note(self, data: bytes) -> None:
        """Remember the code and the reason of a close frame."""
        self.close_reason = data[2:].decode("utf-8", "replace")
        self.close_code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else NO_STATUS

    def _run(self, step: Callable[[], Any], *, lost: Callable[[], object] = bool) -> Any:
        """Take a step of the library's, and turn what it raises; whatever ends it ends the connection."""
        library = self._library
        failure: GatewayError
        try:
            return step()
        except StoppedError as stop:
            failure = stop.error
        except _TooLongError as error:
            failure = self._exchange.malformed(str(error), final=True)
            self._receiving = False
            self.close(TOO_BIG)
        except (library.WebSocketProtocolException, library.WebSocketPayloadException, struct.error, UnicodeError):
            failure = self._exchange.malformed("what came is no WebSocket message", final=True)
        except (library.WebSocketException, OSError, ValueError):
            failure = self._closed() if self._closing else self._exchange.lost()
        except BaseException:
            self._http.close()
            raise
        if isinstance(failure, ConnectionLostError):
            lost()
        self._http.close()
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame, and what its callers are making

    def _closed(self) -> GatewayError:
        if self._exchange.is_foreign():
            return ClosedError("the session belongs to another process", sent="yes")
        return self._exchange.cancelled() if self._exchange.aborted else ClosedError("the session is closed", sent="yes")


class _TooLongError(Exception):
    """A message is longer than may be held."""


class _Line:
    """Be a socket to the library: its waiting is bounded by the exchange, and ends where that is aborted."""

    _closed = False

    def __init__(self, sock: socket.socket, received: bytes, exchange: Exchange, stall: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = received
        self._exchange = exchange
        self._stall = stall
        self._turn = threading.RLock()
        self.receive_by = exchange.total
        self.send_by: Deadline | None = None

    def recv(self, size: int) -> bytes:
        if self._received:
            data, self._received = self._received[:size], self._received[size:]
            return data
        while True:
            self._check(self.receive_by)  # here, for pings may come without an end
            data = self._take(lambda: self._sock.recv(size))
            if data is not None:
                return bytes(data)
            self._wait(wait_for_read, self.receive_by)

    def send(self, data: bytes) -> int:
        deadline = self.send_by or self._exchange.total.sooner(self._stall)
        while True:
            count = self._take(lambda: self._sock.send(data))
            if count is not None:
                return int(count)
            self._wait(wait_for_write, deadline)

    def _take(self, step: Callable[[], Any]) -> Any:
        """Take a step on the socket, which gives ``None`` where it would have to wait."""
        exchange = self._exchange
        if exchange.aborted:
            raise StoppedError(exchange.cancelled())
        try:
            with self._turn:  # Critical section: one call of the TLS library at a time; it does not wait
                found = step()
        except _WANTS:
            return None
        except (OSError, ValueError):  # the latter: another thread has closed it
            raise StoppedError(exchange.lost()) from None
        if found == b"" and exchange.aborted:
            raise StoppedError(exchange.cancelled())
        return found

    def _check(self, deadline: Deadline) -> float:
        """Give the seconds that are left; stop where there are none."""
        left = deadline.remaining()
        if left <= 0:
            self._exchange.deadline = deadline
            raise StoppedError(self._exchange.late())
        return left

    def _wait(self, until: Callable[[Any, float], bool], deadline: Deadline) -> None:
        left, exchange = self._check(deadline), self._exchange
        try:
            until(self._sock, min(left, GLANCE))
        except (OSError, ValueError):
            raise StoppedError(exchange.cancelled() if exchange.aborted else exchange.lost()) from None

    def gettimeout(self) -> float:
        return GLANCE  # not 0: the library would not wait; that is done here

    def close(self) -> None:
        """Leave the socket to its response, whose it is."""


class _Quiet:
    """Let go of whatever the library raises, but for what comes from outside."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return error is not None and not is_from_outside(error)


def _library_socket(library: Any, line: _Line, most: int) -> Any:
    """Give websocket-client's half of a connection, which bounds what it gathers."""

    class Frames(library.frame_buffer):  # type: ignore[misc]  # of a library that may not be there
        def recv_length(self) -> None:
            super().recv_length()
            if self.length > most:
                too_long(self.length)

    class Parts(library.continuous_frame):  # type: ignore[misc]  # as above
        def add(self, frame: Any) -> None:
            if self.cont_data and len(self.cont_data[1]) + len(frame.data) > most:
                too_long(len(self.cont_data[1]) + len(frame.data))
            super().add(frame)
            if not frame.fin and isinstance(self.cont_data[1], bytes):
                self.cont_data[1] = bytearray(self.cont_data[1])  # the rest is added in place, however many pieces it is in

    def too_long(size: int) -> NoReturn:
        raise _TooLongError(f"a message of {size} bytes or more: at most {most} are held")

    found = library.WebSocket(enable_multithread=True)
    found.sock, found.connected = line, True
    found.frame_buffer = Frames(found._recv, False)
    found.cont_frame = Parts(False, False)
    return found
