"""A request's items written as ``system`` and ``messages``.

Contract: the turns alternate; messages that this wire had in another way (two users in a row, an assistant first) are written as
they were.
Rules: an empty turn is left out. A cache point is a block of its own, put behind the block that ends the prefix.
"""

from __future__ import annotations

from ...types.message import Message, RequestItem
from ...types.parts import JsonPart, MessagePart, TextPart, VendorPart
from ...types.request import LlmRequest
from .. import _turns
from .._fields import Emission
from ._own import PROTOCOL, WIRE, Block, kept, spelled
from ._write import BlockWriter


class CacheMark(_turns.CacheMark):
    """Say behind which block the cached prefix ends."""

    __slots__ = ()

    def put(self, blocks: _turns.Placed, at: int) -> bool:
        """Put the point behind a block."""
        blocks.insert(at + 1, (blocks[at][0], self.sign))
        return True


class Conversation(_turns.Conversation):
    """Gather turns, which alternate where they may be merged."""

    wire = WIRE

    def __init__(self, emission: Emission, mark: CacheMark | None, *, merges: bool) -> None:
        super().__init__(emission, BlockWriter(emission), mark, merges=merges)

    def text_block(self, text: str) -> Block:
        """Give the block of a text."""
        return {"text": text}

    def is_of_the_system(self, part: MessagePart) -> bool:
        """Tell whether a part is text, or what this wire itself had in the system."""
        return isinstance(part, TextPart | JsonPart) or (isinstance(part, VendorPart) and part.protocol is PROTOCOL)

    def is_users(self, _item: RequestItem, _block: Block) -> bool:
        """Tell that only results are the user's."""
        return False

    def add_whole(self, _index: int, _item: Message) -> bool:
        """Tell that parts say all that a message here can."""
        return False

    def keeps_empty(self, item: Message) -> bool:
        """Tell whether the wire had a content that is none."""
        return kept(item.vendor_extensions, "content") is not None


def write_conversation(request: LlmRequest, emission: Emission, mark: CacheMark | None) -> Conversation:
    """Write a request's items."""
    form = spelled(request.vendor_extensions, "messages")
    conversation = Conversation(emission, mark, merges=form not in ("in a row", "no user first, in a row"))
    conversation.write(request, opened=form is not None)
    return conversation
