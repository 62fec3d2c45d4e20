"""The assistant's message: reasoning, content, refusal, sound and calls, as parts and back.

Rules: compatible servers say reasoning in ``reasoning_content``, ``reasoning`` (beside ``reasoning_details``) or content parts of
type ``thinking``; the part's spelling says which. Reasoning of another provider is of no use here: a request leaves it out with a
loss, a reply has its text as ``reasoning_content``. The deprecated ``function_call`` has no id: call and result are matched by
the function's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...types.enums import MessageRole
from ...types.message import Message
from ...types.parts import (
    AudioPart,
    JsonPart,
    MessagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    VendorPart,
)
from .._fields import Emission, Fields, fill, is_hollow, kept, spelling
from ._annotations import read_annotations, write_annotations
from ._content import CHAT, TEXT_ROLE, WIRE, Placed, drop, inner, read_content, text_or_empty, write_content

REASONING_FIELDS = ("reasoning_content", "reasoning")  # the first one counts where the other repeats it
REASONING = frozenset((*REASONING_FIELDS, "reasoning_details"))
_CONTENT = TEXT_ROLE | {ReasoningPart, RefusalPart}


_CALL, _FUNCTION = {"id", "type", "function"}, {"name", "arguments"}


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_assistant(fields: Fields, *, reply: bool) -> Message:
    """Read an assistant's message, but for its role; in a reply calls without an id are given one."""
    parts = _read_reasoning(fields)
    content = fields.peek("content")
    if content is not None and content not in ("", []):  # an empty one says nothing: it stays among the rest
        parts.extend(_with_annotations(read_content(content, fields.at("content")), fields))
        fields.take("content")
    refusal = text_or_empty(fields, "refusal")
    if refusal:
        parts.append(RefusalPart(refusal))
    audio = fields.peek("audio")
    if isinstance(audio, dict) and isinstance(audio.get("data"), str):
        parts.append(_read_audio(Fields(fields.take("audio"), fields.at("audio"))))
    if fields.peek("tool_calls"):
        at = fields.at("tool_calls")
        parts.extend(
            _read_call(call, f"{at}/{i}", derived=f"call_{i}" if reply else "")
            for i, call in enumerate(fields.array("tool_calls") or ())
        )
    legacy = fields.peek("function_call")
    if isinstance(legacy, dict):
        parts.append(_read_function_call(Fields(fields.take("function_call"), fields.at("function_call"))))
    return Message(MessageRole.ASSISTANT, tuple(parts), vendor_extensions=fields.extensions(WIRE))


def _read_reasoning(fields: Fields) -> list[MessagePart]:
    if fields.lacks(REASONING):
        return []
    parts: list[MessagePart] = []
    details = fields.peek("reasoning_details")
    for name in _said_fields(fields) or ("",):
        own = Fields({})
        if name:
            own.spell("text", name)
        if not parts and details and isinstance(details, list):
            own.keep("reasoning_details", fields.take("reasoning_details"))
        if own.rest():
            parts.append(ReasoningPart(fields.text(name) or "", protocol=CHAT, vendor_extensions=own.extensions(WIRE)))
    return parts


def _said_fields(fields: Fields) -> list[str]:
    """Give the fields of reasoning that say something: one, or both where the second does not repeat the first."""
    found = {name: fields.peek(name) for name in REASONING_FIELDS}
    said = [name for name, value in found.items() if value and isinstance(value, str)]
    if len(said) < 2:
        return said
    first, second = (found[name].strip() for name in said)
    return said[:1] if first == second else said


def _with_annotations(parts: tuple[MessagePart, ...], fields: Fields) -> tuple[MessagePart, ...]:
    """Hang the message's annotations on its text, where there is exactly one and they are of a known form."""
    given = fields.peek("annotations")
    if not given or len(parts) != 1 or not isinstance(parts[0], TextPart):
        return parts
    annotations = read_annotations(given)
    if annotations is None:
        return parts
    fields.take("annotations")
    return (TextPart(parts[0].text, annotations, vendor_extensions=parts[0].vendor_extensions),)


def _read_audio(fields: Fields) -> AudioPart:
    return AudioPart(
        fields.required_text("data"), None, fields.maybe_text("transcript"), vendor_extensions=fields.extensions(WIRE)
    )


