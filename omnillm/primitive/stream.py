"""The events of a native stream: what the provider sent, in its own words, and what is known of its usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

from .. import _json
from ..errors import InvalidShapeError
from ..types._model import Model
from .usage import PrimitiveUsageTelemetry


class PrimitiveStreamEvent(Model):
    """Be one event of a native stream; ``type`` says which kind: a frame, a chunk, a message, the usage, or the end."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """Give the kind of the event: ``sse_frame``, ``binary_chunk``, ``web_socket_message``, ``usage`` or ``completed``."""
        return str(self._tag)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` gave, of any kind; raises ``MissingFieldError`` or ``InvalidShapeError``."""
        if cls is not PrimitiveStreamEvent:
            return super().from_dict(data)
        kind = _KINDS.get(str(data.get("type")) if isinstance(data, Mapping) else "")
        if kind is None:
            raise InvalidShapeError(f"expected one of {sorted(_KINDS)}", pointer="/type")
        return cast(Self, kind.from_dict(data))


@dataclass(frozen=True, slots=True)
class PrimitiveSseFrame(PrimitiveStreamEvent):
    """Be one server-sent event, as it came."""

    _tag: ClassVar[str | None] = "sse_frame"
    data: str
    event: str | None = None
    id: str | None = None

    def json(self) -> Any:
        """Read the data as JSON; raises ``InvalidJsonError`` where it is none, as ``[DONE]``."""
        return _json.loads(self.data)


@dataclass(frozen=True, slots=True)
class PrimitiveBinaryChunk(PrimitiveStreamEvent):
    """Be some bytes of the body, as they came."""

    _tag: ClassVar[str | None] = "binary_chunk"
    data: bytes
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class PrimitiveWebSocketMessage(PrimitiveStreamEvent):
    """Be one message of a session: a text, or bytes."""

    _tag: ClassVar[str | None] = "web_socket_message"
    text: str | None = None
    data: bytes | None = None

    def json(self) -> Any:
        """Read the message as JSON, of text or of bytes; raises ``InvalidJsonError`` where it is none."""
        return _json.loads(self.text if self.text is not None else self.data or b"")


@dataclass(frozen=True, slots=True)
class PrimitiveUsageReported(PrimitiveStreamEvent):
    """Tell the usage, as the provider reports it."""

    _tag: ClassVar[str | None] = "usage"
    usage: PrimitiveUsageTelemetry


@dataclass(frozen=True, slots=True)
class PrimitiveCompleted(PrimitiveStreamEvent):
    """End a stream, with the usage where it was reported."""

    _tag: ClassVar[str | None] = "completed"
    usage: PrimitiveUsageTelemetry | None = None


_KINDS: dict[str, type[PrimitiveStreamEvent]] = {
    str(kind._tag): kind
    for kind in (
        PrimitiveSseFrame,
        PrimitiveBinaryChunk,
        PrimitiveWebSocketMessage,
        PrimitiveUsageReported,
        PrimitiveCompleted,
    )
}
