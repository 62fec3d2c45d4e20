"""What several formats share of tools: their order, and OpenAI's custom tools where all tools take an object.

Contract: a custom tool, whose input is free text, becomes a function of one text, ``input``, under which ``Emission.arguments``
writes the text of its calls. What its grammar forbids nothing forbids then, which is a loss, as is every other setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..types.capabilities import BuiltinTool, ToolDefinition
from ..types.enums import ProviderProtocol
from ._fields import Emission, escape, is_hollow, names_in

Tool = dict[str, Any]

_SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_OWNERS = (ProviderProtocol.OPENAI_RESPONSES, ProviderProtocol.OPENAI_CHAT_COMPLETIONS)


def placed(tools: list[Tool], builtins: tuple[BuiltinTool, ...], write: Callable[[BuiltinTool, str], Tool | None]) -> list[Tool]:
    """Give the written tools with each built-in one at its place, as ``write`` writes it, given its pointer."""
    numbered = list(enumerate(builtins))
    numbered.sort(key=lambda pair: len(tools) + len(numbered) if pair[1].position is None else pair[1].position)
    for i, builtin in numbered:
        written = write(builtin, f"/capabilities/builtin_tools/{i}")
        if written is not None:
            tools.insert(len(tools) if builtin.position is None else builtin.position, written)
    return tools


def as_function(tool: BuiltinTool, emission: Emission, pointer: str) -> ToolDefinition | None:
    """Give the function that a custom tool becomes; ``None`` for a tool of another kind."""
    if tool.protocol not in _OWNERS or tool.payload.get("type") != "custom":
        return None
    nests = tool.protocol is ProviderProtocol.OPENAI_CHAT_COMPLETIONS
    custom = tool.payload.get("custom") if nests else tool.payload
    if not isinstance(custom, Mapping) or not isinstance(custom.get("name"), str):
        return None
    at = f"{pointer}/payload"
    if nests:
        _lose_others(tool.payload, ("type", "custom"), emission, at)
        at = f"{at}/custom"
    description = custom.get("description")
    known = ("type", "name", "description") if isinstance(description, str | None) else ("type", "name")
    _lose_others(custom, known, emission, at)
    emission.lose(f"{pointer}/payload/type", "a custom tool is a function of one text here, its field 'input'")
    return ToolDefinition(custom["name"], _SCHEMA, description if isinstance(description, str) else None)


def _lose_others(settings: Mapping[str, Any], known: tuple[str, ...], emission: Emission, pointer: str) -> None:
    for name, value in settings.items():
        if name not in known and not is_hollow(value) and value != {"type": "text"}:
            within = names_in({name: value})
            emission.lose(f"{pointer}/{escape(name)}", f"a function's input is bound by its schema alone here: no {within}")
