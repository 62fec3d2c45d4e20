"""What tokens cost: prices, the estimate that is reserved, and the cost that is settled.

Purpose: turn token counts into money without a rounding error.
Contract: pure integers of pico-dollars (1 USD = 10**12), so that sums of any length are exact; USD floats are for people.
Rules:
- The classes of tokens are disjoint: cache reads and cache writes are among the prompt tokens and are taken out of them first.
- A rate that a price does not name is its input rate; counts that contradict each other are cut to the prompt they are part of.
- A model is found under the names providers write it with, never by a prefix: ``gpt-4.1`` does not price ``gpt-4.1-mini``.
- What the caller gives stands above the list, for every name of that model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, fields, replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

from .._dataclass import dataclass
from ..errors import ConfigurationError, UnknownPriceError
from ..types.usage import TokenUsage
from . import _prices

PICO_PER_USD = 10**12
_PICO_PER_TOKEN = 10**6  # of a price of 1 USD per million tokens

PRICES_AS_OF = _prices.AS_OF
PRICE_SOURCES: Mapping[str, str] = _prices.SOURCES

_RATES = ("input", "output", "cached_input", "cache_write_short", "cache_write_long")
_INPUT_RATES = ("input", "cached_input", "cache_write_short", "cache_write_long")
_NEEDED = ("input", "output")


# --- money --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """Tell what a call cost, in pico-dollars by class of tokens; reasoning is in the output. Costs add."""

    input_pico: int = 0
    cached_input_pico: int = 0
    cache_write_pico: int = 0
    output_pico: int = 0

    @property
    def total_pico(self) -> int:
        """Give the whole, exact."""
        return self.input_pico + self.cached_input_pico + self.cache_write_pico + self.output_pico

    @property
    def usd(self) -> float:
        """Give the whole in USD, for people."""
        return self.total_pico / PICO_PER_USD

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate


def _cached(usage: TokenUsage, prompt: int) -> tuple[int, int, int]:
    """Give the prompt tokens that were read from the cache, written for short and written for long; each within what is left."""
    cache = usage.prompt_cache
    if cache is None:
        return 0, 0, 0
    reported = cache.cached_input_tokens if cache.cache_read_input_tokens is None else cache.cache_read_input_tokens
    read = _within(reported, prompt)
    long = _within(cache.cache_creation_long_input_tokens, prompt - read)
    short = max(cache.cache_creation_short_input_tokens or 0, (cache.cache_creation_input_tokens or 0) - long)
    return read, _within(short, prompt - read - long), long


def _within(tokens: int | None, room: int) -> int:
    return min(max(tokens or 0, 0), room)


# --- prices -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """Price a model's tokens, in pico-dollars each; ``usd_per_million`` makes one from the figures on a price page.

    A rate of ``None`` is the input rate (of a long-lived cache write: the short one). Prompts of more than ``long_above`` tokens
    are priced by ``long``, with all their tokens.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write_short: int | None = None
    cache_write_long: int | None = None
    long_above: int | None = None
    long: ModelPrice | None = None

    def __post_init__(self) -> None:
        for name in (*_RATES, "long_above"):
            value = getattr(self, name)
            if value is None and name not in _NEEDED:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigurationError(f"{name}: expected an integer of 0 or more, got {value!r}", field=name)
        if (self.long is None) is not (self.long_above is None):
            raise ConfigurationError("long and long_above: expected both or neither", field="long_above")

    @classmethod
    def usd_per_million(
        cls,
        input: str | float | Decimal,
        output: str | float | Decimal,
        *,
        cached_input: str | float | Decimal | None = None,
        cache_write_short: str | float | Decimal | None = None,
        cache_write_long: str | float | Decimal | None = None,
        long_above: int | None = None,
        long: ModelPrice | None = None,
    ) -> ModelPrice:
        """Make a price of USD per million tokens, exact to the sixth decimal; raises ``ConfigurationError`` naming the field."""
        return cls(
            _pico(input, "input"),
            _pico(output, "output"),
            None if cached_input is None else _pico(cached_input, "cached_input"),
            None if cache_write_short is None else _pico(cache_write_short, "cache_write_short"),
            None if cache_write_long is None else _pico(cache_write_long, "cache_write_long"),
            long_above,
            long,
        )

    def cost(self, usage: TokenUsage) -> Cost:
        """Give what the usage costs."""
        prompt = max(usage.prompt_tokens, 0)
        tier = self._tiers(prompt)[-1]
        read, short, long = _cached(usage, prompt)
        write_short = _or(tier.cache_write_short, tier.input)
        return Cost(
            input_pico=(prompt - read - short - long) * tier.input,
            cached_input_pico=read * _or(tier.cached_input, tier.input),
            cache_write_pico=short * write_short + long * _or(tier.cache_write_long, write_short),
            output_pico=max(usage.completion_tokens, 0) * tier.output,
        )

    def estimate(self, prompt_tokens: int, output_tokens: int) -> int:
        """Give the pico-dollars to reserve: prompt and output at their uncached rates, in the dearest tier they may fall in.

        No usage within those counts costs more, unless it writes to the cache.
        """
        tiers = self._tiers(prompt_tokens)
        return prompt_tokens * max(tier.input for tier in tiers) + output_tokens * max(tier.output for tier in tiers)

    def ceiling(self, prompt_tokens: int, output_tokens: int) -> int:
        """Give the pico-dollars that no usage within those counts exceeds: each prompt token at the dearest rate it may have."""
        tiers = self._tiers(prompt_tokens)
        dearest = max(getattr(tier, name) or 0 for tier in tiers for name in _INPUT_RATES)
        return prompt_tokens * dearest + output_tokens * max(tier.output for tier in tiers)

    def _tiers(self, prompt_tokens: int) -> tuple[ModelPrice, ...]:
        """Give the tiers that prompts of up to that length fall in; its own is the last."""
        if self.long is None or self.long_above is None or prompt_tokens <= self.long_above:
            return (self,)
        return (self, *self.long._tiers(prompt_tokens))


