"""Which price a model has: what the caller gives, then a file given at run time, then the list of this version.

Contract: a model is found under the names that providers write it with, never by a prefix: ``gpt-4.1`` does not price
``gpt-4.1-mini``. The provider narrows the search, as the same model costs otherwise elsewhere; without one, its maker's holds.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .._late import importing
from ..errors import ConfigurationError, UnknownPriceError
from ..types.enums import ProviderKind
from ..types.usage import NO_DETAILS, TokenUsage, UsageDetails
from ..wire import usage_details
from .model_names import names, places_in, split_provider, told_by
from .price import FREE, PICO_PER_USD, RATES, Cost, ModelPrice, PriceLike, read_price
from .snapshot import Row, Snapshot, price_of, read_snapshot, shipped

__all__ = ["FREE", "PICO_PER_USD", "RATES", "Cost", "Listed", "ModelPrice", "PriceLike", "PriceTable", "cost", "estimate"]

Moment = dt.datetime | dt.date


class Listed(NamedTuple):
    """Tell where a model was found in a list: by which provider, under which id."""

    provider: str
    model: str
    row: Row
    region: str | None = None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Know what models cost: the list of this version, with what the caller lays over it.

    ``overrides`` maps a model to a ``ModelPrice``, to ``{"input": …, "output": …, "cached_input": …}`` in USD per million
    tokens, or to the name of a model that costs the same, as for a deployment. ``unknown`` is for a model without a price:
    ``"error"``, ``"zero"``, or a callable that is given the model and gives a price or ``None``. ``snapshot`` is a list to use
    instead of this version's, as ``from_file`` reads it.
    """

    overrides: Mapping[str, PriceLike | str] = field(default_factory=dict)
    unknown: Literal["error", "zero"] | Callable[[str], PriceLike | None] = "error"
    snapshot: Snapshot | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.overrides, Mapping):
            raise ConfigurationError(f"overrides: expected a mapping, got {self.overrides!r:.80}", field="overrides")
        if self.unknown not in ("error", "zero") and not callable(self.unknown):
            raise ConfigurationError(f"unknown: expected error, zero or a callable, got {self.unknown!r:.80}", field="unknown")
        prices = {
            model: price if isinstance(price, str) else read_price(price, f"overrides[{model}]")
            for model, price in self.overrides.items()
        }
        object.__setattr__(self, "overrides", prices)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        overrides: Mapping[str, PriceLike | str] | None = None,
        unknown: Literal["error", "zero"] | Callable[[str], PriceLike | None] = "error",
    ) -> PriceTable:
        """Read a list (JSON, or that compressed by gzip): one that ``omnillm prices update`` wrote, or prices by model.

        ``overrides`` stand above it. Raises ``ConfigurationError`` with the place of what is wrong.
        """
        if not isinstance(path, str | Path):
            raise ConfigurationError(f"file: expected a path, got {type(path).__name__}", field="file")
        data = _read_file(Path(path))
        if isinstance(data, Mapping) and "providers" in data:
            return cls(overrides or {}, unknown, snapshot=read_snapshot(data, str(path)))
        if not isinstance(data, Mapping):
            raise ConfigurationError(f"file: {path}: expected a price list, or prices by model", field="file")
        return cls({**data, **(overrides or {})}, unknown)

    def find(
        self,
        model: str,
        provider: str | ProviderKind | None = None,
        *,
        tier: str | None = None,
        region: str | None = None,
        at: Moment | None = None,
    ) -> ModelPrice | None:
        """Give the price that the caller or the list has for the model; ``at`` is now where unset."""
        own = self._own(model, set())
        if isinstance(own, ModelPrice):
            return own
        listed = self.listed(own, provider, region=region)
        if listed is None:
            return None
        return price_of(listed.row, tier=tier, region=region or listed.region, at=_moment(at))

    def listed(self, model: str, provider: str | ProviderKind | None = None, *, region: str | None = None) -> Listed | None:
        """Give where the list has the model, by whatever name."""
        snapshot = self.snapshot or shipped()
        found = places_in(snapshot.providers, model, None if provider is None else str(provider), region)
        if found is None:
            return None
        listed, name, there = found
        return Listed(listed, name, snapshot.providers[listed][name], there)

    def price(
        self,
        model: str,
        provider: str | ProviderKind | None = None,
        *,
        tier: str | None = None,
        region: str | None = None,
        at: Moment | None = None,
    ) -> ModelPrice | None:
        """Give the model's price, by the rule for unknown ones where it has none; ``None`` where that rule is an error."""
        found = self.find(model, provider, tier=tier, region=region, at=at)
        if found is not None or self.unknown == "error":
            return found
        if not callable(self.unknown):
            return FREE
        given = self.unknown(model)
        return None if given is None else read_price(given, f"unknown({model})")

    def require(self, model: str, provider: str | ProviderKind | None = None, **options: Any) -> ModelPrice:
        """Give the model's price; raises ``UnknownPriceError`` where ``price`` gives none."""
        found = self.price(model, provider, **options)
        if found is None:
            raise UnknownPriceError(f"no price is known for {model!r:.200}: give one in PriceTable(overrides=…)", model=model)
        return found

    def _own(self, model: str, seen: set[str]) -> ModelPrice | str:
        """Give the caller's price for the model, or the name by which the list has it."""
        if not self.overrides or model in seen:
            return model
        seen.add(model)
        for name in _own_names(model):
            own = self.overrides.get(name)
            if own is not None:
                return self._own(own, seen) if isinstance(own, str) else read_price(own, name)
        return model


