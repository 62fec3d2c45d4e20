"""What the conventions call things: operations, providers and attributes of what a hook is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import AttemptRecord
from ...types.hooks import CallEnded, CallStarted
from ...types.usage import TokenUsage

SCHEMA = "https://opentelemetry.io/schemas/1.41.0"

Attributes = dict[str, Any]

OPERATIONS = {
    "generation": "chat",
    "responses": "chat",
    "chat_completions": "chat",
    "messages": "chat",
}
OUTPUTS = {"image_generations": "image", "images": "image", "audio_speech": "speech"}
SETTINGS = {"max_output_tokens": "max_tokens"}  # the others have the same name there

PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
FLAVOURS = {"claude": "anthropic", "gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock"}


def provider_of(provider: str | None, endpoint: str) -> str:
    """Name the provider: as the conventions know it, else by whose format the endpoint speaks."""
    if provider is not None:
        return PROVIDERS.get(provider, provider)
    return next((name for flavour, name in FLAVOURS.items() if endpoint.startswith(flavour)), "openai")


def server_of(endpoint: str) -> Attributes:
    """Give host and port of an endpoint by its name, ``protocol@host:port``."""
    host, _, port = endpoint.partition("@")[2].rpartition(":")
    if not port.isdigit():
        host, port = endpoint.partition("@")[2], "443"
    return {"server.address": host.strip("[]"), "server.port": int(port)} if host else {}


def named(operation: str, model: str) -> str:
    """Name a span."""
    return f"{operation} {model}" if model else operation


def dimensions_of(event: CallStarted) -> Attributes:
    """Give what a call's span and its metrics have in common, known at the start."""
    operation = OPERATIONS.get(event.kind, event.kind)
    found = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider_of(event.provider, event.endpoint)}
    if event.model:
        found["gen_ai.request.model"] = event.model
    return {**found, **server_of(event.endpoint)}


def request_of(event: CallStarted) -> Attributes:
    """Give what else a call's span has at its start."""
    found: Attributes = {"omnillm.call_id": event.call_id, "omnillm.endpoint": event.endpoint}
    if event.streaming:
        found["gen_ai.request.stream"] = True
    if event.tenant is not None:
        found["omnillm.tenant"] = event.tenant
    output = "json" if event.structured else OUTPUTS.get(event.kind)
    if output is not None:
        found["gen_ai.output.type"] = output
    return found | {f"gen_ai.request.{SETTINGS.get(name, name)}": value for name, value in event.settings.items()}


def answer_of(event: CallEnded) -> Attributes:
    """Give what a call's span has of its end."""
    found: Attributes = {
        "gen_ai.response.model": event.response_model,
        "gen_ai.response.id": event.response_id,
        "gen_ai.response.finish_reasons": None if event.finish_reason is None else (str(event.finish_reason),),
        "gen_ai.response.time_to_first_chunk": event.time_to_first_event,
        "omnillm.outcome": event.outcome,
        "omnillm.attempts": len(event.attempts),
        "omnillm.key_label": event.attempts[-1].key_label if event.attempts else None,
        "omnillm.cost_usd": event.cost_usd,
    }
    return given(found | usage_of(event.usage))


def usage_of(usage: TokenUsage | None) -> Attributes:
    """Give the tokens; where they are our own estimate, that is said beside them."""
    if usage is None:
        return {}
    cache = usage.prompt_cache
    read = None if cache is None else cache.cache_read_input_tokens or cache.cached_input_tokens
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": None if cache is None else cache.cache_creation_input_tokens,
        "omnillm.usage.estimated": True if usage.estimated else None,
    }


def attempt_of(record: AttemptRecord) -> Attributes:
    """Give what an attempt's span has of its end."""
    return given(
        {
            "http.response.status_code": record.status,
            "omnillm.outcome": record.outcome,
            "omnillm.sent": record.sent,
            "error.type": error_of(record),
        }
    )


def error_of(record: AttemptRecord) -> str | None:
    """Name the class of an attempt's error: what stands behind it may quote the prompt."""
    return None if record.error is None else record.error.partition(":")[0]


def given(found: Mapping[str, Any]) -> Attributes:
    """Leave out what is not known."""
    return {name: value for name, value in found.items() if value is not None}
