"""The lines that were typed in ``omnillm chat``, kept for the next time: a file of one's own that holds no key.

What is typed may hold a secret by mistake. So a line is kept without the keys that this process knows, and without what looks
like one: the sentence stays, to be called back and mended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from .._secret import Secret, mask, scrub
from ..errors import ConfigurationError
from ..providers.presets import PRESETS

KEPT = 1000  # lines; a file of twice as many is cut
OWNER_ALONE = 0o600
_RUN = re.compile(r"[A-Za-z0-9_+/=-]{32,}|[A-Za-z0-9_]{20,}")
_MORE_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OMNILLM_API_KEY", "OMNILLM_API_KEYS")


def default_path(environment: Mapping[str, str]) -> Path:
    """Say where the file is, by the convention for what programs remember."""
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "omnillm" / "chat-history"


def secrets_of(environment: Mapping[str, str]) -> list[Secret]:
    """Give the keys that the providers' variables hold."""
    names = {name for row in PRESETS.values() for name in row.key_variables} | {*_MORE_VARIABLES}
    found = []
    for name in sorted(names & set(environment)):
        for value in environment[name].split(","):
            with contextlib.suppress(ConfigurationError):  # what could be no key is none
                found.append(Secret.literal(value.strip()))
    return found


def without_keys(text: str, secrets: Iterable[Secret]) -> str:
    """Give a text without those keys, and without what looks like one."""
    return _RUN.sub(_judged, mask(scrub(text, secrets)))


def _judged(run: re.Match[str]) -> str:
    """Give what stands for a long run of letters and digits: nothing of it, but where it reads as words or as a path."""
    text = run[0]
    has_all = [any(map(kind, text)) for kind in (str.isdigit, str.islower, str.isupper)]
    looks_secret = all(has_all) if "-" in text or "/" in text else has_all[0] and any(has_all[1:])
    return "<redacted>" if looks_secret else text


class History:
    """Keep lines in a file that its owner alone reads, one JSON text a line; ``path=None`` keeps none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> list[str]:
        """Give the lines that were kept, oldest first; none where there is no file."""
        if self._path is None or not self._path.exists():
            return []
        kept = [line for line in map(_read, self._path.read_text("utf-8", "replace").splitlines()) if line is not None]
        if len(kept) > 2 * KEPT:
            replace_private(self._path, _written(kept[-KEPT:]))
        return kept[-KEPT:]

    def add(self, text: str, secrets: Iterable[Secret]) -> None:
        """Keep one line more, without keys."""
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _open_private(self._path) as file:
                file.write(_written([without_keys(text, secrets)]))


def _written(lines: Iterable[str]) -> bytes:
    # each on a line of its own, even behind half a one that a killed process left
    return "".join("\n" + json.dumps(line, ensure_ascii=False) for line in lines).encode("utf-8", "replace")


def replace_private(path: Path, data: bytes) -> None:
    """Write a file anew that its owner alone may read, whole or not at all; no link that waits in its place is followed."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _open_private(path: Path) -> BinaryIO:
    """Open a file to add to, such that its owner alone may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ALONE)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, OWNER_ALONE)  # it may have been there, and open to others
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "wb")


def _read(line: str) -> str | None:
    try:
        read = json.loads(line)
    except ValueError:
        return None  # half a line, of a process that was killed
    return read if isinstance(read, str) else None
