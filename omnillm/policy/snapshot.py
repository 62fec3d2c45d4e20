"""The price list as data: loading it, and making a row the price of one day, one tier of service, one region.

A row has ``prices`` (the last one in force counts: from a date on, or between two times of the day in UTC), ``tiers`` of service
that lay rates over them, and ``uplift``, in thousandths, by region. A rate is a whole number of pico-dollars, or a list of it and
``[above, rate]`` for longer prompts. Nothing is read before a price is asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .price import RATES, ModelPrice

Row = Mapping[str, Any]
FORMAT = 1
PLAIN_TIERS = frozenset({"", "default", "auto", "standard", "standard_only", "on_demand", "none"})
_TIER_NAMES = {"batches": "batch", "fast": "priority"}  # what a tier is called elsewhere, where the row has no such
_UPLIFT_GROUPS = {"eu": "eu", "europe": "eu", "us": "us"}
_MOST = 10**18
_GZIP = 16 + zlib.MAX_WBITS


class Rows(Mapping[str, Mapping[str, Any]]):
    """Hold a data file of the package by provider, each read when it is first asked for.

    The file has a head that names the providers, and then a line of JSON with the rows of each.
    """

    __slots__ = ("_lines", "_read", "head")

    def __init__(self, name: str) -> None:
        packed = __loader__.get_data(str(Path(__file__).parents[1] / "data" / name))  # type: ignore[name-defined]  # this module's own
        head, *lines = zlib.decompress(packed, wbits=_GZIP).splitlines()
        self.head: Mapping[str, Any] = json.loads(head)
        self._lines = dict(zip(self.head["providers"], lines, strict=True))
        self._read: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, provider: str) -> Mapping[str, Any]:
        found = self._read.get(provider)
        if found is None:
            found = self._read[provider] = json.loads(self._lines[provider])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


class Snapshot:
    """Hold a price list: its providers, their rows by id, and where they are from."""

    __slots__ = ("as_of", "providers", "sources")

    def __init__(self, head: Mapping[str, Any], providers: Mapping[str, Mapping[str, Row]]) -> None:
        self.as_of: str = head["as_of"]
        self.sources: Mapping[str, Mapping[str, str]] = head["sources"]
        self.providers = providers


@cache
def shipped() -> Snapshot:
    """Give the list of this version."""
    rows = Rows("prices.jsonl.gz")
    return Snapshot(rows.head, rows)


def price_of(row: Row, *, tier: str | None, region: str | None, at: dt.datetime) -> ModelPrice:
    """Give a row's price at a time."""
    rates = dict(_standard(row, at))
    wanted = (tier or "").lower()
    if wanted not in PLAIN_TIERS:
        rates |= _overlay(row, wanted, at) or _overlay(row, _TIER_NAMES.get(wanted, wanted), at)
    price = _built(rates)
    uplift = _uplift(row.get("uplift"), region)
    return price if uplift == 1000 else price.scaled(uplift)


def tiers_of(row: Row) -> list[str]:
    """Name the tiers of service that have prices of their own."""
    return sorted({str(each["tier"]) for each in row.get("tiers", ())})


def _standard(row: Row, at: dt.datetime) -> Mapping[str, Any]:
    periods = row["prices"]
    found: Mapping[str, Any] = next((each["rates"] for each in reversed(periods) if _is_active(each, at)), periods[0]["rates"])
    return found


def _overlay(row: Row, tier: str, at: dt.datetime) -> dict[str, Any]:
    """Give the rates of a tier; where several are in force, the first that names a rate counts."""
    found: dict[str, Any] = {}
    for each in row.get("tiers", ()):
        if each["tier"] == tier and _is_active(each, at):
            found = {**each["rates"], **found}
    return found


def _is_active(period: Mapping[str, Any], at: dt.datetime) -> bool:
    if "since" in period:
        return bool(at.date().isoformat() >= period["since"])
    if "hours" in period:
        begin, end = period["hours"]
        now = at.strftime("%H:%M")
        return bool(begin <= now < end if begin <= end else now >= begin or now < end)
    return True


def _built(rates: Mapping[str, Any]) -> ModelPrice:
    """Make a price of rates, each of which may have steps for longer prompts."""
    steps = sorted({step[0] for rate in rates.values() if isinstance(rate, list) for step in rate[1:]}, reverse=True)
    long: ModelPrice | None = None
    above: int | None = None
    for step in (*steps, None):
        flat: dict[str, Any] = {"input": 0, "output": 0, **{name: _at_step(rate, step) for name, rate in rates.items()}}
        long, above = ModelPrice(**flat, long=long, long_above=above), step
    assert long is not None
    return long


def _at_step(rate: Any, step: int | None) -> int:
    if not isinstance(rate, list):
        return int(rate)
    found = rate[0]
    for above, dearer in rate[1:]:
        if step is not None and above <= step:
            found = dearer
    return int(found)


def _uplift(uplifts: Mapping[str, int] | None, region: str | None) -> int:
    if not uplifts or region is None or region == "global":
        return 1000
    group = _UPLIFT_GROUPS.get(region.partition("-")[0], region)
    return uplifts.get(region, uplifts.get(group, uplifts.get("*", 1000)))


# --- a list from elsewhere ----------------------------------------------------------------------------------------------------


def read_snapshot(data: Any, where: str) -> Snapshot:
    """Check a list that was read from elsewhere; raises ``ConfigurationError`` with the place of what is wrong."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise _wrong(where, f"expected a price list of format {FORMAT}")
    for name, kind in (("as_of", str), ("sources", Mapping), ("providers", Mapping)):
        if not isinstance(data.get(name), kind):
            raise _wrong(f"{where}/{name}", "is missing, or of another type")
    for place, row in _rows(data["providers"], f"{where}/providers"):
        _check_row(row, place)
    return Snapshot(data, data["providers"])


def _rows(providers: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for provider, rows in providers.items():
        if not isinstance(rows, Mapping):
            raise _wrong(f"{where}/{provider}", "expected rows by model")
        for model, row in rows.items():
            if model != model.lower():
                raise _wrong(f"{where}/{provider}/{model}", "expected an id in lower case")
            yield f"{where}/{provider}/{model}", row


def _check_row(row: Any, where: str) -> None:
    if not isinstance(row, Mapping) or not isinstance(row.get("prices"), list) or not row["prices"]:
        raise _wrong(where, "expected prices")
    for period in (*row["prices"], *row.get("tiers", ())):
        if not isinstance(period, Mapping) or not isinstance(period.get("rates"), Mapping):
            raise _wrong(where, "expected rates")
        for name, rate in period["rates"].items():
            if name not in RATES or not _is_rate(rate):
                raise _wrong(f"{where}/{name}", "expected one of the rates, as a whole number of pico-dollars")


def _is_rate(rate: Any) -> bool:
    if isinstance(rate, list):
        steps = rate[1:]
        shaped = all(isinstance(step, list) and len(step) == 2 and _is_rate(step[0]) and _is_rate(step[1]) for step in steps)
        return bool(rate) and _is_rate(rate[0]) and not isinstance(rate[0], list) and shaped
    return type(rate) is int and 0 <= rate < _MOST


def _wrong(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {what}", field=where)
