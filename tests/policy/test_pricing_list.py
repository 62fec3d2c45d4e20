"""The shipped list: its shape, its figures, and the names under which a model is found."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.policy.model_names import FALLBACKS, MAKERS, names
from omnillm.policy.price import RATES, ModelPrice
from omnillm.policy.pricing import PriceTable
from omnillm.policy.snapshot import FORMAT, Rows, read_snapshot, shipped, tiers_of
from omnillm.providers.presets import PRESETS

TABLE = PriceTable()
ROWS = shipped().providers
IDS = [(provider, model) for provider in ROWS for model in ROWS[provider]]
MAKER_IDS = [(provider, model) for provider, model in IDS if provider in MAKERS]


def usd(input: str, output: str, **rates: Any) -> ModelPrice:
    return ModelPrice.usd_per_million(input, output, **rates)


@pytest.mark.parametrize(
    ("model", "provider", "rates"),
    [
        ("gpt-4.1", None, usd("2", "8", cached_input="0.5", search="0.01")),
        ("gpt-4.1-mini", None, usd("0.4", "1.6", cached_input="0.1", search="0.01")),
        ("text-embedding-3-small", None, usd("0.02", "0")),
        (
            "claude-haiku-4-5",
            None,
            usd("1", "5", cached_input="0.1", cache_write_short="1.25", cache_write_long="2", search="0.01"),
        ),
        ("gemini-2.5-flash", None, usd("0.3", "2.5", cached_input="0.03", audio_input="1", cached_audio="0.1", search="0.035")),
        ("whisper-1", None, usd("0", "0", audio_hour="0.36")),
        ("tts-1", "openai", usd("0", "0", character="0.000015")),
        ("rerank-v3.5", "cohere", usd("0", "0", search="0.002")),
        ("llama-3.1-8b-instant", "groq", usd("0.05", "0.08")),
    ],
)
def test_figures(model: str, provider: str | None, rates: ModelPrice) -> None:
    """What the price page says per million tokens, or per one, is what is charged."""
    found = TABLE.price(model, provider)
    assert found is not None
    named = {name: rate for name in RATES if (rate := getattr(rates, name)) is not None}
    assert {name: getattr(found, name) for name in named} == named


@pytest.mark.parametrize(
    ("written", "provider", "there", "model"),
    [
        ("gpt-4.1-2025-04-14", None, "openai", "gpt-4.1-2025-04-14"),
        ("gpt-4.1-2031-01-01", None, "openai", "gpt-4.1"),
        ("GPT-4.1", None, "openai", "gpt-4.1"),
        ("openai/gpt-4.1", None, "openai", "gpt-4.1"),
        ("openai/gpt-4.1", "openai", "openai", "gpt-4.1"),
        ("openai/gpt-4.1", "openrouter", "openrouter", "openai/gpt-4.1"),
        ("gpt-4.1", "azure_open_ai", "azure", "gpt-4.1"),
        ("azure/gpt-4.1", None, "azure", "gpt-4.1"),
        ("claude-haiku-4-5-20251001", None, "anthropic", "claude-haiku-4-5-20251001"),
        ("claude-haiku-4-5-20991001", None, "anthropic", "claude-haiku-4-5"),
        ("claude-haiku-4.5", None, "anthropic", "claude-haiku-4.5"),
        ("claude-sonnet-4-5@20250929", "vertex_ai", "vertex", "claude-sonnet-4-5@20250929"),
        ("publishers/anthropic/models/claude-sonnet-4-5@20250929", None, "vertex", "claude-sonnet-4-5@20250929"),
        ("projects/p/locations/europe-west1/publishers/google/models/gemini-2.5-pro", None, "vertex", "gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "gemini", "gemini", "gemini-2.5-pro"),
        ("gemini-2.0-flash-009", None, "gemini", "gemini-2.0-flash"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", None, "bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "bedrock", "bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("ca.amazon.nova-lite-v1:0", "bedrock", "bedrock", "amazon.nova-lite-v1:0"),
        ("accounts/fireworks/models/deepseek-v3p2", None, "fireworks", "accounts/fireworks/models/deepseek-v3p2"),
        ("deepseek-v3p2", "fireworks", "fireworks", "accounts/fireworks/models/deepseek-v3p2"),
    ],
)  # fmt: skip
def test_names(written: str, provider: str | None, there: str, model: str) -> None:
    """A model is found under the names that providers write it with, where it is served."""
    found = TABLE.listed(written, provider)
    assert found is not None
    assert (found.provider, found.model) == (there, model)


@pytest.mark.parametrize(
    ("other", "provider"),
    [
        ("", None), ("-latest", None), ("@20250514", None), ("models/", None), ("gpt", None), ("gpt-4.1-turbo", None),
        ("gpt-4.1-mini-audio", None), ("gpt-4.10", None), ("gpt-4.1-2025", None), ("gpt-4.1-20259999", None),
        ("ft:gpt-4o-2024-08-06:me::1", None), ("somewhere/gpt-4.1", None), ("claude-sonnet", None),
        ("claude-sonnet-4-99", None), ("us.claude-sonnet-4-5", None), ("gemini-2.5", None), ("gemini-2.5-flash-0010", None),
        ("llama-3.1-8b-instant", None), ("gpt-4.1", "groq"), ("gpt-4.1:free", "openrouter"), ("llama3", "ollama"),
        ("x" * 10_000, None),
    ],
)  # fmt: skip
def test_a_name_that_only_resembles_one_has_no_price(other: str, provider: str | None) -> None:
    """No prefix, variant, fine-tune or other host is taken for a model that it is not."""
    assert TABLE.find(other, provider) is None


def test_no_id_is_matched_by_the_rule_of_another() -> None:
    """Each id of the list finds its own row where it is served."""
    for provider, model in IDS:
        found = TABLE.listed(model, provider)
        assert found is not None
        assert (found.provider, found.model) == (provider, model)


def test_what_is_taken_off_an_id_never_leads_to_another_price() -> None:
    """An id whose row were missing would be priced by a shorter one alone if that is itself without a day, path or region."""
    for provider, model in IDS:
        for shorter in list(names(model, provider))[1:]:
            if shorter in ROWS[provider] and shorter != model:
                assert shorter.replace(".", "-") in model.replace(".", "-") or provider == "fireworks"


@given(row=st.sampled_from(MAKER_IDS), more=st.from_regex(r"-[a-z]{1,6}", fullmatch=True))
def test_a_longer_name_is_priced_by_its_own_row_or_not_at_all(row: tuple[str, str], more: str) -> None:
    """Whatever is added to a name, the shorter name's price is not taken for it."""
    provider, model = row
    longer = model + more
    found = TABLE.listed(longer, provider)
    if more != "-latest":
        assert found is None or found.model == longer


