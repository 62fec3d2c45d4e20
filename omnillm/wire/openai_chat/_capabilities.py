"""Tools, tool choice, structured output, reasoning effort and modalities of a request.

Rules: a function is a ``ToolDefinition``; every other tool is a ``BuiltinTool`` that keeps the wire's object and its place among
the tools; ``web_search_options`` is one without a place. What is not of the API's own form stays among the request's rest, whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.capabilities import (
    BuiltinTool,
    CapabilitySet,
    ReasoningCapability,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
)
from ...types.enums import BuiltinToolKind, OutputModality, ProviderProtocol
from .._fields import Emission, Fields, escape, fill, is_hollow, kept, names_in, spelling
from ._content import CHAT, WIRE, inner

_CHOICES: dict[str, ToolChoice] = {
    "auto": ToolChoice.auto(),
    "none": ToolChoice.none(),
    "required": ToolChoice.required(),
}
_MODALITIES = {"text": OutputModality.TEXT, "audio": OutputModality.AUDIO, "image": OutputModality.IMAGE}
_KINDS = {
    "web_search": BuiltinToolKind.WEB_SEARCH,
    "web_search_preview": BuiltinToolKind.WEB_SEARCH,
    "openrouter:web_search": BuiltinToolKind.WEB_SEARCH,
    "browser_search": BuiltinToolKind.WEB_SEARCH,
    "file_search": BuiltinToolKind.FILE_SEARCH,
    "code_interpreter": BuiltinToolKind.CODE_EXECUTION,
    "code_execution": BuiltinToolKind.CODE_EXECUTION,
    "image_generation": BuiltinToolKind.IMAGE_GENERATION,
    "mcp": BuiltinToolKind.MCP,
}
_TOOLS = frozenset(("tools", "web_search_options"))
_SETTINGS = frozenset(
    (
        "function_call",
        "functions",
        "modalities",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "tool_choice",
    )
)
_PLACE = ("city", "country", "region", "timezone")
_EFFORTS = ((1024, "low"), (4096, "medium"), (16384, "high"))


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_capabilities(fields: Fields) -> CapabilitySet:
    """Take the capabilities from a request's fields."""
    functions, builtin = ([], ()) if fields.lacks(_TOOLS) else _read_tools(fields)
    if fields.lacks(_SETTINGS):  # as in most requests
        return CapabilitySet(tools=tuple(functions), builtin_tools=builtin)
    own = Fields({})
    effort = fields.text("reasoning_effort")
    return CapabilitySet(
        tools=(*functions, *_read_legacy_functions(fields)),
        tool_choice=_read_choice(fields),
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        structured_output=_read_format(fields, own),
        reasoning=None if effort is None else ReasoningCapability(effort),
        modalities=_read_modalities(fields),
        builtin_tools=builtin,
        vendor_extensions=own.extensions(WIRE),
    )


def _read_tools(fields: Fields) -> tuple[list[ToolDefinition], tuple[BuiltinTool, ...]]:
    functions: list[ToolDefinition] = []
    builtin: list[BuiltinTool] = []
    given = fields.array("tools")
    if given == []:
        fields.keep("tools", given)
    for i, tool in enumerate(given or ()):
        at = f"{fields.at('tools')}/{i}"
        entry = Fields(tool, at)
        function = entry.peek("function")
        if entry.peek("type") in (None, "function") and isinstance(function, dict) and isinstance(function.get("name"), str):
            functions.append(_read_function(entry))
        else:
            kind = tool.get("type")
            known = _KINDS.get(kind, BuiltinToolKind.VENDOR) if isinstance(kind, str) else BuiltinToolKind.VENDOR
            builtin.append(BuiltinTool(known, tool, protocol=CHAT, position=i))
    options = fields.peek("web_search_options")
    if isinstance(options, dict):
        builtin.append(BuiltinTool(BuiltinToolKind.WEB_SEARCH, fields.take("web_search_options"), protocol=CHAT))
    return functions, tuple(builtin)


