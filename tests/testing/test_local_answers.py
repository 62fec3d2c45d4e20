"""What the local provider says to a request."""

from __future__ import annotations

from typing import Any

import pytest

from omnillm.testing._answers import REFUSAL, THOUGHT, events_of, respond, respond_with, tokens_of
from omnillm.testing._routes import BY_PROTOCOL
from omnillm.types.capabilities import (
    CapabilitySet,
    ReasoningCapability,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
)
from omnillm.types.enums import FinishReason, MessageRole, ProviderProtocol
from omnillm.types.events import (
    Completed,
    ContentPartAdded,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    TextDelta,
    ToolCallDelta,
    UsageUpdated,
)
from omnillm.types.message import Message
from omnillm.types.parts import (
    Annotation,
    ImageUrlPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from omnillm.types.request import GenerationConfig, LlmRequest
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT = BY_PROTOCOL[ProviderProtocol.OPENAI_CHAT_COMPLETIONS].voice
CLAUDE = BY_PROTOCOL[ProviderProtocol.CLAUDE_MESSAGES].voice

WEATHER = ToolDefinition("weather", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
CLOCK = ToolDefinition("clock", {"type": "object"})
TOOLS = (WEATHER, CLOCK)
CALL = ToolCallPart("call_1", "weather", {"city": "Rome"})


def ask(
    content: Any, *, cap: int | None = None, stop: tuple[str, ...] = (), voice: Any = CHAT, **capabilities: Any
) -> LlmResponse:
    generation = GenerationConfig(max_output_tokens=cap, stop_sequences=stop)
    return respond(LlmRequest("m", content, capabilities=CapabilitySet(**capabilities), generation=generation), voice, 1)


def calls(response: LlmResponse) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in response.tool_calls]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Say hello", "echo: Say hello"),
        ("", "echo:"),
        ((), "echo:"),
        ([Message.system("Be brief."), Message.user("one"), Message.assistant("two"), Message.user("three")], "echo: three"),
        ([Message.user("one"), Message.assistant("two")], "echo: one"),
        (
            [
                Message(
                    MessageRole.USER,
                    (
                        TextPart("look "),
                        ImageUrlPart("https://example.com/a.png"),
                        TextPart("here"),
                    ),
                )
            ],
            "echo: look here",
        ),
        ("call weather with nobody offering it", "echo: call weather with nobody offering it"),
    ],
)
def test_echo(content: Any, text: str) -> None:
    """The last user text comes back."""
    response = ask(content)
    assert (response.text, response.finish_reason, response.response_id) == (text, FinishReason.STOP, "chatcmpl-1")


@pytest.mark.parametrize(
    ("items", "text"),
    [
        (
            [Message(MessageRole.ASSISTANT, (CALL,)), Message(MessageRole.TOOL, (ToolResultPart("call_1", "18 C"),))],
            "weather gave: 18 C",
        ),
        ([CALL, ToolResultPart("call_1", {"t": 18})], 'weather gave: {"t":18}'),
        ([Message(MessageRole.USER, (ToolResultPart("call_1", "none", is_error=True),))], "call_1 failed: none"),
        (
            [CALL, ToolResultPart("call_1", "18 C"), Message(MessageRole.TOOL, (ToolResultPart("x", "noon", name="clock"),))],
            "weather gave: 18 C; clock gave: noon",
        ),
    ],
)
def test_tool_results_are_quoted(items: list[Any], text: str) -> None:
    """Tool results at the end of the input are quoted, and no tool is called again."""
    assert ask([Message.user("call weather"), *items], tools=TOOLS, tool_choice=ToolChoice.required()).text == text


def test_old_tool_results_are_history() -> None:
    """Tool results before the last user text are not quoted again."""
    assert ask([CALL, ToolResultPart("call_1", "18 C"), Message.user("thanks")], tools=TOOLS).text == "echo: thanks"


