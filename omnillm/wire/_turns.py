"""A request's items written as a system and turns: what Anthropic's API and Bedrock's share.

Purpose: both take user and assistant turns of blocks, the user's first, and the system before them. A format's conversation says
in a subclass what its blocks look like and when turns are one.
Contract: items without a message (calls, results, reasoning) join the turn beside them, and messages of tools become the user's.
Rules: a system message that stands first is the system; a later one goes there too, which is reported, unless the wire itself put
it in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ..types.enums import MessageRole, WireFormat
from ..types.message import Message, RequestItem
from ..types.parts import MessagePart, ToolResultPart
from ..types.request import LlmRequest
from ._fields import Emission, spelling
from ._plain import plain_text

Block = dict[str, Any]
Placed = list[tuple[int, Block]]  # the blocks of an item, each with its part's place

_NONE: dict[str, Any] = {}
_OPENING = "."  # what is said where an API wants a user's turn and the conversation has none; both refuse an empty one
_ASSISTANT, _TOOL, _USER = MessageRole.ASSISTANT, MessageRole.TOOL, MessageRole.USER
_SYSTEM_ROLES = (MessageRole.SYSTEM, MessageRole.DEVELOPER)


@dataclass(slots=True)
class CacheMark(ABC):
    """Say which block ends the cached prefix: that of a part, or the last one of an item that can; ``sign`` is how it says so."""

    sign: Block
    item: int
    part: int | None = None
    placed: bool = False

    def place(self, index: int, blocks: Placed) -> None:
        """Mark the end among an item's blocks."""
        if index != self.item:
            return
        for at in reversed(range(len(blocks))):
            if self.part in (None, blocks[at][0]) and self.put(blocks, at):
                self.placed = True
                return

    @abstractmethod
    def put(self, blocks: Placed, at: int) -> bool:
        """Mark one block; tell whether it can be."""


class PartWriter(Protocol):
    """Write the parts of one request, in order."""

    def write(self, part: MessagePart, pointer: str) -> Block | None:
        """Write a part; ``None`` where nothing of it can be written."""


