"""Streams in which text, reasoning and calls take turns piece by piece, written in every format."""

from __future__ import annotations

from typing import Any

import pytest

import omnillm as o

CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
every_format = pytest.mark.parametrize("wire", [wire for wire in o.WireFormat if wire.is_generation])


def written_and_read(wire: o.WireFormat, events: list[Any], *parts: Any) -> o.LlmResponse:
    """Write the events and the answer of these parts as a stream, and read that."""
    answer = o.LlmResponse((o.Message("assistant", parts),), o.TokenUsage(1, 2), "m", CHAT, o.FinishReason.STOP, None, "r")
    emitter, parser = o.StreamEmitter(wire.protocol), o.StreamParser(wire.protocol)
    told = [o.ResponseStarted("r", "m", CHAT), *events, o.Completed(answer)]
    frames = [frame for event in told for frame in emitter.feed(event)] + emitter.finish()
    read = [event for frame in frames for event in parser.feed(frame)] + parser.finish()
    assert isinstance(read[-1], o.Completed)
    return read[-1].response


@every_format
def test_calls_that_take_turns_with_texts_keep_their_arguments(wire: o.WireFormat) -> None:
    """Neither a piece of a call nor of the text is lost or told twice."""
    events = [
        o.TextDelta("a"),
        o.ToolCallDelta("c1", "f", '{"x"', 1),
        o.TextDelta("b"),
        o.ToolCallDelta("c2", "g", '{"y":', 2),
        o.ToolCallDelta("c1", "f", ":1}", 1),
        o.TextDelta("c"),
        o.ToolCallDelta("c2", "g", "2}", 2),
    ]
    calls = [o.ToolCallPart("c1", "f", {"x": 1}), o.ToolCallPart("c2", "g", {"y": 2})]
    read = written_and_read(wire, events, o.TextPart("abc"), *calls)
    assert read.text == "abc"
    assert [(call.name, call.arguments) for call in read.tool_calls] == [("f", {"x": 1}), ("g", {"y": 2})]


@every_format
def test_reasoning_that_takes_turns_with_the_text_is_told_once(wire: o.WireFormat) -> None:
    """Each says what it said, however it was cut."""
    events = [o.ReasoningDelta("h"), o.TextDelta("a"), o.ReasoningDelta("m"), o.TextDelta("b"), o.ReasoningDelta(".")]
    read = written_and_read(wire, events, o.ReasoningPart("hm.", protocol=CHAT), o.TextPart("ab"))
    assert (read.text, read.reasoning_text) == ("ab", "hm.")


@every_format
def test_a_whole_call_stands_before_the_text_that_follows_it(wire: o.WireFormat) -> None:
    """Where it was told."""
    events = [o.ToolCallDelta("c1", "f", '{"x"', 0), o.ToolCallDelta("c1", "f", ":1}", 0), o.TextDelta("a", 1)]
    emitter = o.StreamEmitter(wire.protocol)
    frames = [frame.data for event in [o.ResponseStarted("r", "m", CHAT), *events] for frame in emitter.feed(event)]
    last = max(i for i, data in enumerate(frames) if "c1" in data or '"f"' in data)
    assert '"a"' in "".join(frames[last:])


def test_arguments_that_grow_are_not_looked_at_each_time() -> None:
    """However often a text comes between their pieces."""
    emitter = o.StreamEmitter(o.ProviderProtocol.GEMINI_GENERATE_CONTENT)
    for i in range(20_000):
        emitter.feed(o.ToolCallDelta("c1", "f", '"' + "y" * 40 if i else '{"x":["'))
        assert len(emitter.feed(o.TextDelta("a"))) == 1
