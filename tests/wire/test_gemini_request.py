"""The fields of generateContent requests: what each is read into, and that it is written back as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gemini_content import CHAT, HELLO, WIRE, P, again, body, kept, own, user, write

import omnillm as o
from omnillm.wire import codec

GENERATION: list[tuple[dict[str, Any], o.GenerationConfig]] = [
    ({}, o.GenerationConfig()),
    ({"maxOutputTokens": 9, "temperature": 0, "topP": 0.5, "topK": 3}, o.GenerationConfig(9, 0, 0.5, 3)),
    ({"stopSequences": ["END"], "seed": 7}, o.GenerationConfig(stop_sequences=("END",), seed=7)),
    ({"presencePenalty": 0.5, "frequencyPenalty": 1}, o.GenerationConfig(presence_penalty=0.5, frequency_penalty=1)),
    ({"max_output_tokens": 9, "top_k": 2.0, "stop_sequences": ["x"]}, o.GenerationConfig(9, top_k=2, stop_sequences=("x",))),
]


@pytest.mark.parametrize(("config", "generation"), GENERATION)
def test_generation_settings(config: dict[str, Any], generation: o.GenerationConfig) -> None:
    """Sampling settings are those of the generation config, in either spelling."""
    found = o.parse_request(P, body(generationConfig=config)).generation
    assert replace(found, vendor_extensions={}) == generation
    assert again(body(generationConfig=config)) == body(generationConfig=config)


CONFIGS: list[dict[str, Any]] = [
    {"candidateCount": 2, "responseLogprobs": True, "logprobs": 5, "mediaResolution": "MEDIA_RESOLUTION_LOW"},
    {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}, "audioTimestamp": True},
    {"imageConfig": {"aspectRatio": "1:1"}, "enableEnhancedCivicAnswers": False, "routingConfig": {}},
    {"responseModalities": ["TEXT", "IMAGE"]},
    {"responseModalities": ["VIDEO"]},
    {"response_modalities": ["AUDIO"]},
    {"stopSequences": [], "temperature": None},
    {"responseMimeType": "application/json"},
    {"responseMimeType": "text/plain"},
    {"responseMimeType": "text/x.enum", "response_schema": {"type": "STRING", "enum": ["a"]}},
    {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
    {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "propertyOrdering": ["a"]}},
    {"response_mime_type": "application/json", "response_schema": {"type": "OBJECT"}},
    {"responseSchema": {"type": "object"}},
    {"responseMimeType": "application/json", "responseSchema": {}, "responseJsonSchema": {}},
    {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}, "responseJsonSchema": {"type": "object"}},
    {"thinkingConfig": {}},
    {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 128}},
    {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}},
    {"thinkingConfig": {"thinkingBudget": -1}},
    {"thinkingConfig": {"thinkingBudget": 0, "thinkingLevel": "LOW"}},
    {"thinkingConfig": {"thinkingLevel": "low"}},
    {"thinkingConfig": {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}},
    {"thinking_config": {"include_thoughts": True, "thinking_budget": 9, "a_new_one": 1}},
    {"aFieldOfTomorrow": {"x": None}},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_generation_config_is_written_back(config: dict[str, Any]) -> None:
    """Whatever of it has a canonical place, and in either spelling."""
    payload = body(generationConfig=config)
    assert again(payload) == payload


OWN_FIELDS: dict[str, Any] = {
    "cachedContent": "cachedContents/1",
    "labels": {"team": "a"},
    "serviceTier": "flex",
    "continuationToken": "t",
    "store": False,
    "modelArmorConfig": {"prompt_template_name": "p"},
    "outputConfig": {"outputUriPrefix": "gs://x"},
    "safetySettings": [{"category": 7, "threshold": 3}],
    "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "tools": [],
    "toolConfig": {"retrievalConfig": {"languageCode": "de"}},
    "generationConfig": {},
    "model": "models/gemini-2.5-flash",
    "systemInstruction": "Be kind.",
    "system_instruction": {"parts": {"text": "Be kind."}, "role": "system"},
    "a_null": None,
}


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_a_field_is_written_back(name: str) -> None:
    """A field has a place of its own, or rides along under the wire's name."""
    payload = body(**{name: OWN_FIELDS[name]})
    assert again(payload) == payload


@pytest.mark.parametrize(
    "payload",
    [
        {"contents": HELLO},
        {"contents": []},
        {"contents": [{"parts": {"text": "Hi"}}]},
        {"contents": [{"parts": [{"text": "Hi"}]}, {"role": "model"}, {"role": "model", "parts": None}, user()]},
        {"contents": [{"role": "function", "parts": [{"text": "Hi"}]}, {"role": "function", "parts": [{"text": "Hi"}]}]},
        {"contents": [{"role": "tomorrow", "parts": [{"text": "Hi"}]}]},
        {"contents": [HELLO, HELLO], "systemInstruction": {"parts": []}},
        {"contents": [HELLO], "systemInstruction": {"role": "tomorrow", "parts": [{"text": "Hi"}]}},
        {"contents": [HELLO], "tools": {"googleSearch": {}}},
    ],
)
def test_the_shape_of_a_conversation_is_written_back(payload: dict[str, Any]) -> None:
    """One item alone, a role or parts left out, and turns of the same role are as they were."""
    assert again(payload) == payload


