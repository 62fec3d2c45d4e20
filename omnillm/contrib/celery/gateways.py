"""The gateway of a worker's process: made where it is first asked for, closed where the process ends.

A worker of the prefork pool forks its processes before any task runs, so that each has one of its own; one that was made before,
by a program at its top, is mended by the fork itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from celery import signals

from ...errors import ConfigurationError
from ...gateway.gateway import Gateway

SETTING = "omnillm"

_gateways: WeakKeyDictionary[Any, dict[str | None, Gateway]] = WeakKeyDictionary()  # by application, then by name


def gateway_of(app: Any, name: str | None = None) -> Gateway:
    """Give this process's gateway of the application, by its setting ``omnillm``; raises ``ConfigurationError``."""
    ours = _gateways.get(app)
    if ours is None:
        ours = _gateways.setdefault(app, {})
    found = ours.get(name)
    if found is None:
        made = _made(app.conf.get(SETTING), name)
        found = ours.setdefault(name, made)
        if found is not made:  # another thread was faster
            made.close()
    return found


def _made(source: Any, name: str | None) -> Gateway:
    if source is None and name is None:
        return Gateway.from_env()
    if isinstance(source, Gateway) and name is None:
        return source
    if isinstance(source, Mapping | str | os.PathLike):
        return Gateway.from_config(source, name=name)
    if not callable(source):
        named = "" if name is None else f" that has one named {name!r:.80}"
        what = f"expected a mapping, the path of a file or a function{named}"
        raise ConfigurationError(f"{SETTING}: {what}, got {type(source).__name__}", field=SETTING)
    gateway = source() if name is None else source(name)
    if not isinstance(gateway, Gateway):
        raise ConfigurationError(f"{SETTING}: the function gave no Gateway, but {type(gateway).__name__}", field=SETTING)
    return gateway


def close_gateways(**_: Any) -> None:
    """Close the gateways that tasks of this process have used; Celery does where a process or a worker ends."""
    for ours in list(_gateways.values()):
        while ours:
            ours.popitem()[1].close()


signals.worker_process_shutdown.connect(close_gateways)
signals.worker_shutdown.connect(close_gateways)
