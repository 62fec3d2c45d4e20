"""Messages of Chat Completions, of requests and of replies.

Contract: ``read_message`` gives the canonical item of a request's message, ``read_reply`` the message of a choice;
``write_items``, ``write_reply`` and ``write_joined_reply`` are the ways back. A message of an unknown role is a ``VendorPart``.
Rules: what a message's parts cannot rebuild keeps the wire's own message beside them, which counts for as long as reading it
again gives the same message. A reply's calls without an id are given one by position, so that results can name them; a request's
stay as they are. Messages are never merged: only loose items, and results inside other messages, get messages of their own.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from ... import _json
from ...types.enums import MessageRole
from ...types.message import Message, RawMessage, RequestItem, ResponseItem
from ...types.parts import MessagePart, RefusalPart, TextPart, ToolCallPart, ToolResultPart, VendorPart
from .._fields import SPELLING, Emission, Fields, kept, names_in, spelling
from .._plain import plain_text
from ._assistant import REASONING, read_assistant, write_assistant
from ._content import CHAT, TEXT_ROLE, USER_ROLE, WIRE, Placed, drop, read_content, read_part, text_or_empty, write_content

Part = TypeVar("Part", bound=MessagePart)

_ROLES = {
    "system": MessageRole.SYSTEM,
    "developer": MessageRole.DEVELOPER,
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "tool": MessageRole.TOOL,
    "function": MessageRole.TOOL,
}
PLAIN_ROLES = {name: _ROLES[name] for name in ("system", "developer", "user", "assistant")}
_TEXT_ALONE = frozenset(("role", "content"))
_BESIDE_A_TEXT = ("refusal", "audio", "tool_calls", "function_call", "annotations", *REASONING)
_NOT_PLAIN = frozenset(("tool_calls", "function_call", "annotations"))


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_message(value: Any, pointer: str) -> RequestItem:
    """Read a message of a request that is more than a text in a role."""
    fields = Fields(value, pointer)
    name = fields.required_text("role")
    role = _ROLES.get(name)
    if role is None:
        return VendorPart(CHAT, value)
    content = fields.peek("content")
    if role is MessageRole.ASSISTANT:
        plain = isinstance(content, str) and _NOT_PLAIN.isdisjoint(value)
        message = read_assistant(fields, reply=False)
    else:
        plain = isinstance(content, str)
        if content != []:  # an empty one says nothing: it stays among the rest
            fields.take("content")
        if role is MessageRole.TOOL:
            message = _read_result(fields, content, legacy=name == "function")
        else:
            message = Message(role, read_content(content, fields.at("content")), vendor_extensions=fields.extensions(WIRE))
    if plain or _calls_alone(message, value) or list(_write_message(message, Emission(WIRE), "")) == [value]:
        return message
    return replace(message, raw_message=RawMessage(CHAT, value))


def _calls_alone(message: Message, value: dict[str, Any]) -> bool:
    """Tell whether a message is texts and calls in their usual shape: the common one of those that are surely rebuilt."""
    calls = value.get("tool_calls")
    if not calls or isinstance(value.get("content"), list) or "function_call" in value or "annotations" in value:
        return False
    for part in message.parts:
        usual = type(part) is TextPart or (type(part) is ToolCallPart and part.call_id and part.name)
        if not usual or part.vendor_extensions:  # type: ignore[union-attr]  # a text or a call
            return False
    return all(type(call["function"].get("arguments")) is str for call in calls)


def read_reply(value: Any, pointer: str) -> Message:
    """Read the message of a choice."""
    usual = _read_usual_reply(value)
    if usual is not None:
        return usual
    fields = Fields(value, pointer)
    if fields.peek("role") == "assistant":
        fields.take("role")
    if "content" not in fields:
        fields.spell("content", None)
    message = read_assistant(fields, reply=True)
    if write_reply(message, Emission(WIRE)) == value:
        return message
    return replace(message, raw_message=RawMessage(CHAT, value))


def _read_usual_reply(value: Any) -> Message | None:
    """Read a reply that says a text and nothing beside it: it is surely rebuilt, whatever fields it has that say nothing."""
    if type(value) is not dict or value.get("role") != "assistant" or SPELLING in value or any(map(value.get, _BESIDE_A_TEXT)):
        return None
    text = value.get("content")
    if type(text) is not str or not text:
        return None
    rest = {name: item for name, item in value.items() if name not in _TEXT_ALONE}
    return Message(MessageRole.ASSISTANT, (TextPart(text),), vendor_extensions={WIRE.value: rest} if rest else {})


def _read_result(fields: Fields, content: Any, *, legacy: bool) -> Message:
    name = fields.text("name")
    own = Fields({})
    if legacy:
        fields.spell("role", "function")
        call_id = f"call_{name}"  # as the call before it: see _assistant
    else:
        call_id = text_or_empty(fields, "tool_call_id")
        if not call_id:
            own.spell("call_id", None)
    output: Any = content
    if isinstance(content, list):
        output = tuple(read_part(part, f"{fields.at('content')}/{i}") for i, part in enumerate(content))
        if not TEXT_ROLE.issuperset(map(type, output)):
            own.spell("output", "media")  # which OpenAI refuses, and others take
    elif content is None:
        output = ""
    elif not isinstance(content, str):
        own.spell("output", "value")
    result = ToolResultPart(call_id, output, name, vendor_extensions=own.extensions(WIRE))
    return Message(MessageRole.TOOL, (result,), vendor_extensions=fields.extensions(WIRE))


def _raw(message: Message, *, reply: bool) -> Any:
    """Give the wire's own message where it still says what the message says, else ``None``."""
    raw = message.raw_message
    if raw is None or raw.protocol is not CHAT or not isinstance(raw.payload, dict):
        return None
    again = read_reply(raw.payload, "") if reply else read_message(raw.payload, "")
    if not isinstance(again, Message) or again != message:
        return None
    # equality takes 1 for True and for 1.0: only the written form tells them apart
    same = repr(again.parts) == repr(message.parts) and repr(again.vendor_extensions) == repr(message.vendor_extensions)
    return raw.payload if same else None


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_items(items: Iterable[RequestItem], emission: Emission) -> list[Any]:
    """Write a request's items as messages; loose parts of an assistant's turn join the assistant's message next to them."""
    items = tuple(items)
    messages = [item for item in items if isinstance(item, Message)]
    if len(messages) < len(items):
        return _write_turns(items, emission)
    out: list[Any] = []
    ids, as_text = _Ids(), emission.text_content != "array"
    for i, message in enumerate(messages):
        text = plain_text(message) if as_text and message.role is not MessageRole.TOOL else None
        if text is not None:
            out.append({"role": message.role._value_, "content": text})
        else:
            out.extend(_write_item(ids.of_message(message), emission, f"/input/{i}"))
    return out


