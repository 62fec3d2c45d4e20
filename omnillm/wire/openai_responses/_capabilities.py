"""Structured output, verbosity, reasoning and modalities of a request, and the tools of ``_tools``.

Rules: ``text.verbosity`` is kept as the request's own field, where Chat Completions has it; what is not of the API's own form
stays among the request's rest, whole.
"""

from __future__ import annotations

from typing import Any

from ...types.capabilities import CapabilitySet, ReasoningCapability, StructuredOutputConfig
from ...types.enums import OutputModality
from .._codec import Payload
from .._fields import Emission, Fields, fill
from ._own import WIRE, Item, kept, spelled
from ._tools import read_tool_choice, read_tools, write_tool_choice, write_tools

_EFFORTS = ((1024, "low"), (4096, "medium"), (16384, "high"))


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_capabilities(fields: Fields) -> CapabilitySet:
    """Take the capabilities from a request's fields."""
    tools = fields.array("tools") if fields.peek("tools") else None
    definitions, builtins = read_tools(tools, "/tools") if tools else ((), ())
    own = Fields({})
    structured = _read_text(fields, own)
    return CapabilitySet(
        definitions,
        read_tool_choice(fields),
        fields.boolean("parallel_tool_calls"),
        structured,
        _read_reasoning(fields),
        builtin_tools=builtins,
        vendor_extensions=own.extensions(WIRE),
    )


def _read_text(fields: Fields, own: Fields) -> StructuredOutputConfig | None:
    if not fields.peek("text") or not isinstance(fields.peek("text"), dict):
        return None
    text = Fields(fields.take("text"), fields.at("text"))
    structured = _read_format(text, own)
    rest = text.rest()
    if "verbosity" in text and "verbosity" not in fields:
        fields.keep("verbosity", rest.pop("verbosity"))
        fields.spell("verbosity", "text")
    if rest:
        own.keep("text", rest)
    return structured


def _read_format(text: Fields, own: Fields) -> StructuredOutputConfig | None:
    given = text.peek("format")
    if not isinstance(given, dict):
        return None
    if given == {"type": "text"}:  # the default, said
        own.spell("structured_output", text.take("format"))
        return None
    kind = given.get("type")
    if kind == "json_object" or (kind == "json_schema" and isinstance(given.get("schema"), dict)):
        said = Fields(text.take("format"), text.at("format"))
        said.take("type")
        schema = said.object("schema") if kind == "json_schema" else None
        name = said.text("name") if kind == "json_schema" else None
        if kind == "json_schema" and name is None:
            said.spell("name", None)
        strict = said.boolean("strict") if kind == "json_schema" else None
        if strict is False:
            said.spell("strict", False)
        return StructuredOutputConfig(schema, name, bool(strict), vendor_extensions=said.extensions(WIRE))
    return None


def _read_reasoning(fields: Fields) -> ReasoningCapability | None:
    if not fields.peek("reasoning") or not isinstance(fields.peek("reasoning"), dict):
        return None
    said = Fields(fields.take("reasoning"), fields.at("reasoning"))
    effort, summary = said.maybe_text("effort"), said.maybe_text("summary")
    return ReasoningCapability(effort, summary, vendor_extensions=said.extensions(WIRE))


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_capabilities(capabilities: CapabilitySet, out: Payload, emission: Emission) -> None:
    """Write the capabilities into a request; what has no form here is a loss."""
    tools = write_tools(capabilities, emission)
    if tools:
        out["tools"] = tools
    if capabilities.tool_choice is not None:
        out["tool_choice"] = write_tool_choice(capabilities.tool_choice, emission)
    if capabilities.parallel_tool_calls is not None:
        out["parallel_tool_calls"] = capabilities.parallel_tool_calls
    _write_text(capabilities, out, emission)
    if capabilities.reasoning is not None:
        reasoning = _write_reasoning(capabilities.reasoning, emission)
        if reasoning:
            out["reasoning"] = reasoning
    if capabilities.modalities:
        _write_modalities(capabilities.modalities, out, emission)
    if capabilities.safety is not None and capabilities.safety.policy is not None:
        emission.lose("/capabilities/safety/policy", "Responses has no safety settings")
    emission.lay(out, capabilities.vendor_extensions, "/capabilities")


def _write_text(capabilities: CapabilitySet, out: Payload, emission: Emission) -> None:
    text: Item = {}
    note = spelled(capabilities.vendor_extensions)
    if capabilities.structured_output is not None:
        text["format"] = _write_format(capabilities.structured_output, emission)
    elif "structured_output" in note:
        text["format"] = note["structured_output"]
    fill(text, kept(capabilities.vendor_extensions).get("text"))
    if text:
        out["text"] = text


def place_verbosity(out: Payload, *, placed: bool) -> None:
    """Move the verbosity to where this wire has it, unless the request had it elsewhere."""
    if placed and "verbosity" in out:
        text = out.get("text")
        out["text"] = {**(text if isinstance(text, dict) else {}), "verbosity": out.pop("verbosity")}


def _write_format(config: StructuredOutputConfig, emission: Emission) -> Item:
    at = "/capabilities/structured_output"
    if config.schema is None:
        if config.name is not None:
            emission.lose(f"{at}/name", "a format has a name with a schema only")
        if config.strict:
            emission.lose(f"{at}/strict", "a format is strict with a schema only")
        return emission.lay({"type": "json_object"}, config.vendor_extensions, at)
    note = spelled(config.vendor_extensions)
    out: Item = {"type": "json_schema"}
    if config.name is not None or "name" not in note:
        out["name"] = config.name or "response"  # the API demands one
    out["schema"] = config.schema
    if config.strict or "strict" in note:
        out["strict"] = config.strict
    return emission.lay(out, config.vendor_extensions, at)


def _write_reasoning(reasoning: ReasoningCapability, emission: Emission) -> Item:
    at = "/capabilities/reasoning"
    out: Item = {}
    if reasoning.effort is not None:
        out["effort"] = reasoning.effort
    if reasoning.summary is not None:
        out["summary"] = reasoning.summary
    budget = reasoning.budget_tokens
    if budget is not None:
        out.setdefault("effort", next((effort for bound, effort in _EFFORTS if budget <= bound), "xhigh"))
        emission.lose(f"{at}/budget_tokens", "Responses takes an effort, not a number of tokens, for reasoning")
    return emission.lay(out, reasoning.vendor_extensions, at)


def _write_modalities(modalities: tuple[OutputModality, ...], out: Payload, emission: Emission) -> None:
    if OutputModality.JSON in modalities:
        text: Any = out.setdefault("text", {})
        text.setdefault("format", {"type": "json_object"})
    for modality in modalities:
        if modality in (OutputModality.AUDIO, OutputModality.IMAGE):
            emission.lose("/capabilities/modalities", f"Responses gives no {modality.value} by itself")
