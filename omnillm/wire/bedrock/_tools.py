"""Tools and the choice among them.

Contract: a ``toolSpec`` is a ``ToolDefinition``; a tool of the provider and a cache point among the tools are ``BuiltinTool``
values that hold them whole, with their place among all tools.
Rules: Amazon's own models alone have tools of the provider, so a built-in tool of another protocol becomes one of those for these
models only, and is a loss for every other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.capabilities import BuiltinTool, CapabilitySet, ToolChoice, ToolDefinition
from ...types.enums import BuiltinToolKind
from .._fields import Emission, Fields, escape, names_in
from .._tools import as_function, placed
from ._own import PROTOCOL, WIRE, Block, spelled

_KINDS = {"nova_code_interpreter": BuiltinToolKind.CODE_EXECUTION, "nova_grounding": BuiltinToolKind.WEB_SEARCH}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_MODES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "named"}


def read_tools(tools: list[Any], pointer: str) -> tuple[tuple[ToolDefinition, ...], tuple[BuiltinTool, ...]]:
    """Read the tools: those that the caller runs, and everything else."""
    definitions, builtins = [], []
    for position, tool in enumerate(tools):
        at = f"{pointer}/{position}"
        fields = Fields(tool, at)
        if len(tool) == 1 and isinstance(fields.peek("toolSpec"), dict):
            definitions.append(_read_definition(Fields(tool["toolSpec"], f"{at}/toolSpec")))
        else:
            builtins.append(BuiltinTool(_kind_of(tool), tool, protocol=PROTOCOL, position=position))
    return tuple(definitions), tuple(builtins)


def _kind_of(tool: dict[str, Any]) -> BuiltinToolKind:
    system = tool.get("systemTool")
    name = system.get("name") if isinstance(system, dict) else None
    return _KINDS.get(name, BuiltinToolKind.VENDOR) if isinstance(name, str) else BuiltinToolKind.VENDOR


def _read_definition(fields: Fields) -> ToolDefinition:
    name, description = fields.required_text("name"), fields.text("description") if fields.peek("description") else None
    given, schema = fields.peek("inputSchema"), None
    if isinstance(given, dict) and given.keys() == {"json"} and isinstance(given["json"], dict):
        fields.take("inputSchema")
        schema = given["json"]
        if "type" not in schema:
            fields.spell("inputSchema", "untyped")
    strict = fields.peek("strict") is True
    if isinstance(fields.peek("strict"), bool):
        fields.take("strict")
        if not strict:
            fields.spell("strict", strict)
    return ToolDefinition(name, schema, description, strict, vendor_extensions=fields.extensions(WIRE))


def write_tools(capabilities: CapabilitySet, emission: Emission, model: str) -> list[Block]:
    """Write all tools, each built-in one at its place."""
    tools = [_write_definition(tool, emission, f"/capabilities/tools/{i}") for i, tool in enumerate(capabilities.tools)]
    return placed(tools, capabilities.builtin_tools, lambda builtin, at: _write_builtin(builtin, emission, at, model))


def _write_definition(tool: ToolDefinition, emission: Emission, pointer: str) -> Block:
    out: Block = {"name": tool.name}
    if tool.description:  # the API refuses an empty one
        out["description"] = tool.description
    schema = tool.input_schema
    if isinstance(schema, Mapping):
        untyped = "type" not in schema and spelled(tool.vendor_extensions, "inputSchema") is None
        out["inputSchema"] = {"json": {"type": "object", "properties": {}, **schema} if untyped else schema}
    elif schema is not None:
        emission.lose(f"{pointer}/input_schema", "the schema of an input is an object here")
    if tool.strict or spelled(tool.vendor_extensions, "strict") is not None:
        out["strict"] = tool.strict
    emission.lay(out, tool.vendor_extensions, pointer)
    out.setdefault("inputSchema", {"json": {"type": "object", "properties": {}}})
    return {"toolSpec": out}


def _write_builtin(tool: BuiltinTool, emission: Emission, pointer: str, model: str) -> Block | None:
    payload = tool.payload
    if tool.protocol is PROTOCOL or (tool.protocol is None and not payload.keys().isdisjoint(("systemTool", "cachePoint"))):
        return payload
    name = _NAMES.get(tool.kind) if "nova" in model else None
    if tool.protocol is None and (name is not None or "name" in payload):
        return {"systemTool": {"name": name, **payload} if name is not None else payload}
    function = as_function(tool, emission, pointer)
    if function is not None:
        return _write_definition(function, emission, pointer)
    if name is None:
        reason = f"there is no tool here that one for {tool.kind.value} could become, with its {names_in(payload)}"
        emission.lose(f"{pointer}/payload", reason)
        return None
    for setting, value in payload.items():
        if setting not in ("type", "name") and value not in (None, {}, []):
            emission.lose(f"{pointer}/payload/{escape(setting)}", f"{name} has no settings")
    return {"systemTool": {"name": name}}


def read_tool_choice(config: Fields) -> ToolChoice | None:
    """Take the choice of tools; one nobody knows stays."""
    given = config.peek("toolChoice")
    if not isinstance(given, dict) or len(given) != 1:
        return None
    ((kind, value),) = given.items()
    mode = _MODES.get(kind)
    if mode is None or not isinstance(value, dict):
        return None
    inner = Fields(value, config.at("toolChoice"))
    name = inner.maybe_text("name") if mode == "named" else None
    if mode == "named" and name is None:
        return None
    config.take("toolChoice")
    return ToolChoice(mode, name, vendor_extensions=inner.extensions(WIRE))


def write_tool_choice(capabilities: CapabilitySet, emission: Emission, *, tools: bool) -> Block | None:
    """Write the choice of tools; ``tools`` tells whether there are any, without which the API refuses a choice."""
    choice = capabilities.tool_choice
    if capabilities.parallel_tool_calls is not None:
        emission.lose("/capabilities/parallel_tool_calls", "whether several tools are called at once cannot be asked for")
    if choice is None:
        return None
    if choice.mode == "none":
        emission.lose("/capabilities/tool_choice/mode", "tools cannot be forbidden here other than by leaving them out")
    elif not tools:
        emission.lose("/capabilities/tool_choice", "without tools there is nothing to choose")
    if choice.mode == "none" or not tools:
        emission.forfeit(choice.vendor_extensions, "/capabilities/tool_choice", "no choice is sent")
        return None
    kind = next(kind for kind, mode in _MODES.items() if mode == choice.mode)
    inner = {} if choice.name is None else {"name": choice.name}
    return {kind: emission.lay(inner, choice.vendor_extensions, "/capabilities/tool_choice")}
