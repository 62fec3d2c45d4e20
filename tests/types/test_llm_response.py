"""What an answer tells at a glance, and what of it goes into the next turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import responses

import omnillm as o
from omnillm import MessageRole as Role
from omnillm.types.response import ResponseMeta

CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES
THOUGHT = o.ReasoningPart("I look it up.", signature="sig")
CALL = o.ToolCallPart("c", "weather", {"city": "Rome"})
SECOND_CALL = o.ToolCallPart("d", "weather", {"city": "Oslo"})
SPOKEN = o.Message(Role.ASSISTANT, [o.TextPart("It is "), SECOND_CALL, o.TextPart("sunny.")])


def answer(*output: o.ResponseItem, meta: ResponseMeta | None = None) -> o.LlmResponse:
    return o.LlmResponse(output, o.TokenUsage(3, 4), "m", CLAUDE, meta=meta or ResponseMeta())


def test_the_text_is_what_is_visible() -> None:
    """Text parts of all messages, without reasoning, calls or refusals."""
    response = answer(THOUGHT, SPOKEN, CALL, o.Message.assistant(" Enjoy."), o.Message(Role.ASSISTANT, o.RefusalPart("no")))
    assert response.content_text == response.text == str(response) == f"{response}" == "It is sunny. Enjoy."


def test_calls_are_found_wherever_they_stand() -> None:
    """Calls that are items and calls inside messages, in order."""
    assert answer(THOUGHT, SPOKEN, CALL).tool_calls == (SECOND_CALL, CALL)


def test_messages_are_the_items_that_are_messages() -> None:
    """Other items are no messages."""
    assert answer(THOUGHT, SPOKEN, CALL).messages == (SPOKEN,)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ((), ""),
        ((THOUGHT,), "I look it up."),
        ((o.ReasoningPart(summary=("First. ", "Second.")),), "First. Second."),
        ((o.ReasoningPart("whole", ("short: ",)),), "short: whole"),
        ((o.Message(Role.ASSISTANT, [THOUGHT, o.TextPart("x")]), o.ReasoningPart(" Done.")), "I look it up. Done."),
        ((o.ReasoningPart(encrypted_content="opaque"),), ""),
    ],
)
def test_reasoning_is_its_summaries_and_its_text(output: tuple[o.ResponseItem, ...], text: str) -> None:
    """What is opaque is no text."""
    assert answer(*output).reasoning_text == text


@pytest.mark.parametrize(
    ("output", "refusal"),
    [
        ((), None),
        ((o.Message.assistant("yes"),), None),
        ((o.Message(Role.ASSISTANT, [o.RefusalPart("I can"), o.RefusalPart("not")]),), "I cannot"),
        ((o.Message(Role.ASSISTANT, [o.RefusalPart("")]),), ""),
    ],
)
def test_a_refusal_is_told_from_none(output: tuple[o.ResponseItem, ...], refusal: str | None) -> None:
    """No refusal is ``None``; an empty one is still a refusal."""
    assert answer(*output).refusal == refusal


def test_as_input_keeps_signatures_and_calls_for_the_next_turn() -> None:
    """The items go back as they came, so that the provider finds its own state again."""
    response = answer(THOUGHT, SPOKEN, CALL)
    request = o.LlmRequest("m", [o.Message.user("Weather?"), *response.as_input(), o.ToolResultPart("c", "sunny")])
    assert request.input[1:4] == (THOUGHT, SPOKEN, CALL)


@given(responses)
def test_as_input_is_always_valid_input_of_the_model(response: o.LlmResponse) -> None:
    """Whatever came back can be sent again, as said by the model."""
    request = o.LlmRequest("m", response.as_input())
    assert len(request.input) == len(response.output)
    assert {item.role for item in request.input if isinstance(item, o.Message)} <= {Role.ASSISTANT}


def test_what_the_gateway_knows_is_read_from_the_response() -> None:
    """Attempts, cost, losses, key and times stand in ``meta`` and on the response."""
    meta = ResponseMeta(
        attempts=(o.AttemptRecord("e", "m", "k", "ok"),),
        cost="cost",
        cost_usd=0.25,
        request_losses=(o.Loss("/a", "why"),),
        key_label="prod-1",
        latency=1.5,
        time_to_first_event=0.5,
        parsed={"a": 1},
    )
    response = answer(meta=meta)
    names = ["attempts", "cost", "cost_usd", "request_losses", "key_label", "latency", "time_to_first_event", "parsed"]
    assert {name: getattr(response, name) for name in names} == {name: getattr(meta, name) for name in names}


def test_without_a_gateway_there_is_nothing_to_know() -> None:
    """A parsed response has no attempts and no cost."""
    response = answer(SPOKEN)
    assert (response.attempts, response.cost, response.cost_usd, response.key_label, response.parsed) == (
        (),
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (o.TokenUsage(), 0),
        (o.TokenUsage(3, 4), 7),
        (o.TokenUsage(3, 4, 9), 9),
        (o.TokenUsage(3, 4, 0), 0),
        (o.TokenUsage(3, 4, None, 2), 7),
    ],
)
def test_the_total_is_the_reported_one_or_the_sum(usage: o.TokenUsage, total: int) -> None:
    """Reasoning is part of the completion and is not added again."""
    assert usage.total() == total


def test_a_report_is_lossy_where_it_has_losses() -> None:
    """The flag and the reasons are read off the losses."""
    clean = o.ConversionReport(1, o.EndpointKind.RESPONSES, o.WireFormat.OPENAI_RESPONSES, bridged=False)
    lossy = o.ConversionReport(1, o.EndpointKind.RESPONSES, o.WireFormat.OPENAI_RESPONSES, True, losses=(o.Loss("/a", "why"),))
    assert (clean.lossy, clean.loss_reasons) == (False, ())
    assert (lossy.lossy, lossy.loss_reasons) == (True, ("why",))
