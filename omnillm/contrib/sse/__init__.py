"""Server-sent events of a model's stream, for any framework: frames, heartbeats while the model is silent, and a prompt end.

``SseBody(stream)`` is an iterator of bytes for WSGI, ``AsyncSseBody(stream)`` (in ``omnillm.contrib.sse.asynchronous``) one for
ASGI; ``HEADERS`` go with either. ``docs/django.md`` says what the events are.
"""

from __future__ import annotations

from .body import HEARTBEAT_S, SseBody
from .frames import CONTENT_TYPE, HEADERS, frame, frames_of

__all__ = ["CONTENT_TYPE", "HEADERS", "HEARTBEAT_S", "SseBody", "frame", "frames_of"]
