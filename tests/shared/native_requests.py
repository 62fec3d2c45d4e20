"""A native request of every format, as the local provider takes it, and where the native calls of each provider go there."""

from __future__ import annotations

from typing import Any

from omnillm.primitive import PrimitiveEndpointKind as Kind
from omnillm.primitive import PrimitiveProviderEndpoint, PrimitiveProviderKind, PrimitiveRequest, PrimitiveStreamMode
from omnillm.primitive import ProviderPrimitiveWireFormat as Native
from omnillm.providers.auth import AuthScheme
from omnillm.testing import LocalProvider

MODEL = "m"
TURNS = [{"role": "user", "content": "Say hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
INVOKED = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": TURNS}
OPENAI_KINDS = (PrimitiveProviderKind.OPENAI, PrimitiveProviderKind.OPENAI_COMPATIBLE, PrimitiveProviderKind.CUSTOM)

JSON: dict[Native, dict[str, Any]] = {
    Native.OPENAI_RESPONSES: {"model": MODEL, "input": "Say hello", "max_output_tokens": 20},
    Native.OPENAI_CHAT_COMPLETIONS: {"model": MODEL, "messages": TURNS, "max_completion_tokens": 20},
    Native.OPENAI_COMPATIBLE_CHAT_COMPLETIONS: {"model": MODEL, "messages": TURNS, "max_tokens": 20},
    Native.OPENAI_IMAGES: {"model": MODEL, "prompt": "a cat"},
    Native.OPENAI_AUDIO_SPEECH: {"model": MODEL, "input": "Say hello", "voice": "alloy"},
    Native.OPENAI_EMBEDDINGS: {"model": MODEL, "input": "hello"},
    Native.OPENAI_RERANK: {"model": MODEL, "query": "a cat", "documents": ["a cat", "a dog"]},
    Native.ANTHROPIC_MESSAGES: {"model": MODEL, "max_tokens": 20, "messages": TURNS},
    Native.ANTHROPIC_COUNT_TOKENS: {"model": MODEL, "messages": TURNS},
    Native.GEMINI_GENERATE_CONTENT: {"contents": CONTENTS},
    Native.GEMINI_STREAM_GENERATE_CONTENT: {"contents": CONTENTS},
    Native.GEMINI_COUNT_TOKENS: {"contents": CONTENTS},
    Native.GEMINI_EMBED_CONTENT: {"content": {"parts": [{"text": "hello"}]}},
    Native.GEMINI_CACHES: {"model": "models/m", "contents": CONTENTS},
    Native.GEMINI_BATCHES: {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": CONTENTS}}]}}}},
    Native.ANTHROPIC_MESSAGE_BATCHES: {
        "requests": [{"custom_id": "a", "params": {"model": MODEL, "max_tokens": 20, "messages": TURNS}}]
    },
    Native.OPENAI_UPLOADS: {"filename": "a.txt", "purpose": "user_data", "bytes": 3, "mime_type": "text/plain"},
    Native.BEDROCK_CONVERSE: {"messages": [{"role": "user", "content": [{"text": "Say hello"}]}]},
    Native.BEDROCK_INVOKE_MODEL: INVOKED,
}
FORMS: dict[Native, dict[str, Any]] = {
    Native.OPENAI_IMAGE_EDITS: {"model": MODEL, "prompt": "a cat", "image": b"\x89PNG\r\n"},
    Native.OPENAI_IMAGE_VARIATIONS: {"model": MODEL, "image": b"\x89PNG\r\n", "n": 2},
    Native.OPENAI_AUDIO_TRANSCRIPTIONS: {"model": MODEL, "file": b"RIFF    WAVE"},
    Native.OPENAI_AUDIO_TRANSLATIONS: {"model": MODEL, "file": b"RIFF    WAVE"},
    Native.OPENAI_FILES: {"purpose": "batch", "file": b"{}\n"},
    Native.ANTHROPIC_FILES: {"file": b"{}\n"},
}
LISTS = {
    Native.OPENAI_MODELS: Kind.MODELS,
    Native.OPENAI_BATCHES: Kind.BATCHES,
    Native.ANTHROPIC_MODELS: Kind.MODELS,
    Native.GEMINI_FILES: Kind.FILES,
    Native.GEMINI_MODELS: Kind.MODELS,
    Native.GEMINI_OPERATIONS: Kind.OPERATIONS,
    Native.VERTEX_OPERATIONS: Kind.OPERATIONS,
}
STREAMED = {  # what the body must say for it
    Native.OPENAI_RESPONSES: {"stream": True},
    Native.OPENAI_CHAT_COMPLETIONS: {"stream": True, "stream_options": {"include_usage": True}},
    Native.OPENAI_COMPATIBLE_CHAT_COMPLETIONS: {"stream": True, "stream_options": {"include_usage": True}},
    Native.ANTHROPIC_MESSAGES: {"stream": True},
    Native.OPENAI_IMAGES: {"stream": True},
    Native.OPENAI_IMAGE_EDITS: {"stream": True},
    Native.OPENAI_AUDIO_TRANSCRIPTIONS: {"stream": True},
    Native.OPENAI_AUDIO_SPEECH: {"stream_format": "sse"},
}


def native_request(
    wire: Native,
    kind: Kind,
    provider: PrimitiveProviderKind,
    stream: PrimitiveStreamMode = PrimitiveStreamMode.NONE,
    **more: Any,
) -> PrimitiveRequest:
    """Give a request of the format; what only a list answers is a list."""
    given = {**(STREAMED.get(wire, {}) if stream is PrimitiveStreamMode.SSE else {}), **more}
    if wire in LISTS:
        return PrimitiveRequest.get(provider, kind, wire).with_stream(stream)
    if wire in FORMS:
        return PrimitiveRequest.form(provider, kind, wire, None, {**FORMS[wire], **given}).with_stream(stream)
    if wire is Native.CUSTOM_HTTP:
        body = {**JSON[Native.OPENAI_RESPONSES], "stream": stream is PrimitiveStreamMode.SSE}
        return PrimitiveRequest.json(provider, kind, wire, MODEL, body, path="/responses").with_stream(stream)
    said = None if "model" in JSON[wire] or kind is Kind.UPLOADS else MODEL
    said = None if wire in (Native.ANTHROPIC_MESSAGE_BATCHES, Native.GEMINI_CACHES) else said
    return PrimitiveRequest.json(provider, kind, wire, said, {**JSON[wire], **given}).with_stream(stream)


def native_endpoint(local: LocalProvider, kind: PrimitiveProviderKind) -> PrimitiveProviderEndpoint:
    """Give where the native calls of a provider go at the local one."""
    root = local.base_url
    if kind in OPENAI_KINDS:
        return PrimitiveProviderEndpoint(kind, f"{root}/v1")
    return {
        PrimitiveProviderKind.AZURE_OPENAI: lambda: PrimitiveProviderEndpoint.azure_openai(root),
        PrimitiveProviderKind.ANTHROPIC: lambda: PrimitiveProviderEndpoint.anthropic(f"{root}/v1"),
        PrimitiveProviderKind.GEMINI: lambda: PrimitiveProviderEndpoint.gemini(f"{root}/v1beta"),
        PrimitiveProviderKind.VERTEX_AI: lambda: PrimitiveProviderEndpoint.vertex_ai(
            "p-1", "europe-west1", base_url=f"{root}/v1"
        ).with_auth(AuthScheme.bearer()),
        PrimitiveProviderKind.BEDROCK: lambda: PrimitiveProviderEndpoint.bedrock("us-east-1", base_url=root),
    }[kind]()
