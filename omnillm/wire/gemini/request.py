"""generateContent requests read into canonical ones, and written.

Purpose: the bodies of the Gemini API and of Vertex AI, in camelCase or snake_case.
Contract: what has a canonical place is there; every other field rides in the extensions of the value that it belongs to, of the
request where it belongs to none. The model is in the URL: a body may name it, and is sent without it.
Rules: an array of which the API takes one item alone as well (``contents``, ``tools``) is written as it came.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ...errors import InvalidShapeError, MissingFieldError
from ...types.capabilities import CapabilitySet, ReasoningCapability, SafetySettings, StructuredOutputConfig
from ...types.enums import OutputModality
from ...types.message import RequestItem
from ...types.request import GenerationConfig, LlmRequest
from .._codec import Payload
from .._fields import Emission, Fields, escape, kept
from .._prompt_cache import refuse, wanted_policy
from ._conversation import write_conversation
from ._own import WIRE, as_spelled, opened, spelling
from ._read import PartReader, read_content, read_system
from ._schema import read_schema, write_schema
from ._tools import read_tool_choice, read_tools, write_tool_choice, write_tools

_JSON = "application/json"
_MODALITIES = {"TEXT": OutputModality.TEXT, "IMAGE": OutputModality.IMAGE, "AUDIO": OutputModality.AUDIO}
_LEVELS = frozenset({"minimal", "low", "medium", "high", "xhigh"})
_SAMPLING = {
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
}
_COLLECTIONS = ("models/", "tunedModels/", "publishers/", "endpoints/", "projects/")


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> LlmRequest:
    """Read a request."""
    fields = opened(payload)
    model = fields.text("model") or ""
    items, instructions = _read_items(fields)
    metadata = _read_labels(fields)
    config = _read_config(fields)
    reasoning, structured, modalities = _read_reasoning(config), _read_format(config), _read_modalities(config)
    generation = _read_generation(config)
    capabilities = _read_capabilities(fields, reasoning, structured, modalities)
    return LlmRequest(
        model,
        items,
        instructions=instructions,
        capabilities=capabilities,
        generation=generation,
        metadata=metadata,
        vendor_extensions=fields.extensions(WIRE),
    )


def _listed(fields: Fields, name: str) -> list[tuple[Any, str]]:
    """Take an array, or one object alone, each item with its pointer; an empty array stays."""
    given = fields.peek(name)
    if isinstance(given, dict):
        fields.spell(name, "object")
        return [(fields.take(name), fields.at(name))]
    found = fields.array(name)
    if found == []:
        fields.keep(name, found)
    at = fields.at(name)
    return [(item, f"{at}/{i}") for i, item in enumerate(found or ())]


def _read_items(fields: Fields) -> tuple[tuple[RequestItem, ...], str | None]:
    items: list[RequestItem] = []
    instructions = None
    given = fields.peek("systemInstruction")
    if isinstance(given, str):
        instructions = fields.text("systemInstruction")
        fields.spell("systemInstruction", "text")
    elif given is not None:
        items.append(read_system(fields.take("systemInstruction"), fields.at("systemInstruction")))
    if fields.peek("contents") is None:
        raise MissingFieldError("contents: required, and not there", pointer="/contents")
    contents = _listed(fields, "contents")
    if not contents:
        fields.spell("contents", "empty")
    reader = PartReader()
    items.extend([read_content(content, at, reader) for content, at in contents])
    return tuple(items), instructions


def _read_labels(fields: Fields) -> dict[str, Any]:
    labels = fields.peek("labels")
    if not labels or not isinstance(labels, dict):
        return {}
    fields.spell("metadata", "labels")
    return dict(fields.take("labels"))


def _read_config(fields: Fields) -> Fields:
    """Take the generation config; an empty one stays."""
    given = fields.take("generationConfig") if fields.peek("generationConfig") else {}
    return opened(given, fields.at("generationConfig"))


def _read_generation(config: Fields) -> GenerationConfig:
    stops = config.array("stopSequences") if config.peek("stopSequences") else None
    for i, stop in enumerate(stops or ()):
        if not isinstance(stop, str):
            raise InvalidShapeError("stopSequences: expected strings", pointer=f"{config.at('stopSequences')}/{i}")
    return GenerationConfig(
        config.integer("maxOutputTokens"),
        config.number("temperature"),
        config.number("topP"),
        config.number("topK"),
        tuple(stops or ()),
        config.number("presencePenalty"),
        config.number("frequencyPenalty"),
        config.integer("seed"),
        vendor_extensions=config.extensions(WIRE),
    )


def _read_reasoning(config: Fields) -> ReasoningCapability | None:
    given = config.peek("thinkingConfig")
    if not isinstance(given, dict) or not given:
        return None
    thinking = opened(config.take("thinkingConfig"), config.at("thinkingConfig"))
    level, effort, budget, summary = thinking.peek("thinkingLevel"), None, None, None
    if isinstance(level, str) and level.lower() in _LEVELS:
        effort = thinking.take("thinkingLevel").lower()
        if level != level.upper():
            thinking.spell("effort", level)
    if thinking.peek("thinkingBudget") == 0 and level is None:
        if thinking.maybe_count("thinkingBudget") is not None:
            effort = "none"
    else:
        budget = thinking.maybe_count("thinkingBudget")
    if thinking.peek("includeThoughts") is True:
        summary = "auto" if thinking.take("includeThoughts") else None
    return ReasoningCapability(effort, summary, budget, vendor_extensions=thinking.extensions(WIRE))


def _read_format(config: Fields) -> StructuredOutputConfig | None:
    media_type = config.peek("responseMimeType")
    own = Fields({})
    if media_type is None:
        own.spell("responseMimeType", None)
    elif media_type != _JSON:
        return None
    schema = None
    if _is_schema(config.peek("responseJsonSchema")):
        schema = config.take("responseJsonSchema")
    elif _is_schema(config.peek("responseSchema")):
        schema, dialect = read_schema(config.take("responseSchema"))
        own.spell("schema", dialect)
    elif media_type is None:
        return None
    config.take("responseMimeType")
    return StructuredOutputConfig(schema, vendor_extensions=own.extensions(WIRE))


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _read_modalities(config: Fields) -> tuple[OutputModality, ...]:
    given = config.peek("responseModalities")
    if not given or not isinstance(given, list) or not all(isinstance(name, str) and name in _MODALITIES for name in given):
        return ()
    config.take("responseModalities")
    return tuple(_MODALITIES[name] for name in given)


def _read_capabilities(
    fields: Fields,
    reasoning: ReasoningCapability | None,
    structured: StructuredOutputConfig | None,
    modalities: tuple[OutputModality, ...],
) -> CapabilitySet:
    tools, builtins = read_tools(_listed(fields, "tools"))
    choice, rest = _read_tool_config(fields)
    policy = fields.take("safetySettings") if fields.peek("safetySettings") else None
    return CapabilitySet(
        tools,
        choice,
        None,
        structured,
        reasoning,
        modalities,
        None if policy is None else SafetySettings(policy),
        builtin_tools=builtins,
        vendor_extensions={WIRE.value: {"toolConfig": rest}} if rest is not None else {},
    )


def _read_tool_config(fields: Fields) -> tuple[Any, Any]:
    """Take the tool config: the choice, and what else it says."""
    given = fields.object("toolConfig")
    if given is None:
        return None, None
    config = opened(given, fields.at("toolConfig"))
    choice = read_tool_choice(config)
    if choice is None:
        return None, given
    rest = {name: value for name, value in config.rest().items() if name[:1] != "@"}
    return choice, rest or None


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_request(request: LlmRequest, emission: Emission) -> Payload:
    """Write a request; whether it streams is in the URL."""
    spelled = spelling(request.vendor_extensions)
    conversation = write_conversation(request, emission)
    out: Payload = {"model": request.model} if request.model else {}
    if conversation.system is not None:
        text = spelled.get("systemInstruction") == "text" and len(conversation.system["parts"]) == 1
        out["systemInstruction"] = request.instructions if text else conversation.system
    if conversation.contents or "contents" not in kept(request.vendor_extensions, WIRE):
        out["contents"] = conversation.contents
    _write_capabilities(request.capabilities, out, emission)
    config: Payload = {}
    _write_generation(request.generation, config)
    _write_output(request.capabilities, config, emission)
    emission.lay(config, request.generation.vendor_extensions, "/generation")
    if config:
        out["generationConfig"] = as_spelled(config, request.generation.vendor_extensions)
    _write_metadata(request, out, emission)
    _write_cache(request.capabilities, emission)
    emission.lay(out, request.capabilities.vendor_extensions, "/capabilities")
    for name in ("contents", "tools"):
        if spelled.get(name) == "object" and len(out.get(name, ())) == 1:
            out[name] = out[name][0]
    return as_spelled(emission.lay(out, request.vendor_extensions, ""), request.vendor_extensions)


def _write_generation(generation: GenerationConfig, config: Payload) -> None:
    for field, name in _SAMPLING.items():
        value = getattr(generation, field)
        if value is not None:
            config[name] = value
    if generation.stop_sequences:
        config["stopSequences"] = list(generation.stop_sequences)


def _write_capabilities(capabilities: CapabilitySet, out: Payload, emission: Emission) -> None:
    tools = write_tools(capabilities, emission)
    if tools:
        out["tools"] = tools
    choice = write_tool_choice(capabilities, emission)
    if choice is not None:
        out["toolConfig"] = choice
    if capabilities.safety is not None and capabilities.safety.policy is not None:
        out["safetySettings"] = capabilities.safety.policy


def _write_output(capabilities: CapabilitySet, config: Payload, emission: Emission) -> None:
    modalities = capabilities.modalities
    names = [modality.value.upper() for modality in modalities if modality is not OutputModality.JSON]
    if names:
        config["responseModalities"] = names
    if OutputModality.JSON in modalities:
        config["responseMimeType"] = _JSON
    if capabilities.structured_output is not None:
        _write_format(capabilities.structured_output, config, emission)
    if capabilities.reasoning is not None:
        thinking = _write_reasoning(capabilities.reasoning, emission)
        if thinking:
            config["thinkingConfig"] = thinking


def _write_format(structured: StructuredOutputConfig, config: Payload, emission: Emission) -> None:
    pointer = "/capabilities/structured_output"
    spelled = spelling(structured.vendor_extensions)
    if "responseMimeType" not in spelled:
        config["responseMimeType"] = _JSON
    if structured.schema is not None and "schema" in spelled:
        config["responseSchema"] = write_schema(structured.schema, spelled["schema"])
    elif structured.schema is not None:
        config["responseJsonSchema"] = structured.schema
    if structured.name is not None:
        emission.lose(f"{pointer}/name", "a schema has no name here")
    if structured.strict:
        emission.lose(f"{pointer}/strict", "every schema is strict here, without being asked for")
    emission.lay(config, structured.vendor_extensions, pointer)


def _write_reasoning(reasoning: ReasoningCapability, emission: Emission) -> Payload:
    pointer = "/capabilities/reasoning"
    thinking: Payload = {}
    effort = reasoning.effort
    if effort == "none" and reasoning.budget_tokens is None:
        thinking["thinkingBudget"] = 0
    elif effort is not None:
        if effort not in _LEVELS:
            emission.lose(f"{pointer}/effort", f"there is no level {effort} here: the nearest one is asked for")
            effort = "minimal" if effort == "none" else "high"
        said = spelling(reasoning.vendor_extensions).get("effort")
        thinking["thinkingLevel"] = said if said is not None and said.lower() == effort else effort.upper()
    if reasoning.budget_tokens is not None:
        thinking["thinkingBudget"] = reasoning.budget_tokens
    if reasoning.summary is not None:
        thinking["includeThoughts"] = True
        if reasoning.summary != "auto":
            emission.lose(f"{pointer}/summary", "thoughts are included or not here; how they are summarised cannot be said")
    return as_spelled(emission.lay(thinking, reasoning.vendor_extensions, pointer), reasoning.vendor_extensions)


def _write_metadata(request: LlmRequest, out: Payload, emission: Emission) -> None:
    if spelling(request.vendor_extensions).get("metadata") == "labels":
        if request.metadata:
            out["labels"] = dict(request.metadata)
        return
    for name in request.metadata:
        emission.lose(f"/metadata/{escape(name)}", "only Vertex AI takes metadata, as labels; the Gemini API refuses them")


def _write_cache(capabilities: CapabilitySet, emission: Emission) -> None:
    """Account for the prompt cache: the API caches prefixes by itself, and explicitly what was uploaded before."""
    policy = wanted_policy(capabilities)
    if policy is None:
        return
    if policy.mode == "required":
        refuse(capabilities, "mode", "a request cannot insist on the prompt cache here", emission)
    if policy.key is not None:
        refuse(capabilities, "key", "a cached prefix is found by its content here, not by a key", emission)
    if policy.retention != "provider_default":
        refuse(capabilities, "retention", "how long a prefix stays cached cannot be said here", emission)
    if policy.breakpoint.kind != "auto":
        refuse(capabilities, "breakpoint", "the API finds the end of a cached prefix itself", emission)


# --- sending ------------------------------------------------------------------------------------------------------------------


def prepare_body(body: Payload) -> Payload:
    """Give the body as it is sent: the model is in the URL."""
    return {name: value for name, value in body.items() if name != "model"}


def path(request: LlmRequest, streamed: bool) -> str:
    """Give the path below the provider's base."""
    model = request.model
    is_named = model.startswith(_COLLECTIONS) and ".." not in model.split("/")  # which would lead out of the collection
    named = quote(model, safe="/") if is_named else f"models/{quote(model, safe='')}"
    return f"/{named}:streamGenerateContent?alt=sse" if streamed else f"/{named}:generateContent"