FREE = ModelPrice(0, 0)

PriceLike = ModelPrice | Mapping[str, Any]


def _pico(value: object, name: str) -> int:
    """Read USD per million tokens; the same number is pico-dollars per token, in millions."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ConfigurationError(f"{name}: expected USD per million tokens, got {value!r}", field=name)
    try:
        usd = Decimal(str(value))  # of a float: its shortest form, as it was written
    except InvalidOperation:
        raise ConfigurationError(f"{name}: expected USD per million tokens, got {value!r:.80}", field=name) from None
    if not usd.is_finite() or not 0 <= usd < 10**9:
        raise ConfigurationError(f"{name}: expected USD per million tokens, got {value!r:.80}", field=name)
    return int((usd * _PICO_PER_TOKEN).to_integral_value(ROUND_HALF_EVEN))


def _read_price(value: object, where: str) -> ModelPrice:
    """Read a price as a caller may give it: a ``ModelPrice``, or a mapping of USD per million tokens."""
    if isinstance(value, ModelPrice):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: expected a ModelPrice or a mapping, got {value!r:.80}", field=where)
    known = {f.name for f in fields(ModelPrice)}
    for name in value:
        if name not in known:
            raise ConfigurationError(f"{where}.{name}: expected one of {sorted(known)}", field=f"{where}.{name}")
    for name in _NEEDED:
        if name not in value:
            raise ConfigurationError(f"{where}.{name}: missing", field=f"{where}.{name}")
    parts = dict(value)
    if parts.get("long") is not None:
        parts["long"] = _read_price(parts["long"], f"{where}.long")
    try:
        return ModelPrice.usd_per_million(**parts)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}.{error.message}", field=f"{where}.{error.field}") from None


# --- the list -----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _listed(name: str) -> ModelPrice | None:
    """Give the list price of exactly that name."""
    factor = Decimal(1)
    model = name.removeprefix("anthropic.")
    if model != name:
        if model not in _prices.BEDROCK_REGIONAL:
            return None
        factor = Decimal(_prices.BEDROCK_REGIONAL_FACTOR)
    model = _prices.ALIASES.get(model, model)
    row = _prices.PRICES.get(model)
    if row is None:
        return None
    price = _scaled(row, factor, factor)
    if model not in _prices.LONG_CONTEXT:
        return price
    above, more_in, more_out = _prices.LONG_CONTEXT[model]
    return replace(price, long_above=above, long=_scaled(row, factor * Decimal(more_in), factor * Decimal(more_out)))


def _scaled(row: tuple[str, ...], into: Decimal, out: Decimal) -> ModelPrice:
    factors = {name: out if name == "output" else into for name in _RATES}
    rates: dict[str, Any] = {name: _pico(Decimal(usd) * factors[name], name) for name, usd in zip(_RATES, row, strict=False)}
    return ModelPrice(**rates)


_PATH = re.compile(
    r"arn:aws[a-z-]*:bedrock:[^/]*/"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/(?:google|anthropic)/models/"
    r"|(?:openai|anthropic|google|gemini|models|azure|bedrock|vertex|vertex_ai)/"
)
_BEDROCK_REGION = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca)\.(?=anthropic\.)")
_BEDROCK_GLOBAL = re.compile(r"(?:global\.)?anthropic\.")
_DAY = r"20[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]"
_SNAPSHOT = re.compile(
    r"-v[0-9]+:[0-9]+(?::[0-9]+k)?$"  # Bedrock: …-v1:0, …-v2:0:200k
    rf"|(?:-v[0-9]+)?@(?:{_DAY}|latest|default)$"  # Vertex AI
    rf"|-{_DAY}$|-20[0-9]{{2}}-[01][0-9]-[0-3][0-9]$|-latest$"
)
_GEMINI_REVISION = re.compile(r"(?<=[a-z])-00[1-9]$")


def _names(model: str) -> Iterator[str]:
    """Give the names under which a model may be listed, from the one asked for to the barest."""
    yield from _undated(model)
    while (path := _PATH.match(model)) is not None:
        model = model[path.end() :]
        yield from _undated(model)
    if (region := _BEDROCK_REGION.match(model)) is not None:
        model = model[region.end() :]
        yield from _undated(model)
    if (bedrock := _BEDROCK_GLOBAL.match(model)) is not None:
        model = model[bedrock.end() :]
        yield from _undated(model)
    if model.startswith("claude-") and "." in model:
        yield from _undated(model.replace(".", "-"))


def _undated(model: str) -> Iterator[str]:
    yield model
    while (snapshot := _SNAPSHOT.search(model)) is not None and snapshot.start() > 0:
        model = model[: snapshot.start()]
        yield model
    if model.startswith("gemini-") and (revision := _GEMINI_REVISION.search(model)) is not None:
        yield model[: revision.start()]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Know what models cost: the list of this version, with what the caller lays over it.

    ``overrides`` maps a model to a ``ModelPrice`` or to ``{"input": …, "output": …, "cached_input": …}`` in USD per million
    tokens. ``unknown`` is for a model without a price: ``"error"``, ``"zero"``, or a callable that is given the model and gives
    a price or ``None``.
    """

    overrides: Mapping[str, PriceLike] = field(default_factory=dict)
    unknown: Literal["error", "zero"] | Callable[[str], PriceLike | None] = "error"

    def __post_init__(self) -> None:
        if not isinstance(self.overrides, Mapping):
            raise ConfigurationError(f"overrides: expected a mapping, got {self.overrides!r:.80}", field="overrides")
        if self.unknown not in ("error", "zero") and not callable(self.unknown):
            raise ConfigurationError(f"unknown: expected error, zero or a callable, got {self.unknown!r:.80}", field="unknown")
        prices = {model: _read_price(price, f"overrides[{model}]") for model, price in self.overrides.items()}
        object.__setattr__(self, "overrides", prices)

    def find(self, model: str) -> ModelPrice | None:
        """Give the price that the caller or the list has for the model."""
        names = tuple(_names(model))
        for name in names:
            if (own := self.overrides.get(name)) is not None:
                return _read_price(own, name)
        return next((listed for name in names if (listed := _listed(name)) is not None), None)

    def price(self, model: str) -> ModelPrice | None:
        """Give the model's price, by the rule for unknown ones where it has none; ``None`` where that rule is an error."""
        found = self.find(model)
        if found is not None or self.unknown == "error":
            return found
        if not callable(self.unknown):
            return FREE
        given = self.unknown(model)
        return None if given is None else _read_price(given, f"unknown({model})")

    def require(self, model: str) -> ModelPrice:
        """Give the model's price; raises ``UnknownPriceError`` where ``price`` gives none."""
        found = self.price(model)
        if found is None:
            raise UnknownPriceError(f"no price is known for {model!r:.200}: give one in PriceTable(overrides=…)", model=model)
        return found


DEFAULT_PRICES = PriceTable()


def cost(usage: TokenUsage, model: str, table: PriceTable | None = None) -> Cost:
    """Give what the usage costs at the model's price; raises ``UnknownPriceError`` where it has none."""
    return (DEFAULT_PRICES if table is None else table).require(model).cost(usage)


def estimate(table: PriceTable, model: str, prompt_tokens: int, output_tokens: int) -> int:
    """Give the pico-dollars to reserve for a call; raises ``UnknownPriceError`` where the model has no price."""
    return table.require(model).estimate(prompt_tokens, output_tokens)
