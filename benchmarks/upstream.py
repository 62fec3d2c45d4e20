"""An upstream in a process of its own, which answers with what was rendered before: it is not what is measured.

The first part of a request's path says what comes back: ``call`` a body; ``deltas-N`` a stream of that many text deltas, an HTTP
chunk each, all at once; ``paced-chunked-N`` and ``paced-close-N`` so many, 100 ms apart, each with the time at which it went.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

from .answers import STAMP, body, events, head, protocol_of, stamped

GAP_S = 0.1
_EVENTS = "text/event-stream; charset=utf-8"
_CHUNKED = "Transfer-Encoding: chunked"


class Upstream:
    """Run the upstream as long as it is needed; ``url`` is where it listens."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def pin(core: int) -> None:
    """Stay on one core, where the system has two and lets us: client and upstream are not to take turns on one."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


@functools.cache
def _rendered(shape: str, protocol: str) -> bytes:
    if shape == "call":
        return body(protocol)
    return head(_EVENTS, _CHUNKED) + b"".join(map(_chunk, events(protocol, int(shape.split("-")[1])))) + b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        try:
            while (path := _read_request(connection)) is not None:
                shape = path.split("/")[1]
                if not shape.startswith("paced-"):
                    connection.sendall(_rendered(shape, protocol_of(path)))
                elif not _pace(connection, shape, protocol_of(path)):
                    return
        except OSError:
            return  # the client left


def _read_request(connection: socket.socket) -> str | None:
    data = connection.recv(1 << 16)
    while b"\r\n\r\n" not in data:
        more = connection.recv(1 << 16)
        if not more:
            return None
        data += more
    top, _, rest = data.partition(b"\r\n\r\n")
    lower = top.lower()
    at = lower.find(b"\r\ncontent-length:")
    left = int(lower[at + 17 :].split(b"\r\n", 1)[0]) - len(rest) if at >= 0 else 0
    while left > 0:
        left -= len(connection.recv(1 << 16)) or left
    return top.split(b" ", 2)[1].decode()


def _pace(connection: socket.socket, shape: str, protocol: str) -> bool:
    """Send the deltas of a slow stream; tell whether the connection can go on."""
    _, framing, count = shape.split("-")
    chunked, event = framing == "chunked", stamped(protocol)
    connection.sendall(head(_EVENTS, _CHUNKED if chunked else "Connection: close"))
    for _ in range(int(count)):
        time.sleep(GAP_S)
        data = event.replace(STAMP, b"%d" % time.monotonic_ns())
        connection.sendall(_chunk(data) if chunked else data)
    time.sleep(GAP_S)  # what waits for the end is seen to
    rest = list(events(protocol, 0))[-3:]
    connection.sendall(b"".join(map(_chunk, rest)) + b"0\r\n\r\n" if chunked else b"".join(rest))
    return chunked


def main() -> None:
    """Serve until the process is ended."""
    pin(1)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=_serve, args=(server.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
