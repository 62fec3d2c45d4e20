"""The pytest plugin: a test's gateways answer from a recording, which ``pytest --omnillm-record`` makes anew.

Nothing of the rest is imported before a test asks for the fixture.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .gateway.gateway import Gateway
    from .testing import Tape

FOLDER = "recordings"
MARKER = "omnillm_replay"
_FAILED = pytest.StashKey[bool]()
_RECORDED = pytest.StashKey[dict[Path, str]]()  # which test's each recording is that was made in this run
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_OPTIONS = {"path", "match_on", "secrets"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--omnillm-record``."""
    group = parser.getgroup("omnillm")
    group.addoption("--omnillm-record", action="store_true", help="record what the tests' gateways exchange, over the network")


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(path=None, match_on=('method', 'path', 'body'), secrets=()): where a test's recording is, how it is matched",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed: its recording would be of a failure."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


class Replays:
    """Answer a gateway from the test's recording until the test ends, or record it; give the gateway back."""

    def __init__(self, node: pytest.Item, *, records: bool) -> None:
        self._node = node
        self._records = records
        self._open: list[tuple[AbstractContextManager[Tape], Path]] = []
        marker = node.get_closest_marker(MARKER)
        self._options: dict[str, Any] = {} if marker is None else dict(marker.kwargs)
        if marker is not None and (marker.args or not _OPTIONS.issuperset(self._options)):
            raise pytest.UsageError(f"{node.nodeid}: the marker {MARKER} takes {', '.join(sorted(_OPTIONS))}, by name")

    def __call__(self, gateway: Gateway, name: str | None = None) -> Gateway:
        """Begin with a gateway; a test with several gives each but one a name of its own."""
        from .testing import record, replay

        path = self._path(name)
        if any(path == other for _, other in self._open):
            raise pytest.UsageError(f"{self._node.nodeid}: a recording is of one gateway: give the other one a name")
        secrets = self._options.get("secrets", ())
        if self._records:
            self._claim(path)
            held = record(path, gateway, secrets=secrets)
        elif not path.exists():
            pytest.fail(f"there is no recording {path}: make it with pytest --omnillm-record", pytrace=False)
        else:
            matched = {"match_on": self._options["match_on"]} if "match_on" in self._options else {}
            held = replay(path, gateway, secrets=secrets, **matched)
        held.__enter__()
        self._open.append((held, path))
        return gateway

    def end(self, *, failed: bool) -> None:
        """Write what was recorded of a test that passed; raises for a request that was not in a recording."""
        problem = _TestFailedError() if failed and self._records else None
        errors: list[Exception] = []
        while self._open:
            held, _ = self._open.pop()
            try:
                held.__exit__(None if problem is None else type(problem), problem, None)
            except Exception as error:  # noqa: BLE001  # the others end, too; it is raised below
                errors += [error] if error is not problem else []
        if errors:
            raise errors[0]

    def _claim(self, path: Path) -> None:
        """Refuse to write over what another test has recorded: it would be played to both."""
        node = self._node
        other = node.config.stash.setdefault(_RECORDED, {}).setdefault(path, node.nodeid)
        if other != node.nodeid:
            raise pytest.UsageError(f"{node.nodeid}: {path} is the recording of {other}: give this one a path of its own")

    def _path(self, name: str | None) -> Path:
        where = Path(self._node.path)
        given = self._options.get("path")
        usual = Path(FOLDER, where.stem, f"{_fit(self._node.nodeid.partition('::')[2])}.json")
        path = where.parent / (usual if given is None else Path(given))
        return path if name is None else path.with_name(f"{path.stem}-{_fit(name)}{path.suffix}")


class _TestFailedError(Exception):
    """Leave the block of a recording that is not to be written."""


def _fit(name: str) -> str:
    return _UNFIT.sub("-", name).strip("-.") or "test"


@pytest.fixture
def omnillm_replay(request: pytest.FixtureRequest) -> Iterator[Replays]:
    """Make a gateway answer from the test's recording, until the test ends."""
    node = request.node
    replays = Replays(node, records=bool(request.config.getoption("--omnillm-record")))
    yield replays
    replays.end(failed=node.stash.get(_FAILED, False))
