"""Tools and the choice among them.

Contract: a tool with a type of its own is run or defined by the provider and is a ``BuiltinTool`` that holds it whole, with its
place among all tools; every other one is a ``ToolDefinition``. A built-in tool of another protocol becomes this one's of the
same kind, with the settings that both have; every other setting is a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.capabilities import BuiltinTool, CapabilitySet, ToolChoice, ToolDefinition
from ...types.enums import BuiltinToolKind
from .._fields import Emission, Fields, escape, names_in
from .._tools import as_function, placed
from ._own import PROTOCOL, WIRE, spelled
from ._read import take_flag

Tool = dict[str, Any]

_KINDS = {
    "web_search": BuiltinToolKind.WEB_SEARCH,
    "web_fetch": BuiltinToolKind.URL_CONTEXT,
    "code_execution": BuiltinToolKind.CODE_EXECUTION,
    "computer": BuiltinToolKind.COMPUTER_USE,
    "computer_toolset": BuiltinToolKind.COMPUTER_USE,
    "mcp_toolset": BuiltinToolKind.MCP,
}
# The oldest version that every model with the tool takes.
_FORMS: dict[BuiltinToolKind, Tool] = {
    BuiltinToolKind.WEB_SEARCH: {"type": "web_search_20250305", "name": "web_search"},
    BuiltinToolKind.URL_CONTEXT: {"type": "web_fetch_20250910", "name": "web_fetch"},
    BuiltinToolKind.CODE_EXECUTION: {"type": "code_execution_20250825", "name": "code_execution"},
    BuiltinToolKind.COMPUTER_USE: {"type": "computer_20250124", "name": "computer"},
}
_SHARED_SETTINGS = frozenset({"allowed_domains", "blocked_domains", "max_uses", "user_location"})
_MODES = {"auto": "auto", "any": "required", "none": "none"}
_TYPES = {mode: kind for kind, mode in _MODES.items()} | {"named": "tool"}


def read_tools(tools: list[Any], pointer: str) -> tuple[tuple[ToolDefinition, ...], tuple[BuiltinTool, ...]]:
    """Read the tools: those that the caller runs, and those that the provider knows."""
    definitions, builtins = [], []
    for position, tool in enumerate(tools):
        fields = Fields(tool, f"{pointer}/{position}")
        kind = fields.peek("type")
        if isinstance(kind, str) and kind != "custom":
            builtins.append(BuiltinTool(_kind_of(kind), tool, protocol=PROTOCOL, position=position))
        else:
            definitions.append(_read_definition(fields))
    return tuple(definitions), tuple(builtins)


def _kind_of(kind: str) -> BuiltinToolKind:
    family, _, version = kind.rpartition("_")
    return _KINDS.get(family if version.isdigit() else kind, BuiltinToolKind.VENDOR)


def _read_definition(fields: Fields) -> ToolDefinition:
    if fields.peek("type") == "custom":
        fields.spell("type", fields.take("type"))
    strict = take_flag(fields, "strict")
    return ToolDefinition(
        fields.required_text("name"),
        fields.take("input_schema"),
        fields.text("description"),
        strict,
        vendor_extensions=fields.extensions(WIRE),
    )


def write_tools(capabilities: CapabilitySet, emission: Emission) -> list[Tool]:
    """Write all tools, each built-in one at its place."""
    tools = [_write_definition(tool, emission, f"/capabilities/tools/{i}") for i, tool in enumerate(capabilities.tools)]
    return placed(tools, capabilities.builtin_tools, lambda builtin, at: _write_builtin(builtin, emission, at))


def _write_definition(tool: ToolDefinition, emission: Emission, pointer: str) -> Tool:
    out: Tool = {"name": tool.name}
    if spelled(tool.vendor_extensions, "type") is not None:
        out["type"] = "custom"
    if tool.description is not None:
        out["description"] = tool.description
    schema = tool.input_schema
    if not isinstance(schema, Mapping):
        if schema is not None:
            emission.lose(f"{pointer}/input_schema", "the schema of an input is an object here")
        schema = {}
    out["input_schema"] = schema if "type" in schema else {"type": "object", "properties": {}, **schema}
    if tool.strict or spelled(tool.vendor_extensions, "strict") is not None:
        out["strict"] = tool.strict
    return emission.lay(out, tool.vendor_extensions, pointer)


def _write_builtin(tool: BuiltinTool, emission: Emission, pointer: str) -> Tool | None:
    if tool.protocol is PROTOCOL:
        return tool.payload
    form = _FORMS.get(tool.kind)
    if tool.protocol is None and (form is not None or "type" in tool.payload):
        return {**(form or {}), **tool.payload}
    function = as_function(tool, emission, pointer)
    if function is not None:
        return _write_definition(function, emission, pointer)
    if form is None or tool.kind is BuiltinToolKind.COMPUTER_USE:
        reason = f"there is no tool here that one for {tool.kind.value} could become, with its {names_in(tool.payload)}"
        emission.lose(pointer, reason)
        return None
    return {**form, **_shared_settings(tool, emission, pointer)}


def _shared_settings(tool: BuiltinTool, emission: Emission, pointer: str) -> Tool:
    out: Tool = {}
    for name, value in _flat(tool.payload).items():
        if name in _SHARED_SETTINGS and tool.kind in (BuiltinToolKind.WEB_SEARCH, BuiltinToolKind.URL_CONTEXT):
            out[name] = value
        elif name not in ("type", "name") and value not in (None, {}, []):
            emission.lose(f"{pointer}/payload/{escape(name)}", f"a {tool.kind.value} tool has no {name} here")
    return out


def _flat(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Give a tool's settings without the objects that other wires put around them."""
    out = dict(payload)
    filters = out.get("filters")
    if isinstance(filters, Mapping):  # OpenAI Responses
        del out["filters"]
        out.update(filters)
    location = out.get("user_location")
    if isinstance(location, Mapping):
        nested = location.get("approximate")  # OpenAI Chat
        out["user_location"] = {"type": "approximate", **(nested if isinstance(nested, Mapping) else location)}
    return out


