"""A request's items written as ``system`` and ``messages``.

Purpose: the API takes user and assistant turns, and the system before them.
Contract: a message that was read from this wire is written as its own turn, never merged, moved or rewritten. Items without a
message (calls, results, reasoning) join the turn beside them, and messages of tools become one user turn.
Rules: a system message that stands first is the system; a later one goes there too, which is reported, unless this wire put it
in place. The API refuses empty texts, empty turns and an assistant that speaks first: the former are left out, before the
latter a user's turn is put.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...errors import ProtocolError
from ...types.enums import MessageRole
from ...types.message import Message, RequestItem
from ...types.parts import JsonPart, MessagePart, TextPart, ToolResultPart, VendorPart
from ...types.request import LlmRequest
from .._fields import Emission, escape, held_by
from .._plain import plain_text
from ._own import PROTOCOL, WIRE, spelled
from ._read import read_message
from ._write import Block, BlockWriter

_USER_BLOCKS = frozenset({"container_upload", "document", "image", "search_result", "tool_result"})
_UNCACHED_BLOCKS = frozenset({"thinking", "redacted_thinking"})  # Prompt caching guide, "What cannot be cached"
_SYSTEM_ROLES = (MessageRole.SYSTEM, MessageRole.DEVELOPER)
_OPENING = "."  # what is said where the API wants a user's turn and the conversation has none; it refuses an empty one


@dataclass(slots=True)
class CacheMark:
    """Say which block ends the cached prefix: that of a part, or the last one of an item that can."""

    control: dict[str, Any]
    item: int
    part: int | None = None
    placed: bool = False

    def place(self, index: int, blocks: list[tuple[int, Block]]) -> None:
        """Mark the block among an item's blocks, each given with its part's place."""
        if index != self.item:
            return
        for at in reversed(range(len(blocks))):
            place, block = blocks[at]
            if self.part in (None, place) and block.get("type") not in _UNCACHED_BLOCKS:
                blocks[at] = place, {**block, "cache_control": self.control}
                self.placed = True
                return


class Conversation:
    """Gather what a request's items become; ``system`` and ``messages`` are ready after ``close``."""

    def __init__(self, emission: Emission, mark: CacheMark | None) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self._emission = emission
        self._mark = mark
        self._writer = BlockWriter(emission)
        self._built: list[dict[str, Any]] = []  # the messages that are not the caller's own objects
        self._open: MessageRole | None = None  # whose turn a loose item may join
        self._blocks_of_turn: list[Block] = []
        self._after_loose = False  # whether an assistant's message may join it too
        self._last_system: tuple[str, list[Block]] = ("", [])

    def add(self, index: int, item: RequestItem, pointer: str) -> None:
        """Write one item."""
        if not isinstance(item, Message):
            self._add_loose(index, item, pointer)
        elif item.role in _SYSTEM_ROLES and not _is_in_place(item):
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
            self._turn(item.role, [{"type": "text", "text": text}], joins=joins)
            return
        raw = item.raw_message
        if raw is not None and raw.protocol is PROTOCOL and not self._is_marked(index) and _still_says(raw.payload, item):
            self.messages.append(raw.payload)
            self._open = None
            return
        blocks = self._blocks(item.parts, index, pointer)
        if not blocks:
            return
        joins = item.role is MessageRole.TOOL or (item.role is MessageRole.ASSISTANT and self._after_loose)
        turn = self._turn(item.role, blocks, joins=joins)
        self._emission.lay(turn, item.vendor_extensions, pointer)

    def _add_loose(self, index: int, item: Any, pointer: str) -> None:
        block = self._writer.write(item, pointer)
        if block is None:
            return
        role = MessageRole.ASSISTANT
        if isinstance(item, ToolResultPart) or (isinstance(item, VendorPart) and block.get("type") in _USER_BLOCKS):
            role = MessageRole.TOOL
        self._turn(role, self._marked(index, [(0, block)]), joins=True)
        self._after_loose = True

    def _turn(self, role: MessageRole, blocks: list[Block], *, joins: bool) -> dict[str, Any]:
        """Give the turn that the blocks went into: the open one of that role where they join it, else a new one."""
        if joins and self._open is role:
            self._blocks_of_turn.extend(blocks)
        else:
            name = "user" if role is MessageRole.TOOL else role.value
            self.messages.append({"role": name, "content": blocks})
            self._built.append(self.messages[-1])
            self._blocks_of_turn = blocks
        self._open, self._after_loose = role, False
        return self.messages[-1]

    def _add_system(self, index: int, item: Message, pointer: str) -> None:
        blocks: list[tuple[int, Block]] = []
        for j, part in enumerate(item.parts):
            if isinstance(part, TextPart | JsonPart | VendorPart):
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

    def _is_marked(self, index: int) -> bool:
        return self._mark is not None and self._mark.item == index

    def close(self, *, opened: bool) -> None:
        """Make of the messages what the API takes; ``opened`` where this wire itself had them so, whatever the API says."""
        pointer, blocks = self._last_system
        if not self.messages and blocks and not opened:
            del self.system[-len(blocks) :]
            self.messages = [{"role": "user", "content": blocks}]
            self._built = self.messages[:]
            self._emission.lose(f"{pointer}/role", "system messages alone are refused: the last one was sent as the user's")
        elif self.messages and self.messages[0]["role"] == "assistant" and not opened:
            self.messages.insert(0, {"role": "user", "content": _OPENING})
        if self._emission.text_content == "array":
            return
        for message in self._built:
            content = message["content"]
            block = content[0] if type(content) is list and len(content) == 1 else None
            # what the caller may have laid over it is not looked into
            if type(block) is dict and len(block) == 2 and block.get("type") == "text" and isinstance(block.get("text"), str):
                message["content"] = block["text"]


def write_conversation(request: LlmRequest, emission: Emission, mark: CacheMark | None) -> Conversation:
    """Write a request's items."""
    conversation = Conversation(emission, mark)
    place = "/input" if request.input else "/messages"
    for index, item in enumerate(request.normalized_input()):
        conversation.add(index, item, f"{place}/{index}")
    conversation.close(opened=spelled(request.vendor_extensions, "messages") is not None)
    return conversation


def _is_in_place(message: Message) -> bool:
    """Tell whether this wire itself put a system message inside its messages."""
    return spelled(message.vendor_extensions, "role") is not None


def _still_says(payload: Any, message: Message) -> bool:
    try:
        return bool(read_message(payload, "") == message)
    except ProtocolError:
        return False
