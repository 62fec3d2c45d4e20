"""The reading of one answer: its head here, within bounds, and the framing of its body in http.client.

Rules.
- Every read is bounded by the exchange's deadline, however the peer dribbles.
- The head is at most 100 lines of 64 KiB; at most 8 interim answers go before it.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
from typing import TYPE_CHECKING, Any

import urllib3

from ._chunks import CHUNK_SIZE, whole_chunks
from ._exchange import Exchange, StoppedError, current

if TYPE_CHECKING:
    from ._connection import Connection

MAX_LINE = 64 << 10
MAX_HEADERS = 100
MAX_INTERIM = 8
_BUFFER = 64 << 10
_WORTH_IT = 16  # chunks

_PROTOCOL = b"HTTP/1."
_TLS_ALERT = b"\x15\x03"
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
# blanks are stripped afterwards: here they cost the square
_HEADER = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\0\n]*)\n", re.ASCII | re.MULTILINE)
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class _Inflow(io.RawIOBase):
    """Receive from a socket by the exchange's deadline."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange
        self.count = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.count

    def readinto(self, buffer: Any) -> int:
        exchange = self._exchange
        while True:
            self._sock.settimeout(exchange.glance())
            try:
                count = self._sock.recv_into(buffer)
                break
            except TimeoutError:
                continue
            except OSError:
                raise StoppedError(exchange.lost()) from None
        if count:
            exchange.started = True
            self.count += count
        elif exchange.aborted:
            raise StoppedError(exchange.cancelled())
        return count


