"""The house holds: imports point down, the lower floors are pure, files and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "omnillm"
FLOORS = {
    "errors": 0, "_secret": 0, "_clock": 0, "_bell": 0, "_cancel": 0, "_json": 0, "_late": 0, "_loopback": 0,
    "_names": 0,
    "types": 1,
    "wire": 2,
    "policy": 3,
    "state": 4, "transport": 4,
    "providers": 5, "config": 5, "hooks": 5,
    "gateway": 6, "primitive": 6, "people": 6,
    "replay": 7, "testing": 7, "contrib": 7, "cli": 7, "data": 7, "demo": 7, "__main__": 7, "_pytest_plugin": 7,
}  # fmt: skip
SIDEWAYS = {0, 5, 6, 7}  # floors whose modules may import each other; elsewhere only inside the same folder
PURE_FLOORS = range(3)
TIME_AND_SIGNALS = {"_bell", "_clock", "_cancel", "_late"}
IMPURE = {
    "asyncio", "datetime.datetime", "logging", "multiprocessing", "os", "random", "redis", "requests", "secrets", "select",
    "signal", "socket", "ssl", "subprocess", "threading", "time", "urllib.request", "urllib3",
}  # fmt: skip
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40


@dataclass(frozen=True)
class Import:
    """An import statement: the full name of what it asks for, and where it stands."""

    target: str
    line: int


def inside(path: Path) -> tuple[str, ...]:
    """Give a file's module name below the package, as its parts."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports_of(source: str, package: tuple[str, ...]) -> Iterator[Import]:
    """Give the imports of a module of that package, relative ones resolved, at the top or inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ("omnillm", *package)[: len(package) + 2 - node.level] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).rstrip(".")
            yield from (Import(f"{module}.{alias.name}", node.lineno) for alias in node.names)


def upward(source: str, own: tuple[str, ...], package: tuple[str, ...]) -> list[str]:
    """Name the imports of a module that do not point to a lower floor, or sideways where that is allowed."""
    floor = FLOORS[own[0]]
    found = []
    for imported in imports_of(source, package):
        parts = imported.target.split(".")
        if parts[0] != "omnillm" or len(parts) < 2 or parts[1] not in FLOORS or parts[1] == own[0]:
            continue
        theirs = FLOORS[parts[1]]
        if theirs > floor or (theirs == floor and floor not in SIDEWAYS):
            found.append(f"line {imported.line}: floor {floor} imports {imported.target}, floor {theirs}")
    return found


def impure(source: str, package: tuple[str, ...]) -> list[str]:
    """Name the imports that a pure module must not have."""
    found = []
    for imported in imports_of(source, package):
        parts = imported.target.split(".")
        if any(".".join(parts[:n]) in IMPURE for n in (1, 2)):
            found.append(f"line {imported.line}: {imported.target}")
    return found


def too_long(source: str) -> list[str]:
    """Name the functions that do not fit on a screen."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [f"{name}: {lines} lines" for name, lines in sizes if lines > MAX_FUNCTION_LINES]


FILES = sorted(PACKAGE.rglob("*.py"))
EACH_FILE = pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in FILES])


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).parent.parts


@EACH_FILE
def test_every_module_has_a_floor(path: Path) -> None:
    """A new module or folder says where it stands; only the root stands above all."""
    assert not inside(path) or inside(path)[0] in FLOORS


@EACH_FILE
def test_imports_point_down(path: Path) -> None:
    """No module imports from a higher floor, nor from a neighbour that it should not know."""
    if inside(path):
        assert upward(path.read_text("utf-8"), inside(path), package_of(path)) == []


@EACH_FILE
def test_the_lower_floors_are_pure(path: Path) -> None:
    """Vocabulary, values and wire formats know no time, no thread, no chance, no network and no environment."""
    own = inside(path)
    if own and FLOORS[own[0]] in PURE_FLOORS and own[0] not in TIME_AND_SIGNALS:
        assert impure(path.read_text("utf-8"), package_of(path)) == []


