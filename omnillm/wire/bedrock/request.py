"""Converse requests read into canonical ones, and written.

Purpose: bodies of ``/converse`` and ``/converse-stream``; whether an answer streams is said by the path alone.
Contract: what has a canonical place is there; every other field rides in the extensions of the value that it belongs to, of the
request where it belongs to none. The model is in the URL: a body has it, as ``model`` or ``modelId``, on its way there only.
Rules: what the API does not know itself goes to the model as ``additionalModelRequestFields``, spelled as Anthropic's models take
it: ``top_k``, ``thinking``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ... import _json
from ...errors import InvalidJsonError
from ...types.capabilities import CapabilitySet, ReasoningCapability, StructuredOutputConfig
from ...types.enums import MessageRole, OutputModality, PromptCacheRetention
from ...types.message import Message
from ...types.prompt_cache import PromptCachePolicy
from ...types.request import GenerationConfig, LlmRequest
from .._codec import Payload
from .._fields import Emission, Fields, escape, fill
from .._plain import read_plain_block
from .._prompt_cache import refuse, wanted_policy
from ._conversation import CacheMark, write_conversation
from ._own import WIRE, Block, kept, spelled
from ._read import PLAIN_ROLES, read_blocks, read_message
from ._tools import read_tool_choice, read_tools, write_tool_choice, write_tools

_TTL = {PromptCacheRetention.SHORT: "5m", PromptCacheRetention.LONG: "1h"}
_EXTRA = "additionalModelRequestFields"


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> LlmRequest:
    """Read a request."""
    fields = Fields(payload)
    model = fields.text("model")
    if model is None:
        model = fields.text("modelId")
        if model is not None:
            fields.spell("model", "modelId")
    items = []
    if fields.peek("system"):
        items.append(Message(MessageRole.SYSTEM, read_blocks(fields.required_array("system"), "/system")))
    given = [] if fields.peek("messages") == [] else fields.array("messages")
    messages = [
        read_plain_block(message, "content", PLAIN_ROLES) or read_message(message, f"/messages/{i}")
        for i, message in enumerate(given or ())
    ]
    _spell_order(messages, fields)
    extra = fields.object(_EXTRA)
    more = Fields({} if extra is None else extra, f"/{_EXTRA}")
    capabilities = _read_capabilities(fields, more)
    generation = _read_generation(fields, more, keeps_empty=extra == {})
    metadata = _read_metadata(fields)
    return LlmRequest(
        model or "",
        (*items, *messages),
        capabilities=capabilities,
        generation=generation,
        metadata=metadata,
        vendor_extensions=fields.extensions(WIRE),
    )


def _spell_order(messages: list[Message], fields: Fields) -> None:
    """Note an order of turns that emission would not write."""
    in_a_row = any(one.role is other.role for one, other in pairwise(messages))
    if not messages or messages[0].role is MessageRole.ASSISTANT:
        fields.spell("messages", "no user first, in a row" if in_a_row else "no user first")
    elif in_a_row:
        fields.spell("messages", "in a row")


def _read_generation(fields: Fields, more: Fields, *, keeps_empty: bool) -> GenerationConfig:
    given = fields.object("inferenceConfig")
    config = Fields({} if given is None else given, "/inferenceConfig")
    stops = config.array("stopSequences") if config.peek("stopSequences") else None
    for i, stop in enumerate(stops or ()):
        if not isinstance(stop, str):
            Fields({str(i): stop}, "/inferenceConfig/stopSequences").refuse(str(i), "a string")
    limit, temperature, top_p = config.integer("maxTokens"), config.number("temperature"), config.number("topP")
    top_k: Any = None  # a number of any kind
    if isinstance(more.peek("top_k"), int | float) and not isinstance(more.peek("top_k"), bool):
        top_k = more.number("top_k")
    rests = {}
    if config.rest() or given == {}:
        rests["inferenceConfig"] = config.rest()
    if more.rest() or keeps_empty:
        rests[_EXTRA] = more.rest()
    extensions = {WIRE.value: rests} if rests else {}
    return GenerationConfig(limit, temperature, top_p, top_k, tuple(stops or ()), vendor_extensions=extensions)


def _read_capabilities(fields: Fields, more: Fields) -> CapabilitySet:
    given, output = fields.object("toolConfig"), fields.object("outputConfig")
    config = Fields({} if given is None else given, "/toolConfig")
    tools = config.array("tools") if config.peek("tools") else None
    definitions, builtins = read_tools(tools, "/toolConfig/tools") if tools else ((), ())
    choice = read_tool_choice(config)
    answer = Fields({} if output is None else output, "/outputConfig")
    reasoning, structured = _read_reasoning(answer, more), _read_format(answer)
    rests = {}
    if config.rest() or given == {}:
        rests["toolConfig"] = config.rest()
    if answer.rest() or output == {}:
        rests["outputConfig"] = answer.rest()
    return CapabilitySet(
        definitions,
        choice,
        structured_output=structured,
        reasoning=reasoning,
        builtin_tools=builtins,
        vendor_extensions={WIRE.value: rests} if rests else {},
    )


def _read_reasoning(answer: Fields, more: Fields) -> ReasoningCapability | None:
    noted, effort = Fields({}), answer.maybe_text("effort")
    if effort is None:
        nested = more.peek("output_config")
        if isinstance(nested, dict) and isinstance(nested.get("effort"), str):
            effort = nested["effort"]
            noted.spell("effort", "output_config")
            rest = {name: value for name, value in nested.items() if name != "effort"}
            more.take("output_config")
            if rest:
                noted.keep("output_config", rest)
        else:
            effort = more.maybe_text("reasoning_effort")
            if effort is not None:
                noted.spell("effort", "reasoning_effort")
    budget, given = None, more.peek("thinking")
    if isinstance(given, dict):
        thinking = Fields(given, more.at("thinking"))
        if thinking.peek("type") == "enabled":
            budget = thinking.maybe_count("budget_tokens")
        if budget is not None:
            thinking.take("type")
        more.take("thinking")
        if thinking.rest() or budget is None:
            noted.keep("thinking", thinking.rest())
    elif effort is None:
        return None
    return ReasoningCapability(effort, None, budget, vendor_extensions=noted.extensions(WIRE))


def _read_format(answer: Fields) -> StructuredOutputConfig | None:
    match answer.peek("textFormat"):
        case {"type": "json_schema", "structure": {"jsonSchema": {"schema": str(text)} as given} as structure} as form:
            if len(form) != 2 or len(structure) != 1:
                return None
            try:
                schema = _json.loads(text)
            except InvalidJsonError:
                return None
        case _:
            return None
    if not isinstance(schema, dict):
        return None
    answer.take("textFormat")
    inner = Fields(given, "/outputConfig/textFormat/structure/jsonSchema")
    inner.take("schema")
    if _json.dumps(schema) != text:
        inner.spell("schema", text)
    return StructuredOutputConfig(schema, inner.maybe_text("name"), vendor_extensions=inner.extensions(WIRE))


def _read_metadata(fields: Fields) -> dict[str, Any]:
    given = fields.peek("requestMetadata")
    if not isinstance(given, dict) or not given or not all(isinstance(value, str) for value in given.values()):
        return {}
    fields.take("requestMetadata")
    return given


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_request(request: LlmRequest, emission: Emission) -> Payload:
    """Write a request."""
    capabilities, generation = request.capabilities, request.generation
    policy = wanted_policy(capabilities)
    mark = None if policy is None else _item_mark(policy, request)
    conversation = write_conversation(request, emission, mark)
    out: Payload = {}
    if request.model:
        out[spelled(request.vendor_extensions, "model") or "model"] = request.model
    system = [{"text": request.instructions}, *conversation.system] if request.instructions else conversation.system
    out.update((name, value) for name, value in (("messages", conversation.messages), ("system", system)) if value)
    extra: Payload = {}
    _write_generation(generation, out, extra, emission)
    _write_capabilities(capabilities, out, extra, emission, request.model)
    for extensions in (generation.vendor_extensions, capabilities.vendor_extensions, request.vendor_extensions):
        fill(extra, kept(extensions, _EXTRA))
    if extra or kept(generation.vendor_extensions, _EXTRA) is not None:
        out[_EXTRA] = extra
    if policy is not None:
        _write_cache(capabilities, policy, mark, out, emission)
    _write_metadata(request, out, emission)
    emission.lay(out, generation.vendor_extensions, "/generation")
    emission.lay(out, capabilities.vendor_extensions, "/capabilities")
    return emission.lay(out, request.vendor_extensions, "")


def _write_generation(generation: GenerationConfig, out: Payload, extra: Payload, emission: Emission) -> None:
    settings = {
        "maxTokens": generation.max_output_tokens,
        "temperature": generation.temperature,
        "topP": generation.top_p,
        "stopSequences": list(generation.stop_sequences) or None,
    }
    config: Payload = {name: value for name, value in settings.items() if value is not None}
    temperature = generation.temperature
    if temperature is not None and temperature > 1:  # API reference, InferenceConfiguration: from 0 to 1
        emission.lose("/generation/temperature", "the temperature goes up to 1 here, and was cut to that")
        config["temperature"] = 1
    known = kept(generation.vendor_extensions, "inferenceConfig")
    if config or known is not None:
        out["inferenceConfig"] = fill(config, known)
    if generation.top_k is not None:
        extra["top_k"] = generation.top_k
    for name in ("presence_penalty", "frequency_penalty", "seed"):
        if getattr(generation, name) is not None:
            emission.lose(f"/generation/{name}", f"the format has no {name}")


def _write_capabilities(capabilities: CapabilitySet, out: Payload, extra: Payload, emission: Emission, model: str) -> None:
    config: Payload = {}
    tools = write_tools(capabilities, emission, model)
    if tools:
        config["tools"] = tools
    choice = write_tool_choice(capabilities, emission, tools=bool(tools))
    if choice is not None:
        config["toolChoice"] = choice
    answer: Payload = {}
    if capabilities.reasoning is not None:
        _write_reasoning(capabilities.reasoning, answer, extra, emission)
    if capabilities.structured_output is not None:
        _write_format(capabilities.structured_output, answer, emission)
    for name, written in (("toolConfig", config), ("outputConfig", answer)):
        known = kept(capabilities.vendor_extensions, name)
        if written or known is not None:
            out[name] = fill(written, known)
    if any(modality is not OutputModality.TEXT for modality in capabilities.modalities):
        emission.lose("/capabilities/modalities", "the answer is text here")
    if capabilities.safety is not None and capabilities.safety.policy is not None:
        _write_safety(capabilities.safety.policy, out, emission)


def _write_safety(policy: Any, out: Payload, emission: Emission) -> None:
    if isinstance(policy, dict) and "guardrailIdentifier" in policy:
        out["guardrailConfig"] = policy
    else:
        emission.lose("/capabilities/safety/policy", "safety is a guardrail here, and this policy is none")


def _write_reasoning(reasoning: ReasoningCapability, answer: Payload, extra: Payload, emission: Emission) -> None:
    extensions, effort = reasoning.vendor_extensions, reasoning.effort
    known = kept(extensions, "thinking")
    thinking: Payload = {}
    if reasoning.budget_tokens is not None:
        thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
    fill(thinking, known)
    form = spelled(extensions, "effort")
    if effort == "none" and not thinking and form is None:
        thinking = {"type": "disabled"}
    elif effort is not None and form == "output_config":
        extra["output_config"] = fill({"effort": effort}, kept(extensions, "output_config"))
    elif effort is not None and form == "reasoning_effort":
        extra["reasoning_effort"] = effort
    elif effort is not None:
        answer["effort"] = effort
    if thinking or known is not None:
        extra["thinking"] = thinking
    if reasoning.summary is not None:
        emission.lose("/capabilities/reasoning/summary", "how reasoning is summarised cannot be asked for")
    emission.lay(extra, extensions, "/capabilities/reasoning")


def _write_format(structured: StructuredOutputConfig, answer: Payload, emission: Emission) -> None:
    pointer = "/capabilities/structured_output"
    if structured.schema is None:
        emission.lose(f"{pointer}/schema", "JSON without a schema (response_format json_object) cannot be asked for")
        emission.forfeit(structured.vendor_extensions, pointer, "JSON without a schema is not asked for")
        return
    if structured.strict:
        emission.lose(f"{pointer}/strict", "every schema is strict here, without being asked for")
    inner: Block = {"schema": _schema_text(structured)}
    if structured.name is not None:
        inner["name"] = structured.name
    emission.lay(inner, structured.vendor_extensions, pointer)
    answer["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": inner}}


def _schema_text(structured: StructuredOutputConfig) -> str:
    """Give the schema as text: the one it was read from, for as long as that says the same."""
    text = spelled(structured.vendor_extensions, "schema")
    if isinstance(text, str):
        try:
            if _json.loads(text) == structured.schema:
                return text
        except InvalidJsonError:
            pass
    return _json.dumps(structured.schema)


def _write_metadata(request: LlmRequest, out: Payload, emission: Emission) -> None:
    written = {name: value for name, value in request.metadata.items() if isinstance(value, str)}
    for name in request.metadata.keys() - written.keys():
        emission.lose(f"/metadata/{escape(name)}", "a value of metadata is a text here")
    if written:
        out["requestMetadata"] = written


# --- the prompt cache ---------------------------------------------------------------------------------------------------------


def _point(policy: PromptCachePolicy) -> Block:
    ttl = _TTL.get(policy.retention)
    return {"cachePoint": {"type": "default"} if ttl is None else {"type": "default", "ttl": ttl}}


def _item_mark(policy: PromptCachePolicy, request: LlmRequest) -> CacheMark | None:
    """Give the mark of a message or block; the provider finds no place itself, so an automatic one is the conversation's end."""
    end = policy.breakpoint
    if end.kind == "auto":
        return CacheMark(_point(policy), len(request.normalized_input()) - 1)
    return None if end.message_index is None else CacheMark(_point(policy), end.message_index, end.part_index)


def _write_cache(
    capabilities: CapabilitySet, policy: PromptCachePolicy, mark: CacheMark | None, out: Payload, emission: Emission
) -> None:
    if policy.key is not None:
        refuse(capabilities, "key", "a cached prefix is found by its content here, not by a key", emission)
    if not (mark.placed if mark is not None else _mark_end(policy, out)):
        reason = f"there is nothing at {policy.breakpoint.kind} that can end a cached prefix"
        refuse(capabilities, "breakpoint", reason, emission)


def _mark_end(policy: PromptCachePolicy, out: Payload) -> bool:
    """Put the point behind the tools or the system; tell whether there are any."""
    if policy.breakpoint.kind == "end_of_tools":
        tools = out.get("toolConfig", {}).get("tools")
        if tools:
            tools.append(_point(policy))
        return bool(tools)
    if policy.breakpoint.kind == "end_of_instructions" and out.get("system"):
        out["system"] = [*out["system"], _point(policy)]
        return True
    return False
