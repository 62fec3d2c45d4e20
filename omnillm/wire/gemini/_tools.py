"""Tools and the choice among them.

Purpose: ``tools`` is an array of objects that each hold any number of tools: several functions, and one of every other kind.
Contract: a function is a ``ToolDefinition``; every other tool is a ``BuiltinTool`` that holds the object with that tool alone,
and its place. A built-in tool of another protocol becomes this one's of the same kind; its settings are losses.
Rules: functions stand together in the first free object, unless they came in several, or beside another tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...types.capabilities import BuiltinTool, CapabilitySet, ToolChoice, ToolDefinition
from ...types.enums import BuiltinToolKind
from .._fields import SPELLING, Emission, Fields, escape, fill, is_hollow, names_in
from .._tools import as_function
from ._own import PROTOCOL, WIRE, as_spelled, camel, in_snake, kept, nested, opened, spelling
from ._schema import read_schema, write_schema

Tool = dict[str, Any]

_FUNCTIONS = "functionDeclarations"
_KINDS = {
    "googleSearch": BuiltinToolKind.WEB_SEARCH,
    "googleSearchRetrieval": BuiltinToolKind.WEB_SEARCH,
    "enterpriseWebSearch": BuiltinToolKind.WEB_SEARCH,
    "parallelAiSearch": BuiltinToolKind.WEB_SEARCH,
    "exaAiSearch": BuiltinToolKind.WEB_SEARCH,
    "urlContext": BuiltinToolKind.URL_CONTEXT,
    "codeExecution": BuiltinToolKind.CODE_EXECUTION,
    "googleMaps": BuiltinToolKind.MAPS,
    "fileSearch": BuiltinToolKind.FILE_SEARCH,
    "retrieval": BuiltinToolKind.FILE_SEARCH,
    "computerUse": BuiltinToolKind.COMPUTER_USE,
    "mcpServers": BuiltinToolKind.MCP,
}
_NAMES = {
    BuiltinToolKind.WEB_SEARCH: "googleSearch",
    BuiltinToolKind.URL_CONTEXT: "urlContext",
    BuiltinToolKind.CODE_EXECUTION: "codeExecution",
    BuiltinToolKind.MAPS: "googleMaps",
    BuiltinToolKind.FILE_SEARCH: "fileSearch",
    BuiltinToolKind.COMPUTER_USE: "computerUse",
}
_WITHOUT_SETTINGS = frozenset(
    {BuiltinToolKind.WEB_SEARCH, BuiltinToolKind.URL_CONTEXT, BuiltinToolKind.CODE_EXECUTION, BuiltinToolKind.MAPS}
)
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_WORDS = {"auto": "AUTO", "required": "ANY", "named": "ANY", "none": "NONE"}


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_tools(tools: list[tuple[Any, str]]) -> tuple[tuple[ToolDefinition, ...], tuple[BuiltinTool, ...]]:
    """Read the tools, each given with its pointer: those that the caller runs, and those that the provider runs."""
    entries = [opened(tool, at) for tool, at in tools]
    holders = [i for i, entry in enumerate(entries) if entry.peek(_FUNCTIONS) and isinstance(entry.peek(_FUNCTIONS), list)]
    definitions: list[ToolDefinition] = []
    builtins: list[BuiltinTool] = []
    for position, entry in enumerate(entries):
        snake = entry.rest().pop(SPELLING, None)
        if position in holders:
            alone = len(holders) == 1 and len(entry.rest()) == 1
            functions = entry.take(_FUNCTIONS)
            definitions += _read_functions(functions, entry, None if alone else position, snake=snake is not None)
        elif not entry.rest():
            builtins.append(BuiltinTool(BuiltinToolKind.VENDOR, {}, protocol=PROTOCOL, position=position))
        for name, settings in in_snake(entry.rest(), [_FUNCTIONS] if snake else ()).items():
            kind = _KINDS.get(camel(name), BuiltinToolKind.VENDOR)
            builtins.append(BuiltinTool(kind, {name: settings}, protocol=PROTOCOL, position=position))
    return tuple(definitions), tuple(builtins)


def _read_functions(given: list[Any], entry: Fields, place: int | None, *, snake: bool) -> Iterator[ToolDefinition]:
    for i, value in enumerate(given):
        fields = opened(value, f"{entry.at(_FUNCTIONS)}/{i}")
        if snake:
            known = (fields.peek(SPELLING) or {}).get("snake", [])
            fields.spell("snake", [*known, _FUNCTIONS])
        if place is not None:
            fields.spell("tools", place)
        name, description = fields.required_text("name"), fields.text("description")
        yield ToolDefinition(name, _take_schema(fields), description, vendor_extensions=fields.extensions(WIRE))


def _take_schema(fields: Fields) -> Any:
    given = fields.peek("parametersJsonSchema")
    if given:
        return fields.take("parametersJsonSchema")
    given = fields.peek("parameters")
    if given is not None and isinstance(given, dict) and given:
        schema, dialect = read_schema(fields.take("parameters"))
        fields.spell("schema", dialect)
        return schema
    return {}


def read_tool_choice(fields: Fields) -> ToolChoice | None:
    """Take the choice of tools from ``toolConfig``; a choice nobody knows stays."""
    config = opened(fields.peek("functionCallingConfig") or {})
    mode, names = config.peek("mode"), config.peek("allowedFunctionNames")
    word = mode.upper() if isinstance(mode, str) else ""
    if word not in _MODES:
        return None
    config = nested(fields, "functionCallingConfig")
    config.take("mode")
    choice: Any = _MODES[word]
    name = None
    if word == "ANY" and isinstance(names, list) and len(names) == 1 and isinstance(names[0], str):
        choice, (name,) = "named", config.take("allowedFunctionNames")
    if word == "VALIDATED":
        config.keep("mode", mode)
    elif mode != word:
        config.spell("mode", mode)
    noted = fields.peek(SPELLING)
    if noted:
        config.spell("snake", noted["snake"])
    return ToolChoice(choice, name, vendor_extensions=config.extensions(WIRE))


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_tools(capabilities: CapabilitySet, emission: Emission) -> list[Tool]:
    """Write all tools, each built-in one in the object where it stood."""
    placed: dict[int, Tool] = {}
    loose: list[Tool] = []
    functions = [(tool, f"/capabilities/tools/{i}") for i, tool in enumerate(capabilities.tools)]
    for i, builtin in enumerate(capabilities.builtin_tools):
        at = f"/capabilities/builtin_tools/{i}"
        function = as_function(builtin, emission, at)
        if function is not None:
            functions.append((function, at))
            continue
        written = _write_builtin(builtin, emission, at)
        if written is None:
            continue
        if builtin.protocol is PROTOCOL and builtin.position is not None:
            placed[builtin.position] = {**placed.get(builtin.position, {}), **written}
        else:
            loose.append(written)
    free = next(i for i in range(len(placed) + 1) if i not in placed)
    for tool, at in functions:
        spelled = spelling(tool.vendor_extensions)
        name = "function_declarations" if _FUNCTIONS in spelled.get("snake", ()) else _FUNCTIONS
        entry = placed.setdefault(spelled.get("tools", free), {})
        entry.setdefault(name, []).append(_write_function(tool, emission, at))
    return [placed[i] for i in sorted(placed)] + loose


def _write_function(tool: ToolDefinition, emission: Emission, pointer: str) -> Tool:
    out: Tool = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    spelled = spelling(tool.vendor_extensions)
    if tool.input_schema and "schema" in spelled:
        out["parameters"] = write_schema(tool.input_schema, spelled["schema"])
    elif tool.input_schema:
        out["parametersJsonSchema"] = tool.input_schema
    if tool.strict:
        emission.lose(f"{pointer}/strict", "a function is not strict by itself here: the mode VALIDATED makes all so")
    return as_spelled(emission.lay(out, tool.vendor_extensions, pointer), tool.vendor_extensions)


def _write_builtin(tool: BuiltinTool, emission: Emission, pointer: str) -> Tool | None:
    if tool.protocol is PROTOCOL:
        return tool.payload
    name = _NAMES.get(tool.kind)
    if tool.protocol is None and any(camel(key) in _KINDS for key in tool.payload):
        return tool.payload
    if tool.protocol is None and name is not None:
        return {name: tool.payload}
    if name is None or tool.kind not in _WITHOUT_SETTINGS:
        reason = f"there is no tool here that one for {tool.kind.value} could become, with its {names_in(tool.payload)}"
        emission.lose(f"{pointer}/payload", reason)
        return None
    for key, value in tool.payload.items():
        if key != "type" and not is_hollow(value) and not (key == "name" and _is_implied(value, tool)):
            emission.lose(f"{pointer}/payload/{escape(key)}", f"{name} has no such setting, nor its {names_in(value)}")
    return {name: {}}


def _is_implied(name: Any, tool: BuiltinTool) -> bool:
    """Tell whether a tool's name says no more than its type."""
    return name == tool.kind.value or (isinstance(name, str) and str(tool.payload.get("type")).startswith(name))


def write_tool_choice(capabilities: CapabilitySet, emission: Emission) -> Tool | None:
    """Write the choice of tools as ``toolConfig``."""
    if capabilities.parallel_tool_calls is False:
        emission.lose("/capabilities/parallel_tool_calls", "the model may always call several functions at once here")
    choice, known = capabilities.tool_choice, kept(capabilities.vendor_extensions, "toolConfig")
    if choice is None:
        return None
    given = kept(choice.vendor_extensions, "mode")
    word = _WORDS[choice.mode]
    said = spelling(choice.vendor_extensions).get("mode")
    config: Tool = {}
    if not (given is not None and choice.mode == "auto"):
        config["mode"] = said if said is not None and said.upper() == word else word
    if choice.name is not None:
        config["allowedFunctionNames"] = [choice.name]
    emission.lay(config, choice.vendor_extensions, "/capabilities/tool_choice")
    config = as_spelled(config, choice.vendor_extensions)
    return fill(as_spelled({"functionCallingConfig": config}, choice.vendor_extensions), known)
