"""A request's items written as ``system`` and ``messages``.

Purpose: the API takes user and assistant turns in alternation, the user's first, and the system before them.
Contract: messages that this wire had in another way (two users in a row, an assistant first) are written as they were. Items
without a message (calls, results, reasoning) join the turn beside them, messages of tools become the user's turn.
Rules: a system message that stands first is the system; a later one goes there too, which is reported, unless this wire put it
in place. An empty turn is left out. A cache point is a block of its own, put behind the block that ends the prefix.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...types.enums import MessageRole
from ...types.message import Message, RequestItem
from ...types.parts import JsonPart, MessagePart, TextPart, ToolResultPart, VendorPart
from ...types.request import LlmRequest
from .._fields import Emission, escape, held_by
from .._plain import plain_text
from ._own import PROTOCOL, WIRE, Block, kept, spelled
from ._write import BlockWriter

_SYSTEM_ROLES = (MessageRole.SYSTEM, MessageRole.DEVELOPER)
_OPENING = "."  # what is said where the API wants a user's turn and the conversation has none; it refuses an empty one


@dataclass(slots=True)
class CacheMark:
    """Say behind which block the cached prefix ends: that of a part, or the last one of an item."""

    point: Block
    item: int
    part: int | None = None
    placed: bool = False

    def place(self, index: int, blocks: list[tuple[int, Block]]) -> None:
        """Put the point among an item's blocks, each given with its part's place."""
        if index != self.item:
            return
        for at in reversed(range(len(blocks))):
            if self.part in (None, blocks[at][0]):
                blocks.insert(at + 1, (blocks[at][0], self.point))
                self.placed = True
                return


class Conversation:
    """Gather what a request's items become; ``system`` and ``messages`` are ready after ``close``."""

    def __init__(self, emission: Emission, mark: CacheMark | None, *, merges: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self._emission = emission
        self._mark = mark
        self._merges = merges
        self._writer = BlockWriter(emission)
        self._open: MessageRole | None = None  # whose turn a loose item may join
        self._after_loose = False  # whether an assistant's message may join it too
        self._last_system: tuple[str, list[Block]] = ("", [])

    def add(self, index: int, item: RequestItem, pointer: str) -> None:
        """Write one item."""
        if not isinstance(item, Message):
            self._add_loose(index, item, pointer)
        elif item.role in _SYSTEM_ROLES and spelled(item.vendor_extensions, "role") is None:
            self._add_system(index, item, pointer)
        else:
            self._add_message(index, item, pointer)

    def _blocks(self, parts: Iterable[MessagePart], index: int, pointer: str) -> list[Block]:
        blocks = [(j, self._writer.write(part, f"{pointer}/parts/{j}")) for j, part in enumerate(parts)]
        return self._marked(index, [(j, block) for j, block in blocks if block is not None])

    def _marked(self, index: int, blocks: list[tuple[int, Block]]) -> list[Block]:
        if self._mark is not None:
            self._mark.place(index, blocks)
        return [block for _, block in blocks]

    def _add_message(self, index: int, item: Message, pointer: str) -> None:
        text = plain_text(item) if self._mark is None else None
        if text is not None:
            joins = item.role is MessageRole.TOOL or (item.role is MessageRole.ASSISTANT and self._after_loose)
            self._turn(item.role, [{"text": text}], joins=joins)
            return
        blocks = self._blocks(item.parts, index, pointer)
        if not blocks and kept(item.vendor_extensions, "content") is None:
            return
        joins = item.role is MessageRole.TOOL or (item.role is MessageRole.ASSISTANT and self._after_loose)
        turn = self._turn(item.role, blocks, joins=joins)
        self._emission.lay(turn, item.vendor_extensions, pointer)

    def _add_loose(self, index: int, item: Any, pointer: str) -> None:
        block = self._writer.write(item, pointer)
        if block is None:
            return
        role = MessageRole.ASSISTANT
        if isinstance(item, ToolResultPart):
            role = MessageRole.TOOL
        self._turn(role, self._marked(index, [(0, block)]), joins=True)
        self._after_loose = True

    def _turn(self, role: MessageRole, blocks: list[Block], *, joins: bool) -> dict[str, Any]:
        """Give the turn that the blocks went into: the last one where they join it, else a new one."""
        name = "user" if role is MessageRole.TOOL else role.value
        joins = (joins and self._open is role) or (self._merges and bool(self.messages) and self.messages[-1]["role"] == name)
        if joins:
            self.messages[-1]["content"].extend(blocks)
        else:
            self.messages.append({"role": name, "content": blocks})
        self._open, self._after_loose = role, False
        return self.messages[-1]

    def _add_system(self, index: int, item: Message, pointer: str) -> None:
        blocks: list[tuple[int, Block]] = []
        for j, part in enumerate(item.parts):
            if isinstance(part, TextPart | JsonPart) or (isinstance(part, VendorPart) and part.protocol is PROTOCOL):
                block = self._writer.write(part, f"{pointer}/parts/{j}")
                if block is not None:
                    blocks.append((j, block))
            else:
                self._emission.lose(
                    f"{pointer}/parts/{j}", f"the system is text here; a {part._tag} part is not sent, nor its {held_by(part)}"
                )
        marked = self._marked(index, blocks)
        if marked and self.messages:
            self._emission.lose(f"{pointer}/role", "a system message inside the conversation was moved before it")
        self._last_system = (pointer, marked)
        self.system.extend(marked)
        own: dict[str, Any] = {}
        for name in self._emission.lay(own, {k: v for k, v in item.vendor_extensions.items() if k != WIRE.value}, pointer):
            self._emission.lose(f"{pointer}/vendor_extensions/{escape(name)}", "the system is no message here, it has no fields")

    def close(self, *, opened: bool) -> None:
        """Make of the messages what the API takes; ``opened`` where this wire itself had them so, whatever the API says."""
        pointer, blocks = self._last_system
        if opened:
            return
        if not self.messages and blocks:
            del self.system[-len(blocks) :]
            self.messages = [{"role": "user", "content": blocks}]
            self._emission.lose(f"{pointer}/role", "system messages alone are refused: the last one was sent as the user's")
        elif self.messages and self.messages[0]["role"] == "assistant":
            self.messages.insert(0, {"role": "user", "content": [{"text": _OPENING}]})


def write_conversation(request: LlmRequest, emission: Emission, mark: CacheMark | None) -> Conversation:
    """Write a request's items."""
    form = spelled(request.vendor_extensions, "messages")
    conversation = Conversation(emission, mark, merges=form not in ("in a row", "no user first, in a row"))
    place = "/input" if request.input else "/messages"
    for index, item in enumerate(request.normalized_input()):
        conversation.add(index, item, f"{place}/{index}")
    conversation.close(opened=form is not None)
    return conversation
