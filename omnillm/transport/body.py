"""What came back: the status, the headers, and a body that is read with bounds.

Purpose. Read a body whole or as it comes, by a deadline that the reader may move between reads, decoded, never past a limit.

Contract. One thread reads; ``abort`` alone may be called from others. A body that was read to its end gives its connection
back to the pool, any other way out closes it. What is raised is ``GatewayError`` and its subclasses, without a cause: the
library below keeps the request, with its key, on every error of its own.

Rules.
- ``read1`` and bounded ``read`` only: urllib3's ``drain_conn`` and ``stream`` decode without a bound or wait for a full buffer.
- A body of known length that ends early is an error here. One that ends with its connection is whole as far as HTTP can
  tell, and the wire format has the last word.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from typing import Any, Self

from urllib3.exceptions import DecodeError, HTTPError

from .._cancel import CancellationToken
from .._clock import Clock, Deadline
from ..errors import ClosedError, GatewayError, OmniLLMError
from ._exchange import Exchange, StoppedError

MAX_BODY = 32 << 20
CHUNK = 64 << 10
_REST_BYTES = 4 << 10
_REST_SECONDS = 0.05


class HttpResponse:
    """Be an answer: ``status``, ``headers`` (any case), and the body through ``read`` or ``chunks``.

    ``deadline`` bounds the next read and may be replaced before each. Close it, or use it as a context manager.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_closed",
        "_coded",
        "_ended",
        "_exchange",
        "_raw",
        "_subscription",
        "deadline",
        "headers",
        "status",
    )

    def __init__(
        self,
        raw: Any,
        exchange: Exchange,
        *,
        clock: Clock,
        subscription: tuple[CancellationToken, int] | None,
    ) -> None:
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.deadline: Deadline = exchange.total
        self._raw = raw
        self._exchange = exchange
        self._clock = clock
        self._subscription = subscription
        self._coded = "content-encoding" in raw.headers
        self._ended = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status} of {self._exchange.where}>"

    # --- the body ---------------------------------------------------------------------------------------------------------------

    def read(self, limit: int = MAX_BODY) -> bytes:
        """Give the whole body, or what is left of it, and be done with the connection.

        Raises ``MalformedResponseError`` where it is longer than ``limit`` bytes, decoded.
        """
        parts: list[bytes] = []
        left = limit
        while part := self._receive(self._raw.read, min(CHUNK, left + 1)):
            left -= len(part)
            if left < 0:
                self.close()
                raise self._exchange.malformed(f"the body is longer than {limit} bytes", final=True)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes of the body as they arrive, and be done with the connection at the end."""
        while part := self._receive(self._raw.read1, CHUNK):
            yield part

    def finish(self) -> None:
        """Be done with a stream after its last event: read the little that HTTP adds, so that the connection can serve again.

        That is at most 4 KiB and 50 ms; then, or where nothing is to be gained, the connection is closed.
        """
        if not (self._ended or self._closed or self._exchange.aborted or self._exchange.is_foreign()):
            self.deadline = Deadline.after(_REST_SECONDS, self._clock)
            left = _REST_BYTES
            try:
                while left > 0 and not self._must_close():
                    part = self._receive(self._raw.read1, left)
                    if not part:
                        break
                    left -= len(part)
            except OmniLLMError:
                pass  # the stream was whole before this
        self.close()

    # --- the connection ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the answer where it is; closing again does nothing.

        The connection is closed unless the body was read to its end. In the child of a fork the parent's stays as it is.
        """
        if self._closed:
            return
        self._unsubscribe()
        if not self._ended:
            self._exchange.shut()
            self._raw.close()
        self._closed = True  # last: what was interrupted can be done again

    def abort(self) -> None:
        """End the answer from any thread, a signal handler or a finaliser: a reader that waits raises ``CallCancelledError``."""
        self._exchange.abort()

    def switched(self) -> tuple[Any, bytes, Exchange]:
        """Give the socket of a connection that speaks another protocol now, what of that is here already, and the exchange."""
        answer = self._raw._original_response
        return answer.owner.sock, answer.beyond(), self._exchange

    # --- within -----------------------------------------------------------------------------------------------------------------

    def _receive(self, read: Any, amount: int) -> bytes:
        if self._ended:
            return b""
        exchange = self._exchange
        if exchange.is_foreign():
            raise ClosedError("the response belongs to another process", sent="yes")
        if self._closed:
            raise exchange.cancelled() if exchange.aborted else ClosedError("the response is closed", sent="yes")
        exchange.deadline = self.deadline
        failure: GatewayError
        try:
            part: bytes = read(amount, decode_content=self._coded)
        except StoppedError as stop:
            failure = stop.error
        except DecodeError:
            failure = exchange.malformed("the body is not in the encoding that it names", final=True)
        except (HTTPError, http.client.HTTPException, OSError):
            failure = exchange.lost()
        except BaseException:
            self.close()
            raise
        else:
            if not part or (self._raw.closed and not self._coded):
                self._ended = True
                self.close()
            return part
        self.close()
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame, and what its callers are making

    def _must_close(self) -> bool:
        return bool(getattr(self._raw._fp, "will_close", False))

    def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            token, handle = subscription
            token.unsubscribe(handle)