@EACH_FILE
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file has at most 500 lines and a function 40."""
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert too_long(source) == []


def forkable(source: str) -> list[str]:
    """Name the imports inside functions that a fork may cut in two: those that are not made in ``with importing``."""
    found = []

    def visit(node: ast.AST, *, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if inside and isinstance(child, ast.Import | ast.ImportFrom):
                found.append(f"line {child.lineno}: {ast.unparse(child)}")
            held = isinstance(child, ast.With) and any(ast.unparse(item) == "importing" for item in child.items)
            function = isinstance(child, ast.FunctionDef | ast.Lambda)
            if not held:
                visit(child, inside=inside or function)

    visit(ast.parse(source), inside=False)
    return found


@EACH_FILE
def test_no_fork_cuts_an_import_in_two(path: Path) -> None:
    """What is imported on first use, which may be on the road of a call, is imported where a fork waits for it."""
    if not inside(path) or FLOORS[inside(path)[0]] < 7 or inside(path)[0] == "replay":
        assert forkable(path.read_text("utf-8")) == []


@EACH_FILE
def test_relative_imports_stay_relative(path: Path) -> None:
    """Inside the package nobody imports it by its name, but for the command line."""
    tree = ast.parse(path.read_text("utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    assert [name for name in names if name.split(".")[0] == "omnillm"] == [] or FLOORS[inside(path)[0]] == 7


@pytest.mark.parametrize(
    ("own", "source", "wrong"),
    [
        (("wire", "sse"), "from ..types.enums import WireFormat", False),
        (("wire", "sse"), "from ._fields import Fields", False),
        (("wire", "sse"), "from .. import _json", False),
        (("wire", "sse"), "from ..policy.retry import RetryPolicy", True),
        (("wire", "sse"), "from ..gateway import gateway", True),
        (("wire", "sse"), "from .. import config", True),
        (("wire", "sse"), "def f():\n    from omnillm.gateway import gateway", True),
        (("wire", "openai_chat", "request"), "from ...config import KeyConfig", True),
        (("wire", "openai_chat", "request"), "from ..anthropic import request", False),
        (("state", "memory"), "from ..transport.http import Timeouts", True),
        (("state", "memory"), "from ..policy.ledger import Ledger", False),
        (("config",), "from .providers.endpoint import ProviderEndpoint", False),
        (("_secret",), "from .errors import ConfigurationError", False),
        (("_secret",), "from .types import enums", True),
        (("_secret",), "import omnillm.types", True),
    ],
)
def test_an_upward_import_is_found_however_it_is_written(own: tuple[str, ...], source: str, wrong: bool) -> None:
    """Relative or absolute, of a module or from one, at the top or inside a function."""
    assert bool(upward(source, own, own[:-1])) is wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import re, json", False),
        ("from datetime import timedelta", False),
        ("from urllib.parse import quote", False),
        ("import os.path", True),
        ("from os import environ", True),
        ("from datetime import datetime", True),
        ("import urllib.request", True),
        ("def f():\n    import threading", True),
        ("from time import monotonic as now", True),
    ],
)
def test_an_impure_import_is_found_however_it_is_written(source: str, wrong: bool) -> None:
    """The module, a name out of it, or one inside it."""
    assert bool(impure(source, ("wire",))) is wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import a\nif True:\n    from b import c", False),
        ("def f():\n    import a", True),
        ("def f():\n    if True:\n        from a import b", True),
        ("class A:\n    def f(self):\n        try:\n            import a\n        except ImportError:\n            pass", True),
        ("def f():\n    with importing:\n        import a", False),
        ("def f():\n    with other:\n        import a", True),
    ],
)
def test_an_import_that_a_fork_may_cut_is_found(source: str, wrong: bool) -> None:
    """At the top it is nobody's first use; inside a function it must be in ``with importing``."""
    assert bool(forkable(source)) is wrong


def test_a_long_function_is_found() -> None:
    """Forty lines pass, one more does not; methods count too."""
    body = "        pass\n" * 39
    assert too_long(f"class A:\n    def f(self):\n{body}") == []
    assert too_long(f"class A:\n    def f(self):\n{body}        pass\n") == ["f: 41 lines"]


PLAIN_LOCKS = {
    "Lock",
    "Semaphore",
    "BoundedSemaphore",
    "Barrier",
    "Event",
    "allocate_lock",
    "Queue",
    "LifoQueue",
    "PriorityQueue",
}


def test_p20_every_lock_may_be_taken_again_by_its_thread() -> None:
    """What a signal handler or a finaliser may meet is an ``RLock``, or no lock at all; the doubles may have what they like."""
    plain = {}
    for path in FILES:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
        if names & PLAIN_LOCKS and inside(path)[0] not in ("testing", "_pytest_plugin"):
            plain[path.name] = names & PLAIN_LOCKS
    assert plain == {}
