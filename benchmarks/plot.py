"""Draw the rows: a bar for each, its rounds as a whisker, and the target as a mark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .measure import Row


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write a picture of the rows, of the kind that the file's name says."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install 'omnillm[bench]'") from None
    figure = Figure(figsize=(10, 1 + 0.25 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    whiskers = [[one.median - one.least for one in rows], [one.most - one.median for one in rows]]
    colours = ["tab:red" if one.is_over else "tab:green" if one.target is not None else "tab:grey" for one in rows]
    axes.barh(places, [one.median for one in rows], xerr=whiskers, color=colours)
    axes.set_yticks(places, [f"{one.family}: {one.name} ({one.unit})" for one in rows], fontsize=7)
    axes.set_xscale("log")
    axes.invert_yaxis()
    for place, one in zip(places, rows, strict=True):
        if one.target is not None:
            axes.plot([one.target], [place], "k|", markersize=10)
    figure.savefig(path)
