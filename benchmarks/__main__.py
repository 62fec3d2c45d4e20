"""Print what a call costs beside what people write by hand, and beside the targets: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .measure import SMOKE, Effort, Row


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios, taken turn by turn in one run.")
    parser.add_argument("--smoke", action="store_true", help="run everything once, quickly; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.02, help="for each piece of work in each round, where it is short")
    parser.add_argument("--only", default="", help="only the families whose name holds this text")
    parser.add_argument("--without-orjson", action="store_true", help="measure the standard json, though orjson is installed")
    parser.add_argument(
        "--scale", action="store_true", help="measure how cost grows instead, with keys, threads, events, messages"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rows there (matplotlib; extra: bench)")
    return parser.parse_args(given)


def _families(effort: Effort, *, fast: bool, scale: bool) -> dict[str, Callable[[], Iterable[Row]]]:
    from . import admission, calls, codecs, processes, scaling, shared, streams

    if scale:
        return {name: lambda rows=rows: rows(effort) for name, rows in scaling.FAMILIES.items()}  # type: ignore[misc]
    return {
        "calls": lambda: calls.rows(effort, fast=fast),
        "streams": lambda: streams.rows(effort, fast=fast),
        "processes": lambda: processes.rows(effort, fast=fast),
        "admission": lambda: admission.rows(effort),
        "redis": lambda: shared.rows(effort),
        "codecs": lambda: codecs.rows(effort),
    }


def _line(found: Row) -> str:
    bound = "" if found.target is None else f"{'>=' if found.at_least else '<='}{found.target:g}"
    said = "" if found.target is None else "over" if found.is_over else "met"
    figures = f"{found.least:9.2f}{found.median:9.2f}{found.most:9.2f}"
    return f"{found.family:<22}{found.name:<38}{figures} {found.unit:<6}{bound:>8} {said:<5}{found.own:>12}"


def _shown(families: dict[str, Callable[[], Iterable[Row]]], only: str) -> Iterator[Row]:
    print(f"{'':<60}{'min':>9}{'median':>9}{'max':>9} {'unit':<6}{'target':>8} {'':<5}{'own figure':>12}")
    for name, rows in families.items():
        if only in name:
            for found in rows():
                print(_line(found), flush=True)
                yield found


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmarks; gives 1 where a median missed its target."""
    asked = _arguments(given)
    if asked.without_orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]  # so that importing it fails, before the library tries
    effort = SMOKE if asked.smoke else Effort(asked.rounds, asked.seconds)
    from omnillm import _json

    from .upstream import pin

    pin(0)
    fast = _json.backend() == "orjson"
    run = {"python": platform.python_version(), "machine": platform.machine(), "json": _json.backend(), "rounds": effort.rounds}
    print(", ".join(f"{name} {value}" for name, value in run.items()))
    rows = list(_shown(_families(effort, fast=fast, scale=asked.scale), asked.only))
    if asked.json is not None:
        text = json.dumps({**run, "rows": list(map(asdict, rows))}, indent=2)
        asked.json.write_text(text + "\n", encoding="utf-8")
    if asked.plot is not None:
        from .plot import draw

        draw(rows, asked.plot)
    return 0 if asked.smoke else int(any(found.is_over for found in rows))


if __name__ == "__main__":
    sys.exit(main())
