"""The prompt cache policy as both of OpenAI's formats take it: a key and a retention; OpenAI finds the end of a prefix itself."""

from __future__ import annotations

import hashlib
from typing import Any

from .. import _json
from ..errors import UnsupportedFeatureError
from ..types.enums import PromptCacheRetention
from ..types.prompt_cache import PromptCacheKey, PromptCachePolicy
from ..types.request import LlmRequest
from ._codec import Payload
from ._fields import Emission

_RETENTION = {PromptCacheRetention.SHORT: "in_memory", PromptCacheRetention.LONG: "24h"}


def write_prompt_cache(request: LlmRequest, out: Payload, emission: Emission) -> None:
    """Write the policy; raises ``UnsupportedFeatureError`` where it is required and cannot be said."""
    policy = request.capabilities.cache_policy()
    if policy is None or policy.mode == "disabled":
        return
    if policy.key is not None:
        out["prompt_cache_key"] = _key(policy.key, request, out.get("tools"))
    retention = _RETENTION.get(policy.retention)
    if retention is not None:
        out["prompt_cache_retention"] = retention
    if policy.breakpoint.kind != "auto":
        _refuse_breakpoint(policy, emission)


def _refuse_breakpoint(policy: PromptCachePolicy, emission: Emission) -> None:
    reason = "OpenAI finds the end of a cached prefix itself"
    if policy.mode == "required":
        raise UnsupportedFeatureError(reason, pointer="/capabilities/prompt_cache/breakpoint")
    emission.lose("/capabilities/prompt_cache/breakpoint", reason)


def _key(key: PromptCacheKey, request: LlmRequest, tools: Any) -> str:
    if key.kind == "explicit":
        return key.value or ""
    prefix = _json.dump_bytes([key.namespace, key.tenant_scope, request.model, request.instructions, tools])
    return hashlib.sha256(prefix).hexdigest()
