"""The list of prices: its figures, and the names under which a model is found."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.policy import _prices
from omnillm.policy.pricing import PRICE_SOURCES, PRICES_AS_OF, ModelPrice, PriceTable

TABLE = PriceTable()
SONNET_45 = ModelPrice.usd_per_million(
    "3",
    "15",
    cached_input="0.3",
    cache_write_short="3.75",
    cache_write_long="6",
    long_above=200_000,
    long=ModelPrice.usd_per_million("6", "22.5", cached_input="0.6", cache_write_short="7.5", cache_write_long="12"),
)
SONNET_45_IN_A_REGION = ModelPrice.usd_per_million(
    "3.3",
    "16.5",
    cached_input="0.33",
    cache_write_short="4.125",
    cache_write_long="6.6",
    long_above=200_000,
    long=ModelPrice.usd_per_million("6.6", "24.75", cached_input="0.66", cache_write_short="8.25", cache_write_long="13.2"),
)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4.1", ModelPrice.usd_per_million("2", "8", cached_input="0.5")),
        ("gpt-4.1-mini", ModelPrice.usd_per_million("0.4", "1.6", cached_input="0.1")),
        ("gpt-4o-2024-05-13", ModelPrice.usd_per_million("5", "15")),
        ("o1-pro", ModelPrice.usd_per_million("150", "600")),
        ("text-embedding-3-small", ModelPrice.usd_per_million("0.02", "0")),
        ("claude-sonnet-4-5", SONNET_45),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET_45),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET_45_IN_A_REGION),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET_45_IN_A_REGION),
    ],
)
def test_figures(model: str, price: ModelPrice) -> None:
    """What the price page says per million tokens is what a token costs."""
    assert TABLE.price(model) == price


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("azure/gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("gpt-5-chat-latest", "gpt-5"),
        ("gpt-5.1-codex-max", "gpt-5.1"),
        ("o1-preview-2024-09-12", "o1"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("anthropic.claude-3-haiku-20240307-v1:0:200k", "claude-3-haiku"),
        ("anthropic/claude-3.7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4"),
        ("bedrock/apac.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("anthropic/claude-opus-4.1", "claude-opus-4-1"),
        ("publishers/anthropic/models/claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite"),
        ("projects/p/locations/europe-west1/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_names(written: str, model: str) -> None:
    """A model is found under the names that providers write it with."""
    found = TABLE.find(written)
    assert found is not None
    assert found == TABLE.find(model)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "-latest",
        "@20250514",
        "models/",
        "gpt",
        "gpt-4.1-turbo",
        "gpt-4.1-mini-audio",
        "gpt-4.10",
        "gpt-4o-audio-preview",
        "gpt-4o-realtime-preview-2024-12-17",
        "gpt-4o:free",
        "gpt-4.1-2025",
        "gpt-4.1-20259999",
        "ft:gpt-4o-2024-08-06:me::1",
        "somewhere/gpt-4.1",
        "claude-sonnet",
        "claude-sonnet-4-9",
        "claude-sonnet-4-5-v2",
        "us.claude-sonnet-4-5",
        "gemini-2.5",
        "gemini-2.5-flash-image",
        "gemini-2.5-flash-preview-tts",
        "gemini-2.5-flash-0010",
        "GPT-4.1",
    ],
)
def test_a_name_that_only_resembles_one_has_no_price(other: str) -> None:
    """No prefix, variant, fine-tune or other host is taken for a model that it is not."""
    assert TABLE.find(other) is None


@given(model=st.sampled_from(sorted(_prices.PRICES)), more=st.from_regex(r"-[a-z]{1,6}", fullmatch=True))
def test_a_longer_name_is_priced_by_its_own_row_or_not_at_all(model: str, more: str) -> None:
    """Whatever is added to a name, the shorter name's price is not taken for it."""
    longer = model + more
    if longer not in _prices.PRICES and longer not in _prices.ALIASES and more != "-latest":
        assert TABLE.find(longer) is None


@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9.@:/-]{0,60}", fullmatch=True))
def test_no_name_is_too_strange(name: str) -> None:
    """Looking a name up never fails."""
    PriceTable(unknown="zero").require(name)


def test_the_tables_agree_with_each_other() -> None:
    """Tiers, regions and aliases are of models that are listed; no alias hides a row."""
    assert set(_prices.LONG_CONTEXT) <= set(_prices.PRICES)
    assert set(_prices.BEDROCK_REGIONAL) <= set(_prices.PRICES)
    assert set(_prices.ALIASES.values()) <= set(_prices.PRICES)
    assert not set(_prices.ALIASES) & set(_prices.PRICES)


@pytest.mark.parametrize("model", sorted(_prices.PRICES))
def test_a_row_is_exact_and_plausible(model: str) -> None:
    """Every figure is a whole number of pico-dollars; reading the cache is cheaper than the input, writing it is not."""
    assert all(Decimal(usd) * 10**6 % 1 == 0 for usd in _prices.PRICES[model])
    price = TABLE.require(model)
    assert price.input > 0
    assert (price.cached_input or 0) < price.input
    assert price.cache_write_short is None or price.input < price.cache_write_short
    assert price.cache_write_long is None or (price.cache_write_short or 0) < price.cache_write_long
    assert price.long is None or price.long.input > price.input


def test_the_list_says_where_it_is_from_and_when() -> None:
    """A price can be checked on its provider's page."""
    assert date.fromisoformat(PRICES_AS_OF) >= date(2026, 11, 1)
    assert {"openai", "anthropic", "gemini", "bedrock"} <= set(PRICE_SOURCES)
    assert all(url.startswith("https://") for url in PRICE_SOURCES.values())