class Conversation(ABC):
    """Gather what a request's items become in ``system`` and ``messages``; ``merges`` where turns in a row are one."""

    wire: ClassVar[WireFormat]

    def __init__(self, emission: Emission, writer: PartWriter, mark: CacheMark | None, *, merges: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.built: list[dict[str, Any]] = []  # the messages that are not the caller's own objects
        self._emission = emission
        self._writer = writer
        self._mark = mark
        self._merges = merges
        self._open: MessageRole | None = None  # whose turn a loose item may join
        self._blocks_of_turn: list[Block] = []
        self._name = ""  # in whose name the last turn is
        self._after_loose = False  # whether an assistant's message may join it too
        self._last_system: tuple[str, list[Block]] = ("", [])

    # --- what a format says of its own ----------------------------------------------------------------------------------------

    @abstractmethod
    def text_block(self, text: str) -> Block:
        """Give the block of a text."""

    @abstractmethod
    def is_of_the_system(self, part: MessagePart) -> bool:
        """Tell whether the system may hold a part."""

    @abstractmethod
    def is_users(self, item: RequestItem, block: Block) -> bool:
        """Tell whether a loose item that is no result belongs to the user's turn."""

    @abstractmethod
    def add_whole(self, index: int, item: Message) -> bool:
        """Add a message as it was read, where that is the only way to say the same; tell whether it was."""

    @abstractmethod
    def keeps_empty(self, item: Message) -> bool:
        """Tell whether a message without blocks is sent all the same."""

    # --- the items ------------------------------------------------------------------------------------------------------------

    def write(self, request: LlmRequest, *, opened: bool) -> None:
        """Write a request's items; ``opened`` where this wire itself began the turns as they are, whatever the API says."""
        place, unmarked = "/input" if request.input else "/messages", self._mark is None
        for index, item in enumerate(request.normalized_input()):
            text = None
            if unmarked and isinstance(item, Message) and item.role not in _SYSTEM_ROLES:
                text = plain_text(item)
            if text is not None and isinstance(item, Message):
                self._turn(item.role, [self.text_block(text)])
            else:
                self._add(index, item, f"{place}/{index}")
        if not opened:
            self._give_the_user_the_first_turn()

    def _add(self, index: int, item: RequestItem, pointer: str) -> None:
        if not isinstance(item, Message):
            self._add_loose(index, item, pointer)
        elif item.role in _SYSTEM_ROLES and "role" not in spelling(item.vendor_extensions, self.wire):
            self._add_system(index, item, pointer)
        else:
            self._add_message(index, item, pointer)

    def _blocks(self, parts: Iterable[MessagePart], index: int, pointer: str) -> list[Block]:
        blocks = [(j, self._writer.write(part, f"{pointer}/parts/{j}")) for j, part in enumerate(parts)]
        return self._marked(index, [(j, block) for j, block in blocks if block is not None])

    def _marked(self, index: int, blocks: Placed) -> list[Block]:
        if self._mark is not None:
            self._mark.place(index, blocks)
        return [block for _, block in blocks]

    def is_marked(self, index: int) -> bool:
        """Tell whether the cached prefix ends in an item."""
        return self._mark is not None and self._mark.item == index

    def _add_message(self, index: int, item: Message, pointer: str) -> None:
        if self.add_whole(index, item):
            self._open = None
            return
        blocks = self._blocks(item.parts, index, pointer)
        if blocks or self.keeps_empty(item):
            turn = self._turn(item.role, blocks)
            self._emission.lay(turn, item.vendor_extensions, pointer)
        else:
            self._emission.forfeit(item.vendor_extensions, pointer, "a message without content is not sent")

    def _add_loose(self, index: int, item: Any, pointer: str) -> None:
        block = self._writer.write(item, pointer)
        if block is None:
            return
        users = isinstance(item, ToolResultPart) or self.is_users(item, block)
        self._turn(_TOOL if users else _ASSISTANT, self._marked(index, [(0, block)]), loose=True)
        self._after_loose = True

    def _turn(self, role: MessageRole, blocks: list[Block], *, loose: bool = False) -> dict[str, Any]:
        """Give the turn that the blocks went into: the last one where they join it, else a new one."""
        name = "assistant" if role is _ASSISTANT else "user" if role is _USER or role is _TOOL else role.value
        joins = role is self._open and (loose or role is _TOOL or (self._after_loose and role is _ASSISTANT))
        if (joins or (self._merges and name == self._name)) and self._grows():
            self._blocks_of_turn.extend(blocks)
        else:
            self._new_turn(len(self.messages), name, blocks)
            self._blocks_of_turn, self._name = blocks, name
        self._open, self._after_loose = role, False
        return self.messages[-1]

    def _new_turn(self, at: int, name: str, blocks: list[Block]) -> None:
        turn = {"role": name, "content": blocks}
        self.messages.insert(at, turn)
        self.built.append(turn)

    def _grows(self) -> bool:
        """Tell whether the last turn takes more blocks: the caller may have replaced its role or content."""
        last = self.messages[-1] if self.messages else _NONE
        return last.get("content") is self._blocks_of_turn and last.get("role") == self._name

    def _add_system(self, index: int, item: Message, pointer: str) -> None:
        blocks: Placed = []
        for j, part in enumerate(item.parts):
            if self.is_of_the_system(part):
                block = self._writer.write(part, f"{pointer}/parts/{j}")
                if block is not None:
                    blocks.append((j, block))
            else:
                self._emission.drop(part, f"{pointer}/parts/{j}", f"the system is text here; a {part._tag} part is not sent")
        marked = self._marked(index, blocks)
        if marked and self.messages:
            self._emission.lose(f"{pointer}/role", "a system message inside the conversation was moved before it")
        self._last_system = (pointer, marked)
        self.system.extend(marked)
        self._emission.forfeit(item.vendor_extensions, pointer, "the system is no message here")

    def _give_the_user_the_first_turn(self) -> None:
        pointer, blocks = self._last_system
        if not self.messages and blocks:
            del self.system[-len(blocks) :]
            self._new_turn(0, "user", blocks)
            self._emission.lose(f"{pointer}/role", "system messages alone are refused: the last one was sent as the user's")
        elif self.messages and self.messages[0]["role"] == "assistant":
            self._new_turn(0, "user", [self.text_block(_OPENING)])
