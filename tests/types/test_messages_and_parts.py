"""Messages, their parts, and what they take."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from strategies import json_values, messages, texts

import omnillm as o
from omnillm import MessageRole as Role

CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
HI = o.TextPart("hi")
IMAGE = o.ImageUrlPart("https://host/a.png")


@pytest.mark.parametrize(
    ("parts", "held"),
    [
        ("hi", (HI,)),
        (HI, (HI,)),
        ([HI, IMAGE], (HI, IMAGE)),
        ((HI, IMAGE), (HI, IMAGE)),
        (["hi", IMAGE], (HI, IMAGE)),
        (("hi", IMAGE), (HI, IMAGE)),
        (iter(["hi"]), (HI,)),
        ((), ()),
        ("", (o.TextPart(""),)),
    ],
)
def test_parts_are_a_tuple_whatever_was_given(parts: Any, held: tuple[o.MessagePart, ...]) -> None:
    """A text, a part, or any iterable of both."""
    assert o.Message(Role.USER, parts).parts == held


@pytest.mark.parametrize(
    "parts", [None, 5, b"hi", {"type": "text", "text": "hi"}, [5], (5,), [None], [{"type": "text"}], [["hi"]]]
)
def test_what_is_no_part_is_refused(parts: Any) -> None:
    """A wrong part is named when the message is made, not when it is sent."""
    with pytest.raises(o.ConfigurationError) as caught:
        o.Message(Role.USER, parts)
    assert caught.value.field == "parts"


@pytest.mark.parametrize("make", [lambda role: o.Message(role, "hi"), lambda role: o.Message.text(role, "hi")])
def test_a_role_may_be_given_by_name(make: Any) -> None:
    """A name becomes the role; an unknown one is refused with what is accepted."""
    assert make("tool").role is Role.TOOL
    for wrong in ("narrator", None, 5, [], "USER"):
        with pytest.raises(o.ConfigurationError, match="developer, system, user, assistant, tool") as caught:
            make(wrong)
        assert caught.value.field == "role"


@pytest.mark.parametrize("text", [None, 5, b"a", ["a"]])
def test_text_is_text(text: Any) -> None:
    """Nothing else becomes the text of a part."""
    with pytest.raises(o.ConfigurationError) as caught:
        o.TextPart(text)
    assert caught.value.field == "text"


def test_shorthands_make_messages_of_one_text() -> None:
    """Each role that people write has a constructor of its own."""
    assert o.Message.user("hi") == o.Message(Role.USER, (HI,))
    assert o.Message.system("hi") == o.Message(Role.SYSTEM, (HI,))
    assert o.Message.assistant("hi") == o.Message(Role.ASSISTANT, (HI,))
    assert o.Message.text("developer", "hi") == o.Message(Role.DEVELOPER, (HI,))


def test_plain_text_is_that_of_the_text_parts() -> None:
    """Images, reasoning and refusals have no say in it."""
    parts = [HI, IMAGE, o.ReasoningPart("thinking"), o.RefusalPart("no"), o.JsonPart({"a": 1}), o.TextPart(" there")]
    assert o.Message(Role.ASSISTANT, parts).plain_text() == "hi there"


def test_the_raw_message_is_not_compared() -> None:
    """Two messages that say the same are equal, whatever they were read from."""
    assert o.Message(Role.USER, "hi", raw_message=o.RawMessage(CHAT, {"content": "hi"})) == o.Message.user("hi")
    assert o.Message(Role.USER, "hi", vendor_extensions={"name": "ann"}) != o.Message.user("hi")


def test_the_protocol_of_reasoning_is_not_compared() -> None:
    """Whose signature it is does not make another thought of it."""
    assert o.ReasoningPart("why", protocol=CHAT) == o.ReasoningPart("why")
    assert o.ReasoningPart("why", signature="s") != o.ReasoningPart("why")


def test_values_are_frozen() -> None:
    """Who wants another value makes one."""
    message = o.Message.user("hi")
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.role = Role.TOOL  # type: ignore[misc]  # the mistake under test
    assert dataclasses.replace(message, role=Role.TOOL).role is Role.TOOL


@given(messages)
def test_messages_pickle(message: o.Message) -> None:
    """A message crosses a process boundary whole."""
    assert repr(pickle.loads(pickle.dumps(message))) == repr(message)


@pytest.mark.parametrize(
    ("text", "arguments", "raw"),
    [
        ('{"city":"Rome"}', {"city": "Rome"}, None),
        ('{"city": "Rome"}', {"city": "Rome"}, '{"city": "Rome"}'),
        ('{"n":1.0}', {"n": 1.0}, None),
        ('{"n":1e3}', {"n": 1000.0}, '{"n":1e3}'),
        ("", {}, ""),
        ("{}", {}, None),
        ("null", None, None),
        ('{"city": "Ro', '{"city": "Ro', '{"city": "Ro'),
        ('{"n": NaN}', '{"n": NaN}', '{"n": NaN}'),
        ("[" * 200, "[" * 200, "[" * 200),
        ("Rome", "Rome", "Rome"),
    ],
)
def test_arguments_are_read_but_never_repaired(text: str, arguments: Any, raw: str | None) -> None:
    """What the model wrote is kept to the letter where writing the value would not give it back, and is what is sent again."""
    call = o.ToolCallPart.from_text("c", "f", text)
    assert (call.arguments, call.raw_arguments) == (arguments, raw)
    assert call.arguments_text() == text


def test_changed_arguments_are_written_anew() -> None:
    """The text as it came counts only while it still means the arguments."""
    call = o.ToolCallPart.from_text("c", "f", '{ "city": "Rome" }')
    call.arguments["city"] = "Oslo"
    assert call.arguments_text() == '{"city":"Oslo"}'
    assert o.ToolCallPart("c", "f", {"a": 1}, '{"a": ').arguments_text() == '{"a":1}'


@given(json_values.filter(lambda value: not isinstance(value, str)))
def test_arguments_survive_as_text(arguments: Any) -> None:
    """The text of any arguments means those arguments."""
    assert json.loads(o.ToolCallPart("c", "f", arguments).arguments_text()) == arguments


@given(texts)
def test_any_text_of_arguments_is_given_back(text: str) -> None:
    """No text raises and none is changed."""
    assert o.ToolCallPart.from_text("c", "f", text).arguments_text() == text


@pytest.mark.parametrize(
    ("output", "held", "text"),
    [
        ("sunny", "sunny", "sunny"),
        (HI, (HI,), "hi"),
        ([HI, IMAGE, o.JsonPart({"a": 1})], (HI, IMAGE, o.JsonPart({"a": 1})), 'hi{"a":1}'),
        ((HI,), (HI,), "hi"),
        ([], [], "[]"),
        ((), (), ""),
        ([1, "a"], [1, "a"], '[1,"a"]'),
        ((1, 2), [1, 2], "[1,2]"),
        ([HI, 1], [HI, 1], None),
        ({"a": 1}, {"a": 1}, '{"a":1}'),
        (None, None, "null"),
        (7, 7, "7"),
    ],
)
def test_a_tool_gives_a_text_parts_or_any_json_value(output: Any, held: Any, text: str | None) -> None:
    """Parts are held as a tuple, JSON values as they are; a mixture is neither and cannot be written."""
    result = o.ToolResultPart("c", output)
    assert result.output == held
    assert type(result.output) is type(held)
    if text is not None:
        assert result.text() == text
    else:
        with pytest.raises(o.InvalidJsonError):
            result.text()
