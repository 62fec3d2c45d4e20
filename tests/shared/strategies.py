"""Hypothesis strategies for every canonical value, for the tests of the types and of the wire."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import omnillm as o
from omnillm.types._model import Model
from omnillm.types.events import LlmStreamEvent
from omnillm.types.message import RequestItem
from omnillm.types.parts import MessagePart

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
counts = st.integers(0, 1 << 40)
numbers = st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=2)
protocols = st.sampled_from(o.ProviderProtocol)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give a value, or none."""
    return st.none() | values


def tuples_of(values: st.SearchStrategy[Any], max_size: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    """Give tuples of such values."""
    return st.lists(values, max_size=max_size).map(tuple)


extensions = st.just({}) | json_objects

annotations = st.builds(
    o.Annotation,
    kind=names,
    url=maybe(texts),
    title=maybe(texts),
    start=maybe(counts),
    end=maybe(counts),
    cited_text=maybe(texts),
    file_id=maybe(texts),
    raw=json_values,
)
text_parts = st.builds(o.TextPart, texts, tuples_of(annotations), vendor_extensions=extensions)
image_url_parts = st.builds(o.ImageUrlPart, texts, maybe(names), vendor_extensions=extensions)
image_base64_parts = st.builds(o.ImageBase64Part, texts, maybe(names), maybe(names), vendor_extensions=extensions)
audio_parts = st.builds(o.AudioPart, texts, maybe(names), maybe(texts), vendor_extensions=extensions)
file_parts = st.builds(
    o.FilePart, maybe(names), maybe(names), maybe(texts), maybe(texts), maybe(texts), vendor_extensions=extensions
)
json_parts = st.builds(o.JsonPart, json_values, vendor_extensions=extensions)
tool_call_parts = st.builds(o.ToolCallPart, names, names, json_values, maybe(texts), vendor_extensions=extensions)
reasoning_parts = st.builds(
    o.ReasoningPart,
    texts,
    tuples_of(texts),
    maybe(texts),
    maybe(texts),
    protocol=maybe(protocols),
    vendor_extensions=extensions,
)
refusal_parts = st.builds(o.RefusalPart, texts, vendor_extensions=extensions)
vendor_parts = st.builds(o.VendorPart, protocols, json_values)
tool_outputs = json_values | tuples_of(text_parts | image_url_parts | json_parts)
tool_result_parts = st.builds(o.ToolResultPart, names, tool_outputs, maybe(names), st.booleans(), vendor_extensions=extensions)
parts: st.SearchStrategy[MessagePart] = st.one_of(
    text_parts,
    image_url_parts,
    image_base64_parts,
    audio_parts,
    file_parts,
    json_parts,
    tool_call_parts,
    tool_result_parts,
    reasoning_parts,
    refusal_parts,
    vendor_parts,
)

raw_messages = st.builds(o.RawMessage, protocols, json_values)
messages = st.builds(
    o.Message, st.sampled_from(o.MessageRole), tuples_of(parts), raw_message=maybe(raw_messages), vendor_extensions=extensions
)
items: st.SearchStrategy[RequestItem] = st.one_of(messages, tool_call_parts, tool_result_parts, reasoning_parts, vendor_parts)

tool_definitions = st.builds(o.ToolDefinition, names, json_values, maybe(texts), st.booleans(), vendor_extensions=extensions)
tool_choices = st.builds(
    o.ToolChoice, st.sampled_from(["auto", "none", "required", "named"]), maybe(names), vendor_extensions=extensions
)
builtin_tools = st.builds(
    o.BuiltinTool, st.sampled_from(o.BuiltinToolKind), json_objects, protocol=maybe(protocols), position=maybe(counts)
)
structured_outputs = st.builds(o.StructuredOutputConfig, json_values, maybe(names), st.booleans(), vendor_extensions=extensions)
reasoning_capabilities = st.builds(o.ReasoningCapability, maybe(names), maybe(names), maybe(counts), vendor_extensions=extensions)
cache_keys = st.builds(o.PromptCacheKey.explicit, texts) | st.builds(o.PromptCacheKey.stable_prefix_hash, texts, maybe(texts))
indices = st.integers(0, 100)
cache_breakpoints = st.one_of(
    st.just(o.CacheBreakpoint.auto()),
    st.just(o.CacheBreakpoint.end_of_tools()),
    st.just(o.CacheBreakpoint.end_of_instructions()),
    st.builds(o.CacheBreakpoint.end_of_message, indices),
    st.builds(o.CacheBreakpoint.end_of_content_block, indices, indices),
)
cache_policies = st.builds(
    o.PromptCachePolicy,
    st.sampled_from(["disabled", "best_effort", "required"]),
    maybe(cache_keys),
    st.sampled_from(o.PromptCacheRetention),
    cache_breakpoints,
)
safety_settings = st.builds(o.SafetySettings, json_values)
cache_settings = st.builds(o.CacheSettings, st.booleans())
capabilities = st.builds(
    o.CapabilitySet,
    tools=tuples_of(tool_definitions),
    tool_choice=maybe(tool_choices),
    parallel_tool_calls=maybe(st.booleans()),
    structured_output=maybe(structured_outputs),
    reasoning=maybe(reasoning_capabilities),
    modalities=tuples_of(st.sampled_from(o.OutputModality)),
    safety=maybe(safety_settings),
    cache=maybe(cache_settings),
    prompt_cache=maybe(cache_policies),
    builtin_tools=tuples_of(builtin_tools),
    vendor_extensions=extensions,
)
generations = st.builds(
    o.GenerationConfig,
    max_output_tokens=maybe(counts),
    temperature=maybe(numbers),
    top_p=maybe(numbers),
    top_k=maybe(counts),
    stop_sequences=tuples_of(texts),
    presence_penalty=maybe(numbers),
    frequency_penalty=maybe(numbers),
    seed=maybe(counts),
    vendor_extensions=extensions,
)
requests = st.builds(
    o.LlmRequest,
    names,
    tuples_of(items, 3),
    instructions=maybe(texts),
    capabilities=capabilities,
    generation=generations,
    stream=maybe(st.booleans()),
    metadata=json_objects,
    vendor_extensions=extensions,
)

cache_usages = st.builds(o.PromptCacheUsage, maybe(counts), maybe(counts), maybe(counts), maybe(counts), maybe(counts))
usages = st.builds(
    o.TokenUsage,
    counts,
    counts,
    maybe(counts),
    maybe(counts),
    maybe(cache_usages),
    st.booleans(),
    vendor_extensions=extensions,
)
responses = st.builds(
    o.LlmResponse,
    tuples_of(items, 3),
    usages,
    names,
    protocols,
    maybe(st.sampled_from(o.FinishReason)),
    maybe(names),
    maybe(names),
    vendor_extensions=extensions,
)
_events: dict[type[Model], st.SearchStrategy[Any]] = {
    o.ResponseStarted: st.builds(o.ResponseStarted, maybe(names), names, maybe(protocols), vendor_extensions=extensions),
    o.OutputItemAdded: st.builds(o.OutputItemAdded, items, counts),
    o.ContentPartAdded: st.builds(o.ContentPartAdded, parts, counts),
    o.TextDelta: st.builds(o.TextDelta, texts, counts),
    o.RefusalDelta: st.builds(o.RefusalDelta, texts, counts),
    o.ReasoningDelta: st.builds(o.ReasoningDelta, texts, counts, signature=maybe(texts), encrypted_content=maybe(texts)),
    o.ToolCallDelta: st.builds(o.ToolCallDelta, names, names, texts, counts),
    o.ToolResultAdded: st.builds(o.ToolResultAdded, tool_result_parts),
    o.AnnotationAdded: st.builds(o.AnnotationAdded, annotations, counts),
    o.UsageUpdated: st.builds(o.UsageUpdated, usages),
    o.VendorEvent: st.builds(o.VendorEvent, protocols, json_values),
    o.Completed: st.builds(o.Completed, responses),
    o.StreamFailed: st.builds(o.StreamFailed, texts),
}
events: st.SearchStrategy[LlmStreamEvent] = st.one_of(*_events.values())

losses = st.builds(o.Loss, texts, texts)
multipart_texts = st.builds(o.MultipartText, texts)
multipart_files = st.builds(o.MultipartFile, texts, st.binary(max_size=8), maybe(names))
multipart_fields = st.builds(o.MultipartField, names, multipart_texts | multipart_files)
json_bodies = st.builds(o.JsonBody, json_values)
text_bodies = st.builds(o.TextBody, texts)
binary_bodies = st.builds(o.BinaryBody, st.binary(max_size=8), maybe(names))
multipart_bodies = st.builds(o.MultipartBody, tuples_of(multipart_fields))
bodies = st.one_of(json_bodies, text_bodies, binary_bodies, multipart_bodies)
headers = st.dictionaries(names, texts, max_size=2)
transport_requests = st.builds(o.TransportRequest, st.sampled_from(o.HttpMethod), texts, headers, maybe(names), maybe(bodies))
transport_responses = st.builds(o.TransportResponse, st.integers(100, 599), headers, maybe(names), maybe(bodies))

canonical_values: dict[type[Model], st.SearchStrategy[Any]] = {
    o.Annotation: annotations,
    o.TextPart: text_parts,
    o.ImageUrlPart: image_url_parts,
    o.ImageBase64Part: image_base64_parts,
    o.AudioPart: audio_parts,
    o.FilePart: file_parts,
    o.JsonPart: json_parts,
    o.ToolCallPart: tool_call_parts,
    o.ToolResultPart: tool_result_parts,
    o.ReasoningPart: reasoning_parts,
    o.RefusalPart: refusal_parts,
    o.VendorPart: vendor_parts,
    o.RawMessage: raw_messages,
    o.Message: messages,
    o.ToolDefinition: tool_definitions,
    o.ToolChoice: tool_choices,
    o.BuiltinTool: builtin_tools,
    o.StructuredOutputConfig: structured_outputs,
    o.ReasoningCapability: reasoning_capabilities,
    o.SafetySettings: safety_settings,
    o.CacheSettings: cache_settings,
    o.PromptCacheKey: cache_keys,
    o.CacheBreakpoint: cache_breakpoints,
    o.PromptCachePolicy: cache_policies,
    o.CapabilitySet: capabilities,
    o.GenerationConfig: generations,
    o.LlmRequest: requests,
    o.PromptCacheUsage: cache_usages,
    o.TokenUsage: usages,
    o.LlmResponse: responses,
    o.Loss: losses,
    o.JsonBody: json_bodies,
    o.TextBody: text_bodies,
    o.BinaryBody: binary_bodies,
    o.MultipartText: multipart_texts,
    o.MultipartFile: multipart_files,
    o.MultipartField: multipart_fields,
    o.MultipartBody: multipart_bodies,
    o.TransportRequest: transport_requests,
    o.TransportResponse: transport_responses,
    o.ReplayFixture: st.builds(o.ReplayFixture, st.sampled_from(o.WireFormat), transport_requests, transport_responses),
    **_events,
}
