"""A request's items written as ``system`` and ``messages``.

Contract: a message that was read from this wire is written as its own turn, never merged, moved or rewritten.
Rules: the API refuses empty texts, empty turns and an assistant that speaks first: the former are left out, before the latter a
user's turn is put. A lone text is a string, unless the endpoint wants an array.
"""

from __future__ import annotations

from typing import Any

from ...errors import ProtocolError
from ...types.message import Message, RequestItem
from ...types.parts import JsonPart, MessagePart, TextPart, VendorPart
from ...types.request import LlmRequest
from .. import _turns
from .._fields import Emission
from ._own import PROTOCOL, WIRE, spelled
from ._read import read_message
from ._write import Block, BlockWriter

_USER_BLOCKS = frozenset({"container_upload", "document", "image", "search_result", "tool_result"})
_UNCACHED_BLOCKS = frozenset({"thinking", "redacted_thinking"})  # Prompt caching guide, "What cannot be cached"


class CacheMark(_turns.CacheMark):
    """Say which block ends the cached prefix."""

    __slots__ = ()

    def put(self, blocks: _turns.Placed, at: int) -> bool:
        """Give a block its ``cache_control``."""
        place, block = blocks[at]
        if block.get("type") in _UNCACHED_BLOCKS:
            return False
        blocks[at] = place, {**block, "cache_control": self.sign}
        return True


class Conversation(_turns.Conversation):
    """Gather turns that stand as they were made."""

    wire = WIRE

    def __init__(self, emission: Emission, mark: CacheMark | None) -> None:
        super().__init__(emission, BlockWriter(emission), mark, merges=False)

    def text_block(self, text: str) -> Block:
        """Give the block of a text."""
        return {"type": "text", "text": text}

    def is_of_the_system(self, part: MessagePart) -> bool:
        """Tell whether a part is text, or what this wire itself may have had in the system."""
        return isinstance(part, TextPart | JsonPart | VendorPart)

    def is_users(self, item: RequestItem, block: Block) -> bool:
        """Tell whether a block is of a kind that users give."""
        return isinstance(item, VendorPart) and block.get("type") in _USER_BLOCKS

    def add_whole(self, index: int, item: Message) -> bool:
        """Add a message whose parts cannot rebuild it as it was read, where it still says the same."""
        raw = item.raw_message
        if raw is None or raw.protocol is not PROTOCOL or self.is_marked(index) or not _still_says(raw.payload, item):
            return False
        self.messages.append(raw.payload)
        return True

    def keeps_empty(self, _item: Message) -> bool:
        """Tell that the API takes no empty turn."""
        return False

    def shorten(self) -> None:
        """Make a string of every content that is a text alone."""
        for message in self.built:
            content = message["content"]
            block = content[0] if type(content) is list and len(content) == 1 else None
            # what the caller may have laid over it is not looked into
            if type(block) is dict and len(block) == 2 and block.get("type") == "text" and isinstance(block.get("text"), str):
                message["content"] = block["text"]


def write_conversation(request: LlmRequest, emission: Emission, mark: CacheMark | None) -> Conversation:
    """Write a request's items."""
    conversation = Conversation(emission, mark)
    conversation.write(request, opened=spelled(request.vendor_extensions, "messages") is not None)
    if emission.text_content != "array":
        conversation.shorten()
    return conversation


def _still_says(payload: Any, message: Message) -> bool:
    try:
        return bool(read_message(payload, "") == message)
    except ProtocolError:
        return False
