"""A list of prices: dates, hours, tiers, regions, long prompts; lists from elsewhere; whose price stands above whose."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from omnillm.errors import ConfigurationError, UnknownPriceError
from omnillm.policy.price import ModelPrice
from omnillm.policy.pricing import PriceTable, cost
from omnillm.policy.snapshot import price_of, read_snapshot
from omnillm.types.usage import TokenUsage

DAY = dt.date(2026, 11, 27)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def row(*prices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"prices": list(prices), "source": "test", "as_of": "2026-11-27", **more}


def listing(**models: Any) -> dict[str, Any]:
    sources = {"test": {"version": "1", "as_of": "2026-11-27", "credit": "nobody"}}
    return {"format": 1, "as_of": "2026-11-27", "sources": sources, "providers": {"openai": models}}


FLAT = row({"rates": {"input": 10, "output": 20, "cached_input": 5}})


@pytest.mark.parametrize(
    ("moment", "input"), [("2025-01-01T00:00", 10), ("2025-12-31T23:59", 10), ("2026-01-01T00:00", 20), ("2030-01-01T00:00", 20)]
)
def test_a_price_holds_from_its_date_on(moment: str, input: int) -> None:
    """The last price in force counts, by the day in UTC."""
    dated = row({"rates": {"input": 10}}, {"since": "2026-01-01", "rates": {"input": 20}})
    assert price_of(dated, tier=None, region=None, at=at(moment)).input == input


@pytest.mark.parametrize(
    ("hours", "moment", "input"),
    [
        (["00:30", "16:30"], "2026-01-01T00:29", 10),
        (["00:30", "16:30"], "2026-01-01T00:30", 20),
        (["00:30", "16:30"], "2026-01-01T16:30", 10),
        (["22:00", "02:00"], "2026-01-01T23:00", 20),
        (["22:00", "02:00"], "2026-01-01T01:59", 20),
        (["22:00", "02:00"], "2026-01-01T02:00", 10),
    ],
)
def test_a_price_holds_at_its_hours(hours: list[str], moment: str, input: int) -> None:
    """An hour of the day has its own price, over midnight too."""
    hourly = row({"rates": {"input": 10}}, {"hours": hours, "rates": {"input": 20}})
    assert price_of(hourly, tier=None, region=None, at=at(moment)).input == input


def test_a_price_before_its_first_date_is_the_first() -> None:
    """A row whose only price begins later has that price."""
    assert price_of(row({"since": "2030-01-01", "rates": {"input": 3}}), tier=None, region=None, at=at("2026-01-01")).input == 3


@pytest.mark.parametrize(
    ("tier", "moment", "input", "cached"),
    [
        (None, "2026-11-27", 10, 5),
        ("default", "2026-11-27", 10, 5),
        ("auto", "2026-11-27", 10, 5),
        ("other", "2026-11-27", 10, 5),
        ("batch", "2026-11-27", 4, 5),
        ("BATCH", "2026-11-27", 4, 5),
        ("batches", "2026-11-27", 4, 5),
        ("batch", "2026-01-01", 10, 5),
        ("priority", "2026-11-27", 30, 9),
        ("fast", "2026-11-27", 30, 9),
    ],
)
def test_a_tier_lays_its_rates_over_the_standard_ones(tier: str | None, moment: str, input: int, cached: int) -> None:
    """A tier changes what it names, from its date on; one that the row does not have is the standard."""
    tiers = [
        {"tier": "batch", "since": "2026-06-01", "rates": {"input": 4}},
        {"tier": "priority", "rates": {"input": 30, "cached_input": 9}},
        {"tier": "priority", "rates": {"input": 99}},
    ]
    found = price_of({**FLAT, "tiers": tiers}, tier=tier, region=None, at=at(moment))
    assert (found.input, found.cached_input, found.output) == (input, cached, 20)


@pytest.mark.parametrize(
    ("region", "input"),
    [
        (None, 1_000),
        ("global", 1_000),
        ("us", 1_100),
        ("us-east5", 1_100),
        ("eu", 1_200),
        ("europe-west1", 1_200),
        ("asia-east1", 1_300),
    ],
)
def test_a_region_has_its_uplift(region: str | None, input: int) -> None:
    """The uplift of the region, of its group, or of any region; none where no region is told."""
    lifted = row({"rates": {"input": 1_000}}, uplift={"us": 1_100, "eu": 1_200, "*": 1_300})
    assert price_of(lifted, tier=None, region=region, at=at("2026-01-01")).input == input


def test_steps_of_each_rate_become_tiers_of_the_whole_price() -> None:
    """A rate with steps and one without make one price for each length; several steps nest."""
    stepped = row({"rates": {"input": [1, [100, 2], [200, 4]], "output": [10, [200, 40]], "cached_input": 7}})
    found = price_of(stepped, tier=None, region=None, at=at("2026-01-01"))
    top = ModelPrice(4, 40, 7)
    assert found == ModelPrice(1, 10, 7, long_above=100, long=ModelPrice(2, 10, 7, long_above=200, long=top))
    assert [found.cost(TokenUsage(n, 1)).total_pico for n in (100, 101, 200, 201)] == [110, 212, 410, 844]


def test_a_flat_rate_of_a_tier_replaces_one_with_steps() -> None:
    """Priority has no long price where the tier names one rate for all lengths."""
    stepped = row({"rates": {"input": [1, [100, 2]], "output": 5}}, tiers=[{"tier": "priority", "rates": {"input": 9}}])
    assert price_of(stepped, tier="priority", region=None, at=at("2026-01-01")) == ModelPrice(9, 5)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ([], "x"),
        ({}, "x"),
        ({"format": 2}, "x"),
        ({**listing(), "as_of": 1}, "x/as_of"),
        ({**listing(), "sources": []}, "x/sources"),
        ({**listing(), "providers": {"openai": []}}, "x/providers/openai"),
        (listing(A=FLAT), "x/providers/openai/A"),
        (listing(a=3), "x/providers/openai/a"),
        (listing(a=row()), "x/providers/openai/a"),
        (listing(a=row({})), "x/providers/openai/a"),
        (listing(a=row({"rates": {"inputs": 1}})), "x/providers/openai/a/inputs"),
        *(
            (listing(a=row({"rates": {"input": rate}})), "x/providers/openai/a/input")
            for rate in (-1, 1.5, True, None, "1", [], [1, 2], [1, [2]], [[1, [1, 2]]], 10**18)
        ),
        (listing(a=row({"rates": {"input": 1}}, tiers=[{"tier": "flex"}])), "x/providers/openai/a"),
    ],
)
def test_a_list_that_is_none_is_refused(wrong: Any, place: str) -> None:
    """What is wrong with a list from elsewhere is named by its place."""
    with pytest.raises(ConfigurationError) as caught:
        read_snapshot(wrong, "x")
    assert caught.value.field == place


def test_a_list_is_read_from_a_file(tmp_path: Path) -> None:
    """A list at run time stands in place of the package's; the caller's own prices above it."""
    plain, packed = tmp_path / "prices.json", tmp_path / "prices.json.gz"
    plain.write_text(json.dumps(listing(**{"gpt-4.1": FLAT})))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, str(packed)):
        table = PriceTable.from_file(path, overrides={"mine": {"input": 1, "output": 1}}, unknown="zero")
        assert table.price("gpt-4.1") == ModelPrice(10, 20, 5)
        assert table.price("mine") == ModelPrice(10**6, 10**6)
        assert table.price("gpt-4.1-mini") == ModelPrice(0, 0)
        assert PriceTable.from_file(path, overrides={"gpt-4.1": ModelPrice(1, 1)}).price("gpt-4.1") == ModelPrice(1, 1)


def test_prices_by_model_are_read_from_a_file(tmp_path: Path) -> None:
    """A file of a few prices stands above the package's list, and below the caller's own."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"a": {"input": 1, "output": 2}, "b": "a", "gpt-4.1": {"input": 9, "output": 9}}))
    table = PriceTable.from_file(path, overrides={"a": {"input": 3, "output": 3}})
    assert table.price("a") == table.price("b") == ModelPrice(3 * 10**6, 3 * 10**6)
    assert table.price("gpt-4.1") == ModelPrice(9 * 10**6, 9 * 10**6)
    assert table.price("gpt-4.1-mini") == PriceTable().price("gpt-4.1-mini")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x1f\x8bx", b'{"a": 3}', b"\xff"])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever is in the file, the error is a ``ConfigurationError``."""
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        PriceTable.from_file(path)
    with pytest.raises(ConfigurationError):
        PriceTable.from_file(tmp_path / "absent.json")
    with pytest.raises(ConfigurationError, match="file: expected a path"):
        PriceTable.from_file(3)  # type: ignore[arg-type]  # what a configuration may hold


