"""What the hook for logs writes: lines for people, fields for machines, and nothing that is secret."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from omnillm import LlmRequest, tool
from omnillm.config import KeyConfig
from omnillm.errors import BadRequestError
from omnillm.hooks import logging_hook
from omnillm.policy.limits import Budget
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, answer, delay, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.types.parts import ToolCallPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CANARY = "sk-CANARY-logs-0123456789"
_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@pytest.fixture(autouse=True)
def at_its_most_talkative(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "omnillm")


def ours(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Give the records of the package: whoever watches for keys has others logged, too."""
    return [record for record in caplog.records if record.name == "omnillm"]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in ours(caplog) if record.levelno == level]


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def test_levels(provider: LocalProvider, build: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Retries and fallbacks are warnings, the end of a call is information, attempts are for debugging."""
    provider.script(fail(500, times=3))
    away = (provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], None)
    build(provider, clock=clock, add_fallback=away, on_event=logging_hook).call("a private prompt")
    warnings = lines(caplog, logging.WARNING)
    assert [line[:14] for line in warnings] == ["retry of m at ", "retry of m at ", "fallback from "]
    assert len(lines(caplog, logging.DEBUG)) == 4
    (ended,) = lines(caplog, logging.INFO)
    assert ended.startswith("call of m: ok after 4 attempts in ")
    assert "private" not in caplog.text
    assert "sk-" not in caplog.text


def test_a_call_that_failed_is_a_warning(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The line of a call that failed names the class of its error, and none of its words."""
    provider.script(fail(400, message="a private prompt is refused"))
    with pytest.raises(BadRequestError):
        build(provider, on_event=logging_hook).call("a private prompt")
    (ended,) = lines(caplog, logging.WARNING)
    assert ended.startswith("call of m: BadRequestError after 1 attempts in ")
    assert "private" not in caplog.text + json.dumps([fields(record) for record in ours(caplog)])


def test_one_id_goes_through_the_lines_of_a_call(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Every line ends with its call's id and has it as a field; two calls have two."""
    provider.script(fail(503))
    gateway = build(provider, on_event=logging_hook)
    gateway.call("hi")
    ids = {record.omnillm_call_id for record in ours(caplog)}
    assert len(ids) == 1
    assert all(record.getMessage().endswith(f" [{record.omnillm_call_id}]") for record in ours(caplog))
    gateway.call("hi")
    assert len({record.omnillm_call_id for record in ours(caplog)}) == 2


def test_the_fields(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a line says stands in fields that are JSON; what is not known is not there."""
    given = build(provider, on_event=logging_hook).call("hi")
    attempt, ended = (fields(record) for record in ours(caplog))
    assert json.loads(json.dumps([attempt, ended])) == [attempt, ended]
    assert attempt.pop("omnillm_duration") > 0
    assert (ended["omnillm_latency"], ended["omnillm_cost_usd"]) == (pytest.approx(given.latency, abs=0.5), given.cost_usd)
    assert (ended["omnillm_input_tokens"], ended["omnillm_output_tokens"]) == (
        given.usage.prompt_tokens,
        given.usage.completion_tokens,
    )
    assert (ended["omnillm_outcome"], ended["omnillm_kind"], ended["omnillm_finish_reason"]) == ("ok", "generation", "stop")
    assert not {"omnillm_error", "omnillm_time_to_first_event"} & ended.keys()
    assert attempt.pop("omnillm_attempt_id").startswith(ended["omnillm_call_id"])
    assert attempt == {
        "omnillm_event": "AttemptEnded",
        "omnillm_call_id": ended["omnillm_call_id"],
        "omnillm_model": "m",
        "omnillm_endpoint": provider.endpoint(CHAT).name,
        "omnillm_key_label": "k1",
        "omnillm_outcome": "ok",
        "omnillm_status": 200,
        "omnillm_tokens": given.usage.total(),
        "omnillm_cost_usd": given.cost_usd,
        "omnillm_sent": "yes",
    }


@tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


def test_the_other_lines(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Downgrades, hedges and tools have lines of their own."""
    called = LlmResponse((ToolCallPart("c1", "double", {"n": 777123}),), TokenUsage(5, 1), "m", CHAT)
    provider.script(answer(called), delay(0.5))
    prices = PriceTable({name: {"input": 1, "output": 1} for name in ("m", "n")})
    steps = {"budget": Budget(1), "add_downgrade": (1.0, {"m": "n"}), "pricing": prices}
    build(provider, 2, retry=RetryPolicy(hedge_after=0.02), **steps, on_event=logging_hook).run_tools("hi", [double])
    said = "".join(record.getMessage() for record in ours(caplog))
    assert "m becomes n: 1.000 of the budget is left" in said
    assert "a second attempt of n at " in said
    assert "tool double: ok in " in said
    assert "777123" not in said


@pytest.mark.parametrize("hostile", ["x]\nWARNING omnillm: forged", "x\x1b[2J", "x\u2028y"])
def test_a_line_stays_one(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture, hostile: str) -> None:
    """Neither the id that a model gives a tool's call nor the name of a model that was asked for begins a line of its own."""

    @tool
    def look() -> str:
        """Look."""
        return "seen"

    call = LlmResponse((ToolCallPart(hostile, "look", {}),), TokenUsage(1, 1), "m", CHAT)
    provider.script(answer(call))
    build(provider, on_event=logging_hook).run_tools("hi", [look], model=f"m{hostile}")
    said = [record.getMessage() for record in ours(caplog)]
    assert any("tool look: ok" in line for line in said)
    assert all(line.isprintable() for line in said)


def test_a_loss_stays_on_its_line(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A field's name may be anybody's, as a payload that was parsed has it."""
    foreign = {"anthropic_messages": {"x\nWARNING omnillm: forged": 1}}
    build(provider, losses="warn").call(LlmRequest("m", "hi", vendor_extensions=foreign))
    (said,) = lines(caplog, logging.WARNING)
    assert said.startswith("lost in translation: ")
    assert said.isprintable()


def test_no_key_is_logged(provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that echoes the key finds it in no line and in no field."""
    provider.script(fail(401, message=f"bad key {CANARY}", code=CANARY), fail(503, message=CANARY), fail(400, message=CANARY))
    gateway = build(provider, [KeyConfig(CANARY, "a"), KeyConfig(CANARY + "2", "b")], on_event=logging_hook)
    with pytest.raises(BadRequestError):
        gateway.call("hi")
    assert len(ours(caplog)) == 5
    assert CANARY not in caplog.text + json.dumps([fields(record) for record in ours(caplog)])


def test_a_logger_that_does_not_want_it_is_asked_first(
    provider: LocalProvider, build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the logger's level is higher, no line is made."""
    caplog.set_level(logging.WARNING, "omnillm")
    build(provider, on_event=logging_hook).call("hi")
    assert ours(caplog) == []