def _read_function(entry: Fields) -> ToolDefinition:
    if "type" not in entry:
        entry.spell("type", None)
    elif entry.peek("type") is not None:
        entry.take("type")
    function = Fields(entry.take("function"), entry.at("function"))
    tool = _read_definition(function, entry)
    if function.rest():
        entry.keep("function", function.rest())
    return ToolDefinition(*tool, vendor_extensions=entry.extensions(WIRE))


def _read_definition(function: Fields, spelled: Fields) -> tuple[str, Any, str | None, bool]:
    """Take a function's four fields; an explicit default is noted as the wire's spelling."""
    parameters = function.peek("parameters")
    if isinstance(parameters, dict):
        function.take("parameters")
        if not parameters:
            spelled.spell("input_schema", {})
    else:
        parameters = {}
    strict = function.boolean("strict")
    if strict is False:
        spelled.spell("strict", False)
    name = function.required_text("name")
    return name, parameters, function.text("description"), bool(strict)


def _read_legacy_functions(fields: Fields) -> list[ToolDefinition]:
    given = fields.array("functions")
    if given == []:
        fields.keep("functions", given)
    found = []
    for i, value in enumerate(given or ()):
        function = Fields(value, f"{fields.at('functions')}/{i}")
        function.spell("tool", "functions")
        tool = _read_definition(function, function)
        found.append(ToolDefinition(*tool, vendor_extensions=function.extensions(WIRE)))
    return found


def _read_choice(fields: Fields) -> ToolChoice | None:
    given = fields.peek("tool_choice")
    if isinstance(given, str):
        found = _CHOICES.get(given)
        if given == "any":  # Mistral's word
            found = ToolChoice("required", vendor_extensions=_spelled("mode", "any"))
        if found is not None:
            fields.take("tool_choice")
            return found
    elif isinstance(given, dict) and given.get("type") == "function":
        function = given.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            return _read_named(Fields(fields.take("tool_choice"), fields.at("tool_choice")))
    return _read_legacy_choice(fields) if given is None else None


def _read_named(choice: Fields) -> ToolChoice:
    choice.take("type")
    function = Fields(choice.take("function"), choice.at("function"))
    name = function.required_text("name")
    if function.rest():
        choice.keep("function", function.rest())
    return ToolChoice("named", name, vendor_extensions=choice.extensions(WIRE))


def _read_legacy_choice(fields: Fields) -> ToolChoice | None:
    given = fields.peek("function_call")
    if given in ("auto", "none"):
        fields.take("function_call")
        return ToolChoice(given, vendor_extensions=_spelled("wire", "function_call"))
    if isinstance(given, dict) and set(given) == {"name"} and isinstance(given["name"], str):
        fields.take("function_call")
        return ToolChoice("named", given["name"], vendor_extensions=_spelled("wire", "function_call"))
    return None


def _spelled(name: str, as_: Any) -> dict[str, Any]:
    own = Fields({})
    own.spell(name, as_)
    return own.extensions(WIRE)


def _read_format(fields: Fields, own: Fields) -> StructuredOutputConfig | None:
    given = fields.peek("response_format")
    if not isinstance(given, dict):
        return None
    if given == {"type": "text"}:  # the default, said
        own.spell("structured_output", fields.take("response_format"))
        return None
    said = given.get("json_schema")
    if given.get("type") == "json_schema" and isinstance(said, dict) and isinstance(said.get("schema"), dict):
        return _read_schema(Fields(fields.take("response_format"), fields.at("response_format")))
    if given.get("type") == "json_object":
        outer = Fields(fields.take("response_format"))
        outer.take("type")
        return StructuredOutputConfig(None, vendor_extensions=outer.extensions(WIRE))
    return None


def _read_schema(outer: Fields) -> StructuredOutputConfig:
    outer.take("type")
    said = Fields(outer.take("json_schema"), outer.at("json_schema"))
    schema, name, strict = said.object("schema"), said.text("name"), said.boolean("strict")
    if strict is False:
        outer.spell("strict", False)
    if name is None:
        outer.spell("name", None)
    if said.rest():
        outer.keep("json_schema", said.rest())
    return StructuredOutputConfig(schema, name, bool(strict), vendor_extensions=outer.extensions(WIRE))