def read_tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """Take the choice of tools, and whether several may be called at once; a choice nobody knows stays."""
    given = fields.peek("tool_choice")
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        return None, None
    inner = Fields(given, fields.at("tool_choice"))
    kind, name = inner.take("type"), None
    mode: Any = _MODES.get(kind)
    if kind == "tool":
        mode, name = "named", inner.maybe_text("name")
    if mode is None or (kind == "tool" and name is None):
        return None, None
    parallel = None
    if kind != "none" and isinstance(inner.peek("disable_parallel_tool_use"), bool):
        parallel = not inner.take("disable_parallel_tool_use")
    fields.take("tool_choice")
    return ToolChoice(mode, name, vendor_extensions=inner.extensions(WIRE)), parallel


def write_tool_choice(capabilities: CapabilitySet, emission: Emission, *, tools: bool) -> Tool | None:
    """Write the choice of tools; ``tools`` tells whether there are any, without which the API refuses a choice not asked for."""
    choice, parallel = capabilities.tool_choice, capabilities.parallel_tool_calls
    if choice is None:
        if parallel is False and tools:
            return {"type": "auto", "disable_parallel_tool_use": True}
        if parallel is False:
            emission.lose("/capabilities/parallel_tool_calls", "without tools there is nothing to call at once")
        return None
    out: Tool = {"type": _TYPES[choice.mode]}
    if choice.name is not None:
        out["name"] = choice.name
    if parallel is not None and choice.mode != "none":
        out["disable_parallel_tool_use"] = not parallel
    elif parallel is False:
        emission.lose("/capabilities/parallel_tool_calls", "where no tool may be called none is called at once")
    return emission.lay(out, choice.vendor_extensions, "/capabilities/tool_choice")
