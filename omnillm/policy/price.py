"""What a model's price is, and what a usage costs at it.

Purpose: turn counts into money without a rounding error.
Contract: pure integers of pico-dollars (1 USD = 10**12), so that sums of any length are exact; USD floats are for people.
Rules:
- The classes of tokens are disjoint: what was read from the cache, written to it, heard, seen or watched is taken out of the
  prompt first; what was thought, spoken or drawn, out of the output. Each token is priced once.
- A rate that a price does not name is that of what the tokens are taken out of: the input, the cached input, the output.
- Counts that contradict each other are cut to what they are part of.
- Cited tokens are charged where a price names them, and are in no count of the usage.
- A price for long prompts is for the whole call: all its tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from operator import add, attrgetter
from typing import Any

from ..errors import ConfigurationError
from ..types.usage import TokenUsage, UsageDetails

PICO_PER_USD = 10**12
SECONDS_PER_HOUR = 3600
PROMPT_RATES = (
    "input", "cached_input", "cache_write_short", "cache_write_long",
    "audio_input", "cached_audio", "image_input", "cached_image", "video_input",
)  # fmt: skip
OUTPUT_RATES = ("output", "reasoning", "citation", "audio_output", "image_output", "video_output")
TOKEN_RATES = (*PROMPT_RATES, *OUTPUT_RATES)
UNIT_RATES = ("request", "search", "image", "audio_hour", "character", "page")
RATES = (*TOKEN_RATES, *UNIT_RATES)
_NEEDED = ("input", "output")
_MODAL = (
    "audio_input", "cached_audio", "audio_output", "image_input", "cached_image", "image_output", "video_input", "video_output",
)  # fmt: skip
_PICO_PER_MILLION = 10**6  # a price of 1 USD per million tokens is that many pico-dollars per token


# --- money --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """Tell what a call cost, in pico-dollars by what is charged; the classes are disjoint and sum to the total. Costs add."""

    input_pico: int = 0
    cached_input_pico: int = 0
    cache_write_short_pico: int = 0
    cache_write_long_pico: int = 0
    output_pico: int = 0
    reasoning_pico: int = 0
    citation_pico: int = 0
    audio_input_pico: int = 0
    audio_output_pico: int = 0
    image_input_pico: int = 0
    image_output_pico: int = 0
    video_input_pico: int = 0
    video_output_pico: int = 0
    request_pico: int = 0
    search_pico: int = 0
    image_pico: int = 0
    audio_time_pico: int = 0
    character_pico: int = 0
    page_pico: int = 0

    @property
    def total_pico(self) -> int:
        """Give the whole, exact."""
        return sum(_ALL_PARTS(self))

    @property
    def completion_pico(self) -> int:
        """Give what the output cost, of every class."""
        return sum(_OUTPUT_PARTS(self))

    @property
    def breakdown(self) -> dict[str, int]:
        """Give the pico-dollars by class, of the classes that cost something."""
        return {name.removesuffix("_pico"): pico for name in _PARTS if (pico := getattr(self, name))}

    @property
    def usd(self) -> float:
        """Give the whole in USD, for people."""
        return self.total_pico / PICO_PER_USD

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(*map(add, _ALL_PARTS(self), _ALL_PARTS(other)))


_PARTS = tuple(each.name for each in fields(Cost))
_ALL_PARTS = attrgetter(*_PARTS)
_OUTPUT_PARTS = attrgetter(*(f"{name}_pico" for name in OUTPUT_RATES))


_APART = attrgetter(*_MODAL, "citation", *UNIT_RATES[2:])


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate


def _within(tokens: int | None, room: int) -> int:
    return min(max(tokens or 0, 0), room)


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


# --- prices -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """Price a model: pico-dollars for each token, and what else is charged; ``usd_per_million`` makes one from a price page.

    A rate of ``None`` is that of what it is a part of (of a long-lived cache write: the short one). Prompts of more than
    ``long_above`` tokens are priced by ``long``, with all their tokens. ``audio_hour`` is for an hour of audio heard,
    ``request`` for each call, ``image`` for each that is made, ``search``, ``character`` and ``page`` for each.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write_short: int | None = None
    cache_write_long: int | None = None
    long_above: int | None = None
    long: ModelPrice | None = None
    _: KW_ONLY
    reasoning: int | None = None
    citation: int | None = None
    audio_input: int | None = None
    cached_audio: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    cached_image: int | None = None
    image_output: int | None = None
    video_input: int | None = None
    video_output: int | None = None
    request: int | None = None
    search: int | None = None
    image: int | None = None
    audio_hour: int | None = None
    character: int | None = None
    page: int | None = None

    def __post_init__(self) -> None:
        for name in (*RATES, "long_above"):
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
        long_above: int | None = None,
        long: ModelPrice | None = None,
        **rates: str | float | Decimal | None,
    ) -> ModelPrice:
        """Make a price of USD: per million tokens, and per one of ``request``, ``search``, ``image``, ``audio_hour`` and so on.

        It is exact to the pico-dollar; raises ``ConfigurationError`` naming the field.
        """
        for name in rates:
            if name not in RATES:
                raise ConfigurationError(f"{name}: expected one of {', '.join(RATES)}", field=name)
        pico = {name: _pico(value, name) for name, value in rates.items() if value is not None}
        return cls(_pico(input, "input"), _pico(output, "output"), long_above=long_above, long=long, **pico)

    def cost(self, usage: TokenUsage, details: UsageDetails | None = None) -> Cost:
        """Give what the usage costs, with what else it is charged by."""
        if details is not None and details.passes:
            return sum(map(self.cost, details.passes), self.cost(usage, details._replace(passes=())))
        prompt, output = max(usage.prompt_tokens, 0), max(usage.completion_tokens, 0)
        if details is not None:
            output += max(details.uncounted_output_tokens, 0)
        tier = self
        while tier.long is not None and prompt > (tier.long_above or 0):
            tier = tier.long
        if details is not None and tier.charges_apart(details):
            return _cost_in_detail(tier, usage, details)
        read, short, long = _cached(usage, prompt)
        write_short = _or(tier.cache_write_short, tier.input)
        thought = 0 if tier.reasoning is None else _within(usage.reasoning_tokens, output)
        return Cost(
            (prompt - read - short - long) * tier.input,
            read * _or(tier.cached_input, tier.input),
            short * write_short,
            long * _or(tier.cache_write_long, write_short),
            (output - thought) * tier.output,
            thought * (tier.reasoning or 0),
            request_pico=tier.request or 0,
        )

    def charges_apart(self, details: UsageDetails) -> bool:
        """Tell whether anything in the details has a price of its own here."""
        if self.search and details.searches:
            return True
        return any(rate is not None for rate in _APART(self))

    def estimate(self, prompt_tokens: int, output_tokens: int, *, heard: int = 0, made: Iterable[str] = ()) -> int:
        """Give the pico-dollars to reserve: prompt and output at their uncached rates, in the dearest tier they may fall in.

        ``heard`` of the prompt's tokens are audio; ``made`` are the modalities asked for beside text. No usage of the same kind
        within those counts costs more, unless it writes to the cache.
        """
        return max(tier._estimate(prompt_tokens, output_tokens, heard, made) for tier in self._tiers(prompt_tokens))

    def _estimate(self, prompt_tokens: int, output_tokens: int, heard: int, made: Iterable[str]) -> int:
        rates = (self.output, self.reasoning or 0, *(getattr(self, f"{kind}_output", None) or 0 for kind in made))
        spoken_to = heard * (_or(self.audio_input, self.input) - self.input)
        return prompt_tokens * self.input + spoken_to + output_tokens * max(rates) + (self.request or 0)

    def ceiling(self, prompt_tokens: int, output_tokens: int) -> int:
        """Give the pico-dollars that no usage within those counts exceeds: each token at the dearest rate it may have."""
        tiers = self._tiers(prompt_tokens)
        rate_in, rate_out = (
            max(getattr(tier, name) or 0 for tier in tiers for name in names) for names in (PROMPT_RATES, OUTPUT_RATES)
        )
        return prompt_tokens * rate_in + output_tokens * rate_out + max(tier.request or 0 for tier in tiers)

    def scaled(self, per_mille: int) -> ModelPrice:
        """Give the price with its token rates times that many thousandths, each to the nearest pico-dollar."""
        rates: dict[str, Any] = {name: _scaled(getattr(self, name), per_mille) for name in TOKEN_RATES}
        units: dict[str, Any] = {name: getattr(self, name) for name in UNIT_RATES}
        long = None if self.long is None else self.long.scaled(per_mille)
        return ModelPrice(**rates, **units, long_above=self.long_above, long=long)

    def _tiers(self, prompt_tokens: int) -> tuple[ModelPrice, ...]:
        """Give the tiers that prompts of up to that length fall in; its own is the last."""
        if self.long is None or self.long_above is None or prompt_tokens <= self.long_above:
            return (self,)
        return (self, *self.long._tiers(prompt_tokens))


