"""A proxy in front of a server of the shared state, which counts, loses, delays and refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self


class Toll:
    """Pass bytes on to a server on this machine; each exchange, a request and its reply, pays here."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.exchanges = 0  # of scripts alone
        self.lose = 0  # so many of the next replies are lost, each with its connection
        self.lose_every = 0  # of so many replies the first is lost
        self.delay = 0.0
        self.is_down = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.down()
        for thread in self._threads:
            thread.join(5.0)

    def down(self) -> None:
        """Refuse whoever comes, and drop whoever is there."""
        self.is_down = True
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def up(self, port: int | None = None) -> None:
        """Let everybody through again; to another server, if that is given."""
        self.target = port or self.target
        self.is_down = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_down:
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            client.close()
            return
        self._open |= {client, server}
        with contextlib.suppress(OSError), client, server:
            while request := client.recv(1 << 20):
                is_script = b"EVAL" in request[:64]
                self.exchanges += is_script
                server.sendall(request)
                reply = server.recv(1 << 20)
                if is_script and self.delay:
                    time.sleep(self.delay)
                if is_script and self._is_lost():
                    break
                client.sendall(reply)
        self._open -= {client, server}

    def _is_lost(self) -> bool:
        if self.lose > 0:
            self.lose -= 1
            return True
        return self.lose_every > 0 and self.exchanges % self.lose_every == 1
