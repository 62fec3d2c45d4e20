"""The command line as a process: the console script, pipes that close, Ctrl-C, the demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stores import kinds, new_name, url_of

from omnillm.policy.limits import Budget, ModelLimits
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, Verdict
from omnillm.state.redis import RedisState
from omnillm.testing import LocalProvider, hang

COMMAND = [sys.executable, "-W", "error", "-m", "omnillm"]
CANARY = "sk-CANARY-0123456789"


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


def environment(provider: LocalProvider | None = None) -> dict[str, str]:
    """Give an environment without variables of ours, that leads OpenAI's to the provider."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OMNILLM_", "OPENAI_"))}
    if provider is not None:
        given |= {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": f"{provider.base_url}/v1"}
    return given


def run(*argv: str, provider: LocalProvider | None = None, command: list[str] | None = None, **options: Any) -> Any:
    return subprocess.run(
        [*(command or COMMAND), *argv], capture_output=True, timeout=60, check=False, env=environment(provider), **options
    )


def test_a_call_is_a_process(provider: LocalProvider) -> None:
    """What is piped in is asked, what is answered is piped out."""
    done = run("call", "openai/m", provider=provider, input="Grüße".encode())
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "echo: Grüße\n", b"")


def test_the_console_script_is_the_module(provider: LocalProvider) -> None:
    """``omnillm`` stands beside the interpreter that the package was installed for."""
    script = Path(sys.executable).with_name("omnillm")
    if not script.exists():
        pytest.skip("the package is not installed with its script here")
    done = run("stream", "openai/m", "hi", provider=provider, command=[str(script)])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"echo: hi\n", b"")


@pytest.mark.parametrize("argv", [("call", "opnai/m", "hi"), ("config", "check", "nowhere.toml"), ("sanitize",)])
def test_an_error_is_one_line_without_a_traceback(argv: tuple[str, ...]) -> None:
    """And exit code 1."""
    done = run(*argv, input=b"")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"omnillm: ")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_left_is_no_traceback() -> None:
    """As in ``omnillm config docs | head -1``."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, "config", "docs"], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False, env=environment()
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", ["call", "stream"])
def test_ctrl_c_is_quiet(provider: LocalProvider, command: str) -> None:
    """A call that hangs ends at once, with the exit code that shells give it, and says nothing."""
    provider.script(hang())
    process = subprocess.Popen(
        [*COMMAND, command, "openai/m", "hi"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(provider),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # who started the tests may have had it ignored
    )
    with process:
        try:
            assert provider.wait_requests(1, timeout=30)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, b"", b"")


def test_the_demo_speaks_json() -> None:
    """Every step, and which of them did not happen."""
    done = run("demo", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["missing"]) == (0, b"", [])
    assert [step["step"] for step in told["steps"]][:2] == ["forty calls at once", "a dead key retired"]
    assert all(step["happened"] and step["said"] for step in told["steps"])


def test_help_loads_no_network() -> None:
    """Typing is cheap: what a command needs is loaded when it runs."""
    code = "import sys; from omnillm.cli._parser import build_parser; build_parser(); print('requests' in sys.modules)"
    assert run("-c", code, command=[sys.executable]).stdout == b"False\n"


def test_status_shows_a_shared_state() -> None:
    """Every key, window, cool-down and budget of a state, as a table and as JSON; a server that is down is one line."""
    name = new_name()
    state = RedisState(url_of(kinds()[0]), name=name, timeout=10.0)
    state.add_budgets([Budget(5.0), Budget(1.0, scope="tenant", window="day")])
    state.add_pool("open_ai#1", [KeySpec("prod-1", 90_000, 500, {"own": ModelLimits(1_000, 10)}), KeySpec("[b]rod-2", 90_000, 5)])
    kept = state.admit(Ask("open_ai#1", "m", 1_000, 10**11, "acme", exclude=frozenset({"[b]rod-2"})))
    other = state.admit(Ask("open_ai#1", "own", 100, 0, exclude=frozenset({"[b]rod-2"})))
    assert isinstance(kept, KeyLease)
    assert isinstance(other, KeyLease)
    state.settle(other.reservation.id, Settlement(90, 0, Verdict.cool(3_000)))
    done = _omnillm("status", "--state", url_of(kinds()[0]), "--name", name)
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("prod-1 (own)  1/10", "cooling for", "1000/90000", "[b]rod-2", "acme", "tenant by day", "in flight: 1 calls"):
        assert words in done.stdout
    told = json.loads(_omnillm("status", "--state", url_of(kinds()[0]), "--name", name, "--json").stdout)
    assert [key["label"] for key in told["keys"]] == ["[b]rod-2", "prod-1"]
    assert told["keys"][1]["models"]["own"]["reason"] == "cooling"
    assert told["budgets"][0]["reserved"] == 10**11
    assert state.release(kept.reservation.id)
    state.close()
    down = _omnillm("status", "--state", "redis://:sesame@127.0.0.1:1")
    assert (down.returncode, down.stdout, down.stderr) == (1, "", "omnillm: the state store cannot be reached\n")
    assert _omnillm("status", "--state", "redis://h", "--watch", "0").returncode == 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_status_is_live_on_a_terminal() -> None:
    """With ``--watch`` the tables are drawn again and again, until Ctrl-C."""
    master, slave = os.openpty()
    command = [sys.executable, "-m", "omnillm", "status", "--state", url_of(kinds()[0]), "--watch", "0.2"]
    with subprocess.Popen(command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(slave)
        seen = b""
        while seen.count(b"in flight") < 2:
            seen += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                if not os.read(master, 4096):
                    break
            except OSError:  # the other end is closed
                break
        assert process.wait(10) == 130
    os.close(master)


def _omnillm(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "omnillm", *args], capture_output=True, text=True, timeout=60, check=False)