@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9.@:/-]{0,60}", fullmatch=True), st.sampled_from([None, *ROWS]))
def test_no_name_is_too_strange(name: str, provider: str | None) -> None:
    """Looking a name up never fails."""
    PriceTable(unknown="zero").require(name, provider)


def test_every_row_says_where_it_is_from_and_when() -> None:
    """A price can be checked: its source, and the day."""
    for provider, model in IDS:
        row = ROWS[provider][model]
        assert set(row["source"].split(", ")) <= set(shipped().sources)
        assert date.fromisoformat(row["as_of"]) <= date.fromisoformat(shipped().as_of)
        assert set(row.get("disputed", ())) <= set(RATES)
    assert all({"version", "as_of", "credit"} <= set(source) for source in shipped().sources.values())


def test_every_row_makes_a_price_at_each_tier() -> None:
    """No row of the list is malformed: each is a price, whatever is asked of it."""
    for provider, model in IDS:
        for tier in (None, *tiers_of(ROWS[provider][model])):
            price = TABLE.find(model, provider, tier=tier, region="eu", at=date(2026, 11, 27))
            assert price is not None
            assert price.estimate(10**6, 10**6) >= 0
    whole = {"format": FORMAT, "as_of": shipped().as_of, "sources": shipped().sources, "providers": dict(ROWS)}
    assert read_snapshot(whole, "x").providers.keys() == ROWS.keys()


def test_a_cached_token_costs_no_more_than_a_fresh_one() -> None:
    """In every row, reading the cache is not dearer than the input; of the names that move at a router, one is listed so."""
    dearer = [
        (provider, model)
        for provider, model in IDS
        if not model.startswith("~")
        and (price := TABLE.require(model, provider)).cached_input is not None
        and price.cached_input > price.input > 0
    ]
    assert dearer == []


def test_every_provider_that_can_be_called_by_name_is_listed() -> None:
    """The presets have prices, but for servers of one's own."""
    own = {"lmstudio", "ollama", "vllm"}
    assert {name.removesuffix("-chat") for name in PRESETS} - own <= set(ROWS)
    assert {*MAKERS, *FALLBACKS} <= set(ROWS)


def test_a_provider_is_read_when_it_is_asked_for() -> None:
    """Asking for one provider reads its rows alone."""
    rows = Rows("prices.jsonl.gz")
    assert len(rows) == len(list(rows)) > 10
    assert rows["groq"] is rows["groq"]
    assert set(rows._read) == {"groq"}
    with pytest.raises(KeyError):
        rows["nobody"]
