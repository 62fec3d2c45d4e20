"""What a fresh process pays: the time and the memory up to its first answer, and what many calls leave behind."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from . import clients
from .measure import Effort, Row, Sample, interleaved, ratios, row
from .upstream import Upstream

CALLS = 20_000
_Runner = Callable[[str], str]
TARGET_COLD, TARGET_MB, TARGET_KB = 1.4, 25.0, 64.0

# Each prints the processor time that it took, and its resident memory, in bytes. The gateway's says no more than a user's would.
_TELL = """
import os, resource, sys, time
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
"""
_END = """
import json
print(json.dumps([time.process_time(), resident()]))
"""
_PARTS = {
    "bare Python": "",
    "requests": """
import requests
session = requests.Session()
session.post({url!r} + "/call/chat/completions", json={body!r}, headers={{"Authorization": "Bearer sk-1"}}).json()
""",
    "omnillm": """
{before}
import omnillm
endpoint = omnillm.ProviderEndpoint.openai_chat_completions({url!r} + "/call")
key = omnillm.KeyConfig("sk-benchmark-0123456789abcdef", "key", tpm_limit=10**15, rpm_limit=10**12)
gateway = omnillm.GatewayBuilder(endpoint).add_key(key).budget_limit_usd(1e9).default_model("gpt-4o-mini").build()
gateway.call("Say hello.")
""",
}
_GROWTH = """
def grown():
    for _ in range({warm}):
        gateway.call("Say hello.")
    before = resident()
    for _ in range({calls}):
        gateway.call("Say hello.")
    return resident() - before
print(grown())
"""


def rows(effort: Effort, *, fast: bool) -> Iterator[Row]:
    """Measure processes; ``fast`` says that orjson may be imported."""
    with Upstream() as upstream, tempfile.TemporaryDirectory() as compiled:
        run = functools.partial(_run, compiled)
        values = {"url": upstream.url, "body": clients.payload("chat"), "before": "" if fast else _NO_ORJSON}
        yield from _starts(effort, values, run)
        yield _growth(effort, values, run)


_NO_ORJSON = "import sys; sys.modules['orjson'] = None"


def _starts(effort: Effort, values: dict[str, Any], run: _Runner) -> Iterator[Row]:
    resident: dict[str, list[float]] = {name: [] for name in _PARTS}

    def start(name: str) -> Sample:
        script = _TELL + _PARTS[name].format(**values) + _END
        run(script)  # writes the compiled modules

        def sample() -> float:
            spent, held = json.loads(run(script))
            resident[name].append(held)
            return float(spent)

        return sample

    taken = interleaved({name: start(name) for name in _PARTS}, effort.rounds)
    for name in ("requests", "omnillm"):
        target = TARGET_COLD if name == "omnillm" else None
        own = f"{sorted(taken[name])[len(taken[name]) // 2] * 1e3:.0f} ms"
        yield row("cold start", f"{name}: to the first answer", ratios(taken[name], taken["requests"]), own=own, target=target)
    for name in ("requests", "omnillm"):
        over = [(held - bare) / 2**20 for held, bare in zip(resident[name], resident["bare Python"], strict=True)]
        target = TARGET_MB if name == "omnillm" else None
        yield row("memory", f"{name}: resident, over bare Python", over, unit="MB", target=target)


def _growth(effort: Effort, values: dict[str, Any], run: _Runner) -> Row:
    calls = effort.of(CALLS)
    script = _TELL + _PARTS["omnillm"].format(**values) + _GROWTH.format(calls=calls, warm=min(2_000, calls))
    return row("memory", f"omnillm: growth over {calls} calls", [int(run(script)) / 1024], unit="KB", target=TARGET_KB)


def _run(compiled: str, script: str) -> str:
    """Run a script where the compiled modules are, or come to be, in that folder: as installed."""
    told = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**told, "PYTHONPYCACHEPREFIX": compiled}
    ).stdout