def _scaled(rate: int | None, per_mille: int) -> int | None:
    return None if rate is None else (rate * per_mille + 500) // 1000


def _cost_in_detail(price: ModelPrice, usage: TokenUsage, details: UsageDetails) -> Cost:
    prompt, output = max(usage.prompt_tokens, 0), max(usage.completion_tokens, 0)
    output += max(details.uncounted_output_tokens, 0)
    read, short, long = _cached(usage, prompt)
    cached_rate, write_short = _or(price.cached_input, price.input), _or(price.cache_write_short, price.input)
    write_long = _or(price.cache_write_long, write_short)
    parts: dict[str, int] = {"cache_write_short": short * write_short, "cache_write_long": long * write_long}
    fresh, cached_cost, left = prompt - read - short - long, 0, read
    for kind, tokens, cached in (
        ("audio", details.audio_input_tokens, details.cached_audio_tokens),
        ("image", details.image_input_tokens, details.cached_image_tokens),
        ("video", details.video_input_tokens, 0),
    ):
        of_cache = _within(cached, left)
        left -= of_cache
        of_fresh = _within(max(tokens, 0) - of_cache, fresh)
        fresh -= of_fresh
        cached_cost += of_cache * _or(getattr(price, f"cached_{kind}", None), cached_rate)
        parts[f"{kind}_input"] = of_fresh * _or(getattr(price, f"{kind}_input"), price.input)
    parts["input"], parts["cached_input"] = fresh * price.input, cached_cost + left * cached_rate
    for name, counted in (
        ("reasoning", usage.reasoning_tokens),
        ("audio_output", details.audio_output_tokens),
        ("image_output", details.image_output_tokens),
        ("video_output", details.video_output_tokens),
    ):
        apart: int | None = getattr(price, name)
        taken = 0 if apart is None else _within(counted, output)
        output -= taken
        parts[name] = taken * (apart or 0)
    parts["output"] = output * price.output
    parts["citation"] = max(details.citation_tokens, 0) * (price.citation or 0)
    return Cost(**{f"{name}_pico": pico for name, pico in parts.items()}, **_units_of(price, details))


