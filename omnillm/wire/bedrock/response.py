"""Converse responses read into canonical ones, and written.

Contract: the content becomes the parts of one assistant message; what has no canonical place (``metrics``, ``trace``,
``additionalModelResponseFields``, ``performanceConfig``, ``serviceTier``) rides in the response's extensions.
Rules: no id comes with an answer, and a model only where a prompt router chose it. A refusal is a text with the stop reason of
a filter, as the guardrails say theirs. The stop reason is written as it was read for
as long as it says what the finish reason says.
"""

from __future__ import annotations

from typing import Any

from ...types.enums import FinishReason, MessageRole
from ...types.message import Message
from ...types.response import LlmResponse
from ...types.usage import TokenUsage
from .._codec import Payload
from .._fields import Emission, Fields, fill
from ._own import PROTOCOL, WIRE, Block, kept, spelled
from ._read import read_answer
from ._usage import read_usage, write_usage
from ._write import AnswerWriter

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALL,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "malformed_model_output": FinishReason.ERROR,
    "malformed_tool_use": FinishReason.ERROR,
}
STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALL: "tool_use",
    FinishReason.CONTENT_FILTER: "content_filtered",
    FinishReason.ERROR: "malformed_model_output",
}
NO_USAGE = TokenUsage(estimated=True)


def parse_response(payload: Payload) -> LlmResponse:
    """Read a response."""
    fields = Fields(payload)
    output = Fields(fields.peek("output"), "/output")
    message = Fields(output.peek("message"), "/output/message")
    if message.peek("role") == "assistant":
        message.take("role")
    elif "role" not in message:
        message.spell("role", "")
    parts = read_answer(message.required_array("content"), "/output/message/content")
    fields.take("output")
    output.take("message")
    if output.rest():
        fields.keep("output", output.rest())
    usage, raw = fields.maybe_object("usage"), fields.text("stopReason")
    return LlmResponse(
        (Message(MessageRole.ASSISTANT, parts, vendor_extensions=message.extensions(WIRE)),),
        NO_USAGE if usage is None else read_usage(usage, "/usage"),
        _invoked_model(fields.peek("trace")),
        PROTOCOL,
        None if raw is None else finish_reason(raw),
        raw,
        None,
        fields.extensions(WIRE),
    )


def _invoked_model(trace: Any) -> str:
    router = trace.get("promptRouter") if isinstance(trace, dict) else None
    model = router.get("invokedModelId") if isinstance(router, dict) else None
    return model if isinstance(model, str) else ""


def finish_reason(word: str) -> FinishReason:
    """Give the canonical reason of a stop reason, known or not."""
    return FINISH_REASONS.get(word, FinishReason.OTHER)


def emit_response(response: LlmResponse, emission: Emission) -> Payload:
    """Write a response."""
    ours = response.provider_protocol is PROTOCOL
    message = _write_message(response, emission)
    out: Payload = {"output": fill({"message": message}, kept(response.vendor_extensions, "output"))}
    out |= ending(response, emission)
    if response.usage != NO_USAGE or not ours:
        out["usage"] = write_usage(response.usage, emission)
    if not ours:
        for name in ("model", "response_id"):
            if getattr(response, name):
                emission.lose(f"/{name}", "an answer here says neither its id nor its model")
    emission.lay(out, response.vendor_extensions, "")
    return out if ours else fill(out, {"metrics": {"latencyMs": 0}})


def _write_message(response: LlmResponse, emission: Emission) -> Block:
    writer, message = AnswerWriter(emission), Block()
    blocks: list[Block | None] = []
    role: str | None = "assistant"
    for i, item in enumerate(response.output):
        pointer = f"/output/{i}"
        if isinstance(item, Message):
            blocks += [writer.write(part, f"{pointer}/parts/{j}") for j, part in enumerate(item.parts)]
            emission.lay(message, item.vendor_extensions, pointer)
            role = None if spelled(item.vendor_extensions, "role") == "" else role
        else:
            blocks.append(writer.write(item, pointer))
    if role is not None:
        message.setdefault("role", role)
    message["content"] = [block for block in blocks if block is not None]
    return message


def ending(response: LlmResponse, emission: Emission) -> Payload:
    """Give the stop reason."""
    ours = response.provider_protocol is PROTOCOL
    reason, raw = response.finish_reason, response.raw_finish_reason
    if response.refusal is not None and reason in (None, FinishReason.STOP):
        return {"stopReason": "content_filtered"}
    if ours and raw is not None and finish_reason(raw) is reason:
        return {"stopReason": raw}
    if reason is None and ours:
        return {}
    word = None if reason is None else STOP_REASONS.get(reason)
    if word is None and reason is not None:
        emission.lose("/finish_reason", f"no stop reason means {reason.value}")
    return {"stopReason": word or "end_turn"}
