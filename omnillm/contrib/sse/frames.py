"""What a browser is told of a stream: the name of an event, and its data as a JSON object.

``text``, ``refusal`` and ``citation`` come as they are made, each ``tool_call`` whole, then ``usage``, and last ``done`` or
``error``. Of reasoning, the results of tools, signatures and what only one protocol knows nothing is told: it is the server's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any

from ...types.events import AnnotationAdded, Completed, LlmStreamEvent, RefusalDelta, TextDelta
from ...types.parts import Annotation
from ...types.response import LlmResponse
from ...wire.sse import SseFrame
from .._failures import failure_of

Frames = Callable[[LlmStreamEvent], Iterable[SseFrame]]

CONTENT_TYPE = "text/event-stream"
# no proxy may keep, change or collect what is sent
HEADERS = MappingProxyType({"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"})


def frame(name: str, /, **data: Any) -> SseFrame:
    """Make a frame: an event's name, and its data as JSON."""
    return SseFrame(name, json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def frames_of(event: LlmStreamEvent) -> Iterator[SseFrame]:
    """Give what is told of an event of a stream: nothing, a frame, or of the last one several."""
    if isinstance(event, TextDelta):
        if event.delta:
            yield frame("text", text=event.delta)
    elif isinstance(event, RefusalDelta):
        yield frame("refusal", text=event.delta)
    elif isinstance(event, AnnotationAdded):
        yield frame("citation", **_citation(event.annotation))
    elif isinstance(event, Completed):
        yield from _end(event.response)


def failed(error: BaseException) -> SseFrame:
    """Give the frame that a stream ends with where it broke off; it tells nothing of the error but its kind."""
    return frame("error", **failure_of(error).data)


def _citation(found: Annotation) -> dict[str, Any]:
    told = {"url": found.url, "title": found.title, "start": found.start, "end": found.end, "cited_text": found.cited_text}
    return {name: value for name, value in told.items() if value is not None}


def _end(response: LlmResponse) -> Iterator[SseFrame]:
    for call in response.tool_calls:
        yield frame("tool_call", id=call.call_id, name=call.name, arguments=call.arguments)
    usage = response.usage
    if usage is not None:
        total = usage.total()
        yield frame("usage", prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, total_tokens=total)
    yield frame("done", finish_reason=response.finish_reason)
