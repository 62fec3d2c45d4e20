"""generateContent responses read into canonical ones, and written.

Contract: the first candidate's content becomes the parts of one assistant message; what has no canonical place (ratings,
grounding, log probabilities, the other candidates, whole) rides in the response's extensions.
Rules: a finished call of a tool still reports STOP, and enumerations may be numbers: the finish reason is written as it was read
for as long as it says the same. A prompt that was blocked has no candidate: that is a refusal, not an empty answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import MissingFieldError
from ...types.enums import FinishReason, MessageRole
from ...types.message import Message
from ...types.parts import MessagePart, RefusalPart, ToolCallPart
from ...types.response import LlmResponse
from .. import _fields
from .._codec import Payload
from .._fields import SPELLING, Emission, Fields, fill
from ._citations import with_citations, write_citations
from ._own import PROTOCOL, WIRE, as_spelled, kept, nested, opened, spelling
from ._read import PartReader, read_parts
from ._usage import NO_USAGE, read_usage, write_usage
from ._write import AnswerWriter, Part

FINISH_REASONS = {
    "FINISH_REASON_UNSPECIFIED": FinishReason.OTHER,
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "OTHER": FinishReason.OTHER,
    "LANGUAGE": FinishReason.OTHER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
    "TOO_MANY_TOOL_CALLS": FinishReason.ERROR,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_OTHER": FinishReason.OTHER,
    "NO_IMAGE": FinishReason.OTHER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
    "MALFORMED_RESPONSE": FinishReason.ERROR,
    "ESCALATION": FinishReason.OTHER,
    "PUP_LIMITED_DISABLED": FinishReason.OTHER,
    "CONTINUATION": FinishReason.OTHER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
}
_NUMBERED = tuple(FINISH_REASONS)[:20]  # google.ai.generativelanguage.v1beta.Candidate.FinishReason, in its order
_WORDS = {
    FinishReason.STOP: "STOP",
    FinishReason.TOOL_CALL: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.OTHER: "OTHER",
}
_KNOWN = ("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId")
_BLOCKED = "prompt_blocked:"


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> LlmResponse:
    """Read a response."""
    fields = opened(payload)
    if not any(name in fields for name in _KNOWN):
        raise MissingFieldError("candidates: required, and not there", pointer="/candidates")
    candidates, usage = fields.array("candidates"), fields.maybe_object("usageMetadata")
    output: tuple[Message, ...] = ()
    reason: FinishReason | None = None
    word: str | None = None
    if candidates:
        message, reason, word, rest = _read_candidate(candidates[0])
        output = (message,)
        if rest or len(candidates) > 1:
            fields.keep("candidates", [rest, *candidates[1:]])
    else:
        if candidates is not None:
            fields.keep("candidates", candidates)
        word = block_reason(fields.peek("promptFeedback"))
        if word is not None:
            reason = FinishReason.CONTENT_FILTER
            output = (Message(MessageRole.ASSISTANT, (RefusalPart(_BLOCKED + word),)),)
    return LlmResponse(
        output,
        NO_USAGE if usage is None else read_usage(usage, "/usageMetadata"),
        _text(fields, "modelVersion") or "",
        PROTOCOL,
        reason,
        word,
        _text(fields, "responseId"),
        fields.extensions(WIRE),
    )


def _text(fields: Fields, name: str) -> str | None:
    """Take a text; an empty one stays."""
    return fields.text(name) if fields.peek(name) != "" else None


def block_reason(feedback: Any) -> str | None:
    """Give why a prompt was blocked, or ``None`` where it was not."""
    reason = opened(feedback).peek("blockReason") if isinstance(feedback, dict) else None
    return str(reason) if type(reason) in (str, int) and reason else None


def _read_candidate(value: Any) -> tuple[Message, FinishReason | None, str | None, dict[str, Any]]:
    fields = opened(value, "/candidates/0")
    if "index" not in fields:
        fields.spell("index", None)
    elif type(fields.peek("index")) is int and fields.peek("index") == 0:
        fields.take("index")
    word = _read_word(fields)
    if fields.peek("content") is None:
        if "content" not in fields:
            fields.spell("content", None)
        message = Message(MessageRole.ASSISTANT, ())
    else:
        message = _read_message(nested(fields, "content"), fields)
    reason = None if word is None else finish_reason(word, message.parts)
    return message, reason, word, fields.rest()


def _read_message(content: Fields, candidate: Fields) -> Message:
    if content.peek("role") == "model":
        content.take("role")
    elif "role" not in content:
        content.spell("role", None)
    parts = with_citations(read_parts(content, PartReader()), candidate.rest())
    return Message(MessageRole.ASSISTANT, parts, vendor_extensions=content.extensions(WIRE))


def _read_word(fields: Fields) -> str | None:
    """Take the finish reason; one that is a number is named."""
    given = fields.peek("finishReason")
    if type(given) is not int:
        return _text(fields, "finishReason")
    fields.spell("finishReason", fields.take("finishReason"))
    return _named(given)


def _named(number: int) -> str:
    return _NUMBERED[number] if 0 <= number < len(_NUMBERED) else str(number)


def finish_reason(word: str, parts: tuple[MessagePart, ...] = ()) -> FinishReason:
    """Give what a finish reason means for an answer of these parts."""
    reason = FINISH_REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and any(isinstance(part, ToolCallPart) for part in parts):
        return FinishReason.TOOL_CALL
    return reason


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_response(response: LlmResponse, emission: Emission) -> Payload:
    """Write a response."""
    out: Payload = {}
    candidates = _write_candidates(response, emission)
    if candidates:
        out["candidates"] = candidates
    usage = write_usage(response.usage, emission)
    if usage is not None:
        out["usageMetadata"] = usage
    if response.model:
        out["modelVersion"] = response.model
    if response.response_id is not None:
        out["responseId"] = response.response_id
    return as_spelled(emission.lay(out, response.vendor_extensions, ""), response.vendor_extensions)


def _write_candidates(response: LlmResponse, emission: Emission) -> list[Any]:
    found = kept(response.vendor_extensions, "candidates")
    rest, *others = found if isinstance(found, list) and found else [{}]
    rest = rest if isinstance(rest, Mapping) else {}
    writer = AnswerWriter(emission)
    content = _write_content(response, writer, emission)
    if response.provider_protocol is PROTOCOL and _is_without_candidate(response):
        return others
    noted = rest.get(SPELLING)
    spelled: Mapping[str, Any] = noted if isinstance(noted, Mapping) else {}
    candidate: dict[str, Any] = {}
    if content.get("parts") or not ("content" in spelled or "content" in rest):
        candidate["content"] = content
    word = _write_word(response, spelled.get("finishReason"), emission)
    if word == "STOP" and writer.refusals:
        word = "SAFETY"  # an answer that is a refusal must not look like an empty one
    if word is not None:
        candidate["finishReason"] = word
    if "index" not in spelled and "index" not in rest:
        candidate["index"] = 0
    if writer.refusals:
        candidate["finishMessage"] = "".join(writer.refusals)
    citations = write_citations(response, emission)
    if citations:
        candidate["citationMetadata"] = {"citations": citations}
    named = {WIRE.value: {SPELLING: spelled}} if spelled else {}
    return [as_spelled(fill(candidate, rest), named), *others]


def _is_without_candidate(response: LlmResponse) -> bool:
    """Tell whether this wire gave no candidate: none at all, or a refusal of the prompt."""
    if not response.output:
        return response.finish_reason is None
    feedback = _fields.kept(response.vendor_extensions, WIRE).get("promptFeedback")
    reason = block_reason(feedback)
    return reason is not None and response.refusal == _BLOCKED + reason and len(response.output) == 1


def _write_content(response: LlmResponse, writer: AnswerWriter, emission: Emission) -> Part:
    parts: list[Part | None] = []
    content: Part = {}
    shapes: Mapping[str, Any] = {}
    for i, item in enumerate(response.output):
        pointer = f"/output/{i}"
        if isinstance(item, Message):
            parts.extend(writer.write(part, f"{pointer}/parts/{j}") for j, part in enumerate(item.parts))
            emission.lay(content, item.vendor_extensions, pointer)
            shapes = spelling(item.vendor_extensions)
        else:
            parts.append(writer.write(item, pointer))
    written = [part for part in parts if part is not None]
    if shapes.get("parts") == "object" and len(written) == 1:
        content["parts"] = written[0]
    elif written or ("parts" not in content and shapes.get("parts", "array") is not None):
        content["parts"] = written
    if "role" not in shapes:
        content.setdefault("role", "model")
    return content


def _write_word(response: LlmResponse, number: Any, emission: Emission) -> Any:
    reason, raw = response.finish_reason, response.raw_finish_reason
    if raw and response.provider_protocol is PROTOCOL:
        parts = tuple(part for item in response.output for part in (item.parts if isinstance(item, Message) else (item,)))
        if finish_reason(raw, parts) is reason:
            return number if type(number) is int and _named(number) == raw else raw
    if reason is None:
        return None
    word = _WORDS.get(reason)
    if word is None:
        emission.lose("/finish_reason", f"no finish reason here means {reason.value}")
    return word or "OTHER"
