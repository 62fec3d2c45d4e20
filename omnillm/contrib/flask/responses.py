"""Answers to a browser: a stream as server-sent events, and an error as what the public may know of it."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, stream_with_context

from .._failures import failure_of
from ..sse import CONTENT_TYPE, HEADERS, HEARTBEAT_S, SseBody, frames_of
from ..sse.frames import Frames
from ..sse.pull import Events, Opens


def sse_response(stream: Events | Opens, *, heartbeat: float = HEARTBEAT_S, frames: Frames = frames_of) -> Response:
    """Answer with a stream's events as they come, with a comment after ``heartbeat`` silent seconds.

    ``stream`` is open, its errors up to there raised in the view; or is opened behind the response's headers, by
    ``partial(gateway.stream, "Hello")``, its errors told as an event. A client that goes away closes it. ``frames`` gives the
    frames of an event, in the request's context, which lasts as long as the stream then.
    """
    body = SseBody(stream, heartbeat=heartbeat, frames=frames)
    # the request's context, with what it keeps from a pool of connections, is held for code of the caller's alone
    told: Any = body if frames is frames_of else stream_with_context(body)
    response = Response(told, content_type=CONTENT_TYPE, headers=dict(HEADERS))
    response.call_on_close(body.close)  # a generator that never ran closes nothing
    return response


def error_response(error: BaseException) -> Response:
    """Answer with what the public may know of an error: a status, ``Retry-After``, a code and a sentence as JSON."""
    failure = failure_of(error)
    response = jsonify({"error": failure.data})
    response.status_code = failure.status
    response.headers.update(failure.headers)
    return response
