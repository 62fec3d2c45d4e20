"""Code that runs in a process of its own, with a provider and gateways at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import omnillm

ROOT = str(Path(omnillm.__file__).parent.parent)

FORK = """
import faulthandler, os, sys, threading
faulthandler.dump_traceback_later(60, exit=True)

def in_child(step):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            step()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with {status}"
"""

PRELUDE = (
    FORK
    + """
from omnillm.config import KeyConfig
from omnillm.errors import ClosedError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.testing import LocalProvider, break_stream, delay
from omnillm.types.enums import ProviderProtocol

def build(provider, keys=1, **limits):
    builder = GatewayBuilder(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)).default_model("gpt-4.1-mini")
    return builder.add_keys([KeyConfig(f"sk-{n}", f"k{n}", **limits) for n in range(keys)]).budget_limit_usd(1.0).build()
"""
)


def environment() -> dict[str, str]:
    """Give the environment of a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": ROOT}


def run(code: str, *, before: str = "", prelude: str = PRELUDE) -> str:
    """Run code in a process of its own, which has a limit of time; give what it printed.

    ``before`` comes before anything is imported; ``prelude`` is what is at hand.
    """
    done = subprocess.run(
        [sys.executable, "-c", before + prelude + textwrap.dedent(code)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