class Answer(http.client.HTTPResponse):
    """Read an answer: the head here, the framing of the body in http.client."""

    fp: io.BufferedReader | None  # type: ignore[assignment]  # http.client sets it to None where the body has ended
    owner: Connection | None = None

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None) -> None:
        self._exchange = current()
        self._inflow = _Inflow(sock, self._exchange)
        self.fp = io.BufferedReader(self._inflow, _BUFFER)
        self.debuglevel = debuglevel
        self._method = method
        self.fields = urllib3.HTTPHeaderDict()
        self.chunked = False
        self.chunk_left: int | None = None
        self.length: int | None = None
        self.will_close = True

    def begin(self) -> None:
        for _ in range(MAX_INTERIM + 1):
            minor = self._read_status_line()
            head, count = self._read_head()
            if self.status >= 200 or (self.status == 101 and self._exchange.switches):
                break
            if self.status == 101:
                raise StoppedError(self._exchange.malformed("it switched protocols unasked", final=True))
        else:
            raise StoppedError(self._exchange.malformed("no end of interim answers"))
        self.fields = self._parsed(head, count)
        self._frame(keep_alive=minor != b"0")

    def _read_status_line(self) -> bytes:
        assert self.fp is not None
        begun = self.fp.peek(1)[: len(_PROTOCOL)]
        if begun.startswith(_TLS_ALERT):
            raise StoppedError(self._exchange.malformed("the port speaks TLS, expected https", final=True))
        if not _PROTOCOL.startswith(begun):  # now: the end of its line may never come
            raise StoppedError(self._exchange.malformed("the answer is not HTTP/1"))
        line = self.fp.readline(MAX_LINE + 1)
        if not line.endswith(b"\n") and len(line) <= MAX_LINE:
            raise StoppedError(self._exchange.lost())
        match = _STATUS_LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        if match is None:
            raise StoppedError(self._exchange.malformed("the answer is not HTTP/1"))
        minor, status, reason = match.groups()
        self.status = self.code = int(status)
        self.reason = (reason or b"").decode("latin-1")
        self.version = 10 if minor == b"0" else 11
        return minor

    def _read_head(self) -> tuple[str, int]:
        """Give the lines of the headers, and how many there are."""
        assert self.fp is not None
        data = self.fp.peek()
        end = data.find(b"\n\r\n") + 1
        if not end or b"\n\n" in data[:end] or data.startswith((b"\r\n", b"\n")):
            return self._read_lines()
        count = data.count(b"\n", 0, end)
        if count > MAX_HEADERS:
            raise StoppedError(self._exchange.malformed("too many headers"))
        self.fp.read(end + 2)
        return data[:end].decode("latin-1"), count

    def _read_lines(self) -> tuple[str, int]:
        """Read a head that does not lie whole in the buffer, line by line."""
        assert self.fp is not None
        lines: list[str] = []
        while (line := self.fp.readline(MAX_LINE + 1)) not in (b"\r\n", b"\n"):
            if len(line) > MAX_LINE:
                raise StoppedError(self._exchange.malformed("a header is too long"))
            if not line.endswith(b"\n"):
                raise StoppedError(self._exchange.lost())
            if len(lines) == MAX_HEADERS:
                raise StoppedError(self._exchange.malformed("too many headers"))
            lines.append(line.decode("latin-1"))
        return "".join(lines), len(lines)

    def _parsed(self, head: str, count: int) -> urllib3.HTTPHeaderDict:
        found = _HEADER.findall(head)
        if len(found) != count:  # a folded line is none either: RFC 9112 section 5.2 lets us refuse it
            raise StoppedError(self._exchange.malformed("a header is malformed"))
        fields = urllib3.HTTPHeaderDict()
        add = fields.add
        for name, value in found:
            add(name, value.removesuffix("\r").strip(" \t"))
        return fields

    def _frame(self, *, keep_alive: bool) -> None:
        """Find where the body ends: RFC 9112 section 6.3."""
        fields = self.fields
        connection = fields.get("connection", "").lower()
        self.will_close = "close" in connection or not (keep_alive or "keep-alive" in connection)
        coding = fields.get("transfer-encoding")
        lengths = (
            {length.strip() for length in fields.get("content-length", "").split(",")} if "content-length" in fields else None
        )
        if self.status == 101:
            self.will_close = True  # what follows is no body, and nobody's to read but who asked for it
        elif self._method == "HEAD" or self.status in (204, 304):
            self.length = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise StoppedError(self._exchange.malformed("an unknown transfer encoding"))
            self.chunked = True
        elif lengths is not None:
            length = lengths.pop()
            if lengths or not _DIGITS.fullmatch(length):
                raise StoppedError(self._exchange.malformed("the length is not one number"))
            self.length = int(length)
        else:
            self.will_close = True
        if coding is not None and lengths is not None:  # section 6.1: whoever sends both may be smuggling
            del fields["content-length"]
            self.will_close = True

    def read1(self, n: int = -1) -> bytes:
        """Give what has come of the body: of chunks all that lie whole in the buffer, for http.client would give one by one."""
        return self._chunks_at_hand(n) or super().read1(n)

    def _chunks_at_hand(self, most: int) -> bytes:
        """Take the whole chunks from the buffer, without waiting; nothing where the general way has to say what comes.

        That saves each chunk but the first of a buffer the way through http.client and urllib3, which costs more than its event.
        """
        fp = self.fp
        if fp is None or not self.chunked or self.chunk_left or self._inflow.count == fp.tell():
            return b""
        data = fp.peek()
        # the line end of the chunk before is still there where that one was read in the general way
        taken = 0 if self.chunk_left is None else 2 if data.startswith(b"\r\n") else len(data)
        found, taken = whole_chunks(data, taken, most)
        if len(found) < _WORTH_IT:
            return b""  # who reads a short stream sees it chunk by chunk, as it was sent
        fp.read(taken)
        self.chunk_left = None
        return b"".join(found)

    def beyond(self) -> bytes:
        """Give what was received behind the head already, where no body follows it."""
        fp = self.fp
        return b"" if fp is None else fp.read(self._inflow.count - fp.tell())

    def _read_next_chunk_size(self) -> int:
        assert self.fp is not None
        line = self.fp.readline(MAX_LINE + 1)
        match = CHUNK_SIZE.fullmatch(line)
        if match is None:
            whole = line.endswith(b"\n") or len(line) > MAX_LINE
            raise StoppedError(self._exchange.malformed("a chunk is malformed") if whole else self._exchange.lost())
        return int(match[1], 16)

    def _close_conn(self) -> None:
        """Let go of the connection at the end of the body, or for good where it cannot carry another answer."""
        fp, owner = self.fp, self.owner
        if fp is None:
            return
        self.fp = None
        spent = self.will_close or fp.tell() != self._inflow.count  # bytes that nobody asked for
        fp.close()
        if owner is not None:
            owner.let_go()
            if spent:
                owner.close()
