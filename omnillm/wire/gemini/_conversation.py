"""A request's items written as ``systemInstruction`` and ``contents``.

Purpose: the API takes turns of the user and of the model, and the system before them.
Contract: a message that was read from this wire is written as its own content, never merged, moved or rewritten. Items without a
message (calls, results, reasoning) join the turn beside them, and messages of tools become one turn, as the API wants the results
of one turn's calls together.
Rules: a system message that stands first is the system; a later one goes there too, which is reported.
"""

from __future__ import annotations

from typing import Any

from ...types.enums import MessageRole
from ...types.message import Message, RequestItem
from ...types.parts import JsonPart, RefusalPart, TextPart, ToolResultPart, VendorPart
from ...types.request import LlmRequest
from .._fields import Emission
from .._plain import plain_text
from ._own import PROTOCOL, WIRE, spelling
from ._write import Part, PartWriter

_SYSTEM_ROLES = (MessageRole.SYSTEM, MessageRole.DEVELOPER)
_NAMES = {MessageRole.USER: "user", MessageRole.ASSISTANT: "model", MessageRole.TOOL: "user"}


class Conversation:
    """Gather what a request's items become."""

    def __init__(self, emission: Emission) -> None:
        self.system: Part | None = None
        self.contents: list[Any] = []
        self._emission = emission
        self._writer = PartWriter(emission)
        self._open: MessageRole | None = None  # whose turn a loose item may join
        self._after_loose = False  # whether a model's message may join it too
        self._last_system: tuple[str, list[Part]] = ("", [])

    def instruct(self, instructions: str) -> None:
        """Begin the system with the instructions."""
        self.system = {"parts": [{"text": instructions}]}

    def add(self, item: RequestItem, pointer: str) -> None:
        """Write one item."""
        if isinstance(item, Message):
            add = self._add_system if item.role in _SYSTEM_ROLES else self._add_message
            add(item, pointer)
        elif isinstance(item, VendorPart) and item.protocol is PROTOCOL and _is_content(item.payload):
            self.contents.append(item.payload)
            self._open = None
        else:
            self._add_loose(item, pointer)

    def _parts(self, item: Message, pointer: str) -> list[Part]:
        written = (self._writer.write(part, f"{pointer}/parts/{j}") for j, part in enumerate(item.parts))
        return [part for part in written if part is not None]

    def _add_message(self, item: Message, pointer: str) -> None:
        text = plain_text(item)
        if text is not None and item.role is not MessageRole.TOOL and not self._after_loose:
            self.contents.append({"role": _NAMES[item.role], "parts": [{"text": text}]})
            self._open = item.role
            return
        parts = self._parts(item, pointer)
        spelled = spelling(item.vendor_extensions)
        ours = bool(spelled) or WIRE.value in item.vendor_extensions
        if not parts and not ours:
            self._emission.forfeit(item.vendor_extensions, pointer, "a turn without parts is not sent")
            return
        joins = not spelled and (item.role is MessageRole.TOOL or (item.role is MessageRole.ASSISTANT and self._after_loose))
        if joins and self._open is item.role:
            self.contents[-1]["parts"].extend(parts)
            self._emission.lay(self.contents[-1], item.vendor_extensions, pointer)
        else:
            content = _with_parts({"role": spelled.get("role", _NAMES[item.role])}, parts, item)
            if content["role"] is None:
                del content["role"]
            self._emission.lay(content, item.vendor_extensions, pointer)
            self.contents.append(content)
        self._open, self._after_loose = (None if spelled else item.role), False

    def _add_loose(self, item: Any, pointer: str) -> None:
        part = self._writer.write(item, pointer)
        if part is None:
            return
        role = MessageRole.ASSISTANT
        if isinstance(item, ToolResultPart) or (isinstance(item, VendorPart) and "functionResponse" in part):
            role = MessageRole.TOOL
        if self._open is role:
            self.contents[-1]["parts"].append(part)
        else:
            self.contents.append({"role": _NAMES[role], "parts": [part]})
        self._open, self._after_loose = role, True

    def _add_system(self, item: Message, pointer: str) -> None:
        parts: list[Part] = []
        ours = WIRE.value in item.vendor_extensions
        for j, part in enumerate(item.parts):
            at = f"{pointer}/parts/{j}"
            if ours or isinstance(part, TextPart | JsonPart | RefusalPart | VendorPart):
                written = self._writer.write(part, at)
                parts += [] if written is None else [written]
            else:
                self._emission.lose(at, f"the system is text here; a {part._tag} part is not sent")
        if parts and self.contents:
            self._emission.lose(f"{pointer}/role", "a system message inside the conversation was moved before it")
        self._last_system = (pointer, parts)
        if not parts and not ours:
            self._emission.forfeit(item.vendor_extensions, pointer, "a system without parts is not sent")
            return
        if self.system is None:
            self.system = _with_parts({}, parts, item)
            role = spelling(item.vendor_extensions).get("role")
            if role is not None:
                self.system["role"] = role
        else:
            self.system["parts"] = [*self.system.get("parts", ()), *parts]
        self._emission.lay(self.system, item.vendor_extensions, pointer)

    def close(self, *, empty: bool) -> None:
        """End the conversation; ``empty`` where this wire itself had no contents, whatever the API says."""
        pointer, parts = self._last_system
        if self.contents or empty or not parts or self.system is None:
            return
        rest = self.system["parts"][: -len(parts)]
        turn = {} if rest else self.system
        self.system = {**self.system, "parts": rest} if rest else None
        self.contents = [{**turn, "role": "user", "parts": parts}]
        self._emission.lose(f"{pointer}/role", "a system alone is refused: its last message was sent as the user's")


def _with_parts(content: Part, parts: list[Part], item: Message) -> Part:
    shape = spelling(item.vendor_extensions).get("parts", "array")
    if shape == "object" and len(parts) == 1:
        content["parts"] = parts[0]
    elif parts or (shape is not None and "parts" not in item.vendor_extensions.get(WIRE.value, {})):
        content["parts"] = parts
    return content


def _is_content(payload: Any) -> bool:
    return isinstance(payload, dict) and "role" in payload


def write_conversation(request: LlmRequest, emission: Emission) -> Conversation:
    """Write a request's items."""
    conversation = Conversation(emission)
    if request.instructions is not None:
        conversation.instruct(request.instructions)
    place = "/input" if request.input else "/messages"
    for index, item in enumerate(request.normalized_input()):
        conversation.add(item, f"{place}/{index}")
    conversation.close(empty="contents" in spelling(request.vendor_extensions))
    return conversation