def test_a_deployment_costs_what_its_model_does() -> None:
    """A name may stand for another, in a chain, and one that leads back to itself leads nowhere."""
    table = PriceTable({"prod": "gpt-4.1", "old": "prod", "mine": "own", "own": ModelPrice(1, 2), "x": "y", "y": "x"})
    assert table.price("prod", "azure") == table.price("old", "azure") == PriceTable().price("gpt-4.1", "azure")
    assert table.price("mine") == ModelPrice(1, 2)
    assert table.price("x") is None


def test_an_own_price_is_for_every_name_of_the_model() -> None:
    """A price of the caller's is found as the list's are: by path, region and day."""
    table = PriceTable({"claude-haiku-4-5": ModelPrice(1, 2), "anthropic.claude-x": ModelPrice(3, 4)})
    assert table.price("claude-haiku-4-5-20251001") == table.price("anthropic/claude-haiku-4-5") == ModelPrice(1, 2)
    assert table.price("claude-haiku-4-5@20251001", "vertex") == ModelPrice(1, 2)
    assert table.price("us.anthropic.claude-x-20990101-v1:0") == ModelPrice(3, 4)
    assert table.price("claude-haiku-4-5-fast") is None


def test_the_provider_decides_the_price() -> None:
    """The same model costs otherwise elsewhere; a host that has no price of its own has its maker's where it resells."""
    table = PriceTable()
    assert table.price("gpt-oss-120b", "cerebras") != table.price("openai/gpt-oss-120b", "groq")
    assert table.price("gemini-2.5-pro", "vertex_ai") is not None
    assert table.price("gpt-4.1", "open_ai_compatible") == table.price("gpt-4.1")


