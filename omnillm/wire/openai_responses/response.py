"""Responses of Responses.

Contract: ``parse_response`` reads any JSON object with ``output`` or raises ``ProtocolError``; ``emit_response`` writes a
body that the provider's SDK accepts. The settings that the API echoes ride in the response's extensions.
Rules: the ``status`` is the provider's word for the finish reason; with ``incomplete_details`` and the calls in the output it
says what that is, and it is written as it came for as long as it does. Ids that the API would give are derived from the
response's id and the item's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.enums import FinishReason
from ...types.message import ResponseItem
from ...types.parts import ToolCallPart
from ...types.response import LlmResponse
from .._codec import Payload
from .._fields import Emission, Fields
from ._own import PROTOCOL, WIRE, Item, kept, spelled, type_of
from ._read import read_items
from ._usage import NO_USAGE, read_usage, write_usage
from ._write import AnswerWriter

OBJECT = "response"

_REASONS = {
    "cancelled": FinishReason.CANCELLED,
    "failed": FinishReason.ERROR,
}
_INCOMPLETE = {
    "content_filter": FinishReason.CONTENT_FILTER,
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
}
_STATUSES: dict[FinishReason, tuple[str, str | None]] = {
    FinishReason.STOP: ("completed", None),
    FinishReason.TOOL_CALL: ("completed", None),
    FinishReason.LENGTH: ("incomplete", "max_output_tokens"),
    FinishReason.CONTENT_FILTER: ("incomplete", "content_filter"),
    FinishReason.CANCELLED: ("cancelled", None),
    FinishReason.ERROR: ("failed", None),
}
_TIERS = (None, "auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "function_call_output": "fco",
    "image_generation_call": "ig",
}


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> LlmResponse:
    """Read a response."""
    fields = Fields(payload)
    if fields.peek("object") == OBJECT:
        fields.take("object")
    elif "object" not in fields:
        fields.spell("object", None)
    status = fields.maybe_text("status")
    output = read_items(fields.required_array("output"), "/output")
    usage = fields.maybe_object("usage")
    response_id, model = fields.text("id"), fields.text("model")
    if model == "":
        fields.keep("model", model)
    return LlmResponse(
        output,
        NO_USAGE if usage is None else read_usage(usage, "/usage"),
        model or "",
        PROTOCOL,
        finish_reason(status, fields.peek("incomplete_details"), output),
        status,
        response_id,
        fields.extensions(WIRE),
    )


def finish_reason(status: str | None, details: Any, output: tuple[ResponseItem, ...]) -> FinishReason | None:
    """Tell why the answer ended; ``None`` while it has not."""
    if status in (None, "in_progress", "queued"):
        return None
    if status == "completed":
        return FinishReason.TOOL_CALL if any(isinstance(item, ToolCallPart) for item in output) else FinishReason.STOP
    if status == "incomplete":
        reason = details.get("reason") if isinstance(details, Mapping) else None
        return _INCOMPLETE.get(reason, FinishReason.OTHER) if isinstance(reason, str) else FinishReason.OTHER
    return _REASONS.get(status, FinishReason.OTHER)


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_response(response: LlmResponse, emission: Emission) -> Payload:
    """Write a response."""
    ours = response.provider_protocol is PROTOCOL
    writer = AnswerWriter(emission)
    items = [out for i, item in enumerate(response.output) for out in writer.write(item, f"/output/{i}")]
    out: Payload = {}
    response_id = as_response_id(response.response_id, ours=ours)
    if response_id is not None:
        out["id"] = response_id
    if "object" not in spelled(response.vendor_extensions) and "object" not in kept(response.vendor_extensions):
        out["object"] = OBJECT
    out |= ending(response, emission)
    if response.model or not ours:
        out["model"] = response.model
    out["output"] = items if ours else [named(item, response_id, i) for i, item in enumerate(items)]
    usage = write_usage(response.usage, emission, ours=ours)
    if usage is not None:
        out["usage"] = usage
    emission.lay(out, response.vendor_extensions, "")
    if ours:
        return out
    if out.get("service_tier") not in _TIERS:
        emission.lose("/vendor_extensions", f"Responses knows no service_tier {out.pop('service_tier')!r:.40}")
    return with_defaults(out)


def as_response_id(given: str | None, *, ours: bool) -> str | None:
    """Give the id of a response: the given one, named a response's where another protocol gave it."""
    if ours or (given is not None and given.startswith("resp_")):
        return given
    return f"resp_{given or 0}"


def named(item: Item, response_id: str | None, index: int) -> Item:
    """Give an item with the fields that the API gives its own."""
    kind = type_of(item)
    out = {"id": item_id(kind, response_id, index), **item}
    if kind in ("message", "function_call", "function_call_output"):
        out.setdefault("status", "completed")
    if kind == "message" and isinstance(item.get("content"), list):
        out["content"] = [_as_output(block) for block in item["content"]]
    return out


def item_id(kind: str, response_id: str | None, index: int) -> str:
    """Derive the id of an item from its response's and its place."""
    return f"{_PREFIXES.get(kind, 'item')}_{(response_id or '0').removeprefix('resp_')}_{index}"


def _as_output(block: Item) -> Item:
    return {"annotations": [], "logprobs": [], **block} if type_of(block) == "output_text" else block


def with_defaults(out: Payload) -> Payload:
    """Give a body with the fields that every response of the API has."""
    for name, value in (
        ("created_at", 0),
        ("error", None),
        ("incomplete_details", None),
        ("instructions", None),
        ("metadata", {}),
        ("parallel_tool_calls", True),
        ("temperature", None),
        ("tool_choice", "auto"),
        ("tools", []),
        ("top_p", None),
        ("usage", None),
    ):
        out.setdefault(name, value)
    return out


def ending(response: LlmResponse, emission: Emission) -> Payload:
    """Give the fields that say why the answer ended."""
    reason, raw = response.finish_reason, response.raw_finish_reason
    if response.provider_protocol is PROTOCOL:
        details = kept(response.vendor_extensions).get("incomplete_details")
        if finish_reason(raw, details, response.output) is reason:
            return {} if raw is None else {"status": raw}
    if reason is None:
        return {"status": "in_progress" if response.provider_protocol is PROTOCOL else "completed"}
    status, why = _STATUSES.get(reason, ("completed", None))
    if reason not in _STATUSES:
        emission.lose("/finish_reason", f"no status of Responses means {reason.value}")
    out: Payload = {"status": status}
    if why is not None or response.provider_protocol is PROTOCOL:
        out["incomplete_details"] = None if why is None else {"reason": why}
    if reason is FinishReason.ERROR:
        out["error"] = {"code": "server_error", "message": response.raw_finish_reason or "the model failed"}
    return out
