"""The scripts that the server runs: package data, one file for each operation, and what they share in front of it."""

from __future__ import annotations

import hashlib
import pkgutil
from dataclasses import dataclass
from functools import cache

_STATE = ("lane", "money", "held", "settling", "rare")
_SHARED = {
    "admit": _STATE,
    "settle": _STATE,
    "renew": _STATE,
    "snapshot": _STATE,
    "revive": ("lane",),
    "left": ("lane", "money"),
    "books": ("lane",),
    "register": (),
    "pools": (),
}


@dataclass(frozen=True, slots=True)
class Script:
    """Hold a script's source, and the digest by which the server knows it."""

    name: str
    source: str
    sha: str


@cache
def script(name: str) -> Script:
    """Put the script of an operation together."""
    source = "\n".join(_part(part) for part in (*_SHARED[name], name))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _part(name: str) -> str:
    data = pkgutil.get_data(__package__, f"lua/{name}.lua")
    assert data is not None  # it is shipped with the package
    return data.decode()
