"""One turn of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ._given import member, put, wrong_type
from ._model import Model
from .enums import MessageRole, ProviderProtocol
from .parts import (
    PART_TYPES,
    MessagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
    hold_protocol,
    plain_text,
)


@dataclass(frozen=True, slots=True)
class RawMessage(Model):
    """Hold the provider's own JSON of a message that its parts cannot rebuild exactly."""

    protocol: ProviderProtocol
    payload: Any

    def __post_init__(self) -> None:
        hold_protocol(self, "protocol")


@dataclass(frozen=True, slots=True)
class Message(Model):
    """Say something in a role; ``parts`` takes a text or parts, and is a tuple afterwards.

    ``raw_message`` serves emission to the protocol it came from, for as long as the message still says what was parsed.
    """

    _tag: ClassVar[str | None] = "message"

    role: MessageRole
    parts: tuple[MessagePart, ...]
    raw_message: RawMessage | None = field(default=None, kw_only=True, compare=False)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:  # what is taken is wider than what is held

        def __init__(
            self,
            role: MessageRole | str,
            parts: str | MessagePart | Iterable[MessagePart | str],
            *,
            raw_message: RawMessage | None = None,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        if type(self.role) is not MessageRole:
            put(self, "role", member(self.role, MessageRole, "role"))
        if type(self.parts) is not tuple or not _EXACT_PARTS.issuperset(map(type, self.parts)):
            put(self, "parts", _parts(self.parts))

    @classmethod
    def text(cls, role: MessageRole | str, text: str) -> Message:
        """Make a message of one text."""
        return cls(role, (TextPart(text),))

    @classmethod
    def user(cls, text: str) -> Message:
        """Make a user's message of one text."""
        return cls(MessageRole.USER, (TextPart(text),))

    @classmethod
    def system(cls, text: str) -> Message:
        """Make a system message of one text."""
        return cls(MessageRole.SYSTEM, (TextPart(text),))

    @classmethod
    def assistant(cls, text: str) -> Message:
        """Make the model's message of one text."""
        return cls(MessageRole.ASSISTANT, (TextPart(text),))

    def plain_text(self) -> str:
        """Give the text of the text parts, joined."""
        return plain_text(self.parts)


_EXACT_PARTS = frozenset(PART_TYPES)


def _parts(value: Any) -> tuple[MessagePart, ...]:
    given: Any = (value,) if isinstance(value, (str, *PART_TYPES)) else value
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        raise wrong_type("parts", "a text or message parts", given)
    parts = tuple(TextPart(part) if isinstance(part, str) else part for part in given)
    for part in parts:
        if not isinstance(part, PART_TYPES):
            raise wrong_type("parts", "message parts such as TextPart or ImageUrlPart", part)
    return parts


RequestItem = Message | ToolCallPart | ToolResultPart | ReasoningPart | VendorPart
ResponseItem = Message | ToolCallPart | ToolResultPart | ReasoningPart | VendorPart
ITEM_TYPES = (Message, ToolCallPart, ToolResultPart, ReasoningPart, VendorPart)