def _read_modalities(fields: Fields) -> tuple[OutputModality, ...]:
    given = fields.peek("modalities")
    if not given or not isinstance(given, list) or not all(isinstance(name, str) and name in _MODALITIES for name in given):
        return ()
    fields.take("modalities")
    return tuple(_MODALITIES[name] for name in given)


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_capabilities(capabilities: CapabilitySet, out: dict[str, Any], emission: Emission) -> None:
    """Write the capabilities into a request; what has no form here is a loss."""
    _write_tools(capabilities, out, emission)
    if capabilities.tool_choice is not None:
        _write_choice(capabilities.tool_choice, out, emission)
    if capabilities.parallel_tool_calls is not None:
        out["parallel_tool_calls"] = capabilities.parallel_tool_calls
    spelled = spelling(capabilities.vendor_extensions, WIRE)
    if capabilities.structured_output is not None:
        out["response_format"] = _write_format(capabilities.structured_output, emission)
    elif "structured_output" in spelled:
        out["response_format"] = spelled["structured_output"]
    if capabilities.reasoning is not None:
        _write_reasoning(capabilities.reasoning, out, emission)
    if capabilities.modalities:
        _write_modalities(capabilities.modalities, out)
    if capabilities.safety is not None and capabilities.safety.policy is not None:
        emission.lose("/capabilities/safety", "Chat Completions has no safety settings")
    emission.lay(out, capabilities.vendor_extensions, "/capabilities")


def _write_tools(capabilities: CapabilitySet, out: dict[str, Any], emission: Emission) -> None:
    functions: list[Any] = []
    tools: list[Any] = []
    for i, tool in enumerate(capabilities.tools):
        at = f"/capabilities/tools/{i}"
        if spelling(tool.vendor_extensions, WIRE).get("tool") == "functions":
            functions.append(emission.lay(_write_definition(tool), tool.vendor_extensions, at))
        else:
            tools.append(_write_function(tool, emission, at))
    placed = sorted(enumerate(capabilities.builtin_tools), key=_place_of)
    for i, builtin in placed:
        _write_builtin(builtin, tools, out, emission, f"/capabilities/builtin_tools/{i}")
    if tools:
        out["tools"] = tools
    if functions:
        out["functions"] = functions


def _place_of(numbered: tuple[int, BuiltinTool]) -> tuple[bool, int]:
    position = numbered[1].position
    return position is None, position or 0


def _write_function(tool: ToolDefinition, emission: Emission, pointer: str) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "function"}
    spelled = spelling(tool.vendor_extensions, WIRE)
    if "type" in spelled or "type" in kept(tool.vendor_extensions, WIRE):
        del out["type"]
    out["function"] = fill(_write_definition(tool), inner(tool.vendor_extensions, "function"))
    return emission.lay(out, tool.vendor_extensions, pointer)


def _write_definition(tool: ToolDefinition) -> dict[str, Any]:
    spelled = spelling(tool.vendor_extensions, WIRE)
    out: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.input_schema or "input_schema" in spelled:
        out["parameters"] = tool.input_schema
    if tool.strict or "strict" in spelled:
        out["strict"] = tool.strict
    return out


def _write_builtin(tool: BuiltinTool, tools: list[Any], out: dict[str, Any], emission: Emission, pointer: str) -> None:
    if tool.protocol is CHAT and tool.position is not None:
        tools.insert(tool.position, tool.payload)
    elif tool.protocol is CHAT and tool.kind is BuiltinToolKind.WEB_SEARCH:
        out["web_search_options"] = tool.payload
    elif tool.protocol in (None, CHAT) and "type" in tool.payload:
        tools.append(tool.payload)
    elif tool.protocol is ProviderProtocol.OPENAI_RESPONSES and tool.payload.get("type") == "custom":
        tools.append({"type": "custom", "custom": _custom(tool.payload)})
    elif tool.kind is BuiltinToolKind.WEB_SEARCH and "web_search_options" not in out:
        out["web_search_options"] = _search_options(tool, emission, pointer)
    else:
        names = names_in(tool.payload)
        with_its = f", with its {names}" if names else ""
        emission.lose(f"{pointer}/kind", f"Chat Completions runs no {tool.kind.value} itself{with_its}")


