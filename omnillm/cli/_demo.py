"""``omnillm demo``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json

from ..demo import run


def demo(options: argparse.Namespace) -> int:
    """Take the tour; 0 only if every step of it happened."""
    with contextlib.redirect_stdout(io.StringIO()) if options.json else contextlib.nullcontext():
        tour = run()
    if options.json:
        print(json.dumps({"steps": [dataclasses.asdict(step) for step in tour.steps], "missing": tour.missing}, indent=2))
    return 1 if tour.missing else 0
