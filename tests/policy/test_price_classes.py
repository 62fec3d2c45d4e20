"""What is charged apart: audio, pictures, thoughts, searches and other units; each token once, at its own rate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError, UnknownPriceError
from omnillm.policy.price import OUTPUT_RATES, RATES, TOKEN_RATES, UNIT_RATES, ModelPrice
from omnillm.policy.pricing import PriceTable, cost
from omnillm.types.usage import NO_DETAILS, PromptCacheUsage, TokenUsage, UsageDetails

EVERY = ModelPrice(
    100, 500, 10, 125, 200,
    reasoning=600, citation=7, audio_input=1_000, cached_audio=50, audio_output=2_000, image_input=300, cached_image=30,
    image_output=900, video_input=400, video_output=950, request=11, search=13, image=17, audio_hour=3_600, character=19, page=23,
)  # fmt: skip
CACHED = PromptCacheUsage(cache_read_input_tokens=40)


def details(**counts: Any) -> UsageDetails:
    return UsageDetails(**counts)


@pytest.mark.parametrize(
    ("usage", "told", "expected"),
    [
        (TokenUsage(10, 5), NO_DETAILS, {"input": 1_000, "output": 2_500}),
        (TokenUsage(10, 5, reasoning_tokens=2), NO_DETAILS, {"input": 1_000, "output": 1_500, "reasoning": 1_200}),
        (TokenUsage(10, 5, reasoning_tokens=9), NO_DETAILS, {"input": 1_000, "reasoning": 3_000}),
        (TokenUsage(10, 5), details(uncounted_output_tokens=3), {"input": 1_000, "output": 4_000}),
        (TokenUsage(10, 0), details(audio_input_tokens=4), {"input": 600, "audio_input": 4_000}),
        (TokenUsage(10, 0), details(audio_input_tokens=99), {"audio_input": 10_000}),
        (
            TokenUsage(10, 0),
            details(image_input_tokens=3, video_input_tokens=2),
            {"input": 500, "image_input": 900, "video_input": 800},
        ),
        (
            TokenUsage(100, 0, prompt_cache=CACHED),
            details(audio_input_tokens=30, cached_audio_tokens=10, image_input_tokens=20, cached_image_tokens=20),
            {"input": 4_000, "cached_input": 10 * 50 + 20 * 30 + 10 * 10, "audio_input": 20_000},
        ),
        (
            TokenUsage(0, 10),
            details(audio_output_tokens=4, image_output_tokens=3),
            {"output": 1_500, "audio_output": 8_000, "image_output": 2_700},
        ),
        (TokenUsage(0, 10, reasoning_tokens=8), details(audio_output_tokens=4), {"reasoning": 4_800, "audio_output": 4_000}),
        (TokenUsage(0, 0), details(citation_tokens=5, searches=2, images=3), {"citation": 35, "search": 26, "image": 51}),
        (TokenUsage(0, 0), details(audio_seconds=1.5, characters=2, pages=2), {"audio_time": 2, "character": 38, "page": 46}),
        (TokenUsage(0, 0), details(audio_seconds=-1, searches=-1, images=-1), {}),
    ],
)
def test_each_class_at_its_own_rate(usage: TokenUsage, told: UsageDetails, expected: dict[str, int]) -> None:
    """What is told apart is taken out of what it is a part of, and charged by its own rate; every call has its fee."""
    assert EVERY.cost(usage, told).breakdown == {**expected, "request": 11}


UNCOUNTED = ("uncounted_output_tokens",)  # beside the usage's own, so they are charged on top
BESIDE = ("citation_tokens", *UNCOUNTED)


@given(data=st.data(), prompt=st.integers(0, 10_000), output=st.integers(0, 10_000))
def test_a_price_with_one_rate_charges_every_token_once(data: st.DataObject, prompt: int, output: int) -> None:
    """However the counts contradict each other, no token is charged twice or not at all."""
    apart = [name for name in TOKEN_RATES if name not in ("input", "output", "citation")]
    flat = ModelPrice(1, 1, **dict.fromkeys(apart, 1))
    counts = st.integers(-5, 20_000)
    usage = TokenUsage(
        prompt,
        output,
        reasoning_tokens=data.draw(st.none() | counts),
        prompt_cache=PromptCacheUsage(**{name: data.draw(st.none() | counts) for name in PromptCacheUsage.__slots__}),
    )
    told = details(
        **{name: data.draw(counts) for name in UsageDetails._fields if name.endswith("_tokens") and name not in BESIDE}
    )
    spent = flat.cost(usage, told)
    assert spent.total_pico == prompt + output
    assert spent.completion_pico == output
    assert EVERY.cost(usage, told).total_pico <= EVERY.ceiling(prompt, output)


@given(usage=st.builds(TokenUsage, st.integers(0, 10**6), st.integers(0, 10**5)), told=st.builds(
    details,
    **{name: st.integers(0, 10**6) for name in UsageDetails._fields if name.endswith("_tokens") and name not in UNCOUNTED},
))  # fmt: skip
def test_a_price_that_tells_nothing_apart_charges_text(usage: TokenUsage, told: UsageDetails) -> None:
    """Details change the cost only where the price names a rate for them."""
    assert ModelPrice(3, 7).cost(usage, told) == ModelPrice(3, 7).cost(usage)


def test_other_passes_of_the_model_are_charged_on_top() -> None:
    """What is in none of the usage's counts is priced as a usage of its own, in the tier of its own length."""
    price = ModelPrice(1, 2, long_above=100, long=ModelPrice(10, 20))
    told = details(passes=(TokenUsage(1_000, 5), TokenUsage(1, 1)))
    assert price.cost(TokenUsage(50, 7), told).total_pico == (50 + 14) + (10_000 + 100) + (1 + 2)