def _custom(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Write the custom tool of Responses, which has side by side what lies nested here."""
    out = {name: value for name, value in payload.items() if name != "type"}
    form = out.get("format")
    if isinstance(form, Mapping) and form.get("type") == "grammar":
        out["format"] = {"type": "grammar", "grammar": {name: value for name, value in form.items() if name != "type"}}
    return out


def _search_options(tool: BuiltinTool, emission: Emission, pointer: str) -> dict[str, Any]:
    """Write what another wire's web search shares with ``web_search_options``."""
    out: dict[str, Any] = {}
    for name, value in tool.payload.items():
        if name == "search_context_size" and isinstance(value, str):
            out[name] = value
        elif name == "user_location" and isinstance(value, Mapping):
            place = value.get("approximate")
            place = place if isinstance(place, Mapping) else value
            said = {key: place[key] for key in _PLACE if place.get(key) is not None}
            out[name] = {"type": "approximate", "approximate": said}
        elif not is_hollow(value) and not (name in ("type", "name") and value == tool.kind.value):
            emission.lose(f"{pointer}/payload/{escape(name)}", f"web_search_options has no {name}")
    return out


def _write_choice(choice: ToolChoice, out: dict[str, Any], emission: Emission) -> None:
    spelled = spelling(choice.vendor_extensions, WIRE)
    legacy = spelled.get("wire") == "function_call"
    if choice.mode != "named":
        mode = "any" if choice.mode == "required" and spelled.get("mode") == "any" else choice.mode
        out["function_call" if legacy and mode in ("auto", "none") else "tool_choice"] = mode
        emission.forfeit(choice.vendor_extensions, "/capabilities/tool_choice", "a choice that is one word has no fields here")
    elif legacy:
        out["function_call"] = {"name": choice.name}
        emission.forfeit(choice.vendor_extensions, "/capabilities/tool_choice", "the deprecated choice is a name alone")
    else:
        named = {"type": "function", "function": fill({"name": choice.name}, inner(choice.vendor_extensions, "function"))}
        out["tool_choice"] = emission.lay(named, choice.vendor_extensions, "/capabilities/tool_choice")


def _write_format(config: StructuredOutputConfig, emission: Emission) -> dict[str, Any]:
    at = "/capabilities/structured_output"
    if config.schema is None:
        if config.name is not None:
            emission.lose(f"{at}/name", "response_format has a name with a schema only")
        if config.strict:
            emission.lose(f"{at}/strict", "response_format is strict with a schema only")
        return emission.lay({"type": "json_object"}, config.vendor_extensions, at)
    spelled = spelling(config.vendor_extensions, WIRE)
    said: dict[str, Any] = {}
    if config.name is not None or "name" not in spelled:
        said["name"] = config.name or "response"  # the API demands one
    said["schema"] = config.schema
    if config.strict or "strict" in spelled:
        said["strict"] = config.strict
    fill(said, inner(config.vendor_extensions, "json_schema"))
    return emission.lay({"type": "json_schema", "json_schema": said}, config.vendor_extensions, at)


def _write_reasoning(reasoning: ReasoningCapability, out: dict[str, Any], emission: Emission) -> None:
    at = "/capabilities/reasoning"
    if reasoning.effort is not None:
        out["reasoning_effort"] = reasoning.effort
    if reasoning.budget_tokens is not None:
        if reasoning.effort is None:
            out["reasoning_effort"] = _effort_of(reasoning.budget_tokens)
        emission.lose(f"{at}/budget_tokens", "Chat Completions takes an effort, not a number of tokens, for reasoning")
    if reasoning.summary is not None:
        emission.lose(f"{at}/summary", "Chat Completions has no summaries of reasoning")
    emission.lay(out, reasoning.vendor_extensions, at)


def _effort_of(budget_tokens: int) -> str:
    for bound, effort in _EFFORTS:
        if budget_tokens <= bound:
            return effort
    return "xhigh"


def _write_modalities(modalities: tuple[OutputModality, ...], out: dict[str, Any]) -> None:
    names = [modality.value for modality in modalities if modality.value in _MODALITIES]
    if names:
        out["modalities"] = names
    if OutputModality.JSON in modalities:
        out.setdefault("response_format", {"type": "json_object"})
