"""The command line: ``python -m omnillm demo``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    from . import __version__

    about = "One gateway in front of every language-model provider."
    parser = argparse.ArgumentParser(prog="python -m omnillm", description=about)
    parser.add_argument("--version", action="version", version=f"omnillm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="show a gateway at work on a provider inside this process: no key, no network")
    parser.parse_args(argv)

    from .demo import run

    return run()
