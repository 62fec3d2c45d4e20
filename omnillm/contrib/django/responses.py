"""Answers to a browser: a stream as server-sent events, and an error as what the public may know of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from .._failures import failure_of
from ..sse import CONTENT_TYPE, HEADERS, HEARTBEAT_S, SseBody, frames_of
from ..sse.asynchronous import AsyncSseBody
from ..sse.frames import Frames
from ..sse.pull import Events, Opens

_GZIP = "django.middleware.gzip.GZipMiddleware"


def sse_response(
    request: HttpRequest, stream: Events | Opens, *, heartbeat: float = HEARTBEAT_S, frames: Frames = frames_of
) -> StreamingHttpResponse:
    """Answer with a stream's events as they come, under WSGI and ASGI, with a comment after ``heartbeat`` silent seconds.

    ``stream`` is open, its errors up to there raised in the view; or is opened behind the response's headers, by
    ``partial(gateway.stream, "Hello")``, its errors told as an event. A client that goes away closes it. ``frames`` gives the
    frames of an event, where the response is iterated: under ASGI in the event loop.
    """
    kind = AsyncSseBody if isinstance(request, ASGIRequest) else SseBody
    body: Any = kind(stream, heartbeat=heartbeat, frames=frames)
    response = StreamingHttpResponse(body, content_type=CONTENT_TYPE, headers=dict(HEADERS))
    if _GZIP in settings.MIDDLEWARE:
        response.headers["Content-Encoding"] = "identity"  # it would hold events back until its compressor is full
    return response


def error_response(error: BaseException) -> HttpResponse:
    """Answer with what the public may know of an error: a status, ``Retry-After``, a code and a sentence as JSON."""
    failure = failure_of(error)
    return JsonResponse({"error": failure.data}, status=failure.status, headers=failure.headers)
