"""The public names, and what importing them costs: nothing runs before it is used."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest

import omnillm

BEFORE_FIRST_USE = """
import builtins, json, os, socket, sys, threading
class Environment(dict):
    def __getitem__(self, name): asked.append(name); return super().__getitem__(name)
    def get(self, name, default=None): asked.append(name); return super().get(name, default)
    def __contains__(self, name): asked.append(name); return super().__contains__(name)
asked, opened = [], []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
threads = threading.active_count()
os.environ = Environment(os.environ)
import omnillm
names = set(sys.modules)
print(json.dumps({
    "modules": sorted(names), "asked": asked, "opened": opened, "threads": threading.active_count() - threads,
}))
"""
# Not orjson: where it is installed it is there from the first, as an import on the road of a call is cut in two by a fork.
PAID_FOR_LATER = {
    "aiohttp", "asyncio", "botocore", "certifi", "concurrent.futures", "dataclasses_json", "django", "flask", "google",
    "http.client", "httpx", "marshmallow", "multiprocessing", "opentelemetry", "prometheus_client", "redis", "requests",
    "rich", "ssl", "subprocess", "urllib3", "websocket",
}  # fmt: skip
ABOVE_THE_WIRE = {"cli", "config", "contrib", "demo", "gateway", "hooks", "people", "primitive", "providers", "replay", "state",
                  "testing", "transport"}  # fmt: skip


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """What a fresh interpreter saw of ``import omnillm``."""
    done = subprocess.run([sys.executable, "-c", BEFORE_FIRST_USE], check=True, capture_output=True, text=True, timeout=60)
    seen: dict[str, list[str]] = json.loads(done.stdout)
    return seen


def test_nothing_runs_at_import(imported: dict[str, list[str]]) -> None:
    """Importing starts no thread, opens no socket and reads no variable of the environment."""
    assert (imported["threads"], imported["opened"], imported["asked"]) == (0, [], [])


def test_importing_pulls_in_no_library_that_a_translation_does_not_need(imported: dict[str, list[str]]) -> None:
    """HTTP, TLS, JSON at rest and all extras wait for their first use."""
    assert PAID_FOR_LATER & set(imported["modules"]) == set()


def test_importing_stops_below_the_gateway(imported: dict[str, list[str]]) -> None:
    """Who only translates between formats loads no floor above the wire."""
    loaded = {name.split(".")[1] for name in imported["modules"] if name.startswith("omnillm.")}
    assert loaded & ABOVE_THE_WIRE == set()


def test_the_list_of_public_names_is_sorted_and_without_twins() -> None:
    """A name stands once, where one looks for it."""
    assert omnillm.__all__ == sorted(set(omnillm.__all__))


@pytest.mark.parametrize("name", omnillm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name of the list is found, the same each time, and is no module."""
    value = getattr(omnillm, name)
    assert value is getattr(omnillm, name)
    assert not isinstance(value, types.ModuleType)
    assert name in dir(omnillm)


def test_the_list_holds_every_public_name() -> None:
    """What the root gives without an underscore is in the list, but for modules and its own tools."""
    given = {name for name in dir(omnillm) if not name.startswith("_")}
    own = {"annotations", "importlib", "TYPE_CHECKING", "Any"}
    modules = {name for name in given if isinstance(getattr(omnillm, name), types.ModuleType)}
    assert given - own - modules == set(omnillm.__all__)


def test_every_public_class_and_function_says_what_it_is() -> None:
    """Each has a docstring of its own."""
    public = [getattr(omnillm, name) for name in omnillm.__all__]
    assert [it for it in public if isinstance(it, type | types.FunctionType) and not (it.__doc__ or "").strip()] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typing mistake is told as any module tells it."""
    with pytest.raises(AttributeError, match="module 'omnillm' has no attribute 'Gatway'"):
        _ = omnillm.Gatway


def test_a_name_is_loaded_on_first_use_and_then_kept() -> None:
    """The first use of a name of the upper floors loads its module; the second is a plain look-up."""
    code = """
import sys, omnillm
assert "AuthScheme" not in vars(omnillm) and "omnillm.providers.auth" not in sys.modules
scheme = omnillm.AuthScheme.bearer()
assert "omnillm.providers.auth" in sys.modules and vars(omnillm)["AuthScheme"] is type(scheme)
from omnillm import ProviderEndpoint
assert vars(omnillm)["ProviderEndpoint"] is ProviderEndpoint
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_star_import_gives_exactly_the_list() -> None:
    """``from omnillm import *`` is the same list."""
    code = """
before = {*dir(), "before", "omnillm"}
from omnillm import *
import omnillm
assert set(dir()) - before == set(omnillm.__all__)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
