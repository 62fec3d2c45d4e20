"""Tools of generateContent and the choice among them, read, written back and taken from other wires."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gemini_content import CHAT, CLAUDE, P, again, body, own, write

import omnillm as o

F = {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}
G = {"name": "g", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}
K = o.BuiltinToolKind

TOOLS: list[list[dict[str, Any]]] = [
    [{"functionDeclarations": [F, G]}],
    [{"functionDeclarations": [F]}, {"functionDeclarations": [G]}],
    [{"googleSearch": {}}, {"functionDeclarations": [F, G]}, {"urlContext": {}}],
    [{"functionDeclarations": [F], "googleSearch": {}, "codeExecution": {}}],
    [{"googleSearch": {}, "urlContext": {}}],
    [{"functionDeclarations": []}, {}],
    [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}, "behavior": "BLOCKING"}]}],
    [{"function_declarations": [G], "google_search": {}}],
    [{"google_search": {"exclude_domains": ["x"]}}, {"google_search_retrieval": {}}],
    [{"googleMaps": {}}, {"fileSearch": {"fileSearchStoreNames": ["s"]}}, {"retrieval": {}}, {"enterpriseWebSearch": {}}],
    [{"computerUse": {"environment": "BROWSER"}}, {"mcpServers": [{"name": "m"}]}, {"aToolOfTomorrow": 1}],
    [{"parallelAiSearch": {}}, {"exaAiSearch": {}}],
    [{"functionDeclarations": [{"name": "f", "description": "", "parameters": {}, "response": {"type": "STRING"}}]}],
    [{"functionDeclarations": [{"name": "f", "parameters": None, "parametersJsonSchema": {}}]}],
    [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object"}}]}],
]


@pytest.mark.parametrize("tools", TOOLS, ids=str)
def test_tools_are_written_back(tools: list[Any]) -> None:
    """Every kind of tool, one or several to an object, in either spelling."""
    assert again(body(tools=tools)) == body(tools=tools)


def test_functions_and_builtin_tools() -> None:
    """Functions are definitions with JSON Schema, every other tool is one that the provider runs."""
    tools = [{"functionDeclarations": [F, G]}, {"googleSearch": {}, "codeExecution": {}}, {"google_maps": {}}]
    found = o.parse_request(P, body(tools=tools)).capabilities
    assert [(tool.name, tool.description) for tool in found.tools] == [("f", "d"), ("g", None)]
    assert found.tools[1].input_schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert found.builtin_tools == (
        o.BuiltinTool(K.WEB_SEARCH, {"googleSearch": {}}, protocol=P, position=1),
        o.BuiltinTool(K.CODE_EXECUTION, {"codeExecution": {}}, protocol=P, position=1),
        o.BuiltinTool(K.MAPS, {"google_maps": {}}, protocol=P, position=2),
    )


def test_a_tool_may_be_taken_away() -> None:
    """What stays keeps its form, and a function that is added stands with the others."""
    request = o.parse_request(P, body(tools=[{"googleSearch": {}}, {"functionDeclarations": [F]}]))
    edited = replace(request.capabilities, builtin_tools=(), tools=(*request.capabilities.tools, o.ToolDefinition("n", {})))
    assert o.emit_request(P, replace(request, capabilities=edited))["tools"] == [{"functionDeclarations": [F, {"name": "n"}]}]


CHOICES: list[tuple[dict[str, Any], o.ToolChoice | None]] = [
    ({"mode": "AUTO"}, o.ToolChoice.auto()),
    ({"mode": "NONE"}, o.ToolChoice.none()),
    ({"mode": "ANY"}, o.ToolChoice.required()),
    ({"mode": "ANY", "allowedFunctionNames": ["f"]}, o.ToolChoice.named("f")),
    (
        {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        o.ToolChoice("required", vendor_extensions=own(allowedFunctionNames=["f", "g"])),
    ),
    ({"mode": "VALIDATED"}, o.ToolChoice("auto", vendor_extensions=own(mode="VALIDATED"))),
    ({"allowedFunctionNames": ["f"]}, None),
    ({"mode": 2}, None),
    ({"mode": "TOMORROW"}, None),
]


@pytest.mark.parametrize(("config", "choice"), CHOICES)
def test_a_choice_is_read_and_written_back(config: dict[str, Any], choice: o.ToolChoice | None) -> None:
    """A mode that nobody knows rides along whole."""
    payload = body(toolConfig={"functionCallingConfig": config, "includeServerSideToolInvocations": True})
    assert o.parse_request(P, payload).capabilities.tool_choice == choice
    assert again(payload) == payload


@pytest.mark.parametrize(
    "config",
    [
        {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        {"functionCallingConfig": {"mode": "auto", "streamFunctionCallArguments": True}, "retrieval_config": {}},
        {"functionCallingConfig": {}},
        {},
    ],
)
def test_a_tool_config_is_written_back(config: dict[str, Any]) -> None:
    """In either spelling, with whatever else it says."""
    assert again(body(tool_config=config)) == body(tool_config=config)


WRITTEN: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"tool_choice": o.ToolChoice.named("f")}, {"mode": "ANY", "allowedFunctionNames": ["f"]}, []),
    ({"tool_choice": o.ToolChoice.required(), "parallel_tool_calls": True}, {"mode": "ANY"}, []),
    ({"tool_choice": o.ToolChoice.none(), "parallel_tool_calls": False}, {"mode": "NONE"}, ["parallel_tool_calls"]),
]


@pytest.mark.parametrize(("fields", "config", "losses"), WRITTEN)
def test_a_choice_of_the_caller(fields: dict[str, Any], config: dict[str, Any], losses: list[str]) -> None:
    """Modes have their words; the model cannot be kept from calling several at once."""
    payload, pointers = write(o.Message.user("Hi"), capabilities=o.CapabilitySet(**fields))
    assert payload["toolConfig"] == {"functionCallingConfig": config}
    assert pointers == [f"/capabilities/{name}" for name in losses]


def test_a_function_of_the_caller() -> None:
    """Its schema is JSON Schema, and is said to be; strictness is the mode's."""
    tools = (o.ToolDefinition("f", {"type": "object"}, "d", True), o.ToolDefinition("g", None))
    payload, losses = write(o.Message.user("Hi"), capabilities=o.CapabilitySet(tools))
    assert payload["tools"] == [{"functionDeclarations": [F, {"name": "g"}]}]
    assert losses == ["/capabilities/tools/0/strict"]