def _units_of(price: ModelPrice, details: UsageDetails) -> dict[str, int]:
    heard = Decimal(str(max(details.audio_seconds, 0))) * (price.audio_hour or 0) / SECONDS_PER_HOUR
    return {
        "request_pico": price.request or 0,
        "search_pico": max(details.searches, 0) * (price.search or 0),
        "image_pico": max(details.images, 0) * (price.image or 0),
        "audio_time_pico": int(heard.to_integral_value(ROUND_HALF_EVEN)),
        "character_pico": max(details.characters, 0) * (price.character or 0),
        "page_pico": max(details.pages, 0) * (price.page or 0),
    }


FREE = ModelPrice(0, 0)

PriceLike = ModelPrice | Mapping[str, Any]


def _pico(value: object, name: str) -> int:
    """Read USD: per million of tokens, which is pico-dollars per token in millions, or per one of what is counted."""
    per = "million tokens" if name in TOKEN_RATES else name.replace("_", " ")
    wrong = ConfigurationError(f"{name}: expected USD per {per}, got {value!r:.80}", field=name)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise wrong
    try:
        usd = Decimal(str(value))  # of a float: its shortest form, as it was written
    except InvalidOperation:
        raise wrong from None
    if not usd.is_finite() or not 0 <= usd < 10**9:
        raise wrong
    factor = _PICO_PER_MILLION if name in TOKEN_RATES else PICO_PER_USD
    return int((usd * factor).to_integral_value(ROUND_HALF_EVEN))


def read_price(value: object, where: str) -> ModelPrice:
    """Read a price as a caller may give it: a ``ModelPrice``, or a mapping of USD per million tokens (and per unit)."""
    if isinstance(value, ModelPrice):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: expected a ModelPrice or a mapping, got {value!r:.80}", field=where)
    known = {*RATES, "long_above", "long"}
    for name in value:
        if name not in known:
            raise ConfigurationError(f"{where}.{name}: expected one of {sorted(known)}", field=f"{where}.{name}")
    parts = dict(value)
    if not any(name in value for name in UNIT_RATES):
        for name in _NEEDED:
            if name not in value:
                raise ConfigurationError(f"{where}.{name}: missing", field=f"{where}.{name}")
    parts = {"input": 0, "output": 0} | parts
    if parts.get("long") is not None:
        parts["long"] = read_price(parts["long"], f"{where}.long")
    try:
        return ModelPrice.usd_per_million(**parts)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}.{error.message}", field=f"{where}.{error.field}") from None
