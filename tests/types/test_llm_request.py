"""Requests: what they take, what they refuse, and how large they are taken to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import items, requests, texts

import omnillm as o
from omnillm import MessageRole as Role
from omnillm.types.request import AUDIO_TOKENS, DEFAULT_OUTPUT_TOKENS, FILE_TOKENS, IMAGE_TOKENS

CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
HI = o.Message.user("hi")
CALL = o.ToolCallPart("c", "f", {})
RESULT = o.ToolResultPart("c", "out")


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("hi", (HI,)),
        (HI, (HI,)),
        (CALL, (CALL,)),
        ([HI, CALL, RESULT], (HI, CALL, RESULT)),
        ((HI, CALL, RESULT), (HI, CALL, RESULT)),
        (iter([HI]), (HI,)),
        ([], ()),
        ((), ()),
    ],
)
def test_input_is_a_tuple_whatever_was_given(given: Any, held: tuple[o.RequestItem, ...]) -> None:
    """A text, an item, or any iterable of items."""
    assert o.LlmRequest("m", given).input == held


WRONG: list[tuple[str, Any]] = [
    ("input", None),
    ("input", 5),
    ("input", b"hi"),
    ("input", {"role": "user", "content": "hi"}),
    ("input", ["hi"]),
    ("input", ("hi",)),
    ("input", [o.TextPart("hi")]),
    ("input", (o.TextPart("hi"),)),
    ("input", [{"role": "user", "content": "hi"}]),
    ("messages", None),
    ("messages", [CALL]),
    ("messages", (CALL,)),
    ("messages", [{"role": "user"}]),
    ("model", None),
    ("model", 5),
    ("model", b"m"),
    ("instructions", 5),
    ("instructions", ["be kind"]),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    """Nothing wrong waits until it is sent."""
    with pytest.raises(o.ConfigurationError) as caught:
        o.LlmRequest(**{"model": "m", field: value})
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")


def test_messages_are_the_chat_view_of_an_empty_input() -> None:
    """Either may be given, both only where they are the same."""
    assert o.LlmRequest("m", messages=[HI]).normalized_input() == (HI,)
    assert o.LlmRequest("m", [HI], messages=[HI]).normalized_input() == (HI,)
    assert o.LlmRequest("m", "hi").normalized_messages() == (HI,)
    with pytest.raises(o.ConfigurationError) as caught:
        o.LlmRequest("m", "hello", messages=[HI])
    assert caught.value.field == "messages"


def test_items_that_are_no_messages_become_messages_of_who_says_them() -> None:
    """A tool speaks its result, the model everything else."""
    thought, block = o.ReasoningPart("why"), o.VendorPart(CHAT, {})
    view = o.LlmRequest("m", [HI, thought, CALL, RESULT, block]).normalized_messages()
    assert [(message.role, message.parts) for message in view] == [
        (Role.USER, HI.parts),
        (Role.ASSISTANT, (thought,)),
        (Role.ASSISTANT, (CALL,)),
        (Role.TOOL, (RESULT,)),
        (Role.ASSISTANT, (block,)),
    ]


@pytest.mark.parametrize(
    ("instructions", "said", "normalized"),
    [
        (None, [], None),
        (None, [HI], None),
        ("be kind", [], "be kind"),
        ("", [o.Message.system("be terse")], ""),
        ("be kind", [o.Message.system("be terse")], "be kind"),
        (None, [o.Message.system("be terse"), HI, o.Message.text("developer", "be kind")], "be terse\n\nbe kind"),
    ],
)
def test_instructions_are_the_field_or_what_the_system_says(
    instructions: str | None, said: list[o.Message], normalized: str | None
) -> None:
    """System and developer messages are joined by a blank line where the field is absent."""
    assert o.LlmRequest("m", said, instructions=instructions).normalized_instructions() == normalized


def tokens(*parts: Any, **fields: Any) -> int:
    """Estimate a request of one message of these parts."""
    return o.LlmRequest("m", o.Message(Role.USER, parts), **fields).estimated_prompt_tokens()


TEXT_FILE = o.FilePart(data="QUFB" * 100, media_type="text/plain")
ESTIMATES: list[tuple[str, tuple[Any, ...], int]] = [
    ("nothing", (), 0),
    ("four bytes", ("abcd",), 1),
    ("five bytes", ("abcde",), 2),
    ("bytes, not characters", ("ää",), 1),
    ("texts together", ("ab", "cd"), 1),
    ("a refusal", (o.RefusalPart("abcd"),), 1),
    ("a JSON value", (o.JsonPart({"a": 1}),), 2),
    ("a call", (o.ToolCallPart("call_123", "abcd", {"a": 1}),), 3),
    ("a result of text", (o.ToolResultPart("call_123", "abcd"),), 1),
    ("a result of parts", (o.ToolResultPart("c", [o.TextPart("abcd"), o.ImageUrlPart("u")]),), 1 + IMAGE_TOKENS),
    ("reasoning and summaries", (o.ReasoningPart("abcd", ("ef", "gh")),), 2),
    ("an image by its URL", (o.ImageUrlPart("https://host/" + "a" * 5_000),), IMAGE_TOKENS),
    ("a small image", (o.ImageBase64Part("A" * 8),), IMAGE_TOKENS),
    ("a large image", (o.ImageBase64Part("A" * 8_000_000),), IMAGE_TOKENS),
    ("a small sound", (o.AudioPart("A" * 8),), AUDIO_TOKENS),
    ("a large sound", (o.AudioPart("A" * 8_000_000),), AUDIO_TOKENS),
    ("a sound and its transcript", (o.AudioPart("A", transcript="abcd"),), AUDIO_TOKENS + 1),
    ("a file by its id", (o.FilePart("file-1"),), FILE_TOKENS),
    ("a large document", (o.FilePart(data="A" * 8_000_000, media_type="application/pdf"),), FILE_TOKENS),
    ("a file of unknown kind", (o.FilePart(data="A" * 8_000_000),), FILE_TOKENS),
    ("a text file: its text", (TEXT_FILE,), 75),
    ("a block of one protocol", (o.VendorPart(CHAT, {"a": 1}),), 2),
    ("a value that is no JSON", (o.JsonPart({1, 2}),), 0),
]


@pytest.mark.parametrize(("parts", "estimate"), [pytest.param(parts, estimate, id=name) for name, parts, estimate in ESTIMATES])
def test_the_prompt_is_estimated_by_its_text_and_by_modality(parts: tuple[Any, ...], estimate: int) -> None:
    """Text counts a quarter of its bytes, an image, a sound or a document what such a thing usually costs."""
    assert tokens(*parts) == estimate


def test_what_comes_with_the_prompt_counts_too() -> None:
    """Instructions, tools, their schemas and the schema of the answer are sent, so they are estimated."""
    schema = {"type": "object"}  # 17 bytes as JSON
    bare = tokens("abcd")
    assert tokens("abcd", instructions="efgh") == bare + 1
    tool = o.ToolDefinition("name", schema, "abc")
    assert tokens("abcd", capabilities=o.CapabilitySet(tools=(tool,))) == bare + 6
    answer = o.StructuredOutputConfig(schema)
    assert tokens("abcd", capabilities=o.CapabilitySet(structured_output=answer)) == bare + 5
    builtin = o.BuiltinTool("mcp", {"server_url": "https://host"})  # type: ignore[arg-type]  # a name will do
    assert tokens("abcd", capabilities=o.CapabilitySet(builtin_tools=(builtin,))) > bare


@pytest.mark.parametrize(("cap", "output"), [(None, DEFAULT_OUTPUT_TOKENS), (0, 0), (1, 1), (4096, 4096)])
def test_the_whole_estimate_adds_the_output_cap(cap: int | None, output: int) -> None:
    """Where no cap is set, 1024 tokens are expected."""
    request = o.LlmRequest("m", "hi", generation=o.GenerationConfig(max_output_tokens=cap))
    assert request.estimated_tokens() == request.estimated_prompt_tokens() + output


@given(requests, items)
def test_an_estimate_never_fails_and_grows_with_the_prompt(request: o.LlmRequest, item: o.RequestItem) -> None:
    """Whatever a request holds, it can be estimated, and more of it is not less."""
    longer = o.LlmRequest(
        request.model, [*request.input, item], instructions=request.instructions, capabilities=request.capabilities
    )
    assert 0 <= request.estimated_prompt_tokens() <= longer.estimated_prompt_tokens()


@given(st.lists(texts, max_size=5))
def test_text_is_estimated_by_its_bytes_alone(said: list[str]) -> None:
    """How a text is cut into parts or messages changes nothing."""
    assert tokens(*said) == tokens("".join(said))
    assert o.LlmRequest("m", [o.Message.user(text) for text in said]).estimated_prompt_tokens() == tokens(*said)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_output_tokens", "5"),
        ("max_output_tokens", 5.0),
        ("max_output_tokens", True),
        ("temperature", "hot"),
        ("temperature", False),
        ("top_p", [1]),
        ("top_k", "3"),
        ("presence_penalty", {}),
        ("frequency_penalty", b"1"),
        ("seed", 1.5),
    ],
)
def test_a_setting_of_another_type_is_refused(field: str, value: Any) -> None:
    """Settings are numbers; whether a provider takes the number is the provider's to say."""
    with pytest.raises(o.ConfigurationError) as caught:
        o.GenerationConfig(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(("given", "held"), [("END", ("END",)), (["a", "b"], ("a", "b")), (None, ()), (("a",), ("a",))])
def test_stop_sequences_are_a_tuple(given: Any, held: tuple[str, ...]) -> None:
    """One text is one stop sequence."""
    assert o.GenerationConfig(stop_sequences=given).stop_sequences == held


def test_tools_are_a_tuple() -> None:
    """One tool, or any iterable of them; a text is none."""
    tool = o.ToolDefinition("f", {})
    given: Any
    for given in (tool, [tool], (tool,), iter([tool])):
        assert o.CapabilitySet(tools=given).tools == (tool,)
    for given in ("f", 5, None):
        with pytest.raises(o.ConfigurationError) as caught:
            o.CapabilitySet(tools=given)
        assert caught.value.field == "tools"


@pytest.mark.parametrize(
    ("field", "value"), [("name", None), ("name", 5), ("name", len), ("description", 5), ("description", ["a"])]
)
def test_a_tool_is_named_and_described_in_words(field: str, value: Any) -> None:
    """Whatever else is given as a name or description is refused by the name of its field."""
    with pytest.raises(o.ConfigurationError) as caught:
        o.ToolDefinition(**{"name": "f", "input_schema": {}, field: value})
    assert caught.value.field == field


def test_a_builtin_tool_is_given_by_kind_or_name() -> None:
    """An unknown kind is refused with what is accepted."""
    given: Any = "web_search"
    assert o.BuiltinTool(given).kind is o.BuiltinToolKind.WEB_SEARCH
    with pytest.raises(o.ConfigurationError, match="web_search"):
        o.BuiltinTool("telepathy")  # type: ignore[arg-type]  # the wrong value under test


def test_the_old_cache_setting_is_read_as_best_effort() -> None:
    """The policy wins over it."""
    best, none = o.PromptCachePolicy.best_effort(), o.PromptCachePolicy.disabled()
    assert o.CapabilitySet().cache_policy() is None
    assert o.CapabilitySet(cache=o.CacheSettings()).cache_policy() == best
    assert o.CapabilitySet(cache=o.CacheSettings(enabled=False)).cache_policy() == none
    assert o.CapabilitySet(cache=o.CacheSettings(), prompt_cache=none).cache_policy() == none


@pytest.mark.parametrize("kind", ["auto", "end_of_tools", "end_of_instructions"])
def test_a_cache_breakpoint_without_an_index_is_a_value(kind: str) -> None:
    """It is written with or without parentheses."""
    breakpoint = getattr(o.CacheBreakpoint, kind)
    assert breakpoint == breakpoint() == o.CacheBreakpoint(kind)  # type: ignore[arg-type]  # one of its kinds
    assert o.PromptCachePolicy.required(breakpoint=breakpoint).breakpoint == breakpoint


@pytest.mark.parametrize("index", [-1, 1.0, True, "0", None])
def test_a_cache_breakpoint_is_an_index_from_zero(index: Any) -> None:
    """No other place is one."""
    for make in (o.CacheBreakpoint.end_of_message, lambda i: o.CacheBreakpoint.end_of_content_block(0, i)):
        with pytest.raises(o.ConfigurationError):
            make(index)
