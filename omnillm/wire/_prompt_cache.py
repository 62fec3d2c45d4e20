"""The prompt cache policy, as every format's writer takes it up.

Rules: a policy that is disabled is none. What a format cannot say of one is one loss for each field, or, where the policy is
required, an error before anything is sent.
"""

from __future__ import annotations

from ..errors import UnsupportedFeatureError
from ..types.capabilities import CapabilitySet
from ..types.prompt_cache import PromptCachePolicy
from ._fields import Emission


def wanted_policy(capabilities: CapabilitySet) -> PromptCachePolicy | None:
    """Give the policy to write; ``None`` where nothing is asked for."""
    policy = capabilities.cache_policy()
    return None if policy is None or policy.mode == "disabled" else policy


def refuse(capabilities: CapabilitySet, field: str, reason: str, emission: Emission) -> None:
    """Record that a field of the policy is not said; raises ``UnsupportedFeatureError`` where the policy is required."""
    policy = capabilities.prompt_cache
    pointer = "/capabilities/cache/enabled" if policy is None else f"/capabilities/prompt_cache/{field}"
    if policy is not None and policy.mode == "required":
        raise UnsupportedFeatureError(reason, pointer=pointer)
    emission.lose(pointer, reason)
