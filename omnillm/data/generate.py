"""Make the price list and the catalogue of models: ``python -m omnillm.data.generate [GENAI_PRICES_DIRECTORY LITELLM_TABLE]``.

Both packages are needed here, and nowhere else. Where they disagree on a rate, genai-prices counts, unless its rule only fits a
part of the id that litellm lists whole; the row says so in ``disputed``, with the other's figure, and the script reports it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..policy.snapshot import FORMAT
from ._catalogue import catalogue
from ._genai import Genai
from ._litellm import Litellm
from ._rows import PROVIDERS, Rates, Row

HERE = Path(__file__).parent
GENAI, LITELLM = "genai-prices", "litellm"
# Filled in from litellm where genai-prices has a row and names no such rate, if the two agree on the rest.
_FILLED = frozenset({
    "audio_input", "cached_audio", "audio_output", "image_input", "cached_image", "image_output", "video_input", "video_output",
    "cache_write_long", "search", "image", "audio_hour", "character", "page", "request",
})  # fmt: skip
_SPELLED_TWICE = (("image_output", "image"), ("input", "audio_hour"))  # a call is charged by the first where a row has both


def prices(genai: Genai, litellm: Litellm, as_of: str) -> dict[str, Any]:
    """Give the price list of both sources."""
    providers: dict[str, Any] = {}
    for provider in PROVIDERS:
        rows = {
            model: row for model in _ids(provider, genai, litellm) if (row := _merged(provider, model, genai, litellm, as_of))
        }
        providers[provider] = rows
    sources = {
        GENAI: {"version": genai.version, "as_of": as_of, "credit": "genai-prices, Pydantic Services Inc., MIT"},
        LITELLM: {"version": litellm.version, "as_of": as_of, "credit": "litellm, Berri AI, MIT"},
    }
    return {"format": FORMAT, "as_of": as_of, "sources": sources, "providers": providers}


def _ids(provider: str, genai: Genai, litellm: Litellm) -> list[str]:
    return sorted({*genai.ids(provider), *litellm.ids(provider)})


def _merged(provider: str, model: str, genai: Genai, litellm: Litellm, as_of: str) -> Row | None:
    found, other = genai.find(provider, model), litellm.find(provider, model)
    if found is None or not found[0]["prices"][0]["rates"]:
        return None if other is None else {**other, "source": LITELLM, "as_of": as_of}
    row, is_named = found
    disputed = {} if other is None else _disputed(row, other, as_of)
    if disputed and not is_named and other is not None:
        return {**other, "source": LITELLM, "as_of": as_of, "disputed": {name: mine for name, (mine, _) in disputed.items()}}
    if other is not None:
        if "input" not in disputed and "output" not in disputed:
            _fill(row, other)
        if disputed:
            row["disputed"] = {name: theirs for name, (_, theirs) in disputed.items()}
    source = GENAI if other is None else f"{GENAI}, {LITELLM}"
    return {**row, "source": source, "as_of": as_of}


def _disputed(row: Row, other: Row, as_of: str) -> dict[str, tuple[Any, Any]]:
    """Give the rates that both have and differ on; a price by the hour of the day is compared at none."""
    if any("hours" in period for period in row["prices"]):
        return {}
    mine, theirs = _now(row, as_of), other["prices"][0]["rates"]
    return {name: (mine[name], theirs[name]) for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]}


def _now(row: Row, as_of: str) -> Rates:
    active = [period for period in row["prices"] if period.get("since", "") <= as_of]
    rates: Rates = (active or row["prices"])[-1]["rates"]
    return rates


def _fill(row: Row, other: Row) -> None:
    theirs = other["prices"][0]["rates"]
    for period in row["prices"]:
        for name in _FILLED & theirs.keys():
            if theirs[name] and name not in period["rates"]:
                period["rates"][name] = theirs[name]
    tiers = {each["tier"] for each in row.get("tiers", ())}
    more = [each for each in other.get("tiers", ()) if each["tier"] not in tiers]
    if more:
        row["tiers"] = [*row.get("tiers", ()), *more]
    if "uplift" in other:
        row["uplift"] = other["uplift"]


def _tidied(data: dict[str, Any]) -> dict[str, Any]:
    for rows in data["providers"].values():
        for row in rows.values():
            for period in row["prices"]:
                for kept, dropped in _SPELLED_TWICE:
                    if period["rates"].get(kept):
                        period["rates"].pop(dropped, None)
    return data


def disagreements(data: dict[str, Any]) -> Iterator[str]:
    """Say in a line each where the sources disagree."""
    for provider, rows in data["providers"].items():
        for model, row in rows.items():
            for name, theirs in row.get("disputed", {}).items():
                source = row["source"].partition(",")[0]
                other = LITELLM if source == GENAI else GENAI
                yield f"{provider} {model} {name}: {source} {_now(row, data['as_of']).get(name)}, {other} {theirs}"


def generate(genai_path: str | None, litellm_path: str | None, as_of: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the price list and the catalogue."""
    genai, litellm = Genai(genai_path), Litellm(litellm_path)
    data = _tidied(prices(genai, litellm, as_of))
    return data, catalogue(litellm, as_of)


def packed(data: dict[str, Any]) -> bytes:
    """Give the bytes of a data file, the same for the same data: a head, and a line for each provider."""
    head = {**data, "providers": list(data["providers"])}
    lines = [json.dumps(each, separators=(",", ":"), sort_keys=True) for each in (head, *data["providers"].values())]
    return gzip.compress("\n".join(lines).encode(), compresslevel=9, mtime=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the data files of the package, and the report to stderr."""
    parser = argparse.ArgumentParser(prog="python -m omnillm.data.generate", description=__doc__)
    parser.add_argument("genai", nargs="?", help="the directory that genai_prices is in; the installed one where absent")
    parser.add_argument("litellm", nargs="?", help="litellm's model table (JSON); the installed one where absent")
    parser.add_argument("--as-of", default=dt.datetime.now(dt.UTC).date().isoformat(), help="the day of the figures")
    options = parser.parse_args(argv)
    data, models = generate(options.genai, options.litellm, options.as_of)
    (HERE / "prices.jsonl.gz").write_bytes(packed(data))
    (HERE / "models.jsonl.gz").write_bytes(packed(models))
    said = list(disagreements(data))
    rows = {provider: len(rows) for provider, rows in data["providers"].items()}
    sys.stderr.write("\n".join([*said, f"{len(said)} disputed rates", f"rows: {rows}", ""]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
