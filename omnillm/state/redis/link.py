"""The way to the server: one script, one round trip, and a second try of what can be run twice.

Purpose: run a script by its digest, and say what is wrong with a server in words that show no password.
Contract: raises ``StateUnavailableError``, and whatever interrupts. What was sent and not answered may have been run.
Rules:
- Every script may be run twice, so a lost reply is asked for again, once; redis-py's own ten tries are not used.
- A connection that is left in the midst of an exchange is closed, never used again: its reply would be another's.
- A client belongs to its process: the child of a fork makes its own.
"""

from __future__ import annotations

import os
from typing import Any

from ...errors import ConfigurationError, StateUnavailableError
from .scripts import Script, script

TRIES = 2
_EXTRA = "RedisState needs redis-py: pip install 'omnillm[redis]'"
_SAYS = {
    "ReadOnlyError": "is a replica that takes no writes",
    "READONLY": "is a replica that takes no writes",
    "BusyLoadingError": "is loading its data",
    "LOADING": "is loading its data",
    "OutOfMemoryError": "is out of memory",
    "OOM": "is out of memory",
    "WRONGTYPE": "has other things under this name",
    "NOAUTH": "asks for a password",
    "Authentication": "refuses the password",
    "WRONGPASS": "refuses the password",
    "NoPermission": "does not permit it",
    "NOPERM": "does not permit it",
    "MOVED": "is one node of a cluster: RedisState takes a redis.RedisCluster, too",
    "MovedError": "is one node of a cluster: RedisState takes a redis.RedisCluster, too",
    "ClusterDown": "is a cluster that is down",
    "MasterNotFound": "has no master now",
    "BUSY": "is busy with another script",
    "MaxConnections": "has no connection left for this process",
    "TimeoutError": "does not answer in time",
    "ConnectionError": "cannot be reached",
}


class Link:
    """Run scripts on a server, given as a URL or as a client of redis-py."""

    def __init__(self, target: Any, *, timeout: float) -> None:
        self._url = target if isinstance(target, str) else None
        self._timeout = timeout
        self._clients: dict[int, Any] = {}  # by process; setdefault is atomic
        if self._url is not None:
            self._made()  # a wrong URL is told now; nothing is connected
        elif not callable(getattr(target, "execute_command", None)):
            raise ConfigurationError(f"target: expected a URL or a client of redis-py, got {type(target).__name__}", field="target")
        else:
            self._given = target

    def run(self, name: str, prefix: str, *args: bytes | str) -> tuple[Any, bool]:
        """Run a script; give what it answers, and whether it was sent more than once."""
        from redis import exceptions

        found = script(name)
        for attempt in range(1, TRIES + 1):
            try:
                return self._evaluated(found, prefix, args), attempt > 1
            except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, OSError) as error:
                final = isinstance(error, exceptions.AuthenticationError | exceptions.BusyLoadingError)
                if final or attempt == TRIES:
                    raise unavailable(error) from None
            except exceptions.RedisError as error:
                raise unavailable(error) from None
        raise AssertionError

    def close(self) -> None:
        """Close the connections that this process made."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    # --- one exchange ---------------------------------------------------------------------------------------------------------

    def _evaluated(self, found: Script, prefix: str, args: tuple[bytes | str, ...]) -> Any:
        from redis.exceptions import NoScriptError

        client = self._client()
        try:
            return self._exchange(client, "EVALSHA", found.sha, 1, prefix, *args)
        except NoScriptError:
            return self._exchange(client, "EVAL", found.source, 1, prefix, *args)

    def _exchange(self, client: Any, *command: Any) -> Any:
        pool = getattr(client, "connection_pool", None)
        if pool is None:  # a cluster's client knows its nodes' connections
            return client.execute_command(*command)
        connection = pool.get_connection()
        whole = False
        try:
            connection.send_command(*command)
            answer = connection.read_response(disable_decoding=True)
            whole = True
        except Exception as error:
            whole = _is_reply(error)
            raise
        finally:
            if not whole:
                connection.disconnect()
            pool.release(connection)
        return answer

    def _client(self) -> Any:
        if self._url is None:
            return self._given
        return self._clients.get(os.getpid()) or self._clients.setdefault(os.getpid(), self._made())

    def _made(self) -> Any:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise ConfigurationError(_EXTRA, field="target") from None
        seconds = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
        try:
            # the second protocol: with the third, redis-py does not look for stray replies on a connection it takes up
            return redis.Redis.from_url(self._url or "", retry=Retry(NoBackoff(), 0), protocol=2, **seconds)
        except (ValueError, TypeError):
            raise ConfigurationError("target: expected a URL as redis://host:6379/0, rediss:// or unix://", field="target") from None


def _is_reply(error: Exception) -> bool:
    """Tell whether the error is what the server answered, read to its end."""
    from redis import exceptions

    return isinstance(error, exceptions.ResponseError) and not isinstance(error, exceptions.ConnectionError)


def unavailable(error: Exception) -> StateUnavailableError:
    """Say what is wrong, without what the server or redis-py quoted: there may be a password in it."""
    about = f"{' '.join(kind.__name__ for kind in type(error).__mro__)} {error}"
    says = next((says for word, says in _SAYS.items() if word in about), f"answers with an error ({type(error).__name__})")
    return StateUnavailableError(f"the state store {says}")