def test_roles_and_the_system() -> None:
    """A content without a role is the user's; the system comes first, a string as the instructions."""
    request = o.parse_request(P, body({"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}))
    assert [(item.role, item.plain_text()) for item in request.normalized_messages()] == [("user", "a"), ("assistant", "b")]
    assert o.parse_request(P, body(systemInstruction="Be kind.")).instructions == "Be kind."
    request = o.parse_request(P, body(systemInstruction={"parts": [{"text": "Be kind."}]}))
    assert request.normalized_instructions() == "Be kind."
    assert request.instructions is None


def test_what_is_asked_for_has_its_canonical_place() -> None:
    """Reasoning, structured output, modalities, safety and labels."""
    config = {
        "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
        "responseModalities": ["TEXT", "AUDIO"],
    }
    request = o.parse_request(P, body(generationConfig=config, safetySettings=[{"category": "x"}], labels={"a": "b"}))
    found = request.capabilities
    assert found.reasoning == o.ReasoningCapability("high", "auto")
    assert found.structured_output is not None
    assert found.structured_output.schema == {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    assert found.modalities == (o.OutputModality.TEXT, o.OutputModality.AUDIO)
    assert found.safety == o.SafetySettings([{"category": "x"}])
    assert request.metadata == {"a": "b"}


SCHEMAS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "object"}, {"type": "object"}),
    ({"type": "ARRAY", "items": {"type": "INTEGER"}}, {"type": "array", "items": {"type": "integer"}}),
    ({"type": 6, "properties": {"a": {"type": 1}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
    ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    ({"anyOf": [{"type": "STRING"}, {"type": "NULL"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ({"type": "OBJECT", "default": {"type": "STRING"}}, {"type": "object", "default": {"type": "STRING"}}),
    ({"type": "OBJECT", "properties": {"a": {"type": "string"}}}, {"type": "OBJECT", "properties": {"a": {"type": "string"}}}),
    ({"type": True}, {"type": True}),
]


@pytest.mark.parametrize(("given", "schema"), SCHEMAS)
def test_a_schema_of_the_apis_own_dialect(given: dict[str, Any], schema: dict[str, Any]) -> None:
    """It is read as JSON Schema and written back as it was; one that mixes dialects is left alone."""
    payload = body(generationConfig={"responseMimeType": "application/json", "responseSchema": given})
    found = o.parse_request(P, payload).capabilities.structured_output
    assert found is not None
    assert found.schema == schema
    assert again(payload) == payload


WRITTEN: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"instructions": "Obey."}, {"systemInstruction": {"parts": [{"text": "Obey."}]}}, []),
    ({"generation": o.GenerationConfig(9, 0.5)}, {"generationConfig": {"maxOutputTokens": 9, "temperature": 0.5}}, []),
    ({"metadata": {"a": "b"}}, {}, ["/metadata/a"]),
    ({"stream": True}, {}, []),
]
CAPABILITIES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"reasoning": o.ReasoningCapability("low")}, {"thinkingConfig": {"thinkingLevel": "LOW"}}, []),
    ({"reasoning": o.ReasoningCapability("none")}, {"thinkingConfig": {"thinkingBudget": 0}}, []),
    ({"reasoning": o.ReasoningCapability("max")}, {"thinkingConfig": {"thinkingLevel": "HIGH"}}, ["reasoning/effort"]),
    (
        {"reasoning": o.ReasoningCapability("none", None, 5)},
        {"thinkingConfig": {"thinkingLevel": "MINIMAL", "thinkingBudget": 5}},
        ["reasoning/effort"],
    ),
    (
        {"reasoning": o.ReasoningCapability(None, "detailed")},
        {"thinkingConfig": {"includeThoughts": True}},
        ["reasoning/summary"],
    ),
    ({"modalities": ["text", "json"]}, {"responseModalities": ["TEXT"], "responseMimeType": "application/json"}, []),
    ({"structured_output": o.StructuredOutputConfig(None)}, {"responseMimeType": "application/json"}, []),
    (
        {"structured_output": o.StructuredOutputConfig({"type": "object"}, "n", True)},
        {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ["structured_output/name", "structured_output/strict"],
    ),
    ({"prompt_cache": o.PromptCachePolicy.disabled()}, {}, []),
    ({"prompt_cache": o.PromptCachePolicy.best_effort()}, {}, []),
    ({"cache": o.CacheSettings()}, {}, []),
    (
        {
            "prompt_cache": o.PromptCachePolicy.best_effort(
                key=o.PromptCacheKey.explicit("k"),
                retention=o.PromptCacheRetention.LONG,
                breakpoint=o.CacheBreakpoint.end_of_tools(),
            )
        },
        {},
        ["prompt_cache/key", "prompt_cache/retention", "prompt_cache/breakpoint"],
    ),
]


@pytest.mark.parametrize(("fields", "written", "pointers"), WRITTEN)
def test_a_request_of_the_caller(fields: dict[str, Any], written: dict[str, Any], pointers: list[str]) -> None:
    """Every field is written, or named as lost."""
    payload, losses = write(o.Message.user("Hello"), **fields)
    assert payload == {"model": "m", "contents": [HELLO], **written}
    assert losses == pointers


@pytest.mark.parametrize(("fields", "config", "pointers"), CAPABILITIES)
def test_a_capability_of_the_caller(fields: dict[str, Any], config: dict[str, Any], pointers: list[str]) -> None:
    """Every capability is written, or named as lost."""
    payload, losses = write(o.Message.user("Hello"), capabilities=o.CapabilitySet(**fields))
    assert payload.get("generationConfig", {}) == config
    assert losses == [f"/capabilities/{pointer}" for pointer in pointers]


def test_a_prompt_cache_cannot_be_insisted_on() -> None:
    """What is required and cannot be said is an error."""
    with pytest.raises(o.UnsupportedFeatureError) as caught:
        write(o.Message.user("Hello"), capabilities=o.CapabilitySet(prompt_cache=o.PromptCachePolicy.required()))
    assert caught.value.pointer == "/capabilities/prompt_cache/mode"


def test_an_edit_changes_nothing_else() -> None:
    """A setting that is changed, taken away or added; how the rest was spelled stays."""
    payload = body(generation_config={"max_output_tokens": 1, "top_k": 2}, system_instruction="Be kind.")
    request = o.parse_request(P, payload)
    edited = replace(request, generation=replace(request.generation, max_output_tokens=None, temperature=1), instructions=None)
    assert o.emit_request(P, edited) == body(generation_config={"top_k": 2, "temperature": 1})


def test_the_callers_own_extensions_go_over_everything() -> None:
    """What stands at the top of the extensions is written as it is."""
    payload, losses = write(o.Message.user("Hello"), vendor_extensions={"contents": [], "x": 1})
    assert (payload["contents"], payload["x"], losses) == ([], 1, [])


def test_the_extensions_of_another_wire_are_losses() -> None:
    """Each is named by its pointer."""
    request = o.parse_request(CHAT, {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "logit_bias": {"1": 2}})
    report = o.emit_api_request(WIRE, request)
    assert [loss.pointer for loss in report.losses] == ["/vendor_extensions/open_ai_chat_completions/logit_bias"]


@pytest.mark.parametrize(
    ("model", "streamed", "path"),
    [
        ("gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/x", False, "/tunedModels/x:generateContent"),
        ("publishers/meta/models/llama 4", False, "/publishers/meta/models/llama%204:generateContent"),
        ("a/b?c:d", False, "/models/a%2Fb%3Fc%3Ad:generateContent"),
    ],
)
def test_the_model_is_in_the_path(model: str, streamed: bool, path: str) -> None:
    """The path names the model, percent-encoded; the body that is sent does not."""
    request = o.LlmRequest(model, "Hello", stream=streamed)
    sent = o.emit_transport_request(WIRE, request).value
    assert sent.path == path
    assert isinstance(sent.body, o.JsonBody)
    assert sent.body.value == {"contents": [HELLO]}
    assert codec(WIRE).ask_for_usage({"a": 1}) == {"a": 1}


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "/contents"),
    ({"contents": None}, "/contents"),
    ({"contents": "Hi"}, "/contents"),
    ({"contents": ["Hi"]}, "/contents/0"),
    ({"contents": [{"role": 1}]}, "/contents/0/role"),
    ({"contents": [{"parts": "Hi"}]}, "/contents/0/parts"),
    ({"contents": [{"parts": ["Hi"]}]}, "/contents/0/parts/0"),
    ({"contents": [{"parts": [{"text": 1}]}]}, "/contents/0/parts/0/text"),
    (body(systemInstruction={"role": 1}), "/systemInstruction/role"),
    (body(generationConfig="x"), ""),
    (body(generationConfig={"maxOutputTokens": "9"}), "/generationConfig/maxOutputTokens"),
    (body(generationConfig={"stopSequences": [1]}), "/generationConfig/stopSequences/0"),
    (body(tools="x"), "/tools"),
    (body(tools=[{"functionDeclarations": [{}]}]), "/tools/0/functionDeclarations/0/name"),
    (body(toolConfig=[1]), "/toolConfig"),
    (body({"role": "user", "@spelling": {"parts": 1}}), "/contents/0/@spelling"),
]


@pytest.mark.parametrize(("payload", "pointer"), BAD)
def test_a_wrong_shape_is_named_by_its_place(payload: dict[str, Any], pointer: str) -> None:
    """A field of another type, or one that is missing, is a protocol error with a pointer."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_request(P, payload)
    assert caught.value.pointer.startswith(pointer)


def test_what_is_kept_is_as_little_as_possible() -> None:
    """Only what has no canonical place rides along, under the name that it came with."""
    request = o.parse_request(P, body(cached_content="c", generationConfig={"candidate_count": 2, "seed": 1}))
    assert kept(request) == {"cached_content": "c"}
    assert request.generation.vendor_extensions == own(candidate_count=2)
    assert o.parse_request(P, body()).vendor_extensions == {}
