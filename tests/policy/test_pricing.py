"""Prices, estimates and costs: exact integers, disjoint classes of tokens, and no price by guess."""

from __future__ import annotations

import pickle
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError, UnknownPriceError
from omnillm.policy.pricing import Cost, ModelPrice, PriceTable, cost, estimate
from omnillm.types.usage import PromptCacheUsage, TokenUsage

PLAIN = ModelPrice(2, 8)
FULL = ModelPrice(100, 500, 10, 125, 200)
TIERED = ModelPrice(100, 500, 10, 125, 200, long_above=1_000, long=ModelPrice(200, 750, 20, 250, 400))


# --- prices -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("2", 2_000_000),
        ("0.15", 150_000),
        ("0.0375", 37_500),
        ("0.000001", 1),
        (Decimal("18.75"), 18_750_000),
        (0.1, 100_000),
        (0.1 + 0.2, 300_000),
        (3, 3_000_000),
        (0, 0),
    ],
)
def test_usd_per_million_tokens_become_whole_pico_dollars_per_token(usd: Any, pico: int) -> None:
    """A figure of a price page is exact, whatever type it comes in."""
    assert ModelPrice.usd_per_million(usd, 0).input == pico


@pytest.mark.parametrize("usd", ["-1", "nan", "inf", "1e20", "two", "", None, True, [], float("nan"), -0.5])
def test_a_figure_that_is_no_price_is_refused(usd: Any) -> None:
    """A price is a number of dollars, not negative and not absurd; the error names the rate."""
    with pytest.raises(ConfigurationError) as caught:
        ModelPrice.usd_per_million("1", usd)
    assert caught.value.field == "output"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"input": -1, "output": 1}, "input"),
        ({"input": 1.5, "output": 1}, "input"),
        ({"input": None, "output": 1}, "input"),
        ({"input": 1, "output": True}, "output"),
        ({"input": 1, "output": 1, "cached_input": "1"}, "cached_input"),
        ({"input": 1, "output": 1, "long_above": 5}, "long_above"),
        ({"input": 1, "output": 1, "long": PLAIN}, "long_above"),
    ],
)
def test_a_model_price_holds_whole_pico_dollars(arguments: dict[str, Any], field: str) -> None:
    """A wrong rate raises ``ConfigurationError`` that names it."""
    with pytest.raises(ConfigurationError) as caught:
        ModelPrice(**arguments)
    assert caught.value.field == field


# --- cost ---------------------------------------------------------------------------------------------------------------------


def _usage(prompt: int, completion: int, **cache: int | None) -> TokenUsage:
    return TokenUsage(prompt, completion, prompt_cache=PromptCacheUsage(**cache) if cache else None)


@pytest.mark.parametrize(
    ("price", "usage", "expected"),
    [
        (FULL, _usage(10, 3), (1_000, 0, 0, 1_500)),
        (FULL, TokenUsage(10, 3, reasoning_tokens=2), (1_000, 0, 0, 1_500)),
        (FULL, _usage(0, 0), (0, 0, 0, 0)),
        (FULL, _usage(10, 0, cached_input_tokens=4), (600, 40, 0, 0)),
        (FULL, _usage(10, 0, cache_read_input_tokens=4), (600, 40, 0, 0)),
        (FULL, _usage(10, 0, cached_input_tokens=9, cache_read_input_tokens=4), (600, 40, 0, 0)),
        (FULL, _usage(10, 0, cache_creation_input_tokens=4), (600, 0, 500, 0)),
        (FULL, _usage(10, 0, cache_creation_short_input_tokens=4), (600, 0, 500, 0)),
        (FULL, _usage(10, 0, cache_creation_long_input_tokens=4), (600, 0, 800, 0)),
        (FULL, _usage(10, 0, cache_creation_input_tokens=4, cache_creation_long_input_tokens=3), (600, 0, 725, 0)),
        (
            FULL,
            _usage(
                100,
                1,
                cache_read_input_tokens=50,
                cache_creation_input_tokens=30,
                cache_creation_short_input_tokens=20,
                cache_creation_long_input_tokens=10,
            ),
            (2_000, 500, 4_500, 500),
        ),
        # rates that the price does not name
        (PLAIN, _usage(10, 1, cached_input_tokens=4, cache_creation_input_tokens=3), (6, 8, 6, 8)),
        (ModelPrice(2, 8, cache_write_short=3), _usage(10, 0, cache_creation_long_input_tokens=10), (0, 0, 30, 0)),
        # counts that contradict each other
        (FULL, _usage(10, 0, cache_read_input_tokens=99), (0, 100, 0, 0)),
        (FULL, _usage(10, 0, cache_read_input_tokens=8, cache_creation_long_input_tokens=8), (0, 80, 400, 0)),
        (FULL, _usage(-5, -5, cache_read_input_tokens=-5), (0, 0, 0, 0)),
        # a long prompt is priced by its tier, with all its tokens
        (TIERED, _usage(1_000, 1), (100_000, 0, 0, 500)),
        (TIERED, _usage(1_001, 1), (200_200, 0, 0, 750)),
        (TIERED, _usage(1_001, 0, cache_read_input_tokens=1_001), (0, 20_020, 0, 0)),
    ],
)
def test_cost_by_class(price: ModelPrice, usage: TokenUsage, expected: tuple[int, ...]) -> None:
    """Each class of tokens is priced once, at its own rate."""
    spent = price.cost(usage)
    written = spent.cache_write_short_pico + spent.cache_write_long_pico
    assert (spent.input_pico, spent.cached_input_pico, written, spent.output_pico) == expected


