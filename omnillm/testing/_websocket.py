"""The server's side of a WebSocket on a connection that switched, its frames wsproto's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from io import BufferedReader
from types import ModuleType
from typing import Any

from .. import _json
from ..errors import ConfigurationError

_READ = 64 << 10
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close() sends RST


def _wsproto() -> ModuleType:
    try:
        import wsproto.connection
        import wsproto.events
        import wsproto.utilities
    except ImportError:
        raise ConfigurationError("the local provider's sessions need wsproto: pip install wsproto", field="request") from None
    found: ModuleType = wsproto
    return found


def accepting(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Give the headers that accept a handshake, ``None`` where there is none."""
    key = headers.get("sec-websocket-key")
    if headers.get("upgrade", "").lower() != "websocket" or key is None or headers.get("sec-websocket-version") != "13":
        return None
    accept: bytes = _wsproto().utilities.generate_accept_token(key.encode("latin-1"))
    return {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept.decode("ascii")}


class Peer:
    """Be the server's end: iterate over what the client sends, until it closes or leaves."""

    def __init__(self, sock: socket.socket, reader: BufferedReader) -> None:
        library = _wsproto()
        self._sock = sock
        self._reader = reader
        self._events = library.events
        self._connection = library.connection.Connection(library.connection.ConnectionType.SERVER)
        self._is_asked = library.connection.ConnectionState.REMOTE_CLOSING  # to close, too
        self.close_code: int | None = None  # the client's

    def __iter__(self) -> Iterator[str | bytes]:
        parts: list[Any] = []
        while self.close_code is None:
            data = self._reader.read1(_READ)
            self._connection.receive_data(data or None)
            for event in self._connection.events():
                if isinstance(event, self._events.Message):
                    parts.append(event.data)
                    if event.message_finished:
                        yield parts[0][:0].join(parts)
                        parts = []
                elif isinstance(event, self._events.Ping):
                    self._give(event.response())
                elif isinstance(event, self._events.CloseConnection):
                    self.close_code = event.code
                    if self._connection.state is self._is_asked:
                        self._give(event.response())

    def send(self, message: Any) -> None:
        """Send a text, bytes, or a JSON value as text."""
        if isinstance(message, bytes):
            self._give(self._events.BytesMessage(message))
        else:
            self._give(self._events.TextMessage(message if isinstance(message, str) else _json.dumps(message)))

    def ping(self, data: bytes = b"") -> None:
        """Ask whether the client is there."""
        self._give(self._events.Ping(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and let the client say so too."""
        self._give(self._events.CloseConnection(code, reason))
        for _ in self:
            pass

    def cut(self, *, reset: bool = False) -> None:
        """End the connection without a word, or with a reset."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        self.close_code = 1006

    def hang(self) -> None:
        """Say nothing any more, until the client leaves."""
        while self._sock.recv(_READ):
            pass

    def _give(self, event: Any) -> None:
        self._sock.sendall(self._connection.send(event))
