"""``omnillm providers``: what can be called by name, and whether this environment has what it takes."""

from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatchcase
from typing import Any

from ..providers.presets import PRESETS, Preset
from ..providers.registry import embedded_provider_registry
from ._terminal import console, print_json, table


def providers(options: argparse.Namespace) -> int:
    """List the providers that fit a pattern; of a variable is said whether it is set, and never what it holds."""
    pattern = options.pattern if "*" in options.pattern else f"*{options.pattern}*"
    rows = [_told(row) for name, row in PRESETS.items() if fnmatchcase(name, pattern)]
    screen = console()
    if options.json:
        print_json(rows, indent=2)
    elif screen is not None and rows:
        head = ("provider", "protocol", "base URL", "variables", "endpoints")
        screen.print(table(head, [(r["provider"], *_cells(r, "\n")) for r in rows]))
    else:
        for row in rows:
            protocol, base, variables, endpoints = _cells(row, ", ")
            print(f"{row['provider']}: {protocol} at {base}; {variables or 'no variable'}; {endpoints}")
    if not rows:
        print(f"omnillm: no provider fits {options.pattern!r:.80}", file=sys.stderr)
    return 0 if rows else 1


def _told(row: Preset) -> dict[str, Any]:
    known = embedded_provider_registry().provider(row.kind)
    supports = [] if known is None else [support for support in known.endpoints if support.is_enabled]
    # where a provider's place is made of a resource, a project or a region, those words stand for theirs
    needed = {option.name: option.default or f"your-{option.name}" for option in row.options if option.is_required}
    endpoint = row.build("", **needed)
    return {
        "provider": row.name,
        "protocol": endpoint.protocol.value,
        "base_url": endpoint.base_url,
        "needs_key": row.needs_key,
        "key_variables": [{"name": name, "set": bool(os.environ.get(name))} for name in (*row.key_variables, *row.found_by)],
        "other_variables": [{"name": name, "set": bool(os.environ.get(name))} for name in _others(row)],
        "endpoints": [support.endpoint.value for support in supports],
        "notes": row.notes,
    }


def _others(row: Preset) -> list[str]:
    base = [] if row.base_variable is None else [row.base_variable.name]
    return [*base, *(name for option in row.options for name in option.variables)]


def _cells(row: dict[str, Any], between: str) -> tuple[str, str, str, str]:
    variables = [*row["key_variables"], *row["other_variables"]]
    shown = between.join(f"{variable['name']} {'set' if variable['set'] else '-'}" for variable in variables)
    return row["protocol"], row["base_url"], shown, ", ".join(row["endpoints"])
