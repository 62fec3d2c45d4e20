"""Messages responses read into canonical ones, and written.

Contract: the content becomes the parts of one assistant message; what has no canonical place (``stop_sequence``,
``stop_details``, ``container``, ``context_management``, explicit nulls) rides in the response's extensions.
Rules: the stop reason is written as it was read for as long as it says what the finish reason says. A refusal of another
protocol is no text here: it goes into ``stop_details``, as the API gives its own.
"""

from __future__ import annotations

from typing import Any

from ...types.enums import FinishReason, MessageRole
from ...types.message import Message
from ...types.response import LlmResponse
from ...types.usage import TokenUsage
from .._codec import Payload
from .._fields import Emission, Fields
from ._own import PROTOCOL, WIRE
from ._read import read_blocks
from ._usage import read_usage, write_usage
from ._write import AnswerWriter, Block

FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALL,
    "refusal": FinishReason.CONTENT_FILTER,
}
STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALL: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}
NO_USAGE = TokenUsage(estimated=True)


def parse_response(payload: Payload) -> LlmResponse:
    """Read a response."""
    fields = Fields(payload)
    for name, expected in (("type", "message"), ("role", "assistant")):
        if fields.peek(name) == expected:
            fields.take(name)
    parts = read_blocks(fields.required_array("content"), "/content")
    usage = fields.maybe_object("usage")
    raw = fields.text("stop_reason")
    return LlmResponse(
        (Message(MessageRole.ASSISTANT, parts),),
        NO_USAGE if usage is None else read_usage(usage, "/usage"),
        fields.text("model") or "",
        PROTOCOL,
        None if raw is None else finish_reason(raw),
        raw,
        fields.text("id"),
        fields.extensions(WIRE),
    )


def finish_reason(word: str) -> FinishReason:
    """Give the canonical reason of a stop reason, known or not."""
    return FINISH_REASONS.get(word, FinishReason.OTHER)


def emit_response(response: LlmResponse, emission: Emission) -> Payload:
    """Write a response."""
    ours = response.provider_protocol is PROTOCOL
    writer = AnswerWriter(emission, ours=ours)
    out: Payload = {}
    response_id = message_id(response.response_id, ours=ours)
    if response_id is not None:
        out["id"] = response_id
    out |= {"type": "message", "role": "assistant", "model": response.model, "content": _content(response, writer, emission)}
    out |= ending(response, writer.refusals, emission)
    if response.usage != NO_USAGE or not ours:
        out["usage"] = write_usage(response.usage, emission)
    return emission.lay(out, response.vendor_extensions, "")


def message_id(given: str | None, *, ours: bool) -> str | None:
    """Give the id of a message: the given one, named a message's where another protocol gave it."""
    if ours:
        return given
    return given if given is not None and given.startswith("msg_") else f"msg_{given or 0}"


def _content(response: LlmResponse, writer: AnswerWriter, emission: Emission) -> list[Block]:
    blocks: list[Block | None] = []
    for i, item in enumerate(response.output):
        pointer = f"/output/{i}"
        if isinstance(item, Message):
            blocks.extend(writer.write(part, f"{pointer}/parts/{j}") for j, part in enumerate(item.parts))
            emission.forfeit(item.vendor_extensions, pointer, "an answer is one message here")
        else:
            blocks.append(writer.write(item, pointer))
    return [block for block in blocks if block is not None]


def ending(response: LlmResponse, refusals: list[str], emission: Emission) -> Payload:
    """Give the fields that say why the answer ended."""
    ours = response.provider_protocol is PROTOCOL
    if refusals:
        details = {"type": "refusal", "category": None, "explanation": "".join(refusals)}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    reason, raw = response.finish_reason, response.raw_finish_reason
    if ours and raw is not None and finish_reason(raw) is reason:
        return {"stop_reason": raw}
    if reason is None:
        return {} if ours else {"stop_reason": None, "stop_sequence": None}
    word = STOP_REASONS.get(reason)
    if word is None:
        emission.lose("/finish_reason", f"no stop reason means {reason.value}")
    out: dict[str, Any] = {"stop_reason": word or "end_turn"}
    return out if ours else {**out, "stop_sequence": None}
