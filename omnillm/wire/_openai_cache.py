"""The prompt cache policy as both of OpenAI's formats take it: a key, a time to live, and breakpoints in content parts.

Contract: a breakpoint is a field of the part that ends the prefix (``prompt_cache_breakpoint``), so that it is given to the part
as the caller's own extension, which the part's writer lays like any other; whether it was laid is then looked up.
Rules: a message's end is that of its last part which may hold a breakpoint. The time to live is said with the fields of today's
models, ``prompt_cache_options.ttl`` and the breakpoint's own; an older model takes ``prompt_cache_retention``, which a caller
gives as an extension of the request, and which is written where a format has no other word for a long time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..types.enums import MessageRole, PromptCacheRetention, WireFormat
from ..types.message import Message, RequestItem
from ..types.parts import JsonPart, MessagePart, TextPart, ToolResultPart
from ..types.prompt_cache import CacheBreakpoint, PromptCacheKey, PromptCachePolicy
from ..types.prompt_layout import stable_prefix_hash
from ..types.request import LlmRequest
from ._codec import Payload
from ._fields import Emission, escape, kept, names_in
from ._prompt_cache import refuse, wanted_policy

_BREAKPOINT = "prompt_cache_breakpoint"
_OPTIONS = "prompt_cache_options"
_SHORT_TTL, _LONG_TTL = "30m", "12h"
_LONG_RETENTION = "24h"
_SYSTEM_ROLES = (MessageRole.SYSTEM, MessageRole.DEVELOPER)
_BOTH = (WireFormat.OPENAI_RESPONSES, WireFormat.OPENAI_CHAT_COMPLETIONS)

Carriers = Mapping[MessageRole, frozenset[type]]


class CacheForm(NamedTuple):
    """Say what a format takes: the parts that carry a breakpoint, by who says them, and whether a whole request may stay long."""

    carriers: Carriers
    long_ttl: bool


class PromptCacheWriter:
    """Write the policy of one request: ``request`` is what to write instead of it, ``write`` completes what was written."""

    __slots__ = ("_form", "_point", "_policy", "request")

    def __init__(self, request: LlmRequest, form: CacheForm) -> None:
        self.request = request
        self._form = form
        self._policy = wanted_policy(request.capabilities)
        self._point: Payload = {"mode": "explicit"}
        if self._policy is not None and self._policy.breakpoint.kind != "auto":
            if self._policy.retention == PromptCacheRetention.LONG and not form.long_ttl:
                self._point["ttl"] = _LONG_TTL
            self.request = _marked(request, self._policy.breakpoint, form.carriers, self._point)

    def write(self, out: Payload, emission: Emission) -> None:
        """Write the key and the time to live; raises ``UnsupportedFeatureError`` for what is required and cannot be said."""
        if not self._form.long_ttl:
            _narrow_options(self.request, out, emission)
        policy = self._policy
        if policy is None:
            return
        if policy.key is not None:
            out["prompt_cache_key"] = _key(policy.key, self.request)
        end = policy.breakpoint.kind
        placed = end != "auto" and (self._is_laid(out) or (end == "end_of_instructions" and self._mark_instructions(out)))
        if end != "auto" and not placed:
            reason = f"nothing at {end} can hold a breakpoint; OpenAI finds the end of a prefix itself"
            refuse(self.request.capabilities, "breakpoint", reason, emission)
        self._write_retention(policy, out, at_the_point=placed and "ttl" in self._point)

    def _write_retention(self, policy: PromptCachePolicy, out: Payload, *, at_the_point: bool) -> None:
        if policy.retention == PromptCacheRetention.SHORT:
            out[_OPTIONS] = {**out.get(_OPTIONS, _options(self.request)), "ttl": _SHORT_TTL}
        elif policy.retention == PromptCacheRetention.LONG and self._form.long_ttl:
            out[_OPTIONS] = {**_options(self.request), "ttl": _LONG_TTL}
        elif policy.retention == PromptCacheRetention.LONG and not at_the_point:
            out["prompt_cache_retention"] = _LONG_RETENTION

    def _is_laid(self, out: Payload) -> bool:
        """Tell whether the breakpoint was written with its part; a part may have been left out."""
        written = out.get("messages", out.get("input"))
        if not isinstance(written, list):
            return False
        held = (blocks for item in written for blocks in (item.get("content"), item.get("output")) if isinstance(blocks, list))
        return any(isinstance(block, dict) and block.get(_BREAKPOINT) is self._point for blocks in held for block in blocks)

    def _mark_instructions(self, out: Payload) -> bool:
        """Mark the instructions where they are a message, which is the first."""
        if not self.request.instructions or "messages" not in out:
            return False
        text = {"type": "text", "text": self.request.instructions, _BREAKPOINT: self._point}
        out["messages"][0] = {**out["messages"][0], "content": [text]}
        return True


def _options(request: LlmRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for wire in _BOTH:
        options = kept(request.vendor_extensions, wire).get(_OPTIONS)
        found.update(options if isinstance(options, Mapping) else {})
    return found


def _narrow_options(request: LlmRequest, out: Payload, emission: Emission) -> None:
    """Write of the options of Responses what Chat Completions has too."""
    wire = WireFormat.OPENAI_RESPONSES
    options = kept(request.vendor_extensions, wire).get(_OPTIONS)
    if not isinstance(options, Mapping):
        return
    out[_OPTIONS] = {}
    for name, value in options.items():
        if name == "mode" or (name == "ttl" and value != _LONG_TTL):
            out[_OPTIONS][name] = value
        else:
            at = f"/vendor_extensions/{wire.value}/{_OPTIONS}/{escape(name)}"
            emission.lose(at, f"the cache of Chat Completions takes no such {name}: {names_in([value])}")


def _key(key: PromptCacheKey, request: LlmRequest) -> str:
    if key.value is not None or key.kind == "explicit":
        return key.value or ""
    items = request.normalized_input()
    having = request.capabilities
    return stable_prefix_hash(
        key,
        model=request.model,
        instructions=request.instructions,
        tools=(*having.tools, *having.builtin_tools),
        items=items[: _leading_system(items)],
    )


# --- breakpoints --------------------------------------------------------------------------------------------------------------


def _leading_system(items: tuple[RequestItem, ...]) -> int:
    """Count the system and developer messages that come before everything else."""
    for count, item in enumerate(items):
        if not isinstance(item, Message) or item.role not in _SYSTEM_ROLES:
            return count
    return len(items)


def _marked(request: LlmRequest, end: CacheBreakpoint, carriers: Carriers, point: Payload) -> LlmRequest:
    """Give the request with the point in the part that ends the prefix; the same one where no part may hold it."""
    items = request.normalized_input()
    index = _leading_system(items) - 1 if end.kind == "end_of_instructions" else end.message_index
    if index is None or not 0 <= index < len(items):
        return request
    found = _marked_item(items[index], end.part_index, carriers, point)
    if found is None:
        return request
    changed = (*items[:index], found, *items[index + 1 :])
    return replace(request, input=changed, messages=()) if request.input else replace(request, messages=changed)  # type: ignore[arg-type]  # messages, all


def _marked_item(item: RequestItem, part_index: int | None, carriers: Carriers, point: Payload) -> RequestItem | None:
    if isinstance(item, ToolResultPart):
        return _marked_result(item, carriers, point) if part_index in (None, 0) else None
    if not isinstance(item, Message):
        return None
    parts = _marked_parts(item.parts, part_index, carriers, item.role, point)
    return None if parts is None else replace(item, parts=parts)


def _marked_parts(
    parts: tuple[MessagePart, ...], part_index: int | None, carriers: Carriers, role: MessageRole, point: Payload
) -> tuple[MessagePart, ...] | None:
    allowed = carriers.get(role, frozenset())
    for at in reversed(range(len(parts))):
        part, found = parts[at], None
        if part_index not in (None, at):
            continue
        if isinstance(part, ToolResultPart):
            found = _marked_result(part, carriers, point)
        elif type(part) in allowed:
            found = _with_point(part, point)
        if found is not None:
            return (*parts[:at], found, *parts[at + 1 :])
    return None


def _marked_result(result: ToolResultPart, carriers: Carriers, point: Payload) -> ToolResultPart | None:
    given = result.output
    if not isinstance(given, tuple):
        given = (TextPart(given) if isinstance(given, str) else JsonPart(given),)
    parts = _marked_parts(given, None, carriers, MessageRole.TOOL, point)
    return None if parts is None else replace(result, output=parts)


def _with_point(part: Any, point: Payload) -> Any:
    return replace(part, vendor_extensions={**part.vendor_extensions, _BREAKPOINT: point})