DEFAULT_PRICES = PriceTable()


def _read_file(path: Path) -> Any:
    with importing:
        import gzip

    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigurationError(f"file: {path} is no price list: {error}", field="file") from None


def _moment(at: Moment | None) -> dt.datetime:
    if at is None:
        return dt.datetime.now(dt.UTC)
    if not isinstance(at, dt.datetime):
        return dt.datetime.combine(at, dt.time(12), dt.UTC)
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def _own_names(model: str) -> Iterator[str]:
    """Give the names under which the caller may have priced the model: as it is written, then as providers write it."""
    yield model
    told = told_by(model)
    bare = model if told is None else told[1]
    split = split_provider(bare)
    for name in (bare, *(() if split is None else (split[1],))):
        yield from names(name, "bedrock" if told is None else told[0])


def cost(
    usage: TokenUsage,
    model: str,
    provider: str | ProviderKind | None = None,
    *,
    tier: str | None = None,
    region: str | None = None,
    at: Moment | None = None,
    table: PriceTable | None = None,
    searches: int = 0,
    images: int = 0,
    audio_seconds: float = 0.0,
    characters: int = 0,
    pages: int = 0,
) -> Cost:
    """Give what the usage costs, and what else is counted; raises ``UnknownPriceError`` where a price is not known.

    ``provider`` is who serves the model: ``"groq"``, ``ProviderKind.BEDROCK``; without it, the model's maker. ``tier`` is
    ``batch``, ``flex`` or ``priority``; what the usage itself says of its tier, of audio, images and searches is counted too.
    """
    details = usage_details(usage)
    counted = UsageDetails(
        searches=searches, images=images, audio_seconds=audio_seconds, characters=characters, pages=pages, tier=tier
    )
    if counted != NO_DETAILS:
        changed = {name: value for name in _COUNTED if (value := getattr(counted, name))}
        details = details._replace(**changed)
    price = (table or DEFAULT_PRICES).require(model, provider, tier=details.tier, region=region or details.region, at=at)
    for name, rate in _COUNTED.items():
        if rate is not None and getattr(counted, name) and getattr(price, rate) is None and not usage.total():
            raise UnknownPriceError(f"no price is known for the {name} of {model!r:.200}", model=model)
    return price.cost(usage, details)


_COUNTED = {
    "searches": "search", "images": "image", "audio_seconds": "audio_hour", "characters": "character", "pages": "page",
    "tier": None,
}  # fmt: skip


def estimate(table: PriceTable, model: str, prompt_tokens: int, output_tokens: int) -> int:
    """Give the pico-dollars to reserve for a call; raises ``UnknownPriceError`` where the model has no price."""
    return table.require(model).estimate(prompt_tokens, output_tokens)
