"""``omnillm prices`` and ``omnillm models``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from omnillm.cli import main
from omnillm.policy.price import ModelPrice
from omnillm.policy.pricing import PriceTable
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, respond

Capture = pytest.CaptureFixture[str]
LIST: dict[str, Any] = {
    "format": 1,
    "as_of": "2026-11-27",
    "sources": {},
    "providers": {
        "openai": {"gpt-4.1": {"prices": [{"rates": {"input": 7, "output": 8}}], "source": "me", "as_of": "2026-11-27"}}
    },
}


def test_prices_of_a_model(capsys: Capture) -> None:
    """A model's rates, long prompts and tiers are shown, with where they are from."""
    assert main(["prices", "gpt-5.4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("openai/gpt-5.4, in USD")
    assert all(part in out for part in ("input              2.5\n", "more than 272000 tokens", "flex, priority", "genai-prices"))
    assert main(["prices", "openai/gpt-5.4", "--tier", "flex", "--at", "2026-11-27", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["provider"], told["listed_as"], told["usd"]["input"]) == ("openai", "gpt-5.4", 1.25)
    assert main(["prices", "openai/gpt-oss-120b", "--provider", "groq", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provider"] == "groq"


def test_a_disputed_price_says_so(capsys: Capture) -> None:
    """Where the sources disagree, the rates are named."""
    assert main(["prices", "gpt-4.1"]) == 0
    assert "the sources disagree on: search" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["prices", "nobody"], 1, "no price is known for 'nobody'"),
        (["prices", "gpt-4.1", "--at", "today"], 2, "--at: expected a date"),
        (["prices", "gpt-4.1", "--file", "absent.json"], 1, "absent.json"),
        (["prices", "update"], 2, "expected --to FILE"),
        (["models", "no-such-model"], 1, "no model fits 'no-such-model'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(capsys: Capture, argv: list[str], code: int, said: str) -> None:
    """An error is a line on stderr, and an exit code."""
    assert main(argv) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_is_taken_from_a_file(tmp_path: Path, capsys: Capture, packed: bool) -> None:
    """A list from elsewhere is checked, then written; the file is what a table is made of."""
    source, target = tmp_path / "theirs", tmp_path / "ours.json"
    raw = json.dumps(LIST).encode()
    source.write_bytes(gzip.compress(raw) if packed else raw)
    assert main(["prices", "update", "--to", str(target), "--from", str(source)]) == 0
    assert "1 models of 1 providers, as of 2026-11-27" in capsys.readouterr().out
    assert PriceTable.from_file(target).price("gpt-4.1") == ModelPrice(7, 8)
    assert main(["prices", "gpt-4.1", "--file", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "me"


def test_a_list_is_taken_from_a_url(tmp_path: Path, capsys: Capture) -> None:
    """The network is used when it is asked for; a failure leaves the file that was there as it was."""
    target = tmp_path / "ours.json"
    with ScriptedServer([expect(), respond(body=json.dumps(LIST).encode())]) as server:
        assert main(["prices", "update", "--to", str(target), "--from", f"{server.base_url}/prices.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == 1
    before = target.read_bytes()
    with ScriptedServer([expect(), respond(404)]) as server:
        assert main(["prices", "update", "--to", str(target), "--from", f"{server.base_url}/prices.json"]) == 1
    assert "answered 404" in capsys.readouterr().err
    assert target.read_bytes() == before


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no", b'{"format": 1}'])
def test_a_list_that_is_none_is_not_written(tmp_path: Path, capsys: Capture, content: bytes) -> None:
    """What is not a list changes nothing."""
    source, target = tmp_path / "theirs", tmp_path / "ours.json"
    source.write_bytes(content)
    assert main(["prices", "update", "--to", str(target), "--from", str(source)]) == 1
    assert not target.exists()
    assert capsys.readouterr().err.startswith("omnillm: ")


def test_models_by_pattern(capsys: Capture) -> None:
    """Each model is a line: what it takes and gives, how much, what it can do, until when."""
    assert main(["models", "openai/gpt-5.4-nano"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("openai/gpt-5.4-nano: chat, ")
    assert all(part in line for part in ("context ", "output ", "tools", "efforts ", "retired "))
    assert main(["models", "openai/gpt-5.4-nano", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["provider"] == "openai"
    assert main(["models", "bedrock/anthropic.claude-opus-4-7"]) == 0
    assert "no temperature" in capsys.readouterr().out
