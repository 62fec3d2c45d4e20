"""The gateways of a worker's process: those of the application's setting ``omnillm``, made on first use, closed with the process.

A worker of the prefork pool forks its processes before any task runs, so that each has gateways of its own; one that was made
before, by a program at its top, is mended by the fork itself.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from celery import signals

from ...gateway.gateway import Gateway
from .._gateways import DEFAULT, Gateways

SETTING = "omnillm"

_gateways: WeakKeyDictionary[Any, Gateways] = WeakKeyDictionary()  # by application


def gateway_of(app: Any, alias: str) -> Gateway:
    """Give this process's gateway of that alias; raises ``ConfigurationError`` naming the setting where it is wrong.

    Without a setting ``default`` is what the environment describes.
    """
    found = _gateways.get(app)
    return (_gateways.setdefault(app, _those_of(ref(app))) if found is None else found).get(alias)


def _those_of(app: ref[Any]) -> Gateways:
    def settings() -> object:
        there = app()
        given = None if there is None else there.conf.get(SETTING)
        return {DEFAULT: Gateway.from_env} if given is None else given

    return Gateways(settings)


def close_gateways(**_: Any) -> None:
    """Close the gateways that tasks of this process have used; Celery does where a process or a worker ends."""
    for gateways in list(_gateways.values()):
        gateways.close()


signals.worker_process_shutdown.connect(close_gateways)
signals.worker_shutdown.connect(close_gateways)