def test_a_cost_gives_its_total_exactly_and_in_dollars() -> None:
    """The total is an exact integer; the dollars are for people."""
    spent = cost(TokenUsage(1_000_000, 1_000_000), "gpt-4.1-mini")
    assert spent.total_pico == 2 * 10**12
    assert spent.usd == 2.0
    assert spent + spent == Cost(input_pico=2 * spent.input_pico, output_pico=2 * spent.output_pico)
    assert spent.breakdown == {"input": spent.input_pico, "output": spent.output_pico}
    assert spent.completion_pico == spent.output_pico
    assert pickle.loads(pickle.dumps(spent)) == spent
    with pytest.raises(TypeError):
        spent + 1  # type: ignore[operator]  # a cost and a number are no sum


RATES = st.integers(0, 10**9)
OPTIONAL = st.none() | RATES


@st.composite
def prices(draw: st.DrawFn) -> ModelPrice:
    """Draw any price, with or without a tier for long prompts."""
    above, long = draw(st.none() | st.tuples(st.integers(0, 10**5), prices())) or (None, None)
    return ModelPrice(draw(RATES), draw(RATES), draw(OPTIONAL), draw(OPTIONAL), draw(OPTIONAL), above, long)


@st.composite
def usages(draw: st.DrawFn, prompt: int = 10**6, completion: int = 10**5) -> TokenUsage:
    """Draw any usage up to those counts, contradictory cache counts included."""
    counts = {name: draw(st.none() | st.integers(-5, prompt + 5)) for name in PromptCacheUsage.__slots__}
    cache = draw(st.sampled_from([None, PromptCacheUsage(**counts)]))
    return TokenUsage(draw(st.integers(0, prompt)), draw(st.integers(0, completion)), prompt_cache=cache)


@given(price=prices(), usage=usages())
def test_the_classes_sum_to_the_total_and_none_is_negative(price: ModelPrice, usage: TokenUsage) -> None:
    """The parts of a cost are its whole."""
    spent = price.cost(usage)
    parts = [getattr(spent, field.name) for field in fields(spent)]
    assert min(parts) >= 0
    assert sum(parts) == spent.total_pico == sum(spent.breakdown.values())


@given(usage=usages())
def test_every_prompt_token_is_priced_once(usage: TokenUsage) -> None:
    """With one rate for all input the cost is the prompt's length, however the cache split it."""
    assert ModelPrice(1, 0).cost(usage).total_pico == usage.prompt_tokens


@given(data=st.data(), price=prices(), prompt=st.integers(0, 10**6), output=st.integers(0, 10**5))
def test_no_usage_within_the_counts_costs_more_than_the_ceiling(
    data: st.DataObject, price: ModelPrice, prompt: int, output: int
) -> None:
    """The ceiling bounds the cost of every usage within its counts, cache writes included."""
    usage = data.draw(usages(prompt, output))
    assert price.cost(usage).total_pico <= price.ceiling(prompt, output)


@given(
    data=st.data(),
    model=st.sampled_from(["gpt-4.1", "gpt-5.4", "gpt-6-sol", "gemini-2.5-pro", "claude-sonnet-4-5", "claude-haiku-5-5"]),
    prompt=st.integers(0, 10**6),
    output=st.integers(0, 10**5),
)
def test_no_usage_that_writes_no_cache_costs_more_than_the_estimate(
    data: st.DataObject, model: str, prompt: int, output: int
) -> None:
    """The estimate covers every usage within its counts: cached input is never dearer, and no tier is missed."""
    tokens = data.draw(st.integers(0, prompt))
    cache = PromptCacheUsage(cache_read_input_tokens=data.draw(st.integers(0, tokens)))
    usage = TokenUsage(tokens, data.draw(st.integers(0, output)), prompt_cache=cache)
    assert cost(usage, model).total_pico <= estimate(PriceTable(), model, prompt, output)


