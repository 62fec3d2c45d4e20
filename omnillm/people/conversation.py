"""A conversation: what was said so far, kept as it came, and sent along with what is said next.

Rules. A turn is appended when it is through, whole, in one assignment: one that failed, was cancelled or left leaves the history
as it was. Items are kept as the provider gave them: signatures, calls and reasoning ride along. One turn at a time.
"""

from __future__ import annotations

import dataclasses
import os
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self, Unpack

from .. import _json
from .._cancel import CancellationToken
from .._late import importing
from ..errors import ConfigurationError, InvalidShapeError, MissingFieldError
from ..policy.pricing import Cost
from ..types._given import wrong_type
from ..types._model import escape
from ..types.enums import MessageRole
from ..types.message import ITEM_TYPES, Message, RequestItem
from ..types.parts import PART_TYPES, MessagePart, ToolCallPart, ToolResultPart
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.usage import TokenUsage
from ._totals import cost_in_all, usage_in_all
from .loop import Loop, Outcome, run
from .tools import ToolLike, toolbox

if TYPE_CHECKING:
    from datetime import timedelta

    from ..gateway.gateway import Gateway
    from ..gateway.overlay import Settings
    from .conversation_stream import ConversationStream

Said = str | RequestItem | MessagePart | Iterable[RequestItem | MessagePart | str]  # items, or the parts of one message

VERSION = 1


class _Past(NamedTuple):
    items: tuple[RequestItem, ...] = ()
    usage: TokenUsage = TokenUsage()
    cost: Cost | None = Cost()


class Conversation:
    """Talk with a model: ``say`` and ``stream`` send all that was said before, and append their turn when it is through.

    ``tools`` are run as ``Gateway.run_tools`` does it. Everything else is laid over each request: ``model``, ``instructions``,
    ``max_output_tokens``, …. One turn at a time: ``fork()`` gives an independent copy. It is saved by ``to_json()``.
    """

    __slots__ = ("_base", "_gateway", "_past", "_tools", "_turn")

    def __init__(self, gateway: Gateway, *, tools: Iterable[ToolLike] | ToolLike = (), **overlay: Unpack[Settings]) -> None:
        if not callable(getattr(gateway, "_laid_over", None)):
            raise wrong_type("gateway", "a Gateway", gateway)
        self._start(gateway, gateway._laid_over(LlmRequest(""), overlay), tools, _Past())

    def _start(self, gateway: Gateway, base: LlmRequest, tools: Iterable[ToolLike] | ToolLike, past: _Past) -> None:
        self._gateway = gateway
        self._base = base
        self._tools: tuple[ToolLike, ...] = tuple(tools) if isinstance(tools, Iterable) else (tools,)
        toolbox(self._tools)  # what is none is refused here
        self._past = past
        self._turn: dict[int, object] = {}  # by process, who is in a turn: setdefault is atomic

    # --- turns ------------------------------------------------------------------------------------------------------------------

    def say(
        self,
        text: Said,
        *,
        tools: Iterable[ToolLike] | ToolLike | None = None,
        max_turns: int = 8,
        parallel: bool = True,
        timeout: float | timedelta | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Settings],
    ) -> LlmResponse:
        """Say a text, a message, the parts of one, or items such as tool results, and give the answer.

        Options and overlay are as for ``Gateway.run_tools``, for this turn; ``tools`` stand in the place of the conversation's.
        Calls that the answer leaves open (``response.tool_calls``) are answered by saying their ``ToolResultPart``.
        """
        owner = object()
        try:
            self._claim(owner)
            said = self._said(text)
            options = {"timeout": timeout, "cancel": cancel, "tenant": tenant, "into": into}
            request, chosen = self._request(said, overlay), self._tools if tools is None else tools
            outcome = run(self._gateway, request, chosen, max_turns=max_turns, parallel=parallel, **options)
            self._append(said, outcome)
        finally:
            self._release(owner)
        return outcome.response

    def stream(
        self,
        text: Said,
        *,
        tools: Iterable[ToolLike] | ToolLike | None = None,
        max_turns: int = 8,
        parallel: bool = True,
        timeout: float | timedelta | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
        into: Any = None,
        **overlay: Unpack[Settings],
    ) -> ConversationStream:
        """Say it and give the answer's stream; the turn is appended when it comes to its end, and not when it is left early.

        Where tools run, the events of all calls follow each other, with a ``ToolResultAdded`` for each result and one
        ``Completed``, last.
        """
        with importing:
            from .conversation_stream import ConversationStream

        def prepare() -> tuple[tuple[RequestItem, ...], Loop]:
            said = self._said(text)
            request, chosen = self._request(said, overlay), self._tools if tools is None else tools
            bounds = {"timeout": timeout, "cancel": cancel}
            return said, Loop(self._gateway, request, chosen, max_turns=max_turns, parallel=parallel, **bounds)

        return ConversationStream(self, prepare, {"cancel": cancel, "tenant": tenant, "into": into})

    def _said(self, text: Any) -> tuple[RequestItem, ...]:
        items = _items_of(text)
        names = _open_calls((*self._past.items, *items))
        if names:
            raise ConfigurationError(
                f"text: the model's calls of {', '.join(names)} wait: say([ToolResultPart(call.call_id, result), …]) first",
                field="text",
            )
        return items

    def _request(self, said: tuple[RequestItem, ...], overlay: Mapping[str, Any]) -> LlmRequest:
        return self._gateway._laid_over(dataclasses.replace(self._base, input=(*self._past.items, *said)), overlay)

    def _append(self, said: tuple[RequestItem, ...], outcome: Outcome) -> None:
        past, cost = self._past, cost_in_all([outcome.response])
        self._past = _Past(
            (*past.items, *said, *outcome.items),
            usage_in_all([past.usage, outcome.usage]),
            None if past.cost is None or cost is None else past.cost + cost,
        )

    def _claim(self, owner: object) -> None:
        """Begin a turn; raises ``ConfigurationError`` where another is not over."""
        pid = os.getpid()
        while (holder := self._turn.setdefault(pid, owner)) is not owner:
            if not (isinstance(holder, weakref.ref) and holder() is None):
                raise ConfigurationError(
                    "a conversation takes one turn at a time: wait for the other to end, close its stream, or fork() before it"
                )
            if self._turn.get(pid) is holder:  # a stream that was lost
                self._turn.pop(pid, None)

    def _release(self, owner: object) -> None:
        if self._turn.get(os.getpid()) is owner:
            self._turn.pop(os.getpid(), None)

    # --- what there is ----------------------------------------------------------------------------------------------------------

    @property
    def items(self) -> tuple[RequestItem, ...]:
        """Give what was said so far, tool calls and results included, as a request's ``input`` takes it."""
        return self._past.items

    @property
    def usage(self) -> TokenUsage:
        """Give the tokens of all turns that were appended."""
        return self._past.usage

    @property
    def cost_usd(self) -> float | None:
        """Give what those turns cost (USD), or ``None`` where the price of one is not known."""
        return None if self._past.cost is None else self._past.cost.usd

    def fork(self) -> Conversation:
        """Give an independent copy, which goes on from here."""
        copy = Conversation.__new__(Conversation)
        copy._start(self._gateway, self._base, self._tools, self._past)
        return copy

    def __repr__(self) -> str:
        return f"<Conversation of {len(self.items)} items>"

    # --- at rest ----------------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON-ready dictionaries: what was said, the settings, the totals; no gateway, no key and no tool."""
        past = self._past
        return {
            "version": VERSION,
            "request": dataclasses.replace(self._base, input=past.items).to_dict(),
            "usage": past.usage.to_dict(),
            "cost": None if past.cost is None else dataclasses.asdict(past.cost),
        }

    def to_json(self) -> str:
        """Give ``to_dict`` as JSON text."""
        return _json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes, gateway: Gateway, tools: Iterable[ToolLike] | ToolLike = ()) -> Self:
        """Read what ``to_json`` gave, exactly; raises ``ProtocolError`` and its subclasses for anything else."""
        return cls.from_dict(_json.loads(text), gateway, tools)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], gateway: Gateway, tools: Iterable[ToolLike] | ToolLike = ()) -> Self:
        """Read what ``to_dict`` gave, exactly; raises ``ProtocolError`` and its subclasses for anything else."""
        _check_fields(data, ("version", "request", "usage", "cost"), "")
        if data["version"] != VERSION:
            raise InvalidShapeError(f"expected version {VERSION}, got {data['version']!r:.80}", pointer="/version")
        try:
            request = LlmRequest.from_dict(data["request"])
        except RecursionError:
            raise InvalidShapeError("nested too deep", pointer="/request") from None
        cost = data["cost"] if data["cost"] is None else _cost_of(data["cost"])
        loaded = cls.__new__(cls)
        past = _Past(request.normalized_input(), TokenUsage.from_dict(data["usage"]), cost)
        loaded._start(gateway, dataclasses.replace(request, input=(), messages=()), tools, past)
        return loaded


