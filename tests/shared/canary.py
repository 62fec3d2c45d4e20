"""``pytest --canary``: every key that a test makes is watched for, wherever something is shown, and finding one fails the test.

Watched: logging at its most talkative, warnings, stdout and stderr, of child processes too, what is told by errors that a test
caught, the locals of their frames as a reporter sees them, the repr and the pickle of the library's objects that are alive at the
end of a test, and recordings that it wrote.
"""

from __future__ import annotations

import gc
import logging
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from reporter import forms_of, locals_of, pickled, told

from omnillm._secret import Secret
from omnillm.errors import OmniLLMError

LEAST_CHARS = 8
_SHORT = re.compile(r"sk-[\w-]+")
_NOT_OURS = ("omnillm.testing", "omnillm.wire")  # what a double was sent, and what an upstream said as it came
_EVERY = 8  # of so many tests, the objects of one are looked at


class Canary:
    """Hold the keys of the running test, and what was found of them."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self.found: list[str] = []
        self._pattern: re.Pattern[str] | None = None
        self.tests = 0

    def begin(self) -> None:
        """Forget the test before."""
        self._keys.clear()
        self.found.clear()
        self._pattern = None
        self.tests += 1

    def watch_for(self, key: object) -> None:
        """Watch for one more key, if no other word could look like it."""
        if isinstance(key, str) and (_SHORT.fullmatch(key) or (len(key) >= LEAST_CHARS and not key.isalpha())):
            self._keys.add(str(key))
            self._pattern = None

    @property
    def keys(self) -> bool:
        """Tell whether there is anything to watch for."""
        return bool(self._keys)

    def look(self, where: str, text: object) -> None:
        """Look for the keys in a text."""
        if not self._keys or not text:
            return
        if self._pattern is None:
            forms = {form for key in self._keys for form in forms_of(key) if len(form) >= 4}
            self._pattern = re.compile(rf"(?<![0-9A-Za-z-])(?:{'|'.join(map(re.escape, forms))})(?![0-9A-Za-z-])")
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        hit = self._pattern.search(text)
        if hit is not None:
            self.found.append(f"{where}: {text[max(0, hit.start() - 60) : hit.end() + 60]!r}")

    def look_at_error(self, error: BaseException) -> None:
        """Look through an error that a test caught."""
        if isinstance(error, OmniLLMError | KeyboardInterrupt):
            for text in told(error):
                self.look(f"error {type(error).__name__}", text)
            for where, text in locals_of(error):
                self.look(f"locals {where}", text)

    def look_at_objects(self) -> None:
        """Look at what is alive of the library; what a double of a provider was sent is its business."""
        gc.collect()  # what an earlier test left in cycles
        for value in gc.get_objects():
            kind = type(value)
            module = str(getattr(kind, "__module__", ""))
            if module.startswith("omnillm.") and not (module.startswith(_NOT_OURS) or kind.__name__.startswith("_")):
                try:
                    shown = repr(value)
                except Exception:  # half made, by a test of interrupts
                    continue
                self.look(f"repr of {kind.__name__}", shown)
                if module.startswith(("omnillm.types", "omnillm.config", "omnillm.errors", "omnillm.state")):
                    self.look(f"pickle of {kind.__name__}", pickled(value))

    def look_at_files(self, folder: Path) -> None:
        """Look at the recordings of a test."""
        for path in folder.rglob("*"):
            text = path.read_bytes() if path.is_file() else b""
            if b'"exchanges"' in text and b'"version"' in text:
                self.look(f"recording {path.name}", text)


class _Listener(logging.Handler):
    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.NOTSET)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        self._canary.look(f"log {record.name}", self.format(record))
        self._canary.look(f"log {record.name}", repr(record.args))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--canary", action="store_true", help="watch for the tests' keys wherever something is shown")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--canary"):
        config.pluginmanager.register(_Plugin(), "canary-watch")


class _Plugin:
    def __init__(self) -> None:
        self._canary = Canary()
        self._patch = pytest.MonkeyPatch()
        self._listener = _Listener(self._canary)

    def pytest_sessionstart(self) -> None:
        canary, patch = self._canary, self._patch
        make, leave = Secret.__init__, type(pytest.raises(ValueError)).__exit__
        read, run, talk = pytest.CaptureFixture.readouterr, subprocess.run, subprocess.Popen.communicate

        def made(self: Secret, value: str, **options: Any) -> None:
            canary.watch_for(value)
            make(self, value, **options)

        def left(self: Any, kind: Any, error: BaseException | None, trace: Any) -> Any:
            result = leave(self, kind, error, trace)
            if error is not None:
                canary.look_at_error(error)
            return result

        def told_by(name: str, call: Any) -> Any:
            def wrapped(*arguments: Any, **options: Any) -> Any:
                result = call(*arguments, **options)
                out, err = (result.stdout, result.stderr) if isinstance(result, subprocess.CompletedProcess) else result
                canary.look(f"stdout of {name}", out)
                canary.look(f"stderr of {name}", err)
                return result

            return wrapped

        patch.setattr(Secret, "__init__", made)
        patch.setattr(type(pytest.raises(ValueError)), "__exit__", left)
        patch.setattr(pytest.CaptureFixture, "readouterr", told_by("the test", read))
        patch.setattr(subprocess, "run", told_by("a child", run))
        patch.setattr(subprocess.Popen, "communicate", told_by("a child", talk))
        root = logging.getLogger()
        root.addHandler(self._listener)
        root.setLevel(logging.DEBUG)

    def pytest_collection_finish(self) -> None:
        gc.collect()
        gc.freeze()  # what was there before the first test is not looked at again and again

    def pytest_sessionfinish(self) -> None:
        logging.getLogger().removeHandler(self._listener)
        self._patch.undo()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._canary.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        if self._canary.keys and not item.get_closest_marker("shows_keys"):
            self._look(item)
        yield
        found = list(dict.fromkeys(self._canary.found))
        if found and not item.get_closest_marker("shows_keys"):
            pytest.fail("a key was shown:\n" + "\n".join(found), pytrace=False)

    def _look(self, item: pytest.Item) -> None:
        canary = self._canary
        for _, name, text in item._report_sections:
            canary.look(f"captured {name}", text)
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if folder is not None:
            canary.look_at_files(folder)
        if canary.tests % _EVERY == 0:
            canary.look_at_objects()

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        self._canary.look("warning", warning_message.message)
