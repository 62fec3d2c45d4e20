"""The way to the server: one script, one round trip, and a second try of what can be run twice.

Purpose: run a script by its digest, and say what is wrong with a server in words that show no password.
Contract: raises ``StateUnavailableError``, and whatever interrupts. What was sent and not answered may have been run.
Rules:
- Every script may be run twice, so a lost reply is asked for again, once; redis-py's own ten tries are not used.
- A connection that is left in the midst of an exchange is closed, never used again: its reply would be another's.
- Connections are taken from redis-py's pool once, and kept: to borrow one costs as much as to use it. One that lay idle is
  looked at first, as the pool would.
- A client and its connections belong to their process: the child of a fork makes its own.
"""

from __future__ import annotations

import os
import time
from collections import deque
from functools import cache
from typing import Any

from ..._cancel import is_from_outside
from ..._late import importing
from ...errors import ConfigurationError, StateUnavailableError
from .scripts import script

TRIES = 2
IDLE_S = 1.0
_EXTRA = "RedisState needs redis-py: pip install 'omnillm[redis]'"
_SAYS = {
    "ReadOnly": "is a replica that takes no writes",
    "READONLY": "is a replica that takes no writes",
    "BusyLoading": "is loading its data",
    "LOADING": "is loading its data",
    "OutOfMemory": "is out of memory",
    "OOM": "is out of memory",
    "WRONGTYPE": "has other things under this name",
    "NOAUTH": "asks for a password",
    "Authentication": "refuses the password",
    "WRONGPASS": "refuses the password",
    "NoPermission": "does not permit it",
    "NOPERM": "does not permit it",
    "Moved": "is one node of a cluster: RedisState takes a redis.RedisCluster, too",
    "MOVED": "is one node of a cluster: RedisState takes a redis.RedisCluster, too",
    "ClusterDown": "is a cluster that is down",
    "MasterNotFound": "has no master now",
    "BUSY": "is busy with another script",
    "MaxConnections": "has no connection left for this process",
    "TimeoutError": "does not answer in time",
    "ConnectionError": "cannot be reached",
    "OSError": "cannot be reached",
}


