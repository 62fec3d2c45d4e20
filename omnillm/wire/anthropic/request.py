"""Messages requests read into canonical ones, and written.

Purpose: ``POST /v1/messages`` bodies, those of Vertex AI and of compatible servers included.
Contract: what has a canonical place is there; every other field rides in the extensions of the value that it belongs to, of the
request where it belongs to none. ``model`` may be missing: Vertex AI has it in the URL.
Rules: ``max_tokens`` is required there; where the request has none, 1024 beyond the thinking budget is written.
"""

from __future__ import annotations

from ...types.capabilities import CapabilitySet, ReasoningCapability, StructuredOutputConfig
from ...types.enums import MessageRole, OutputModality, PromptCacheRetention
from ...types.message import Message
from ...types.prompt_cache import CacheBreakpoint, PromptCachePolicy
from ...types.request import DEFAULT_OUTPUT_TOKENS, GenerationConfig, LlmRequest
from .._codec import Payload
from .._fields import Emission, Fields, escape, fill
from .._plain import read_plain
from .._prompt_cache import refuse, wanted_policy
from ._conversation import CacheMark, Conversation, write_conversation
from ._own import WIRE, kept
from ._read import PLAIN_ROLES, read_blocks, read_message
from ._tools import read_tool_choice, read_tools, write_tool_choice, write_tools

_TTL = {PromptCacheRetention.SHORT: "5m", PromptCacheRetention.LONG: "1h"}


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> LlmRequest:
    """Read a request."""
    fields = Fields(payload)
    model = fields.text("model") or ""
    system = fields.peek("system")
    instructions = fields.text("system") if isinstance(system, str) else None
    items = []
    if system and instructions is None:
        items.append(Message(MessageRole.SYSTEM, read_blocks(fields.required_array("system"), "/system")))
    messages = fields.required_array("messages")
    items += [read_plain(message, PLAIN_ROLES) or read_message(message, f"/messages/{i}") for i, message in enumerate(messages)]
    if not messages or items[-len(messages)].role is MessageRole.ASSISTANT:
        fields.spell("messages", "no user first")
    capabilities, generation, stream = _read_capabilities(fields), _read_generation(fields), fields.boolean("stream")
    return LlmRequest(
        model,
        tuple(items),
        instructions=instructions,
        capabilities=capabilities,
        generation=generation,
        stream=stream,
        vendor_extensions=fields.extensions(WIRE),
    )


def _read_generation(fields: Fields) -> GenerationConfig:
    stops = fields.array("stop_sequences") if fields.peek("stop_sequences") else None
    for i, stop in enumerate(stops or ()):
        if not isinstance(stop, str):
            Fields({str(i): stop}, "/stop_sequences").refuse(str(i), "a string")
    return GenerationConfig(
        fields.integer("max_tokens"),
        fields.number("temperature"),
        fields.number("top_p"),
        fields.integer("top_k"),
        tuple(stops or ()),
    )


def _read_capabilities(fields: Fields) -> CapabilitySet:
    tools = fields.array("tools") if fields.peek("tools") else None
    definitions, builtins = read_tools(tools, "/tools") if tools else ((), ())
    choice, parallel = read_tool_choice(fields)
    given = fields.object("output_config")
    config = Fields({} if given is None else given, "/output_config")
    reasoning, structured = _read_reasoning(fields, config), _read_format(config)
    rest = config.rest()
    return CapabilitySet(
        definitions,
        choice,
        parallel,
        structured,
        reasoning,
        builtin_tools=builtins,
        vendor_extensions={WIRE.value: {"output_config": rest}} if rest or given == {} else {},
    )


def _read_reasoning(fields: Fields, config: Fields) -> ReasoningCapability | None:
    effort = config.maybe_text("effort")
    given = fields.object("thinking")
    if given is None:
        return None if effort is None else ReasoningCapability(effort)
    thinking, budget = Fields(given, "/thinking"), None
    if thinking.peek("type") == "enabled":
        budget = thinking.maybe_count("budget_tokens")
    if budget is not None:
        thinking.take("type")
    rest = thinking.rest()
    keeps = {WIRE.value: {"thinking": rest}} if rest or budget is None else {}
    return ReasoningCapability(effort, None, budget, vendor_extensions=keeps)


def _read_format(config: Fields) -> StructuredOutputConfig | None:
    given = config.peek("format")
    if not isinstance(given, dict) or given.get("type") != "json_schema" or given.get("schema") is None:
        return None
    config.take("format")
    inner = Fields(given, "/output_config/format")
    inner.take("type")
    return StructuredOutputConfig(inner.take("schema"), vendor_extensions=inner.extensions(WIRE))


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_request(request: LlmRequest, emission: Emission) -> Payload:
    """Write a request."""
    capabilities, generation = request.capabilities, request.generation
    policy = wanted_policy(capabilities)
    mark = None if policy is None else _item_mark(policy)
    conversation = write_conversation(request, emission, mark)
    out: Payload = {"model": request.model} if request.model else {}
    out["max_tokens"] = _max_tokens(request)
    _write_system(request, conversation, out)
    out["messages"] = conversation.messages
    _write_generation(generation, out, emission)
    _write_capabilities(capabilities, out, emission)
    stream = request.stream if emission.stream is None else emission.stream
    if stream is not None:
        out["stream"] = stream
    if policy is not None:
        _write_cache(capabilities, policy, mark, out, emission)
    _write_metadata(request, out, emission)
    emission.lay(out, generation.vendor_extensions, "/generation")
    emission.lay(out, capabilities.vendor_extensions, "/capabilities")
    return emission.lay(out, request.vendor_extensions, "")


