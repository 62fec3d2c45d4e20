"""A model's answer, as every protocol's response is read into and written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .._late import importing
from ..errors import AttemptRecord
from ._given import each_of, member, put
from ._model import Model
from .enums import FinishReason, MessageRole, ProviderProtocol
from .message import ITEM_TYPES, Message, RequestItem, ResponseItem
from .parts import ReasoningPart, RefusalPart, ToolCallPart, hold_protocol, plain_text
from .report import Loss
from .usage import TokenUsage


@dataclass(frozen=True, slots=True)
class ResponseMeta:
    """Tell what only a gateway knows of a response: what was tried, what it cost (USD), how long it took (seconds).

    ``downgraded_from`` is the model asked for, where a budget that ran low put another one in its place.
    """

    attempts: tuple[AttemptRecord, ...] = ()
    cost: Any = None
    cost_usd: float | None = None
    request_losses: tuple[Loss, ...] = ()
    key_label: str | None = None
    latency: float | None = None
    time_to_first_event: float | None = None
    parsed: Any = None
    downgraded_from: str | None = None


NO_META = ResponseMeta()
_EXACT_ITEMS = frozenset(ITEM_TYPES)


class Metered:
    """Give a response what only a gateway knows of it: its ``meta``, which is not compared and not in its JSON."""

    __slots__ = ()

    meta: ResponseMeta

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Tell what was tried, where, why it failed and how long it took."""
        return self.meta.attempts

    @property
    def cost(self) -> Any:
        """Give the cost and its parts, or ``None`` where the model's price is not known."""
        return self.meta.cost

    @property
    def cost_usd(self) -> float | None:
        """Give the cost in USD, or ``None`` where the model's price is not known."""
        return self.meta.cost_usd

    @property
    def request_losses(self) -> tuple[Loss, ...]:
        """Name what the endpoint's protocol could not carry of the request."""
        return self.meta.request_losses

    @property
    def key_label(self) -> str | None:
        """Name the key that served the call."""
        return self.meta.key_label

    @property
    def latency(self) -> float | None:
        """Give the seconds from the call to the whole answer."""
        return self.meta.latency

    @property
    def time_to_first_event(self) -> float | None:
        """Give the seconds from the call to a stream's first event."""
        return self.meta.time_to_first_event


@dataclass(frozen=True, slots=True)
class LlmResponse(Metered, Model):
    """Hold an answer: ``str()`` of it is its text, ``output`` the items of its first choice.

    ``meta`` is the gateway's account of the call: it is not compared, and not in ``to_json()``.
    """

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    output: tuple[ResponseItem, ...]
    usage: TokenUsage
    model: str
    provider_protocol: ProviderProtocol
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    response_id: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.output) is not tuple or not _EXACT_ITEMS.issuperset(map(type, self.output)):
            put(self, "output", each_of(self.output, "output", ITEM_TYPES, expected="items such as Message.assistant(text)"))
        if type(self.provider_protocol) is not ProviderProtocol:
            hold_protocol(self, "provider_protocol")
        if self.finish_reason is not None and type(self.finish_reason) is not FinishReason:
            put(self, "finish_reason", member(self.finish_reason, FinishReason, "finish_reason"))

    @property
    def content_text(self) -> str:
        """Give the visible text, without reasoning."""
        return "".join(plain_text(item.parts) for item in self.output if isinstance(item, Message))

    @property
    def text(self) -> str:
        """Give the visible text, without reasoning."""
        return self.content_text

    def __str__(self) -> str:
        return self.content_text

    @property
    def messages(self) -> tuple[Message, ...]:
        """Give the items that are messages."""
        return tuple(item for item in self.output if isinstance(item, Message))

    def _parts(self) -> list[Any]:
        parts: list[Any] = []
        for item in self.output:
            if isinstance(item, Message):
                parts.extend(item.parts)
            else:
                parts.append(item)
        return parts

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """Give the calls of tools, in order."""
        return tuple(part for part in self._parts() if isinstance(part, ToolCallPart))

    @property
    def reasoning_text(self) -> str:
        """Give what is told of the reasoning, its summaries before its text."""
        reasoning = [part for part in self._parts() if isinstance(part, ReasoningPart)]
        return "".join("".join(part.summary) + part.text for part in reasoning)

    @property
    def refusal(self) -> str | None:
        """Give the refusal's text, or ``None`` where the model did not refuse."""
        texts = [part.text for part in self._parts() if isinstance(part, RefusalPart)]
        return "".join(texts) if texts else None

    def as_input(self) -> tuple[RequestItem, ...]:
        """Give the items to append to the next request's input so that calls, signatures and encrypted state survive the turn."""
        return tuple(
            item
            if not isinstance(item, Message) or item.role is MessageRole.ASSISTANT
            else Message(MessageRole.ASSISTANT, item.parts)
            for item in self.output
        )

    @property
    def parsed(self) -> Any:
        """Give the answer as the type that ``call(…, into=T)`` or ``stream(…, into=T)`` asked for.

        It is ``None`` where none was asked for, and where the model called tools instead. An answer that does not fit is no
        response: it is a ``ProtocolError`` that carries it.
        """
        return self.meta.parsed

    def _repr_markdown_(self) -> str:
        with importing:
            from ._display import markdown_of

        return markdown_of(self)
