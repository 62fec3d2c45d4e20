"""Tools of free text in the formats whose tools all take an object."""

from __future__ import annotations

from typing import Any

import pytest

import omnillm as o

Json = dict[str, Any]

RESPONSES, CHAT = o.WireFormat.OPENAI_RESPONSES, o.WireFormat.OPENAI_CHAT_COMPLETIONS
GRAMMAR = {"syntax": "lark", "definition": "start: /x+/"}
OF_RESPONSES = {"type": "custom", "name": "run", "description": "Runs code.", "format": {"type": "grammar", **GRAMMAR}}
OF_CHAT = {
    "type": "custom",
    "custom": {"name": "run", "description": "Runs code.", "format": {"type": "grammar", "grammar": GRAMMAR}},
}
SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
BY_HAND = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}


def functions(wire: o.WireFormat, payload: Json) -> list[Any]:
    """Give the name, description and schema of each function."""
    if wire is o.WireFormat.GEMINI_GENERATE_CONTENT:
        (entry,) = payload["tools"]
        found = entry["functionDeclarations"]
        return [(tool["name"], tool.get("description"), tool["parametersJsonSchema"]) for tool in found]
    if wire is o.WireFormat.BEDROCK_CONVERSE:
        specs = [tool["toolSpec"] for tool in payload["toolConfig"]["tools"]]
        return [(tool["name"], tool.get("description"), tool["inputSchema"]["json"]) for tool in specs]
    return [(tool["name"], tool.get("description"), tool["input_schema"]) for tool in payload["tools"]]


every_object = pytest.mark.parametrize(
    "wire", [o.WireFormat.ANTHROPIC_MESSAGES, o.WireFormat.GEMINI_GENERATE_CONTENT, o.WireFormat.BEDROCK_CONVERSE]
)


def crossed(source: o.WireFormat, wire: o.WireFormat, *tools: Json) -> tuple[list[Any], list[str]]:
    said: Json = {"input": "Hi"} if source is RESPONSES else {"messages": [{"role": "user", "content": "Hi"}]}
    report = o.transcode_api_request(source, wire, {"model": "m", "tools": list(tools), **said})
    return functions(wire, report.value), [f"{loss.pointer}: {loss.reason}" for loss in report.losses]


@every_object
@pytest.mark.parametrize(("source", "tool"), [(RESPONSES, OF_RESPONSES), (CHAT, OF_CHAT)])
def test_a_custom_tool_becomes_a_function_of_one_text(wire: o.WireFormat, source: o.WireFormat, tool: Json) -> None:
    """Its description crosses, and its grammar, which binds nobody there, is named with what it says."""
    found, losses = crossed(source, wire, tool)
    assert found == [("run", "Runs code.", SCHEMA)]
    assert len(losses) == 2
    assert all(name in losses[0] for name in ("/format", "grammar", "syntax", "definition"))
    assert losses[1].startswith("/capabilities/builtin_tools/0/payload/type: ")


@every_object
def test_a_custom_tool_stands_among_the_functions(wire: o.WireFormat) -> None:
    """What says no more than the default is no loss; a setting that nobody else has is one."""
    plain = {"type": "custom", "name": "say", "format": {"type": "text"}}
    found, losses = crossed(RESPONSES, wire, BY_HAND, plain, {"type": "custom", "name": "late", "defer_loading": True})
    assert sorted(name for name, *_ in found) == ["late", "look", "say"]
    pointers = [loss.partition(":")[0].removeprefix("/capabilities/builtin_tools/") for loss in losses]
    assert [pointer for pointer in pointers if "strict" not in pointer] == [
        "0/payload/type",
        "1/payload/defer_loading",
        "1/payload/type",
    ]


@every_object
@pytest.mark.parametrize(
    "tool", [{"type": "custom"}, {"type": "custom", "name": 1}, {"type": "custom", "custom": 1}, {"type": "custom", "custom": {}}]
)
def test_a_custom_tool_without_a_name_is_none(wire: o.WireFormat, tool: Json) -> None:
    """It is named as lost, as any tool that only its provider knows."""
    for source in (RESPONSES, CHAT):
        said: Json = {"input": "Hi"} if source is RESPONSES else {"messages": [{"role": "user", "content": "Hi"}]}
        report = o.transcode_api_request(source, wire, {"model": "m", "tools": [tool], **said})
        assert "tools" not in report.value
        assert [loss.pointer.removesuffix("/payload") for loss in report.losses] == ["/capabilities/builtin_tools/0"]


@every_object
@pytest.mark.parametrize("text", ["print(3**3)", "27", '{"a":1}', "[]", ""])
def test_a_call_of_a_custom_tool_carries_its_text(wire: o.WireFormat, text: str) -> None:
    """Whatever the text looks like, it is what the function's one field holds."""
    call = {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": text}
    payload = o.transcode_request(RESPONSES.protocol, wire.protocol, {"model": "m", "input": [call]})
    read = o.parse_request(wire.protocol, payload).input
    (part,) = (part for item in read for part in getattr(item, "parts", ()) if isinstance(part, o.ToolCallPart))
    assert part.arguments == {"input": text}