def _write_turns(items: Iterable[RequestItem], emission: Emission) -> list[Any]:
    out: list[Any] = []
    ids, turn = _Ids(), _Turn()
    for i, given in enumerate(items):
        pointer = f"/input/{i}"
        item = ids.of_message(given) if isinstance(given, Message) else ids.of_part(given)
        if isinstance(item, Message) and item.role is MessageRole.ASSISTANT:
            if not turn.take(item, pointer):
                out.extend(turn.close(emission))
                turn.take(item, pointer)
        elif isinstance(item, Message | ToolResultPart | VendorPart):
            out.extend(turn.close(emission))
            out.extend(_write_item(item, emission, pointer))
        else:
            turn.add(item, pointer)
    out.extend(turn.close(emission))
    return out


def _write_item(item: Message | ToolResultPart | VendorPart, emission: Emission, pointer: str) -> Iterable[Any]:
    if isinstance(item, Message):
        raw = _raw(item, reply=False)
        return _write_message(item, emission, pointer) if raw is None else (raw,)
    if isinstance(item, ToolResultPart):
        return (_write_result(item, emission, pointer),)
    if item.protocol is CHAT:
        return (item.payload,)
    drop(item, emission, pointer)
    return ()


class _Turn:
    """The assistant's turn being gathered: at most one message, and the loose parts around it."""

    __slots__ = ("_at", "_before", "_loose", "_message", "_placed")

    def __init__(self) -> None:
        self._message: Message | None = None
        self._at = ""
        self._before = 0  # how many of the loose parts stand before the message
        self._placed: list[Placed] = []
        self._loose = False

    def take(self, message: Message, pointer: str) -> bool:
        """Take a message where there is none yet."""
        if self._message is not None:
            return False
        self._message, self._at, self._before = message, pointer, len(self._placed)
        return True

    def add(self, part: MessagePart, pointer: str) -> None:
        """Take a loose part."""
        self._placed.append((part, pointer))
        self._loose = True

    def close(self, emission: Emission) -> Iterable[Any]:
        """Give the message of the turn, if there is one, and start anew."""
        message, at, placed, loose = self._message, self._at, self._placed, self._loose
        if message is None and not placed:
            return ()
        self._message, self._placed, self._loose = None, [], False
        if message is not None:
            if not loose:
                return _write_item(message, emission, at)
            placed[self._before : self._before] = _placed(message, at)
        out = write_assistant(placed, emission, reply=False)
        if message is not None:
            emission.lay(out, message.vendor_extensions, at)
        return (_spoken(out),)


class _Ids:
    """Ids by position, for calls and results that other wires leave without; what this wire left without one stays so."""

    __slots__ = ("_calls", "_results")

    def __init__(self) -> None:
        self._calls = self._results = 0

    def of_message(self, message: Message) -> Message:
        """Give a message, each of its parts with an id where it needs one."""
        parts = tuple([self.of_part(part) for part in message.parts])
        return message if all(map(operator.is_, parts, message.parts)) else replace(message, parts=parts)

    def of_part(self, part: Part) -> Part:
        """Give a part, with an id where it needs one."""
        if isinstance(part, ToolCallPart) and not part.call_id and not _is_without_id(part):
            self._calls += 1
            return replace(part, call_id=f"call_{self._calls - 1}")
        if isinstance(part, ToolResultPart) and not part.call_id and not _is_without_id(part):
            self._results += 1
            return replace(part, call_id=f"call_{self._results - 1}")
        return part