LEAST = {"city": "text"}


@pytest.mark.parametrize(
    ("text", "choice", "expected"),
    [
        ("call weather", None, [("weather", LEAST)]),
        ("Please call weather.", None, [("weather", LEAST)]),
        ('call weather with {"city": "Rome"}', None, [("weather", {"city": "Rome"})]),
        ('call weather with {"a": {"b": 1}} and call clock', None, [("weather", {"a": {"b": 1}}), ("clock", {})]),
        ("call weather with {broken", None, [("weather", LEAST)]),
        ("call weather with care", None, [("weather", LEAST)]),
        ("call nobody, call clock", None, [("clock", {})]),
        ("hello", ToolChoice.required(), [("weather", LEAST)]),
        ("call clock", ToolChoice.required(), [("clock", {})]),
        ("hello", ToolChoice.named("clock"), [("clock", {})]),
        ('call weather with {"city": "Oslo"}, call clock', ToolChoice.named("weather"), [("weather", {"city": "Oslo"})]),
        ("hello", ToolChoice.named("nobody"), []),
        ("call weather", ToolChoice.none(), []),
        ("hello", ToolChoice.auto(), []),
    ],
)
def test_tool_calls(text: str, choice: ToolChoice | None, expected: list[tuple[str, Any]]) -> None:
    """Tools are called as the text and the tool choice say."""
    response = ask(text, tools=TOOLS, tool_choice=choice)
    assert calls(response) == expected
    assert response.finish_reason is (FinishReason.TOOL_CALL if expected else FinishReason.STOP)


def test_tool_call_ids_are_deterministic() -> None:
    """Ids of calls are made of the answer's number and the call's place."""
    ids = [call.call_id for call in ask("call weather, call clock", tools=TOOLS, voice=CLAUDE).tool_calls]
    assert ids == ["toolu_1_0", "toolu_1_1"]


def test_parallel_calls_can_be_forbidden() -> None:
    """Without parallel tool calls only the first one is made."""
    assert calls(ask("call weather, call clock", tools=TOOLS, parallel_tool_calls=False)) == [("weather", LEAST)]


def test_arguments_are_an_object() -> None:
    """A tool whose schema asks for no object is called with an empty one."""
    assert calls(ask("call odd", tools=(ToolDefinition("odd", {"type": "string"}),))) == [("odd", {})]


def test_refusal() -> None:
    """A text that starts with the word is refused, whatever tools are there."""
    response = ask(" Refuse to call weather", tools=TOOLS)
    assert (response.refusal, response.text, response.finish_reason) == (REFUSAL, "", FinishReason.STOP)


def test_structured_output() -> None:
    """Structured output is the schema's least value, an empty object where there is no schema."""
    assert ask("hi", structured_output=StructuredOutputConfig(WEATHER.input_schema)).text == '{"city": "text"}'
    assert ask("hi", structured_output=StructuredOutputConfig(None)).text == "{}"


def test_stop_sequences() -> None:
    """The text ends before the first stop sequence in it, and Anthropic says which one it was."""
    response = ask("one two three", stop=("three", "two", "nine"), voice=CLAUDE)
    assert (response.text, response.finish_reason, response.raw_finish_reason) == (
        "echo: one ",
        FinishReason.STOP,
        "stop_sequence",
    )
    assert response.vendor_extensions == {"anthropic_messages": {"stop_sequence": "two"}}
    assert ask("one", stop=("two",)).text == "echo: one"


@pytest.mark.parametrize(
    ("cap", "text", "finish"),
    [
        (0, "", FinishReason.LENGTH),
        (2, "echo: one", FinishReason.LENGTH),
        (3, "echo: one two", FinishReason.STOP),
        (None, "echo: one two", FinishReason.STOP),
    ],
)
def test_length(cap: int | None, text: str, finish: FinishReason) -> None:
    """An answer is cut after so many tokens, and its usage says so."""
    response = ask("one two", cap=cap)
    assert (response.text, response.finish_reason) == (text, finish)
    assert response.usage.completion_tokens == len(text.split())