def _read_function_call(fields: Fields) -> ToolCallPart:
    name = text_or_empty(fields, "name")
    arguments = fields.take("arguments")
    outer = Fields({})
    outer.spell("type", "function_call")
    _spell_arguments(outer, arguments)
    if fields.rest():
        outer.keep("function_call", fields.rest())
    return _call(f"call_{name}", name, arguments, outer.extensions(WIRE))


def _read_call(value: Any, pointer: str, *, derived: str) -> MessagePart:
    return _read_usual_call(value) or _read_any_call(value, pointer, derived)


def _read_usual_call(value: Any) -> ToolCallPart | None:
    """Read a call with an id, of a function with a name and a text, and nothing else: nearly all are."""
    if type(value) is not dict or value.keys() != _CALL or value["type"] != "function":
        return None
    call_id, function = value["id"], value["function"]
    if type(function) is not dict or function.keys() != _FUNCTION:
        return None
    name, text = function["name"], function["arguments"]
    if not (call_id and name and type(call_id) is type(name) is type(text) is str):
        return None
    return ToolCallPart.from_text(call_id, name, text)


def _read_any_call(value: Any, pointer: str, derived: str) -> MessagePart:
    fields = Fields(value, pointer)
    kind = fields.peek("type")
    body = "custom" if kind == "custom" else "function"
    if (kind and kind not in ("function", "custom")) or not isinstance(fields.peek(body), dict):
        return VendorPart(CHAT, value)
    call_id = text_or_empty(fields, "id") or derived
    if not call_id:
        fields.spell("call_id", None)
    if kind == "custom":
        fields.spell("type", "custom")
    elif "type" not in fields:
        fields.spell("type", None)
    if kind:
        fields.take("type")
    function = Fields(fields.take(body), fields.at(body))
    name = text_or_empty(function, "name")
    arguments = function.take("input" if kind == "custom" else "arguments")
    _spell_arguments(fields, arguments)
    if function.rest():
        fields.keep(body, function.rest())
    extensions = fields.extensions(WIRE)
    if kind == "custom" and isinstance(arguments, str):
        return ToolCallPart(call_id, name, arguments, arguments, vendor_extensions=extensions)
    return _call(call_id, name, arguments, extensions)


def _spell_arguments(fields: Fields, arguments: Any) -> None:
    if not isinstance(arguments, str):
        fields.spell("arguments", "absent" if arguments is None else "value")


def _call(call_id: str, name: str, arguments: Any, extensions: dict[str, Any]) -> ToolCallPart:
    """Make a call of its arguments, which are a text, and with some servers the value itself."""
    if isinstance(arguments, str):
        return ToolCallPart.from_text(call_id, name, arguments, vendor_extensions=extensions)
    return ToolCallPart(call_id, name, {} if arguments is None else arguments, vendor_extensions=extensions)


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_assistant(placed: Iterable[Placed], emission: Emission, *, reply: bool, array: bool = False) -> dict[str, Any]:
    """Write an assistant's message of its parts; what it cannot hold is a loss."""
    out: dict[str, Any] = {"role": "assistant"}
    content: list[Placed] = []
    for part, at in placed:
        if isinstance(part, TextPart | JsonPart) or _is_inside(part) or (isinstance(part, VendorPart) and not _is_call(part)):
            content.append((part, at))
        elif isinstance(part, ToolCallPart | VendorPart):
            _write_call(out, part, emission, at, reply=reply)
        elif isinstance(part, ReasoningPart):
            _write_reasoning(out, part, emission, at, reply=reply)
        elif isinstance(part, RefusalPart):
            out["refusal"] = out.get("refusal", "") + part.text
            emission.lay(out, part.vendor_extensions, at)
        elif isinstance(part, AudioPart) and part.transcript and not reply and not _is_referred_to(part):
            content.append((part, at))  # where its transcript is written
        elif isinstance(part, AudioPart):
            _write_audio(out, part, emission, at, reply=reply)
        else:
            drop(part, emission, at)
    _write_content(out, content, emission, reply=reply, array=array)
    return out


def _is_inside(part: MessagePart) -> bool:
    """Tell reasoning and refusals that stood in the content from those with fields of their own."""
    if not isinstance(part, ReasoningPart | RefusalPart):
        return False
    return spelling(part.vendor_extensions, WIRE).get("text") in ("thinking", "content")