def _is_without_id(part: ToolCallPart | ToolResultPart) -> bool:
    return "call_id" in spelling(part.vendor_extensions, WIRE)


def _placed(message: Message, pointer: str) -> list[Placed]:
    return [(part, f"{pointer}/parts/{i}") for i, part in enumerate(message.parts)]


def _write_message(message: Message, emission: Emission, pointer: str) -> list[dict[str, Any]]:
    text = plain_text(message) if message.role is not MessageRole.TOOL and emission.text_content != "array" else None
    if text is not None:
        return [{"role": message.role.value, "content": text}]
    placed = _placed(message, pointer)
    if message.role is MessageRole.ASSISTANT:
        out = write_assistant(placed, emission, reply=False, array=_was_array(message))
        return [_spoken(emission.lay(out, message.vendor_extensions, pointer))]
    legacy = spelling(message.vendor_extensions, WIRE).get("role") == "function"
    written = [_write_result(part, emission, at, legacy=legacy) for part, at in placed if isinstance(part, ToolResultPart)]
    others = [(part, at) for part, at in placed if not isinstance(part, ToolResultPart)]
    if message.role is MessageRole.TOOL:
        for part, at in others:
            drop(part, emission, at)
    elif others or not written:
        written.append(_write_other(message, others, emission))
    if written:
        emission.lay(written[-1], message.vendor_extensions, pointer)
    else:
        emission.forfeit(message.vendor_extensions, pointer, "a tool's message without a result is not sent")
    return written


def _spoken(out: dict[str, Any]) -> dict[str, Any]:
    if len(out) == 1:  # nothing but the role, which the API refuses
        out["content"] = ""
    return out


def _write_other(message: Message, placed: list[Placed], emission: Emission) -> dict[str, Any]:
    allowed = USER_ROLE if message.role is MessageRole.USER else TEXT_ROLE
    spoken = [
        (TextPart(part.text, vendor_extensions=part.vendor_extensions) if isinstance(part, RefusalPart) else part, at)
        for part, at in placed
    ]
    _lose_annotations(spoken, emission)
    content = write_content(spoken, emission, allowed, array=_was_array(message))
    if content is None:
        return {"role": message.role.value, "content": kept(message.vendor_extensions, WIRE).get("content", "")}
    return {"role": message.role.value, "content": content}


def _lose_annotations(placed: Iterable[Placed], emission: Emission) -> None:
    for part, at in placed:
        if isinstance(part, TextPart) and part.annotations:
            names = names_in([annotation.raw for annotation in part.annotations])
            emission.lose(f"{at}/annotations", f"nobody but the assistant cites anything here: no citations, {names}")


def _was_array(message: Message) -> bool:
    raw = message.raw_message
    return raw is not None and raw.protocol is CHAT and isinstance(raw.payload, dict) and type(raw.payload.get("content")) is list


def _write_result(result: ToolResultPart, emission: Emission, pointer: str, *, legacy: bool = False) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "function" if legacy else "tool"}
    if result.call_id and not legacy:
        out["tool_call_id"] = result.call_id
    if result.name is not None:
        out["name"] = result.name
    out["content"] = _write_output(result, emission, pointer)
    if result.is_error:
        emission.lose(f"{pointer}/is_error", "Chat Completions does not say that a tool failed")
    return emission.lay(out, result.vendor_extensions, pointer)


def _write_output(result: ToolResultPart, emission: Emission, pointer: str) -> Any:
    output, how = result.output, spelling(result.vendor_extensions, WIRE).get("output")
    if isinstance(output, tuple):
        placed = [(part, f"{pointer}/output/{i}") for i, part in enumerate(output)]
        _lose_annotations(placed, emission)
        content = write_content(placed, emission, USER_ROLE if how == "media" else TEXT_ROLE)
        return "" if content is None else content
    if not isinstance(output, str):
        if how == "value":
            return output
        output = _json.dumps(output)
    return [{"type": "text", "text": output}] if emission.text_content == "array" else output


def write_reply(message: Message, emission: Emission) -> dict[str, Any]:
    """Write the message of a choice."""
    raw = _raw(message, reply=True)
    if raw is not None:
        return dict(raw)
    out = write_assistant(_placed(message, "/output/0"), emission, reply=True)
    emission.lay(out, message.vendor_extensions, "/output/0")
    if "content" not in spelling(message.vendor_extensions, WIRE):
        out.setdefault("content", None)
    return out


def write_joined_reply(items: Iterable[ResponseItem], emission: Emission) -> dict[str, Any]:
    """Write the message of a choice from several items."""
    placed: list[Placed] = []
    for i, item in enumerate(items):
        placed.extend(_placed(item, f"/output/{i}") if isinstance(item, Message) else [(item, f"/output/{i}")])
    out = write_assistant(placed, emission, reply=True)
    for i, item in enumerate(items):
        if isinstance(item, Message):
            emission.lay(out, item.vendor_extensions, f"/output/{i}")
    out.setdefault("content", None)
    return out