@pytest.mark.parametrize(
    ("prompt", "output", "estimated", "ceiling"),
    [(0, 0, 0, 0), (10, 2, 2_000, 3_000), (1_000, 2, 101_000, 201_000), (1_001, 2, 201_700, 401_900)],
)
def test_the_estimate_is_uncached_and_in_the_tier_of_the_prompt(prompt: int, output: int, estimated: int, ceiling: int) -> None:
    """The estimate takes the input rate, the ceiling the dearest rate of an input token."""
    assert TIERED.estimate(prompt, output) == estimated
    assert TIERED.ceiling(prompt, output) == ceiling


# --- the table ----------------------------------------------------------------------------------------------------------------


def test_a_price_of_the_callers_stands_above_the_list() -> None:
    """Overrides are taken as prices or as figures, for every name of the model."""
    table = PriceTable({"gpt-4.1": {"input": "1", "output": 2, "cached_input": 0.5}, "mine": PLAIN})
    own = ModelPrice(1_000_000, 2_000_000, 500_000)
    assert table.price("gpt-4.1") == table.price("openai/gpt-4.1-2025-04-14") == own
    assert table.price("mine") == PLAIN
    assert table.price("gpt-4.1-mini") == PriceTable().price("gpt-4.1-mini")


def test_an_override_may_have_a_tier_for_long_prompts() -> None:
    """The tier is written as the price is."""
    long = {"input": 2, "output": 3}
    table = PriceTable({"mine": {"input": 1, "output": 2, "long_above": 10, "long": long}})
    assert table.require("mine").cost(TokenUsage(11, 0)).total_pico == 22_000_000


def test_a_table_keeps_no_mapping_of_the_callers() -> None:
    """What the caller changes later changes no price."""
    mine = {"mine": {"input": 1, "output": 2}}
    table = PriceTable(mine)
    mine["mine"]["input"] = 9
    mine.clear()
    assert table.price("mine") == ModelPrice(1_000_000, 2_000_000)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ([], "overrides"),
        ({"m": 3}, "overrides[m]"),
        ({"m": {"input": 1}}, "overrides[m].output"),
        ({"m": {"output": 1}}, "overrides[m].input"),
        ({"m": {"input": 1, "output": 1, "cached": 1}}, "overrides[m].cached"),
        ({"m": {"input": -1, "output": 1}}, "overrides[m].input"),
        ({"m": {"input": 1, "output": 1, "cached_input": "x"}}, "overrides[m].cached_input"),
        ({"m": {"input": 1, "output": 1, "long_above": 5, "long": {"input": 1}}}, "overrides[m].long.output"),
    ],
)
def test_a_wrong_override_is_named(overrides: Any, field: str) -> None:
    """A wrong price is refused when the table is made, by its model and rate."""
    with pytest.raises(ConfigurationError) as caught:
        PriceTable(overrides)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("unknown", ["ignore", None, 0, True])
def test_a_wrong_rule_for_unknown_models_is_refused(unknown: Any) -> None:
    """``unknown`` is one of two words or a callable."""
    with pytest.raises(ConfigurationError) as caught:
        PriceTable(unknown=unknown)
    assert caught.value.field == "unknown"


def test_a_model_without_a_price_is_an_error_by_default() -> None:
    """No price is guessed: the error names the model, and nothing was sent."""
    assert PriceTable().price("nobody/knows-it") is None
    for ask in (
        lambda: PriceTable().require("nobody/knows-it"),
        lambda: cost(TokenUsage(1, 1), "nobody/knows-it"),
        lambda: estimate(PriceTable(), "nobody/knows-it", 1, 1),
    ):
        with pytest.raises(UnknownPriceError, match="nobody/knows-it") as caught:
            ask()
        assert (caught.value.model, caught.value.sent) == ("nobody/knows-it", "no")


def test_an_unknown_model_may_be_free() -> None:
    """``unknown="zero"`` makes it cost nothing, and known models what they cost."""
    table = PriceTable(unknown="zero")
    assert cost(TokenUsage(5, 5), "mine", table=table) == Cost()
    assert table.price("gpt-4.1") == PriceTable().price("gpt-4.1")
    assert table.find("mine") is None


def test_an_unknown_model_may_be_priced_by_the_caller() -> None:
    """A callable is asked for unknown models alone; its ``None`` is no price."""
    asked = []

    def price(model: str) -> ModelPrice | dict[str, str] | None:
        asked.append(model)
        return {"a": PLAIN, "b": {"input": "1", "output": "2"}}.get(model)  # type: ignore[return-value]  # one of three kinds

    table = PriceTable(unknown=price)
    assert table.price("a") == PLAIN
    assert table.price("b") == ModelPrice(1_000_000, 2_000_000)
    assert table.price("c") is None
    assert table.price("o3") is not None
    assert asked == ["a", "b", "c"]


def test_a_table_pickles_and_compares_by_value() -> None:
    """A table is a value."""
    table = PriceTable({"mine": PLAIN}, "zero")
    assert pickle.loads(pickle.dumps(table)) == table
