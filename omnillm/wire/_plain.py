"""The message that nearly all messages are: one text in a role, and nothing else.

Purpose: such a message is read and written in one step, before the general way is tried.
Contract: what is given here is what the general way gives; ``None`` says nothing but that this message has to take it.
Rules: an empty text is never plain, since every wire has a meaning of its own for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types.enums import MessageRole
from ..types.message import Message
from ..types.parts import TextPart


def read_plain(value: Any, roles: Mapping[str, MessageRole]) -> Message | None:
    """Read an object of a role and a text: ``{"role": ..., "content": "..."}``."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, text = value.get("role"), value.get("content")
    if type(text) is not str or not text or type(role) is not str:
        return None
    found = roles.get(role)
    return None if found is None else Message(found, (TextPart(text),))


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
    return Message(found, (TextPart(text),)) if type(text) is str and text else None


def plain_text(message: Message) -> str | None:
    """Give the text of a message that says nothing else."""
    parts = message.parts
    if len(parts) != 1 or message.vendor_extensions or message.raw_message is not None:
        return None
    part = parts[0]
    if type(part) is not TextPart or part.vendor_extensions or part.annotations:
        return None
    return part.text or None
