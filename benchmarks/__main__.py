"""Print what the library's own work costs; exits with 1 where a median misses its target."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .cases import cases
from .measure import Row, measure


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Ratios to json.loads of the same text, in one run."
    )
    parser.add_argument("--smoke", action="store_true", help="run everything once, quickly; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.02, help="for each piece of work in each round")
    parser.add_argument("--only", default="", help="only the rows whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    return parser.parse_args(given)


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{row.target:7.1f}" + (" over" if row.is_over else "")
    return f"{row.name:<28}{row.least:7.2f}{row.median:8.2f}{row.most:7.2f}{row.micros:10.1f}{target}"


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmarks."""
    asked = _arguments(given)
    rounds, seconds = (1, 0.0005) if asked.smoke else (asked.rounds, asked.seconds)
    rows = measure([case for case in cases() if asked.only in case.name], rounds=rounds, seconds=seconds)
    print(f"{'ratio to json.loads':<28}{'min':>7}{'median':>8}{'max':>7}{'us':>10}{'target':>7}")
    for row in rows:
        print(_line(row))
    if asked.json is not None:
        run = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rounds": rounds,
            "rows": list(map(asdict, rows)),
        }
        asked.json.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    return 0 if asked.smoke else int(any(row.is_over for row in rows))


if __name__ == "__main__":
    sys.exit(main())
