"""Print what a call costs beside what people write by hand, and beside the targets: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
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
    parser.add_argument("--of", type=Path, nargs="+", metavar="FILE", help="measure nothing: show the medians of these runs")
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


_COLUMNS = (("what", 20), ("who", 38), ("min", -8), ("median", -8), ("max", -8), ("unit", 5), ("target", -8), ("own figure", -10))


def _line(cells: Iterable[str]) -> str:
    """Give a line of a Markdown table; numbers stand to the right."""
    padded = (f"{cell:>{-width}}" if width < 0 else f"{cell:<{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    return f"| {' | '.join(padded)} |"


def _cells(found: Row) -> Iterator[str]:
    yield found.family
    yield found.name
    for figure in (found.least, found.median, found.most):
        yield f"{figure:.2f}"
    yield found.unit
    bound = "" if found.target is None else f"{'>=' if found.at_least else '<='} {found.target:g}"
    yield f"**{bound}**" if found.is_over else bound
    yield found.own


def _head() -> None:
    print("\nA target in bold is missed.\n")
    print(_line(name for name, _ in _COLUMNS))
    print(_line("-" * (abs(width) - 1) + (":" if width < 0 else "-") for _, width in _COLUMNS))


def _shown(families: dict[str, Callable[[], Iterable[Row]]], only: str) -> Iterator[Row]:
    _head()
    for name, rows in families.items():
        if only in name:
            for found in rows():
                print(_line(_cells(found)), flush=True)
                yield found


def _medians(files: Sequence[Path]) -> list[Row]:
    """Give, of several runs, the median of each row's medians, between their least and their most."""
    runs = [[Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]] for file in files]
    found: dict[tuple[str, str], list[Row]] = {}
    for row in (row for rows in runs for row in rows):
        found.setdefault((row.family, row.name), []).append(row)
    return [
        replace(
            rows[0],
            least=min(row.median for row in rows),
            median=statistics.median(row.median for row in rows),
            most=max(row.median for row in rows),
            own=sorted(rows, key=lambda row: row.median)[len(rows) // 2].own,
        )
        for rows in found.values()
    ]


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmarks; gives 1 where a median missed its target."""
    asked = _arguments(given)
    if asked.of is not None:
        rows = list(_shown({"medians": lambda: _medians(asked.of)}, ""))
        return _end(rows, asked)
    if asked.without_orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]  # so that importing it fails, before the library tries
    effort = SMOKE if asked.smoke else Effort(asked.rounds, asked.seconds)
    from omnillm import _json

    from .upstream import pin

    pin(0)
    fast = _json.backend() == "orjson"
    run: dict[str, object] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "json": _json.backend(),
        "rounds": effort.rounds,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,  # of the machine, before the first round
    }
    print(", ".join(f"{name} {value}" for name, value in run.items()))
    rows = list(_shown(_families(effort, fast=fast, scale=asked.scale), asked.only))
    if asked.json is not None:
        text = json.dumps({**run, "rows": list(map(asdict, rows))}, indent=2)
        asked.json.write_text(text + "\n", encoding="utf-8")
    return _end(rows, asked)


def _end(rows: Sequence[Row], asked: argparse.Namespace) -> int:
    if asked.plot is not None:
        from .plot import draw

        draw(rows, asked.plot)
    return 0 if asked.smoke else int(any(found.is_over for found in rows))


if __name__ == "__main__":
    sys.exit(main())