def test_cost_by_tier_region_and_date() -> None:
    """The options of ``cost`` choose the price; a tier that the usage itself tells counts where none is given."""
    usage = TokenUsage(1_000, 1_000)
    standard = cost(usage, "gpt-5.4", at=DAY)
    assert cost(usage, "gpt-5.4", tier="flex", at=DAY).total_pico * 2 == standard.total_pico
    assert cost(usage, "gpt-5.4", tier="priority", at=DAY).total_pico == 2 * standard.total_pico
    assert cost(usage, "gpt-5.4", region="eu", at=DAY).total_pico * 10 == standard.total_pico * 11
    told = TokenUsage(1_000, 1_000, vendor_extensions={"open_ai_chat_completions": {"service_tier": "flex"}})
    assert cost(told, "gpt-5.4", at=DAY) == cost(usage, "gpt-5.4", tier="flex", at=DAY)
    with pytest.raises(UnknownPriceError):
        cost(usage, "gpt-5.4", "groq", at=DAY)


def test_a_moment_may_be_a_date_or_a_time_anywhere() -> None:
    """A date is its noon, a naive time is UTC, an aware one is taken there."""
    tokyo = dt.timezone(dt.timedelta(hours=9))
    table = PriceTable()
    by_date = table.price("deepseek-chat", "deepseek", at=dt.date(2026, 1, 1))
    assert by_date == table.price("deepseek-chat", "deepseek", at=dt.datetime(2026, 1, 1, 12))  # noqa: DTZ001  # naive on purpose
    assert by_date == table.price("deepseek-chat", "deepseek", at=dt.datetime(2026, 1, 1, 21, tzinfo=tokyo))
    assert by_date != table.price("deepseek-chat", "deepseek", at=dt.datetime(2026, 1, 1, 20, tzinfo=dt.UTC))
