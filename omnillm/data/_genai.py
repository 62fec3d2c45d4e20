"""Read the prices of genai-prices: history, tiers of service and of prompt length, and which ids a price is for."""

from __future__ import annotations

import datetime as dt
import importlib
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from ._rows import PROVIDERS, Rates, Row, whole

_RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write_short",
    "cache_write_5m_mtok": "cache_write_short",
    "cache_write_1h_mtok": "cache_write_long",
    "output_reasoning_mtok": "reasoning",
    "output_citation_mtok": "citation",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "cache_image_read_mtok": "cached_image",
    "output_image_mtok": "image_output",
    "input_video_mtok": "video_input",
    "output_video_mtok": "video_output",
    "input_audio_hours": "audio_hour",
    "audio_hours": "audio_hour",
    "input_mchars": "character",
    "web_searches_kcount": "search",
    "requests_kcount": "request",
    "input_document_kpages": "page",
}
_PER = {"mtok": 10**6, "mchars": 10**6, "kcount": 10**3, "kpages": 10**3, "hours": 1}
_EXACT = ("ClauseEquals", "ClauseStartsWith", "ClauseEndsWith", "ClauseRegex")


class Genai:
    """The providers of an installed genai-prices, or of one at a path."""

    def __init__(self, path: str | None = None) -> None:
        if path is not None:
            sys.path.insert(0, str(Path(path).resolve()))
        self._all: Any = importlib.import_module("genai_prices.data").providers
        self.version = importlib.import_module("importlib.metadata").version("genai-prices")
        self._by_id = {provider.id: provider for provider in self._all}

    def ids(self, provider: str) -> Iterator[str]:
        """Give the ids that its rules name for a provider of ours."""
        for own in PROVIDERS[provider].genai:
            for model in self._by_id[own].models:
                yield model.id.lower().removeprefix("regional.")
                yield from (text.lower() for text, _ in _texts(model.match) if text[-1:].isalnum())

    def find(self, provider: str, model: str) -> tuple[Row, bool] | None:
        """Give the row of a model and whether the rule names it, instead of a part of it."""
        for own in PROVIDERS[provider].genai:
            found = self._by_id[own].find_model(model)
            if found is not None:
                return _row(found), found.id.lower() == model or _is_named(found.match, model)
        return None


def _texts(clause: Any) -> Iterator[tuple[str, bool]]:
    """Give the texts of a rule that may be ids, and whether they are the whole one."""
    kind = type(clause).__name__
    if kind in ("ClauseOr", "ClauseAnd"):
        for inner in clause.or_ if kind == "ClauseOr" else clause.and_:
            yield from _texts(inner)
    elif kind == "ClauseEquals":
        yield clause.equals, True
    elif kind == "ClauseStartsWith":
        yield clause.starts_with, False
    elif kind == "ClauseEndsWith":
        yield clause.ends_with, False


def _is_named(clause: Any, model: str) -> bool:
    kind = type(clause).__name__
    if kind == "ClauseOr":
        return any(_is_named(inner, model) for inner in clause.or_)
    if kind == "ClauseAnd":
        return any(_is_named(inner, model) for inner in clause.and_)
    return kind in _EXACT and clause.is_match(model)


def _row(model: Any) -> Row:
    prices = model.prices if isinstance(model.prices, list) else None
    periods = [{"rates": _rates(model.prices)}] if prices is None else [_period(each) for each in prices]
    row: Row = {"prices": periods}
    tiers = []
    for variant in model.price_variants or ():
        tier = variant.when.get("service_tier") or variant.when.get("processing") or variant.when.get("speed")
        if tier is not None and tier != "default" and len(variant.when) == 1:
            tiers.append({"tier": tier, **_when(variant.constraint), "rates": _rates(variant.prices)})
    if tiers:
        row["tiers"] = tiers
    return row


def _period(conditional: Any) -> dict[str, Any]:
    return {**_when(conditional.constraint), "rates": _rates(conditional.prices)}


def _when(constraint: Any) -> dict[str, Any]:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"since": constraint.start_date.isoformat()}
    return {"hours": [_utc(constraint.start_time), _utc(constraint.end_time)]}


def _utc(time: dt.time) -> str:
    day = dt.datetime.combine(dt.date(2000, 1, 2), time)
    return (day if time.tzinfo is None else day.astimezone(dt.UTC)).strftime("%H:%M")


def _rates(price: Any) -> Rates:
    rates: Rates = {}
    for key, value in price.__dict__.items():
        name = _RATES.get(key)
        if name is None or value is None:
            continue
        per = _PER[key.rsplit("_", 1)[1]]
        rates[name] = _pico(value, per) if isinstance(value, Decimal) else _tiered(value, per)
    return rates


def _tiered(value: Any, per: int) -> Any:
    return [_pico(value.base, per), *([tier.start, _pico(tier.price, per)] for tier in value.tiers)]


def _pico(usd: Decimal, per: int) -> int:
    return whole(Fraction(usd) / per)
