"""Read the model table of litellm: further prices, limits and capabilities."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ._rows import PROVIDERS, Rates, Row, whole

TABLE = "model_prices_and_context_window_backup.json"
_TOKENS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "input_cost_per_token_cache_hit": "cached_input",
    "cache_creation_input_token_cost": "cache_write_short",
    "cache_creation_input_token_cost_above_12hr": "cache_write_long",
    "cache_creation_input_token_cost_above_1hr": "cache_write_long",
    "output_cost_per_reasoning_token": "reasoning",
    "citation_cost_per_token": "citation",
    "input_cost_per_audio_token": "audio_input",
    "cache_read_input_audio_token_cost": "cached_audio",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "cache_read_input_image_token_cost": "cached_image",
    "output_cost_per_image_token": "image_output",
    "input_cost_per_video_token": "video_input",
    "output_cost_per_video_token": "video_output",
}
_UNITS = {
    "input_cost_per_character": "character",
    "input_cost_per_query": "search",
    "input_cost_per_request": "request",
    "ocr_cost_per_page": "page",
    "output_cost_per_image": "image",
}
_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority", "ultrafast": "ultrafast"}
_KEY = re.compile(r"(?P<base>[a-z_0-9]+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|ultrafast))?")
_UPLIFTS = {
    "regional_processing_uplift_multiplier_eu": "eu",
    "regional_processing_uplift_multiplier_us": "us",
    "regional_endpoint_uplift_multiplier": "*",
    "fedramp_uplift_multiplier": "fedramp",
}
_SIZED = re.compile(r"(?:[a-z]+/)?(?:(?:[a-z]+|\d+-steps)/)?(\d+)-x-(\d+)/")
_KINDS = {"image_generation", "image_edit"}


class Litellm:
    """The rows of a model table by our providers."""

    def __init__(self, path: str | None = None) -> None:
        table, self.version = _installed() if path is None else (Path(path), _version_beside(Path(path)))
        self._rows: dict[str, dict[str, dict[str, Any]]] = {provider: {} for provider in PROVIDERS}
        owners = {owner: name for name, provider in PROVIDERS.items() for owner in provider.litellm}
        for name, row in json.loads(table.read_text("utf-8")).items():
            provider = owners.get(row.get("litellm_provider", ""))
            if provider is not None and "commitment" not in name and not name.startswith("ft:"):
                self._rows[provider].setdefault(_bare(name, provider).lower(), row)

    def ids(self, provider: str) -> list[str]:
        """Give the ids of a provider of ours."""
        return list(self._rows[provider])

    def facts(self, provider: str, model: str) -> dict[str, Any] | None:
        """Give all that the table says of a model."""
        return self._rows[provider].get(model)

    def find(self, provider: str, model: str) -> Row | None:
        """Give the row of a model, or ``None`` where the table has no price for it."""
        facts = self._rows[provider].get(model)
        return None if facts is None else _row(facts, model)


def _installed() -> tuple[Path, str]:
    from importlib.metadata import version

    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("no module named litellm")
    return Path(spec.origin).parent / TABLE, version("litellm")


def _version_beside(table: Path) -> str:
    found = sorted(table.resolve().parents[1].glob("litellm-*.dist-info"))
    return found[-1].name.removeprefix("litellm-").removesuffix(".dist-info") if found else "unknown"


def _bare(name: str, provider: str) -> str:
    for prefix in PROVIDERS[provider].prefixes:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _stepped(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write prices by ranges of the prompt's length as the rest of the table does: the first range, and above it."""
    ranges = facts.get("tiered_pricing")
    if not isinstance(ranges, list) or "input_cost_per_token" in facts:
        return facts
    flat = dict(facts)
    for each in ranges:
        begin = int(each.get("range", [0])[0])
        more = f"_above_{begin // 1000}k_tokens" if begin else ""
        flat |= {f"{key}{more}": value for key, value in each.items() if key in _TOKENS}
    return flat


def _row(facts: Mapping[str, Any], model: str) -> Row | None:
    by_tier: dict[str, Rates] = {}
    longer: dict[tuple[str, str], list[list[int]]] = {}
    for key, value in _stepped(facts).items():
        match = _KEY.fullmatch(key)
        name = None if match is None else _TOKENS.get(match["base"])
        if match is None or name is None or not isinstance(value, int | float):
            continue
        tier = _TIERS.get(match["tier"] or "", "")
        if match["above"]:
            longer.setdefault((tier, name), []).append([int(match["above"]) * 1000, _pico(value)])
        else:
            by_tier.setdefault(tier, {}).setdefault(name, _pico(value))
    for (tier, name), steps in longer.items():
        base = by_tier.get(tier, {}).get(name)
        if base is not None:
            by_tier[tier][name] = [base, *sorted(steps)]
    standard = {**by_tier.pop("", {}), **_units(facts, model)}
    if not standard or not any(standard.values()):
        return None
    row: Row = {"prices": [{"rates": standard}]}
    if by_tier:
        row["tiers"] = [{"tier": tier, "rates": rates} for tier, rates in by_tier.items() if rates]
    uplift = {region: round(_exact(facts[key]) * 1000) for key, region in _UPLIFTS.items() if facts.get(key)}
    entry = facts.get("provider_specific_entry")
    if isinstance(entry, Mapping) and isinstance(entry.get("us"), int | float):
        uplift["us"] = round(_exact(entry["us"]) * 1000)
    if uplift:
        row["uplift"] = uplift
    return row


def _units(facts: Mapping[str, Any], model: str) -> Rates:
    rates: Rates = {name: _pico(facts[key]) for key, name in _UNITS.items() if facts.get(key)}
    if facts.get("mode") in _KINDS and "image" not in rates:
        sized = _SIZED.match(model)
        if sized is not None and (facts.get("input_cost_per_pixel") or facts.get("output_cost_per_pixel")):
            pixel = _exact(facts.get("input_cost_per_pixel") or facts["output_cost_per_pixel"])
            rates["image"] = _cents(pixel * int(sized[1]) * int(sized[2]), 4)
        elif facts.get("input_cost_per_image"):
            rates["image"] = _pico(facts["input_cost_per_image"])
    if facts.get("mode") == "audio_transcription":
        second = facts.get("input_cost_per_second") or facts.get("output_cost_per_second")
        if second:
            rates["audio_hour"] = _cents(Fraction(second) * 3600, 6)
    search = facts.get("search_context_cost_per_query")
    if isinstance(search, Mapping) and search.get("search_context_size_medium"):
        rates.setdefault("search", _pico(search["search_context_size_medium"]))
    return rates


def _exact(value: float) -> Fraction:
    """Take the noise of binary arithmetic out of a figure: no price has more than ten digits."""
    return Fraction(f"{value:.10g}")


def _cents(usd: Fraction, digits: int) -> int:
    """Take a figure back to the round one that a division made uneven."""
    return whole(Fraction(f"{float(usd):.{digits}g}"))


def _pico(usd: float) -> int:
    return whole(_exact(usd))
