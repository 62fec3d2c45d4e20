"""Tools and the choice among them.

Contract: a function is a ``ToolDefinition``; a tool of any other type is a ``BuiltinTool`` that holds it whole, with its
place among all tools. A built-in tool of another protocol becomes this one's of the same kind, with the settings that both
have; every other setting is a loss. Rules: the API takes an absent ``strict`` for true, so it is always written, unless the
wire left it out itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.capabilities import BuiltinTool, CapabilitySet, ToolChoice, ToolDefinition
from ...types.enums import BuiltinToolKind, ProviderProtocol
from .._fields import Emission, Fields, escape, names_in
from .._tools import placed
from ._own import PROTOCOL, WIRE, Item, kept, spelled

_CHOICES = {"auto": ToolChoice.auto(), "none": ToolChoice.none(), "required": ToolChoice.required()}
_KINDS = {
    "web_search": BuiltinToolKind.WEB_SEARCH,
    "web_search_2025_08_26": BuiltinToolKind.WEB_SEARCH,
    "web_search_preview": BuiltinToolKind.WEB_SEARCH,
    "web_search_preview_2025_03_11": BuiltinToolKind.WEB_SEARCH,
    "file_search": BuiltinToolKind.FILE_SEARCH,
    "code_interpreter": BuiltinToolKind.CODE_EXECUTION,
    "computer": BuiltinToolKind.COMPUTER_USE,
    "computer_use": BuiltinToolKind.COMPUTER_USE,
    "computer_use_preview": BuiltinToolKind.COMPUTER_USE,
    "mcp": BuiltinToolKind.MCP,
    "image_generation": BuiltinToolKind.IMAGE_GENERATION,
}
_FORMS: dict[BuiltinToolKind, Item] = {
    BuiltinToolKind.WEB_SEARCH: {"type": "web_search"},
    BuiltinToolKind.FILE_SEARCH: {"type": "file_search"},
    BuiltinToolKind.CODE_EXECUTION: {"type": "code_interpreter", "container": {"type": "auto"}},
    BuiltinToolKind.COMPUTER_USE: {"type": "computer"},
    BuiltinToolKind.MCP: {"type": "mcp"},
    BuiltinToolKind.IMAGE_GENERATION: {"type": "image_generation"},
}
_TRANSLATED = frozenset({BuiltinToolKind.WEB_SEARCH, BuiltinToolKind.CODE_EXECUTION, BuiltinToolKind.IMAGE_GENERATION})
_PLACE = ("city", "country", "region", "timezone")


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_tools(tools: list[Any], pointer: str) -> tuple[tuple[ToolDefinition, ...], tuple[BuiltinTool, ...]]:
    """Read the tools: functions, and those that have a type of their own."""
    definitions, builtins = [], []
    for position, tool in enumerate(tools):
        fields = Fields(tool, f"{pointer}/{position}")
        if fields.peek("type") == "function" and isinstance(fields.peek("name"), str):
            definitions.append(_read_definition(fields))
        else:
            builtins.append(BuiltinTool(_kind_of(tool.get("type")), tool, protocol=PROTOCOL, position=position))
    return tuple(definitions), tuple(builtins)


def _kind_of(kind: Any) -> BuiltinToolKind:
    return _KINDS.get(kind, BuiltinToolKind.VENDOR) if isinstance(kind, str) else BuiltinToolKind.VENDOR


def _read_definition(fields: Fields) -> ToolDefinition:
    fields.take("type")
    for name in ("parameters", "strict"):
        if name not in fields:
            fields.spell(name, None)
    parameters = fields.take("parameters")
    strict = bool(fields.take("strict")) if isinstance(fields.peek("strict"), bool) else False
    return ToolDefinition(
        fields.required_text("name"),
        {} if parameters is None else parameters,
        fields.text("description"),
        strict,
        vendor_extensions=fields.extensions(WIRE),
    )


def read_tool_choice(fields: Fields) -> ToolChoice | None:
    """Take the choice of tools where it is among functions; any other one stays."""
    given = fields.peek("tool_choice")
    if isinstance(given, str):
        found = _CHOICES.get(given)
        if found is not None:
            fields.take("tool_choice")
        return found
    if not isinstance(given, dict) or given.get("type") != "function" or not isinstance(given.get("name"), str):
        return None
    choice = Fields(fields.take("tool_choice"), fields.at("tool_choice"))
    choice.take("type")
    return ToolChoice("named", choice.required_text("name"), vendor_extensions=choice.extensions(WIRE))


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_tools(capabilities: CapabilitySet, emission: Emission) -> list[Item]:
    """Write all tools, each built-in one at its place."""
    tools = [_write_definition(tool, emission, f"/capabilities/tools/{i}") for i, tool in enumerate(capabilities.tools)]
    return placed(tools, capabilities.builtin_tools, lambda builtin, at: _write_builtin(builtin, emission, at))


def _write_definition(tool: ToolDefinition, emission: Emission, pointer: str) -> Item:
    note, own = spelled(tool.vendor_extensions), kept(tool.vendor_extensions)
    out: Item = {"type": "function", "name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.input_schema or ("parameters" not in note and "parameters" not in own):
        out["parameters"] = tool.input_schema
    if tool.strict or ("strict" not in note and "strict" not in own):
        out["strict"] = tool.strict
    return emission.lay(out, tool.vendor_extensions, pointer)


def _write_builtin(tool: BuiltinTool, emission: Emission, pointer: str) -> Item | None:
    if tool.protocol is PROTOCOL:
        return tool.payload
    form = _FORMS.get(tool.kind)
    if tool.protocol is None and (form is not None or "type" in tool.payload):
        return {**(form or {}), **tool.payload}
    if tool.protocol is ProviderProtocol.OPENAI_CHAT_COMPLETIONS and isinstance(tool.payload.get("custom"), Mapping):
        return _custom(tool.payload["custom"], tool.payload, emission, pointer)
    if form is None or tool.kind not in _TRANSLATED:
        kind, names = tool.payload.get("type", tool.kind.value), names_in(tool.payload)
        emission.lose(f"{pointer}/payload", f"there is no tool here that a {kind} tool could become, with its {names}")
        return None
    return {**form, **_shared_settings(tool, emission, pointer)}


def _custom(custom: Mapping[str, Any], payload: Mapping[str, Any], emission: Emission, pointer: str) -> Item:
    """Write the custom tool of Chat Completions, which nests what stands side by side here."""
    out: Item = {"type": "custom", **custom}
    given = out.get("format")
    if isinstance(given, Mapping) and isinstance(given.get("grammar"), Mapping):
        out["format"] = {**{name: value for name, value in given.items() if name != "grammar"}, **given["grammar"]}
    for name in payload:
        if name not in ("type", "custom"):
            emission.lose(f"{pointer}/payload/{escape(name)}", f"a custom tool has no {name} here")
    return out


def _shared_settings(tool: BuiltinTool, emission: Emission, pointer: str) -> Item:
    out: Item = {}
    for name, value in tool.payload.items():
        if tool.kind is BuiltinToolKind.WEB_SEARCH and name == "search_context_size" and isinstance(value, str):
            out[name] = value
        elif tool.kind is BuiltinToolKind.WEB_SEARCH and name == "allowed_domains" and isinstance(value, list):
            out["filters"] = {name: value}
        elif tool.kind is BuiltinToolKind.WEB_SEARCH and name == "user_location" and isinstance(value, Mapping):
            out[name] = _location(value, emission, f"{pointer}/payload/{name}")
        elif name != "type" and value not in (None, {}, [], tool.kind.value):
            emission.lose(f"{pointer}/payload/{escape(name)}", f"a {tool.kind.value} tool has no {name} here: {names_in(value)}")
    return out


def _location(value: Mapping[str, Any], emission: Emission, pointer: str) -> Item:
    nested = value.get("approximate")  # Chat Completions puts the place into an object of its own
    place = nested if isinstance(nested, Mapping) else value
    for name in place:
        if name not in _PLACE and name != "type":
            emission.lose(f"{pointer}/{escape(name)}", f"a place has no {name} here")
    return {"type": "approximate"} | {name: place[name] for name in _PLACE if place.get(name) is not None}


def write_tool_choice(choice: ToolChoice, emission: Emission) -> str | Item:
    """Write the choice of tools."""
    pointer = "/capabilities/tool_choice"
    if choice.mode != "named":
        emission.forfeit(choice.vendor_extensions, pointer, "a choice that is one word has no fields here")
        return choice.mode
    return emission.lay({"type": "function", "name": choice.name}, choice.vendor_extensions, pointer)