def _max_tokens(request: LlmRequest) -> int:
    asked = request.generation.max_output_tokens
    if asked is not None:
        return asked
    reasoning = request.capabilities.reasoning
    return DEFAULT_OUTPUT_TOKENS + ((reasoning.budget_tokens or 0) if reasoning is not None else 0)


def _write_system(request: LlmRequest, conversation: Conversation, out: Payload) -> None:
    instructions, blocks = request.instructions, conversation.system
    if blocks:
        out["system"] = [{"type": "text", "text": instructions}, *blocks] if instructions else blocks
    elif instructions is not None:
        out["system"] = instructions


def _write_generation(generation: GenerationConfig, out: Payload, emission: Emission) -> None:
    temperature = generation.temperature
    if temperature is not None and temperature > 1:  # Messages API reference: "Ranges from 0.0 to 1.0"
        emission.lose("/generation/temperature", "the temperature goes up to 1 here, and was cut to that")
        temperature = 1
    settings = {
        "temperature": temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k,
        "stop_sequences": list(generation.stop_sequences) or None,
    }
    out.update((name, value) for name, value in settings.items() if value is not None)
    for name in ("presence_penalty", "frequency_penalty", "seed"):
        if getattr(generation, name) is not None:
            emission.lose(f"/generation/{name}", f"the format has no {name}")


def _write_capabilities(capabilities: CapabilitySet, out: Payload, emission: Emission) -> None:
    tools = write_tools(capabilities, emission)
    if tools:
        out["tools"] = tools
    choice = write_tool_choice(capabilities, emission, tools=bool(tools))
    if choice is not None:
        out["tool_choice"] = choice
    config: Payload = {}
    if capabilities.reasoning is not None:
        _write_reasoning(capabilities.reasoning, config, out, emission)
    if capabilities.structured_output is not None:
        _write_format(capabilities.structured_output, config, emission)
    known = kept(capabilities.vendor_extensions, "output_config")
    if config or known is not None:
        out["output_config"] = fill(config, known)
    if any(modality is not OutputModality.TEXT for modality in capabilities.modalities):
        emission.lose("/capabilities/modalities", "the answer is text here")
    if capabilities.safety is not None and capabilities.safety.policy is not None:
        emission.lose("/capabilities/safety/policy", "the format has no safety settings")


def _write_reasoning(reasoning: ReasoningCapability, config: Payload, out: Payload, emission: Emission) -> None:
    thinking: Payload = {}
    known = kept(reasoning.vendor_extensions, "thinking")
    if reasoning.budget_tokens is not None:
        thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
    fill(thinking, known)
    effort = reasoning.effort
    if effort == "none" and not thinking:
        thinking = {"type": "disabled"}
    elif effort == "minimal":
        emission.lose("/capabilities/reasoning/effort", "the least effort is low here")
        config["effort"] = "low"
    elif effort is not None:
        config["effort"] = effort
    if thinking or known is not None:
        out["thinking"] = thinking
    if reasoning.summary is not None:
        emission.lose("/capabilities/reasoning/summary", "how reasoning is summarised cannot be asked for")
    emission.lay(out, reasoning.vendor_extensions, "/capabilities/reasoning")


def _write_format(structured: StructuredOutputConfig, config: Payload, emission: Emission) -> None:
    pointer = "/capabilities/structured_output"
    if structured.schema is None:
        emission.lose(f"{pointer}/schema", "JSON without a schema (response_format json_object) cannot be asked for")
        emission.forfeit(structured.vendor_extensions, pointer, "JSON without a schema is not asked for")
        return
    if structured.name is not None:
        emission.lose(f"{pointer}/name", "a schema has no name here")
    if structured.strict:
        emission.lose(f"{pointer}/strict", "every schema is strict here, without being asked for")
    config["format"] = emission.lay({"type": "json_schema", "schema": structured.schema}, structured.vendor_extensions, pointer)


def _write_metadata(request: LlmRequest, out: Payload, emission: Emission) -> None:
    for name, value in request.metadata.items():
        if name == "user_id":
            out["metadata"] = fill({"user_id": value}, kept(request.vendor_extensions, "metadata"))
        else:
            emission.lose(f"/metadata/{escape(name)}", "metadata holds a user_id alone here")


# --- the prompt cache ---------------------------------------------------------------------------------------------------------


def _control(policy: PromptCachePolicy) -> Payload:
    ttl = _TTL.get(policy.retention)
    return {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}


def _item_mark(policy: PromptCachePolicy) -> CacheMark | None:
    end = policy.breakpoint
    return None if end.message_index is None else CacheMark(_control(policy), end.message_index, end.part_index)


def _write_cache(
    capabilities: CapabilitySet, policy: PromptCachePolicy, mark: CacheMark | None, out: Payload, emission: Emission
) -> None:
    if policy.key is not None:
        refuse(capabilities, "key", "a cached prefix is found by its content here, not by a key", emission)
    if not (mark.placed if mark is not None else _mark_end(policy.breakpoint, _control(policy), out)):
        reason = f"there is nothing at {policy.breakpoint.kind} that can end a cached prefix"
        refuse(capabilities, "breakpoint", reason, emission)


def _mark_end(end: CacheBreakpoint, control: Payload, out: Payload) -> bool:
    """Mark the end of the tools, of the system or, for any other, of the request; tell whether there is one."""
    if end.kind == "auto":
        out["cache_control"] = control
        return True
    name = {"end_of_tools": "tools", "end_of_instructions": "system"}.get(end.kind, "")
    blocks = out.get(name)
    if not blocks:
        return False
    if isinstance(blocks, str):
        blocks = [{"type": "text", "text": blocks}]
    out[name] = [*blocks[:-1], {**blocks[-1], "cache_control": control}]
    return True