def _check_fields(data: Any, names: Iterable[str], pointer: str) -> None:
    if not isinstance(data, dict):
        raise InvalidShapeError(f"expected an object, got {type(data).__name__}", pointer=pointer)
    for name in names:
        if name not in data:
            raise MissingFieldError(f"a conversation needs {name!r}", pointer=f"{pointer}/{name}")
    for name in data:
        if name not in names:
            raise InvalidShapeError(f"a conversation has no field {name!r:.80}", pointer=f"{pointer}/{escape(name)}")


def _cost_of(data: Any) -> Cost:
    names = tuple(field.name for field in dataclasses.fields(Cost))
    _check_fields(data, names, "/cost")
    for name, value in data.items():
        if type(value) is not int:
            raise InvalidShapeError(f"expected an integer, got {value!r:.80}", pointer=f"/cost/{name}")
    return Cost(**data)


def _items_of(text: Any) -> tuple[RequestItem, ...]:
    """Give what was said as items: texts and parts are a message of the user's."""
    if isinstance(text, str):
        return (Message.user(text),)
    if isinstance(text, ITEM_TYPES):
        return (text,)
    if isinstance(text, PART_TYPES):
        return (Message(MessageRole.USER, (text,)),)  # type: ignore[arg-type]  # the parts are listed as what they have in common
    if not isinstance(text, Iterable) or isinstance(text, Mapping | bytes):
        raise wrong_type("text", "a text, a Message, parts of one, or items such as ToolResultPart", text)
    given: tuple[Any, ...] = tuple(text)
    if all(isinstance(item, ITEM_TYPES) for item in given):
        return given
    if any(isinstance(item, Message) for item in given):
        raise ConfigurationError("text: expected items alone, or parts of one message alone", field="text")
    return (Message(MessageRole.USER, given),)


def _open_calls(items: Iterable[RequestItem]) -> list[str]:
    """Name the tools whose calls have no result."""
    waiting: dict[str, str] = {}
    for item in items:
        for part in item.parts if isinstance(item, Message) else (item,):
            if isinstance(part, ToolCallPart):
                waiting[part.call_id] = part.name
            elif isinstance(part, ToolResultPart):
                waiting.pop(part.call_id, None)
    return list(waiting.values())
