"""A value of the wrong type is refused where it is made, by the name of its field and with what was expected instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import omnillm as o

P, USE = o.ProviderProtocol.OPENAI_RESPONSES, o.TokenUsage()
ANSWER = o.LlmResponse((o.Message.assistant("x"),), USE, "m", P)


def request(**fields: Any) -> Callable[[], Any]:
    return lambda: o.LlmRequest("m", **fields)


def capable(**fields: Any) -> Callable[[], Any]:
    return lambda: o.CapabilitySet(**fields)


def made(kind: Any, *values: Any, **fields: Any) -> Callable[[], Any]:
    return lambda: kind(*values, **fields)


REFUSED: list[tuple[Callable[[], Any], str, str]] = [
    (request(generation={"temperature": 1}), "generation", "a GenerationConfig, got dict"),
    (request(generation=None), "generation", "a GenerationConfig, got NoneType"),
    (request(capabilities=[]), "capabilities", "a CapabilitySet, got list"),
    (request(stream="yes"), "stream", "True, False or None, got str"),
    (request(metadata="x"), "metadata", "a mapping, got str"),
    (request(vendor_extensions=[]), "vendor_extensions", "a mapping, got list"),
    (request(instructions=5), "instructions", "a string or None, got int"),
    (request(input=[{"role": "user", "content": "x"}]), "input", r"Message\.user\(text\).*parse_request, got dict"),
    (request(input={"role": "user"}), "input", r"Message\.user\(text\).*, got dict"),
    (request(input=["x"]), "input", r"Message\.user\(text\).*, got str"),
    (request(input=ANSWER), "input", r"\*response\.as_input\(\).*, got LlmResponse"),
    (request(input=[ANSWER]), "input", r"\*response\.as_input\(\).*, got LlmResponse"),
    (request(input=5), "input", "a text or items: Message, .*got int"),
    (request(messages=[o.ToolResultPart("c", "x")]), "messages", "items: Message, got ToolResultPart"),
    (request(input="a", messages=[o.Message.user("b")]), "messages", r"dataclasses\.replace: input=…, messages=\(\)"),
    (capable(tools=[{"name": "f"}]), "tools", r"ToolDefinition\(name, input_schema\).*got dict"),
    (capable(tools={"name": "f"}), "tools", "ToolDefinition.*got dict"),
    (capable(tools=[o.BuiltinTool(o.BuiltinToolKind.MCP)]), "tools", "builtin_tools, got BuiltinTool"),
    (capable(builtin_tools=[o.ToolDefinition("f", {})]), "builtin_tools", "BuiltinTool.*got ToolDefinition"),
    (capable(tool_choice="auto"), "tool_choice", r"ToolChoice\.auto\(\).*got str"),
    (capable(tool_choice={"type": "auto"}), "tool_choice", "got dict"),
    (capable(parallel_tool_calls=1), "parallel_tool_calls", "True, False or None, got int"),
    (capable(structured_output={"type": "object"}), "structured_output", r"StructuredOutputConfig\(schema\), got dict"),
    (capable(reasoning="high"), "reasoning", r"ReasoningCapability\(effort=…\), got str"),
    (capable(prompt_cache="auto"), "prompt_cache", r"PromptCachePolicy\.best_effort\(\), got str"),
    (capable(prompt_cache={}), "prompt_cache", "got dict"),
    (capable(cache=True), "cache", "CacheSettings.*got bool"),
    (capable(safety=[]), "safety", "SafetySettings.*got list"),
    (capable(modalities=["smell"]), "modalities", "some of text, image, audio, json"),
    (capable(modalities=5), "modalities", "some of text"),
    (made(o.GenerationConfig, stop_sequences=[5]), "stop_sequences", "strings, got int"),
    (made(o.GenerationConfig, stop_sequences=5), "stop_sequences", "strings, got int"),
    (made(o.GenerationConfig, temperature="1"), "temperature", "a number, got str"),
    (made(o.ToolChoice, None), "mode", "auto, none, required or named, got NoneType"),
    (made(o.ToolChoice, "any"), "mode", "one of auto, none, required, named, got 'any'"),
    (made(o.ToolChoice, "named", 5), "name", "a string or None, got int"),
    (made(o.ToolDefinition, None, {}), "name", "a string, got NoneType"),
    (made(o.ToolDefinition, "f", {}, 5), "description", "a string or None, got int"),
    (made(o.StructuredOutputConfig, {}, 5), "name", "a string or None, got int"),
    (made(o.StructuredOutputConfig, {}, strict=1), "strict", "True or False, got int"),
    (made(o.ReasoningCapability, 5), "effort", "a string or None, got int"),
    (made(o.ReasoningCapability, budget_tokens=True), "budget_tokens", "an integer or None, got bool"),
    (made(o.ToolResultPart, None, "x"), "call_id", "a string, got NoneType"),
    (made(o.ToolCallPart, 5, "f", {}), "call_id", "a string, got int"),
    (made(o.ToolCallPart, "c", None, {}), "name", "a string, got NoneType"),
    (made(o.ImageUrlPart, None), "url", "a string, got NoneType"),
    (made(o.ImageBase64Part, b"x"), "data", "base64 text, .*got bytes"),
    (made(o.AudioPart, b"x"), "data", "base64 text, .*got bytes"),
    (made(o.FilePart, data=b"x"), "data", "base64 text, .*got bytes"),
    (made(o.FilePart, url=5), "url", "a string, got int"),
    (made(o.RefusalPart, 5), "text", "a string, got int"),
    (made(o.TextPart, 5), "text", "a string, got int"),
    (made(o.Message, "user", [{"type": "text"}]), "parts", "message parts such as TextPart.*got dict"),
    (made(o.Message, "user", 5), "parts", "a text or message parts, got int"),
    (made(o.Message, "bot", "x"), "role", "one of developer, system, user, assistant, tool, got 'bot'"),
    (made(o.TextPart, "x", 5), "annotations", "Annotations, got int"),
    (made(o.TextPart, "x", ["u"]), "annotations[0]", "Annotations, got str"),
    (made(o.ReasoningPart, 5), "text", "a string, got int"),
    (made(o.ReasoningPart, "x", 5), "summary", "texts, got int"),
    (made(o.VendorPart, "morse", {}), "protocol", "one of open_ai_responses, .*got 'morse'"),
    (made(o.VendorPart, None, {}), "protocol", "a ProviderProtocol, got NoneType"),
    (made(o.VendorEvent, "morse", {}), "protocol", "one of open_ai_responses, .*got 'morse'"),
    (made(o.RawMessage, 5, {}), "protocol", "a ProviderProtocol, got int"),
    (made(o.ResponseStarted, "i", "m", "morse"), "provider_protocol", "one of open_ai_responses, "),
    (made(o.LlmResponse, "text", USE, "m", P), "output", r"items such as Message\.assistant\(text\), got str"),
    (made(o.LlmResponse, (o.TextPart("x"),), USE, "m", P), "output[0]", r"items such as .*got TextPart"),
    (made(o.LlmResponse, (), USE, "m", "morse"), "provider_protocol", "one of open_ai_responses, "),
    (made(o.LlmResponse, (), USE, "m", P, "done"), "finish_reason", "one of stop, length, "),
    (made(o.BuiltinTool, "hammer"), "kind", "one of web_search, "),
    (made(o.PromptCacheKey, "guess"), "kind", "one of explicit, stable_prefix_hash, got 'guess'"),
    (made(o.PromptCacheKey, "explicit", 5), "value", "a string or None, got int"),
    (made(o.CacheBreakpoint, "middle"), "kind", "one of auto, end_of_tools, "),
    (made(o.PromptCachePolicy, "maybe"), "mode", "one of disabled, best_effort, required, got 'maybe'"),
    (made(o.PromptCachePolicy, retention="a week"), "retention", "one of provider_default, short, long, "),
    (made(o.PromptCachePolicy, key="k"), "key", r"PromptCacheKey\.explicit\(value\), got str"),
    (made(o.PromptCachePolicy, breakpoint=3), "breakpoint", "a CacheBreakpoint .*got int"),
    (made(o.TransportRequest, "FETCH", "/"), "method", "one of GET, "),
    (made(o.MultipartBody, "x"), "fields", "MultipartFields, got str"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "field", "said"), REFUSED)
def test_a_value_of_the_wrong_type_is_named(make: Callable[[], Any], field: str, said: str) -> None:
    """The error says which field it was and what it takes, never what it was given."""
    with pytest.raises(o.ConfigurationError, match=said) as caught:
        make()
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_a_protocol_nobody_knows_is_answered_with_those_known() -> None:
    """What is accepted comes first, what was given last."""
    with pytest.raises(
        o.ConfigurationError, match=r"^protocol: expected responses, .*_compat\), or bedrock_converse; got 'grpc'$"
    ):
        o.EndpointProtocol.parse("grpc")


def test_one_modality_is_modalities() -> None:
    """A name alone is no sequence of letters."""
    assert o.CapabilitySet(modalities="text").modalities == (o.OutputModality.TEXT,)  # type: ignore[arg-type]  # wider than held


CITED = o.Annotation("url_citation", url="https://x.example")
FIELD = o.MultipartField("a", o.MultipartText("b"))
HELD: list[tuple[Any, str, Any]] = [
    (o.TextPart("x", [CITED]), "annotations", (CITED,)),  # type: ignore[arg-type]  # wider than held, here and below
    (o.ReasoningPart("x", ["a", "b"]), "summary", ("a", "b")),  # type: ignore[arg-type]
    (o.ReasoningPart("x", "ab"), "summary", ("ab",)),  # type: ignore[arg-type]
    (o.ReasoningPart("x", protocol="open_ai_responses"), "protocol", P),  # type: ignore[arg-type]
    (o.VendorPart("open_ai_responses", {}), "protocol", P),  # type: ignore[arg-type]
    (o.VendorEvent("open_ai_responses", {}), "protocol", P),  # type: ignore[arg-type]
    (o.RawMessage("open_ai_responses", {}), "protocol", P),  # type: ignore[arg-type]
    (o.BuiltinTool("mcp", protocol="open_ai_responses"), "protocol", P),  # type: ignore[arg-type]
    (o.ResponseStarted("i", "m", "open_ai_responses"), "provider_protocol", P),  # type: ignore[arg-type]
    (o.LlmResponse([], USE, "m", "open_ai_responses"), "provider_protocol", P),  # type: ignore[arg-type]
    (o.LlmResponse([], USE, "m", P, "stop"), "finish_reason", o.FinishReason.STOP),  # type: ignore[arg-type]
    (o.LlmResponse([o.Message.user("x")], USE, "m", P), "output", (o.Message.user("x"),)),  # type: ignore[arg-type]
    (o.PromptCachePolicy.required(retention="long"), "retention", o.PromptCacheRetention.LONG),
    (o.TransportRequest("POST", "/"), "method", o.HttpMethod.POST),  # type: ignore[arg-type]
    (o.MultipartBody([FIELD]), "fields", (FIELD,)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("value", "field", "held"), HELD)
def test_what_stands_for_a_value_is_held_as_that_value(value: Any, field: str, held: Any) -> None:
    """Names are members, lists are tuples, as soon as the value is made: JSON at rest gives the very same."""
    assert (type(getattr(value, field)), getattr(value, field)) == (type(held), held)
    assert repr(type(value).from_json(value.to_json())) == repr(value)
