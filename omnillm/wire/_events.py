"""The events of a stream that is read whole: what images and audio send piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from .. import _json
from ..types.enums import ProviderProtocol
from ._codec import Payload
from ._openai_error import embedded_status, read_error
from .sse import SseDecoder

_MAX_EVENT = 64 << 20  # an image in base64


def events_in(text: str, protocol: ProviderProtocol) -> Iterator[Payload]:
    """Give the objects of a stream's events; raises the ``ProviderError`` that one of them is."""
    decoder = SseDecoder(max_event_bytes=_MAX_EVENT)
    for frame in (*decoder.feed(text.encode("utf-8", "replace")), *decoder.finish()):
        if frame.data == "[DONE]":
            return
        event = _json.loads(frame.data, max_bytes=_MAX_EVENT) if frame.data else None
        if not isinstance(event, dict):
            continue
        if event.get("error") or event.get("type") == "error":
            raise read_error(protocol, embedded_status(event), event)
        yield event
