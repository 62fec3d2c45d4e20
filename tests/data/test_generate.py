"""The script that makes the price list: what it takes from which source, and what it says of their disagreements."""

from __future__ import annotations

import datetime as dt
import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from omnillm.policy.pricing import PriceTable
from omnillm.policy.snapshot import FORMAT, read_snapshot, shipped, tiers_of
from omnillm.types.usage import PromptCacheUsage, TokenUsage, UsageDetails

pytest.importorskip("genai_prices")

from omnillm.data._genai import Genai
from omnillm.data._litellm import Litellm
from omnillm.data.generate import disagreements, packed, prices

AS_OF = "2026-11-27"
NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
MODELS: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of", "mode": "chat"},
    "gpt-4.1": {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 9e-06,
        "input_cost_per_audio_token": 1e-05, "max_input_tokens": 10,
    },
    "gpt-4.1-mini": {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06,
        "input_cost_per_audio_token": 1e-05, "cache_creation_input_token_cost_above_1hr": 3e-07,
        "regional_processing_uplift_multiplier_eu": 1.1, "input_cost_per_token_ultrafast": 8e-07,
    },
    "openai/mine": {
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.0000000000000001e-07,
        "output_cost_per_token": 5e-07, "input_cost_per_token_above_272k_tokens": 2e-07,
        "output_cost_per_token_above_272k_tokens_flex": 1e-07,
        "output_cost_per_token_flex": 5e-08, "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    },
    "hd/1024-x-1024/draws": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 7.629e-08},
    "hears": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.000283333333333},
    "says": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1.5e-05},
    "nothing": {"litellm_provider": "openai", "mode": "chat"},
    "dashscope/long": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
        {"range": [0, 256000.0], "input_cost_per_token": 1e-07, "output_cost_per_token": 1e-06},
        {"range": [256000.0, 1000000.0], "input_cost_per_token": 2e-07, "output_cost_per_token": 2e-06},
    ]},
    "bedrock/us-gov-west-1/amazon.nova-pro-v1:0": {
        "litellm_provider": "bedrock", "mode": "chat", "input_cost_per_token": 9.6e-07, "output_cost_per_token": 3.84e-06,
    },
    "bedrock/x/1-month-commitment/y": {"litellm_provider": "bedrock", "mode": "chat", "input_cost_per_token": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def genai() -> Genai:
    return Genai()


@pytest.fixture(scope="module")
def made(genai: Genai, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    table = tmp_path_factory.mktemp("litellm") / "models.json"
    table.write_text(json.dumps(MODELS))
    return prices(genai, Litellm(str(table)), AS_OF)


def rates(made: dict[str, Any], provider: str, model: str) -> Any:
    return made["providers"][provider][model]["prices"][-1]["rates"]


def test_what_only_one_source_has_is_taken(made: dict[str, Any]) -> None:
    """Figures become whole pico-dollars without the noise of binary arithmetic; lengths become steps, seconds hours."""
    assert rates(made, "openai", "mine") == {"input": [100_000, [272_000, 200_000]], "output": 500_000, "search": 10**10}
    assert made["providers"]["openai"]["mine"]["tiers"] == [{"tier": "flex", "rates": {"output": [50_000, [272_000, 100_000]]}}]
    assert rates(made, "openai", "hd/1024-x-1024/draws") == {"image": 80 * 10**9}
    assert rates(made, "openai", "hears") == {"audio_hour": 1_020_000_000_000}
    assert rates(made, "openai", "says") == {"character": 15_000_000}
    assert rates(made, "dashscope", "long") == {
        "input": [100_000, [256_000, 200_000]],
        "output": [1_000_000, [256_000, 2_000_000]],
    }
    assert rates(made, "openai", "gpt-4.1-nano")["input"] == 100_000
    assert "nothing" not in made["providers"]["openai"]
    assert not any("commitment" in model for model in made["providers"]["bedrock"])


def test_what_both_agree_on_is_filled_in(made: dict[str, Any]) -> None:
    """Where the main rates agree, the one source adds the rates, tiers and uplifts that the other does not name."""
    row = made["providers"]["openai"]["gpt-4.1-mini"]
    assert row["source"] == "genai-prices, litellm"
    assert "disputed" not in row
    assert (row["prices"][-1]["rates"]["audio_input"], row["prices"][-1]["rates"]["cache_write_long"]) == (10_000_000, 300_000)
    assert row["uplift"] == {"eu": 1_100}
    assert {"tier": "ultrafast", "rates": {"input": 800_000}} in row["tiers"]


def test_a_dispute_is_marked_and_said(made: dict[str, Any]) -> None:
    """The figure of genai-prices counts, the other is kept beside it; nothing is filled in from a source that disagrees."""
    row = made["providers"]["openai"]["gpt-4.1"]
    assert (row["prices"][-1]["rates"]["output"], row["disputed"]) == (8_000_000, {"output": 9_000_000})
    assert "audio_input" not in row["prices"][-1]["rates"]
    assert "openai gpt-4.1 output: genai-prices 8000000, litellm 9000000" in list(disagreements(made))


def test_an_id_listed_whole_stands_above_a_rule_for_a_part_of_it(made: dict[str, Any]) -> None:
    """A region's own price is not that of a rule that only finds the model's name in its id."""
    row = made["providers"]["bedrock"]["us-gov-west-1/amazon.nova-pro-v1:0"]
    assert (row["prices"][0]["rates"]["input"], row["source"]) == (960_000, "litellm")
    assert row["disputed"]["input"] == 800_000


def test_the_list_is_whole_and_the_same_each_time(made: dict[str, Any]) -> None:
    """What is made is a list, and the same figures give the same bytes."""
    assert made["format"] == FORMAT
    assert read_snapshot(made, "made").as_of == AS_OF
    assert packed(made) == packed(json.loads(json.dumps(made)))


def _usage(rng: random.Random) -> tuple[TokenUsage, dict[str, int]]:
    prompt, output = rng.choice((10, 5_000, 150_000, 250_000, 400_000)), rng.randrange(10_000)
    read, written = rng.randrange(prompt // 2 + 1), rng.randrange(prompt // 2 + 1)
    usage = TokenUsage(prompt, output, prompt_cache=PromptCacheUsage(None, read, written))
    return usage, {
        "input_tokens": prompt, "output_tokens": output, "cache_read_tokens": read, "cache_write_tokens": written,
    }  # fmt: skip


@pytest.mark.parametrize(
    "provider", ["openai", "anthropic", "gemini", "bedrock", "groq", "mistral", "xai", "openrouter", "deepseek"]
)
def test_the_shipped_list_costs_what_its_source_computes(genai: Genai, provider: str) -> None:
    """For every row that genai-prices names, any usage costs the same by its own arithmetic, to the pico-dollar.

    OpenRouter has rates that are no whole number of pico-dollars a token; ours are rounded to one.
    """
    from genai_prices import Usage
    from genai_prices.data_snapshot import get_snapshot

    snapshot, rng, table, compared = get_snapshot(), random.Random(7), PriceTable(), 0
    own = {"gemini": "google", "bedrock": "aws", "xai": "x-ai"}.get(provider, provider)
    for model, row in shipped().providers[provider].items():
        if not row["source"].startswith("genai-prices") or "character" in row["prices"][-1]["rates"]:
            continue
        usage, theirs = _usage(rng)
        for tier in (None, *({"flex", "priority"} & set(tiers_of(row)))):
            if tier and genai.find(provider, model) and not _has_tier(genai, provider, model, tier):
                continue
            found, there = snapshot.find_provider_model(model, None, own, None)[::-1]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judged = found.calc_price(
                    Usage(**theirs), there, genai_request_timestamp=NOON, price_context={"service_tier": tier} if tier else None
                )
            price = table.require(model, provider, tier=tier, at=NOON)
            apart = abs(price.cost(usage, UsageDetails()).total_pico - int(judged.total_price * 10**12))
            assert apart <= (usage.total() if provider == "openrouter" else 0), (model, tier)
            compared += 1
    assert compared > 5


def _has_tier(genai: Genai, provider: str, model: str, tier: str) -> bool:
    found = genai.find(provider, model)
    return found is not None and any(each["tier"] == tier for each in found[0].get("tiers", ()))


def test_the_package_never_needs_the_sources(tmp_path: Path) -> None:
    """Nothing of the library imports the packages that the list is made of."""
    package = Path(__file__).parents[2] / "omnillm"
    users = {path.parent.name for path in package.rglob("*.py") if "genai_prices" in path.read_text("utf-8")}
    assert users == {"data"}