class Link:
    """Run scripts on a server, given as a URL or as a client of redis-py."""

    def __init__(self, target: Any, *, timeout: float) -> None:
        try:
            with importing:
                import redis
                from redis import backoff, exceptions, retry
        except ImportError:
            raise ConfigurationError(_EXTRA, field="target") from None
        self._connect = redis.Redis.from_url
        self._no_retry = retry.Retry(backoff.NoBackoff(), 0)
        self._again = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, OSError)
        self._never_again = (exceptions.AuthenticationError, exceptions.BusyLoadingError)
        self._replies = exceptions.ResponseError
        self._no_script = exceptions.NoScriptError
        self._wrong = exceptions.RedisError
        self._url = target if isinstance(target, str) else None
        self._timeout = timeout
        self._given = target
        self._clients: dict[int, Any] = {}  # by process; setdefault is atomic
        self._idle: dict[int, deque[tuple[Any, float]]] = {}  # by process, too
        if self._url is not None:
            self._client()  # a wrong URL is told now; nothing is connected
        elif not callable(getattr(target, "execute_command", None)):
            raise ConfigurationError(
                f"target: expected a URL or a client of redis-py, got {type(target).__name__}", field="target"
            )

    def run(self, name: str, prefix: str, *args: bytes) -> tuple[Any, bool]:
        """Run a script; give what it answers, and whether it was sent more than once."""
        try:
            return self._evaluated(name, prefix, args), False
        except self._again as error:
            if isinstance(error, self._never_again):
                raise unavailable(error) from None
        except self._wrong as error:
            raise unavailable(error) from None
        self._drop_idle()  # what was kept is probably as dead
        try:
            return self._evaluated(name, prefix, args), True
        except (self._wrong, OSError) as error:
            raise unavailable(error) from None

    def close(self) -> None:
        """Close the connections that this process made."""
        self._drop_idle()
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.connection_pool.disconnect(inuse_connections=False)  # who is in the midst of an exchange ends it

    # --- one exchange ---------------------------------------------------------------------------------------------------------

    def _evaluated(self, name: str, prefix: str, args: tuple[bytes, ...]) -> Any:
        client = self._client()
        pool = getattr(client, "connection_pool", None)
        try:
            if pool is None:  # a cluster's client knows its nodes' connections
                return client.execute_command("EVALSHA", script(name).sha, 1, prefix, *args)
            return self._exchange(pool, _command(name, prefix, args))
        except self._no_script:
            if pool is None:
                return client.execute_command("EVAL", script(name).source, 1, prefix, *args)
            return self._exchange(pool, _words("EVAL", script(name).source, "1", prefix, extra=len(args)) + _bulk(args))

    def _exchange(self, pool: Any, command: bytes) -> Any:
        connection = self._connection(pool)
        whole = False
        try:
            connection.send_packed_command([command], check_health=False)
            answer = connection.read_response(disable_decoding=True)
            whole = True
        except self._replies as error:
            whole = not isinstance(error, self._again)  # the server's own words, read to their end
            raise
        finally:
            if whole:
                self._ours().append((connection, time.monotonic()))
            else:
                connection.disconnect()
                pool.release(connection)
        return answer

    def _connection(self, pool: Any) -> Any:
        idle = self._ours()
        while idle:
            try:
                connection, used_at = idle.pop()
            except IndexError:
                break  # another thread was faster
            if time.monotonic() - used_at < IDLE_S or not _is_spoilt(connection):
                return connection
            connection.disconnect()
            pool.release(connection)
        return pool.get_connection()

    def _ours(self) -> deque[tuple[Any, float]]:
        return self._idle.get(os.getpid()) or self._idle.setdefault(os.getpid(), deque())

    def _drop_idle(self) -> None:
        idle = self._idle.pop(os.getpid(), None)
        while idle:
            connection, _ = idle.popleft()
            connection.disconnect()
            self._client().connection_pool.release(connection)

    def _client(self) -> Any:
        if self._url is None:
            return self._given
        return self._clients.get(os.getpid()) or self._clients.setdefault(os.getpid(), self._made())

    def _made(self) -> Any:
        seconds = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
        try:
            # the second protocol: with the third, redis-py does not look for stray replies on a connection it takes up
            return self._connect(self._url or "", retry=self._no_retry, protocol=2, **seconds)
        except (ValueError, TypeError):
            raise ConfigurationError(
                "target: expected a URL as redis://host:6379/0, rediss:// or unix://", field="target"
            ) from None


def _is_spoilt(connection: Any) -> bool:
    """Tell whether a connection that lay idle was closed, or has a reply that nobody waited for."""
    try:
        return bool(connection.can_read(timeout=0))
    except Exception as error:  # whatever it is, the connection is not used
        if is_from_outside(error):
            raise
        return True


# --- what is sent, as redis-py would pack it: at a third of the cost ----------------------------------------------------------


def _command(name: str, prefix: str, args: tuple[bytes, ...]) -> bytes:
    return _evalsha(name, prefix, len(args)) + _bulk(args)


@cache
def _evalsha(name: str, prefix: str, count: int) -> bytes:
    return _words("EVALSHA", script(name).sha, "1", prefix, extra=count)


def _words(*words: str, extra: int) -> bytes:
    return b"*%d\r\n" % (len(words) + extra) + _bulk(tuple(word.encode() for word in words))


def _bulk(parts: tuple[bytes, ...]) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def unavailable(error: Exception) -> StateUnavailableError:
    """Say what is wrong, without what the server or redis-py quoted: there may be a password in it."""
    about = f"{' '.join(kind.__name__ for kind in type(error).__mro__)} {error}"
    says = next((says for word, says in _SAYS.items() if word in about), f"answers with an error ({type(error).__name__})")
    return StateUnavailableError(f"the state store {says}")