def test_the_reservation_covers_audio_and_what_is_made() -> None:
    """Audio heard is reserved at its rate; where speech is asked for, the whole output at that of speech; and the fee."""
    assert EVERY.estimate(100, 0, heard=40) == 60 * 100 + 40 * 1_000 + 11
    assert EVERY.estimate(0, 10) == 10 * 600 + 11
    assert EVERY.estimate(0, 10, made=["text", "audio"]) == 10 * 2_000 + 11
    assert ModelPrice(1, 2).estimate(5, 5, heard=5, made=["audio"]) == 15


def test_rates_in_usd() -> None:
    """Tokens are priced per million, everything else per one."""
    price = ModelPrice.usd_per_million("1", "2", audio_input="3", search="0.01", audio_hour="0.36", character=0.000015)
    assert (price.audio_input, price.search, price.audio_hour, price.character) == (3_000_000, 10**10, 36 * 10**10, 15_000_000)
    assert PriceTable({"speech": {"character": "0.00003"}}).require("speech").character == 30_000_000
    with pytest.raises(ConfigurationError, match="audio: expected one of"):
        ModelPrice.usd_per_million(1, 1, audio=3)


def test_a_price_times_thousandths_keeps_its_shape() -> None:
    """An uplift is on the tokens of every tier, to the nearest pico-dollar, and on no unit."""
    price = ModelPrice(105, 5, long_above=9, long=ModelPrice(201, 7, search=4), search=4)
    assert price.scaled(1_100) == ModelPrice(116, 6, long_above=9, long=ModelPrice(221, 8, search=4), search=4)


def test_units_are_charged_through_cost() -> None:
    """Pictures, seconds, characters and searches are counted by the caller; an hour's price is exact for any second."""
    table = PriceTable({"m": ModelPrice(1, 1, image=5, audio_hour=40 * 10**9, character=2, search=3, page=4)})
    spent = cost(TokenUsage(), "m", table=table, images=2, audio_seconds=0.5, characters=10, searches=1, pages=1)
    assert spent.breakdown == {"image": 10, "audio_time": 5_555_556, "character": 20, "search": 3, "page": 4}
    assert cost(TokenUsage(), "whisper-1", audio_seconds=60).usd == 0.006


@pytest.mark.parametrize("unit", ["images", "audio_seconds", "characters", "pages"])
def test_a_unit_without_a_price_is_not_free(unit: str) -> None:
    """What is counted and has no price is an error, unless the call is charged by its tokens."""
    table = PriceTable({"m": {"input": 1, "output": 1}})
    with pytest.raises(UnknownPriceError, match=unit):
        cost(TokenUsage(), "m", table=table, **{unit: 1})
    assert cost(TokenUsage(1, 1), "m", table=table, **{unit: 1}).total_pico == 2_000_000


def test_every_rate_is_covered_by_the_ceiling() -> None:
    """The names of the rates are those of the price, each once."""
    assert set(RATES) == {*TOKEN_RATES, *UNIT_RATES}
    assert {name for name in ModelPrice.__slots__ if name not in ("long", "long_above")} == set(RATES)
    assert set(OUTPUT_RATES) < set(TOKEN_RATES)
