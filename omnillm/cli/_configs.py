"""``omnillm config``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..config import GatewayConfig
from ..config.reading import each_gateway
from ..config.reference import reference
from ..config.sources import load
from ..errors import OmniLLMError
from ..providers.page import page
from ._terminal import print_json

TOP = "(the file)"  # what the gateway at the top of a file is called here


def check(options: argparse.Namespace) -> int:
    """Say in a line what each gateway is, or what is wrong with it; 1 where any is wrong."""
    value, at = load(options.file)
    told: list[dict[str, Any]] = []
    for name, read in each_gateway(value, at):
        shown = TOP if name is None else name
        try:
            told.append({"gateway": shown, "ok": True, **_described(read())})
        except OmniLLMError as error:
            told.append({"gateway": shown, "ok": False, "error": str(error)})
    if not told:
        raise at.field("gateways").wrong("is empty")
    if options.json:
        print_json(told, indent=2)
    else:
        for line in told:
            _show(line)
    return 0 if all(line["ok"] for line in told) else 1


def _described(config: GatewayConfig) -> dict[str, Any]:
    return {
        "model": config.default_model,
        "endpoints": [route.endpoint.name for route in config.routes],
        "keys": [key.label for route in config.routes for key in route.keys],
        "budgets_usd": [budget.limit_usd for budget in config.budgets],
    }


def _show(line: dict[str, Any]) -> None:
    if not line["ok"]:
        print(f"omnillm: {line['error']}", file=sys.stderr)
        return
    budgets = ", ".join(f"${limit:g}" for limit in line["budgets_usd"]) or "none"
    where = " then ".join(line["endpoints"])
    print(f"{line['gateway']}: {line['model'] or 'any model'} at {where}; keys {', '.join(line['keys'])}; budget {budgets}")


def providers(options: argparse.Namespace) -> int:
    """Print what can be called where."""
    print(json.dumps({"markdown": page()}) if options.json else page(), end="\n" if options.json else "")
    return 0


def docs(options: argparse.Namespace) -> int:
    """Print the reference."""
    print(json.dumps({"markdown": reference()}) if options.json else reference(), end="\n" if options.json else "")
    return 0
