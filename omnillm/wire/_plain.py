"""The message that nearly all messages are: one text in a role, and nothing else; and the event that nearly all events are.

Purpose: such a message is read and written in one step, before the general way is tried.
Contract: what is given here is what the general way gives; ``None`` says nothing but that this message has to take it.
Rules: an empty text is never plain, since every wire has a meaning of its own for one. The values are made slot by slot: what
is put in needs no check, and the constructors of frozen classes take three times as long, which is most of what reading takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..types.enums import MessageRole
from ..types.events import TextDelta
from ..types.message import Message
from ..types.parts import TextPart


def read_plain(value: Any, roles: Mapping[str, MessageRole]) -> Message | None:
    """Read an object of a role and a text: ``{"role": ..., "content": "..."}``."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, text = value.get("role"), value.get("content")
    found = roles.get(role) if type(role) is str else None
    return _made(found, text) if found is not None and type(text) is str and text else None


def read_plain_block(value: Any, name: str, roles: Mapping[str, MessageRole]) -> Message | None:
    """Read an object of a role and one block that is a text alone: ``{"role": ..., name: [{"text": "..."}]}``."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, blocks = value.get("role"), value.get(name)
    if type(blocks) is not list or len(blocks) != 1 or type(role) is not str:
        return None
    block, found = blocks[0], roles.get(role)
    if found is None or type(block) is not dict or len(block) != 1:
        return None
    text = block.get("text")
    return _made(found, text) if type(text) is str and text else None


def _setter(owner: type, name: str) -> Callable[[object, Any], None]:
    return vars(owner)[name].__set__  # type: ignore[no-any-return]  # a slot's descriptor


_new = object.__new__
_set_text, _set_annotations = _setter(TextPart, "text"), _setter(TextPart, "annotations")
_set_role, _set_parts, _set_raw = _setter(Message, "role"), _setter(Message, "parts"), _setter(Message, "raw_message")
_set_part_extensions, _set_extensions = _setter(TextPart, "vendor_extensions"), _setter(Message, "vendor_extensions")


_set_delta, _set_index = _setter(TextDelta, "delta"), _setter(TextDelta, "index")


def text_delta(text: str, index: int = 0) -> TextDelta:
    """Give ``TextDelta(text, index)``."""
    event = _new(TextDelta)
    _set_delta(event, text)
    _set_index(event, index)
    return event


def _made(role: MessageRole, text: str) -> Message:
    """Give ``Message(role, (TextPart(text),))``."""
    part = _new(TextPart)
    _set_text(part, text)
    _set_annotations(part, ())
    _set_part_extensions(part, {})
    message = _new(Message)
    _set_role(message, role)
    _set_parts(message, (part,))
    _set_raw(message, None)
    _set_extensions(message, {})
    return message


def plain_text(message: Message) -> str | None:
    """Give the text of a message that says nothing else."""
    parts = message.parts
    if len(parts) != 1 or message.vendor_extensions or message.raw_message is not None:
        return None
    part = parts[0]
    if type(part) is not TextPart or part.vendor_extensions or part.annotations:
        return None
    return part.text or None