BUILTINS: list[tuple[o.BuiltinTool, dict[str, Any] | None, list[str]]] = [
    (o.BuiltinTool(K.WEB_SEARCH), {"googleSearch": {}}, []),
    (o.BuiltinTool(K.FILE_SEARCH, {"fileSearchStoreNames": ["s"]}), {"fileSearch": {"fileSearchStoreNames": ["s"]}}, []),
    (o.BuiltinTool(K.WEB_SEARCH, {"exaAiSearch": {}}), {"exaAiSearch": {}}, []),
    (o.BuiltinTool(K.VENDOR, {"x": 1}), None, [""]),
    (
        o.BuiltinTool(K.WEB_SEARCH, {"type": "web_search_20250305", "name": "web_search"}, protocol=CLAUDE),
        {"googleSearch": {}},
        [],
    ),
    (o.BuiltinTool(K.URL_CONTEXT, {"type": "web_fetch_20250910", "name": "web_fetch"}, protocol=CLAUDE), {"urlContext": {}}, []),
    (
        o.BuiltinTool(K.WEB_SEARCH, {"max_uses": 3, "name": "n", "none": None}, protocol=CLAUDE),
        {"googleSearch": {}},
        ["/max_uses", "/name"],
    ),
    (o.BuiltinTool(K.COMPUTER_USE, {"type": "computer"}, protocol=CLAUDE), None, [""]),
    (o.BuiltinTool(K.IMAGE_GENERATION, {"type": "image_generation"}, protocol=CHAT), None, [""]),
]


@pytest.mark.parametrize(("tool", "written", "losses"), BUILTINS)
def test_a_builtin_tool_of_the_caller_or_another_wire(
    tool: o.BuiltinTool, written: dict[str, Any] | None, losses: list[str]
) -> None:
    """It becomes the API's own of that kind, or is lost with its settings."""
    payload, pointers = write(o.Message.user("Hi"), capabilities=o.CapabilitySet(builtin_tools=(tool,)))
    assert payload.get("tools") == (None if written is None else [written])
    assert pointers == [f"/capabilities/builtin_tools/0/payload{name}" for name in losses]
