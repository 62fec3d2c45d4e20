"""The gateways of a framework's settings: by alias, made when first asked for, one of each for a process, closed at its exit.

A setting is a mapping as ``GatewayConfig.from_mapping`` takes it, or its model alone (``"openai/gpt-4.1-mini"``); a
``GatewayConfig``; a ``Gateway``, which stays its owner's to close; or a callable, or the path of one (``"mysite.llm.gateway"``),
that gives one of these.

Rules. A fork needs nothing: a gateway begins anew in a child by itself, and so is the same object there, wherever it is held.
Only the lock is another, for one that a thread of the parent held is never released in the child.
"""

from __future__ import annotations

import atexit
import os
import pkgutil
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._names import nearest
from .._secret import mask, sealed
from ..config import GatewayConfig
from ..errors import ConfigurationError, MissingKeyError
from ..gateway.gateway import Gateway

SETTING = "OMNILLM"
DEFAULT = "default"


class Gateways:
    """Keep the gateways of what ``settings`` gives: a mapping of aliases, looked up anew whenever one is made."""

    def __init__(self, settings: Callable[[], object]) -> None:
        self._settings = settings
        self._made: dict[str, Gateway] = {}
        self._lent: set[str] = set()  # aliases of gateways that others made
        self._lock = threading.RLock()
        _ALL.add(self)

    def get(self, alias: str = DEFAULT) -> Gateway:
        """Give the gateway of that alias; raises ``ConfigurationError`` naming the setting."""
        found = self._made.get(alias)
        return self._make(alias) if found is None else found

    def _make(self, alias: str) -> Gateway:
        with self._lock:  # Critical section: one of each alias is made
            found = self._made.get(alias)
            if found is None:
                value = setting(self._settings(), alias)
                if isinstance(value, Gateway):
                    self._lent.add(alias)
                new = made(value, alias)
                found = self._made.setdefault(alias, new)  # a greenlet may have been faster, for which this lock is none
                _close_at_exit()
            return found

    def aliases(self) -> Iterator[str]:
        """Give the aliases that there are."""
        yield from aliases(self._settings())

    def close(self) -> None:
        """Close what was made here, and forget it: what is asked for next is made anew."""
        with self._lock:  # Critical section: take them out
            closing = [gateway for alias, gateway in self._made.items() if alias not in self._lent]
            self._made = {}
            self._lent = set()
        for gateway in closing:
            gateway.close()

    def after_fork(self) -> None:
        """Begin anew in a child."""
        self._lock = threading.RLock()


def spelled(alias: str) -> str:
    """Name the setting of an alias, as one would look for it."""
    return f'{SETTING}["{mask(alias)}"]'


def aliases(settings: object) -> Mapping[str, Any]:
    """Give the settings, by alias; raises ``ConfigurationError`` where they are no mapping of names."""
    if settings is None:
        said = f'{SETTING} is not set: expected a mapping of aliases, {{"{DEFAULT}": {{"model": "provider/model"}}}}'
        raise ConfigurationError(said, field=SETTING)
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{SETTING}: expected a mapping of aliases, got {type(settings).__name__}", field=SETTING)
    for alias in settings:
        if not isinstance(alias, str):
            raise ConfigurationError(f"{SETTING}: expected aliases, got {type(alias).__name__}", field=SETTING)
    return settings


def setting(settings: object, alias: str) -> Any:
    """Give the setting of that alias; raises ``ConfigurationError`` with the nearest where there is none."""
    found = aliases(settings)
    if alias not in found:
        raise ConfigurationError(f"{SETTING}: no gateway is called {alias!r:.80}: {nearest(alias, found)}", field=SETTING)
    return found[alias]


def made(value: Any, alias: str) -> Gateway:
    """Make the gateway of a setting; raises ``ConfigurationError`` naming it."""
    value = sealed(value)  # a report of a traceback's locals shows this frame's too
    try:
        given = _given(value, alias)
        return given if isinstance(given, Gateway) else Gateway(given)
    except MissingKeyError as error:
        raise MissingKeyError(f"{spelled(alias)}: {error.message}", field=error.field) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{spelled(alias)}: {error.message}", field=error.field) from None


def _given(value: Any, alias: str) -> Gateway | GatewayConfig:
    if isinstance(value, str) and "/" not in value:
        value = _named(value)
    if callable(value):
        value = value()
    if isinstance(value, str):
        value = {"model": value}
    if isinstance(value, Mapping):
        return GatewayConfig.from_mapping(value)
    if not isinstance(value, Gateway | GatewayConfig):
        what = "expected a mapping, a GatewayConfig, a Gateway, or what gives one"
        raise ConfigurationError(f"{what}; got {type(value).__name__}", field=alias)
    return value


def _named(path: str) -> Any:
    try:
        return pkgutil.resolve_name(str(path))
    except (ValueError, ImportError, AttributeError) as error:
        what = "expected a mapping, 'provider/model', or the path of a callable, as 'mysite.llm.gateway'"
        raise ConfigurationError(f"{what}; {mask(path)!r:.80} leads nowhere: {type(error).__name__}") from None


# --- processes ----------------------------------------------------------------------------------------------------------------

_ALL: weakref.WeakSet[Gateways] = weakref.WeakSet()
_AT_EXIT: list[bool] = []


def _close_at_exit() -> None:
    if not _AT_EXIT:
        _AT_EXIT.append(True)
        atexit.register(_close_all)


def _close_all() -> None:
    for gateways in list(_ALL):
        gateways.close()


def _after_fork() -> None:
    for gateways in list(_ALL):
        gateways.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
