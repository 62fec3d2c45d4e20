"""Responses of Chat Completions.

Contract: ``parse_response`` reads any JSON object with ``choices`` or raises ``ProtocolError``; ``emit_response`` writes a body
that the provider's SDK accepts. Rules: the first choice is the answer; what stays of it and the other choices, whole, ride in the
response's extensions under ``choices``. Of the fields that every response has, the absence is kept as the wire's spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.enums import FinishReason, MessageRole
from ...types.message import Message
from ...types.response import LlmResponse
from .._codec import Payload
from .._fields import SPELLING, Emission, Fields, fill, kept, spelling
from ._content import CHAT, WIRE
from ._messages import read_reply, write_joined_reply, write_reply
from ._usage import NO_USAGE, read_usage, write_usage

OBJECT = "chat.completion"
NO_ID = "chatcmpl-0"

_FINISH = {
    "stop": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALL,
    "tool_use": FinishReason.TOOL_CALL,
    "function_call": FinishReason.TOOL_CALL,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "cancelled": FinishReason.CANCELLED,
    "abort": FinishReason.CANCELLED,
    "error": FinishReason.ERROR,
}
_WORDS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALL: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def finish_reason(word: str) -> FinishReason:
    """Give what a provider's word means."""
    return _FINISH.get(word.lower(), FinishReason.OTHER)


# --- reading ------------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> LlmResponse:
    """Read a response."""
    fields = Fields(payload)
    absent = [name for name in ("id", "object", "created", "model") if name not in fields]
    if absent:
        fields.spell("absent", absent)
    choices = fields.required_array("choices")
    if fields.peek("object") == OBJECT:
        fields.take("object")
    response_id, model = _text(fields, "id"), _text(fields, "model")
    usage = fields.maybe_object("usage")
    output: tuple[Message, ...] = ()
    word: str | None = None
    if choices:
        message, word, rest = _read_choice(choices[0])
        output = (message,)
        if rest or len(choices) > 1:
            fields.keep("choices", [rest, *choices[1:]])
    return LlmResponse(
        output,
        NO_USAGE if usage is None else read_usage(usage, "/usage"),
        model or "",
        CHAT,
        finish_reason(word) if word else None,
        word,
        response_id,
        fields.extensions(WIRE),
    )


def _text(fields: Fields, name: str) -> str | None:
    """Take a text; an empty one stays."""
    value = fields.text(name)
    if value == "":
        fields.keep(name, value)
    return value or None


def _read_choice(value: Any) -> tuple[Message, str | None, dict[str, Any]]:
    fields = Fields(value, "/choices/0")
    absent = [name for name in ("index", "finish_reason", "message") if name not in fields]
    if absent:
        fields.spell("absent", absent)
    if fields.peek("index") == 0 and type(fields.peek("index")) is int:
        fields.take("index")
    word = _text(fields, "finish_reason")
    given = fields.take("message")
    message = Message(MessageRole.ASSISTANT, ()) if given is None else read_reply(given, "/choices/0/message")
    return message, word, fields.rest()


# --- writing ------------------------------------------------------------------------------------------------------------------


def emit_response(response: LlmResponse, emission: Emission) -> Payload:
    """Write a response."""
    own = kept(response.vendor_extensions, WIRE)
    absent = spelling(response.vendor_extensions, WIRE).get("absent", ())
    out: Payload = {}
    for name, value, default in (
        ("id", response.response_id, NO_ID),
        ("object", None, OBJECT),
        ("created", None, 0),
        ("model", response.model or None, ""),
    ):
        if value is not None or (name not in own and name not in absent):
            out[name] = default if value is None else value
    out["choices"] = _write_choices(response, own, emission)
    usage = write_usage(response.usage, emission)
    if usage is not None:
        out["usage"] = usage
    return emission.lay(out, response.vendor_extensions, "")


def _write_choices(response: LlmResponse, own: Mapping[str, Any], emission: Emission) -> list[Any]:
    found = own.get("choices")
    rest, *others = found if isinstance(found, list) and found else [{}]
    if not isinstance(rest, Mapping):
        rest = {}
    if not response.output and response.provider_protocol is CHAT and response.finish_reason is None:
        return others
    spelled = rest.get(SPELLING)
    absent = spelled.get("absent", ()) if isinstance(spelled, Mapping) else ()
    choice: dict[str, Any] = {}
    if "index" not in absent and "index" not in rest:
        choice["index"] = 0
    message = _write_output(response, emission)
    if response.output != (_EMPTY,) or ("message" not in absent and "message" not in rest):
        choice["message"] = message
    word = finish_word(response, emission)
    if word is not None or ("finish_reason" not in absent and "finish_reason" not in rest):
        choice["finish_reason"] = word
    return [fill(choice, {name: value for name, value in rest.items() if name != SPELLING}), *others]


_EMPTY = Message(MessageRole.ASSISTANT, ())


def _write_output(response: LlmResponse, emission: Emission) -> dict[str, Any]:
    first = response.output[0] if len(response.output) == 1 else None
    message = write_reply(first, emission) if isinstance(first, Message) else write_joined_reply(response.output, emission)
    if response.provider_protocol is not CHAT:
        message.setdefault("refusal", None)
    return message


def finish_word(response: LlmResponse, emission: Emission | None = None) -> str | None:
    """Give the finish reason as this wire says it: the provider's own word where it came from here and still means that."""
    reason, raw = response.finish_reason, response.raw_finish_reason
    if raw and response.provider_protocol is CHAT and finish_reason(raw) is reason:
        return raw
    if reason is None and response.provider_protocol is CHAT:
        return None
    if reason is None:  # it has not ended, or nobody said why it did: every answer here says so
        if raw and emission is not None:
            emission.lose("/raw_finish_reason", f"every answer of Chat Completions has ended; this one was {raw:.40}")
        return "stop"
    word = _WORDS.get(reason)
    if word is None:
        if emission is not None:
            emission.lose("/finish_reason", f"Chat Completions has no word for {reason.value}")
        word = "stop"
    return word
