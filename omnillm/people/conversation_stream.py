"""The stream of one turn of a conversation: the streams of its calls, one behind the other, the tools' results between them."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._cancel import is_from_outside
from ..errors import ClosedError, GatewayError
from ..types.events import Completed, LlmStreamEvent, TextDelta, ToolResultAdded
from ..types.message import RequestItem
from ..types.response import LlmResponse
from .loop import Loop

if TYPE_CHECKING:
    from ..gateway.stream import GatewayStream
    from .conversation import Conversation


class ConversationStream:
    """Iterate over the events of a turn; the conversation has it when the last one, ``Completed``, was given.

    Use it in ``with``, or read it to its end, or ``close()`` it: the conversation takes no other turn before.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_conversation",
        "_failure",
        "_loop",
        "_options",
        "_over",
        "_owner",
        "_response",
        "_said",
        "_stream",
    )

    def __init__(
        self,
        conversation: Conversation,
        prepare: Callable[[], tuple[tuple[RequestItem, ...], Loop]],
        options: dict[str, Any],
    ) -> None:
        self._conversation = conversation
        self._options = options
        self._ahead: deque[LlmStreamEvent] = deque()
        self._response: LlmResponse | None = None
        self._failure: Exception | None = None  # to be raised behind the last event
        self._stream: GatewayStream | None = None
        self._over = False
        self._owner = weakref.ref(self)
        try:
            conversation._claim(self._owner)
            self._said, self._loop = prepare()  # of what the conversation is now that nobody else is in it
            self._stream = self._opened()
        except BaseException:
            self._end()
            raise

    def _opened(self) -> GatewayStream:
        loop = self._loop
        return self._conversation._gateway.stream(loop.request, timeout=loop.remaining(), **self._options)

    # --- iterating --------------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LlmStreamEvent:
        if self._over:
            self._raise_end()
        try:
            while not self._ahead:
                if self._stream is None:
                    self._stream = self._opened()
                event = next(self._stream)
                if not isinstance(event, Completed):
                    return event
                self._completed(event, self._stream)
            return self._ahead.popleft()
        except GatewayError as error:
            self._loop.account(error)
            self._end()
            raise
        except BaseException:
            self._end()
            raise

    def _raise_end(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        raise StopIteration if self._response is not None else ClosedError("the stream is closed", sent="yes")

    def _completed(self, event: Completed, stream: GatewayStream) -> None:
        """Take the end of one call: there is another, once the tools' results were given, or this was the last."""
        unread: Exception | None = None
        try:
            next(stream)
        except StopIteration:
            pass
        except Exception as error:  # an answer that is not what ``into`` asked for, perhaps words beside tool calls
            if is_from_outside(error):
                raise
            unread = error
        if self._loop.goes_on(event.response):
            if self._over:
                raise ClosedError("the stream was closed while its tools ran", sent="yes")
            self._stream = None
            self._ahead.extend(ToolResultAdded(result) for result in self._loop.results)
            return
        if unread is None:
            outcome = self._loop.outcome()
            self._conversation._append(self._said, outcome)
            self._response, event = outcome.response, Completed(outcome.response)
        self._failure = unread
        self._ahead.append(event)
        self._end()

    @property
    def response(self) -> LlmResponse:
        """Give the last answer, its ``meta`` added up; raises ``ClosedError`` before the stream has come to its end."""
        if self._response is None:
            raise ClosedError("the stream has not come to its end: there is no response")
        return self._response

    def text(self) -> Generator[str, None, None]:
        """Iterate over the visible text alone; leaving it is leaving the stream."""
        try:
            for event in self:
                if isinstance(event, TextDelta):
                    yield event.delta
        finally:
            self.close()

    # --- the end ----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the stream: its call ends, what was received is paid for, and the conversation is as it was before."""
        stream = self._stream
        self._ahead.clear()
        self._end()
        if stream is not None:
            stream.close()

    def _end(self) -> None:
        self._over = True
        self._conversation._release(self._owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ConversationStream {'over' if self._over else 'open'}>"