def test_length_drops_a_whole_call() -> None:
    """A tool call that does not fit is left out, the one before it stays."""
    response = ask("call clock, call weather", tools=TOOLS, cap=2)
    assert calls(response) == [("clock", {})]
    assert response.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ReasoningCapability("low"), THOUGHT),
        (ReasoningCapability(budget_tokens=1024), THOUGHT),
        (ReasoningCapability("none"), ""),
        (ReasoningCapability(), ""),
        (None, ""),
    ],
)
def test_reasoning(asked: ReasoningCapability | None, expected: str) -> None:
    """Reasoning comes first where it was asked for, signed by Anthropic, and counts as output."""
    response = ask("hi", reasoning=asked, voice=CLAUDE)
    assert (response.reasoning_text, response.text) == (expected, "echo: hi")
    assert response.usage.reasoning_tokens == (7 if expected else None)
    assert response.usage.completion_tokens == 2 + (7 if expected else 0)
    if expected:
        part = response.messages[0].parts[0]
        assert isinstance(part, ReasoningPart)
        assert part.signature


def test_usage_counts_the_prompt_as_estimated() -> None:
    """Prompt tokens are the request's own estimate, and the total is the sum."""
    request = LlmRequest("m", (Message.user("Say hello in French"),))
    usage = respond(request, CHAT, 1).usage
    assert usage.prompt_tokens == request.estimated_prompt_tokens()
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens == usage.total()


def test_given_text() -> None:
    """A text that is given is the answer, counted like any other."""
    response = respond_with("as you like", LlmRequest("m", (Message.user("call weather"),)), CHAT, 3)
    assert (response.text, response.response_id, response.usage.completion_tokens) == ("as you like", "chatcmpl-3", 3)


PARTS = (
    ReasoningPart("I think", signature="sig"),
    TextPart(" two  words\n", (Annotation("url_citation", url="https://example.com/"),)),
    RefusalPart("no way"),
    ImageUrlPart("https://example.com/a.png"),
    ToolCallPart("c1", "weather", {"city": "Reykjavik"}),
)


def test_events_say_what_the_response_says() -> None:
    """A stream's deltas add up to the response, one token each, and it ends with the response itself."""
    response = LlmResponse((Message(MessageRole.ASSISTANT, PARTS), CALL), TokenUsage(1, 2), "m", CHAT.protocol)
    events = events_of(response)
    assert isinstance(events[0], ResponseStarted)
    assert events[1] == UsageUpdated(TokenUsage(1))
    assert events[-2:] == [UsageUpdated(response.usage), Completed(response)]
    assert [event.index for event in events if isinstance(event, OutputItemAdded)] == [0, 1]
    assert [event.delta for event in events if isinstance(event, TextDelta)] == [" two", "  words", "\n"]
    assert [event.delta for event in events if isinstance(event, RefusalDelta)] == ["no", " way"]
    assert [(event.delta, event.signature) for event in events if isinstance(event, ReasoningDelta)] == [
        ("I", None),
        (" think", None),
        ("", "sig"),
    ]
    assert [event.part for event in events if isinstance(event, ContentPartAdded)] == [PARTS[3]]
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(delta.delta for delta in deltas if delta.call_id == "c1") == '{"city":"Reykjavik"}'
    assert {delta.index for delta in deltas if delta.call_id == "call_1"} == {1}
    assert sum(map(tokens_of, PARTS)) == 2 + 3 + 2 + 0 + 3


def test_events_without_usage() -> None:
    """A response whose usage nobody reported streams none."""
    response = LlmResponse((Message.assistant("hi"),), TokenUsage(estimated=True), "m", CHAT.protocol)
    assert not any(isinstance(event, UsageUpdated) for event in events_of(response))