def _is_referred_to(part: AudioPart) -> bool:
    """Tell whether sound is the API's own, which it knows by its id."""
    return "id" in kept(part.vendor_extensions, WIRE)


def _is_call(part: VendorPart) -> bool:
    """Tell a call of an unknown type from a content part of an unknown type: calls have ids."""
    return part.protocol is CHAT and isinstance(part.payload, dict) and "id" in part.payload


def _write_content(out: dict[str, Any], placed: list[Placed], emission: Emission, *, reply: bool, array: bool) -> None:
    if not placed:
        return
    annotations = write_annotations(placed, emission, reply=reply)
    if annotations:
        out["annotations"] = annotations
    if reply and len(placed) == 1 and isinstance(placed[0][0], JsonPart) and is_hollow(placed[0][0].vendor_extensions):
        out["content"] = placed[0][0].value
        return
    content: Any = write_content(placed, emission, _CONTENT, array=array)
    if reply and isinstance(content, list):
        texts = [
            block["text"] for block in content if isinstance(block, dict) and len(block) == 2 and block.get("type") == "text"
        ]
        if len(texts) == len(content):
            content = "".join(texts)  # the API's own replies hold one text
    if content is not None:
        out["content"] = content


def _write_reasoning(out: dict[str, Any], part: ReasoningPart, emission: Emission, at: str, *, reply: bool) -> None:
    foreign = part.protocol is not None and part.protocol is not CHAT
    if foreign and not reply:
        drop(part, emission, at)
        return
    text = part.text
    if not text and part.summary:
        text = "".join(part.summary)
    elif part.summary:
        emission.lose(f"{at}/summary", "Chat Completions has no summaries of reasoning")
    if text:
        name = spelling(part.vendor_extensions, WIRE).get("text")
        field = name if name in REASONING_FIELDS else REASONING_FIELDS[0]
        out[field] = out.get(field, "") + text
    if part.signature is not None:
        emission.lose(f"{at}/signature", "Chat Completions has no signature of reasoning")
    if part.encrypted_content is not None:
        emission.lose(f"{at}/encrypted_content", "Chat Completions has no encrypted reasoning")
    emission.lay(out, part.vendor_extensions, at)


def _write_audio(out: dict[str, Any], part: AudioPart, emission: Emission, at: str, *, reply: bool) -> None:
    if not reply and not _is_referred_to(part):
        drop(part, emission, at)  # the API takes its own sound back, by reference
        return
    own = emission.lay({}, part.vendor_extensions, at)
    if reply:
        audio = {"data": part.data, **own}
        audio.setdefault("id", "audio_0")
        audio.setdefault("expires_at", 0)
        audio["transcript"] = part.transcript or ""
        out["audio"] = audio
        if part.media_type is not None:
            emission.lose(f"{at}/media_type", "Chat Completions does not say the format of sound in a reply")
    else:
        out["audio"] = {"id": own["id"]}


def _write_call(out: dict[str, Any], part: ToolCallPart | VendorPart, emission: Emission, at: str, *, reply: bool) -> None:
    if isinstance(part, VendorPart):
        out.setdefault("tool_calls", []).append(part.payload)
        return
    kind = spelling(part.vendor_extensions, WIRE).get("type", "function")
    if kind == "function_call":
        out[kind] = _write_body(part, kind, "arguments")
        emission.lay(out, part.vendor_extensions, at)
        return
    body, text = ("custom", "input") if kind == "custom" else ("function", "arguments")
    calls = out.setdefault("tool_calls", [])
    call_id = part.call_id or (f"call_{len(calls)}" if reply else "")
    call: dict[str, Any] = {"id": call_id} if call_id else {}
    if kind is not None:
        call["type"] = body
    call[body] = _write_body(part, body, text)
    calls.append(emission.lay(call, part.vendor_extensions, at))


def _write_body(part: ToolCallPart, body: str, text: str) -> dict[str, Any]:
    """Write the object of that name within a call; what the arguments are is the text, but with some servers the value."""
    out: dict[str, Any] = {"name": part.name}
    how = spelling(part.vendor_extensions, WIRE).get("arguments")
    if how == "value" and not isinstance(part.arguments, str):
        out[text] = part.arguments
    elif how != "absent" or part.arguments:
        out[text] = part.arguments_text()
    return fill(out, inner(part.vendor_extensions, body))
