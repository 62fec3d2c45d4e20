"""Errors of Responses, wherever they come: a body, a response that failed, an event of a stream."""

from __future__ import annotations

from typing import Any

import pytest

import omnillm as o
from omnillm.wire import codec

P = o.ProviderProtocol.OPENAI_RESPONSES
REFUSED = {"error": {"message": "No.", "type": "invalid_request_error", "param": "input", "code": "too_long"}}

ERRORS: list[tuple[str, int | None, Any, type[o.ProviderError], str | None, str]] = [
    ("usual", 400, REFUSED, o.BadRequestError, "too_long", "No."),
    ("key", 401, {"error": {"message": "Key.", "code": "invalid_api_key"}}, o.UnauthorizedError, "invalid_api_key", "Key."),
    ("quota", 429, {"error": {"message": "Q", "code": "insufficient_quota"}}, o.QuotaExhaustedError, "insufficient_quota", "Q"),
    ("rate", 429, {"error": {"message": "R", "type": "tokens"}}, o.RateLimitedError, "tokens", "R"),
    ("xai", 400, {"code": "invalid-argument", "error": "Bad key."}, o.BadRequestError, "invalid-argument", "Bad key."),
    ("text", 502, "<html>", o.ServerError, None, "<html>"),
    ("nothing", 503, None, o.OverloadedError, None, "the provider answered 503"),
    ("array", 400, [{"error": {"message": "No.", "code": 400}}], o.BadRequestError, "400", "No."),
    ("detail", 422, {"detail": [{"msg": "bad"}]}, o.BadRequestError, None, '[{"msg":"bad"}]'),
]


@pytest.mark.parametrize(("status", "body", "kind", "code", "message"), [pytest.param(*row, id=name) for name, *row in ERRORS])
def test_what_an_error_body_is_read_as(status: Any, body: Any, kind: type, code: str | None, message: str) -> None:
    """The class follows status and code; the provider's words are kept."""
    error = o.parse_error(P, status, body)
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, code, message)
    assert error.raw_body == body


EMBEDDED: list[tuple[str, Any, type | None, int | None]] = [
    ("none", {"object": "response", "status": "completed", "error": None}, None, None),
    ("failed", {"object": "response", "status": "failed", "error": {"code": "server_error", "message": "x"}}, o.ServerError, 500),
    ("rate", {"error": {"code": "rate_limit_exceeded", "message": "x"}}, o.RateLimitedError, 429),
    ("image", {"error": {"code": "invalid_image", "message": "x"}}, o.BadRequestError, 400),
    ("untold", {"error": {"message": "x"}}, o.ServerError, None),
    ("failed_without_error", {"object": "response", "status": "failed"}, o.ServerError, None),
    ("named_status", {"error": {"code": 429, "message": "x"}}, o.RateLimitedError, 429),
]


@pytest.mark.parametrize(("body", "kind", "status"), [pytest.param(*row, id=name) for name, *row in EMBEDDED])
def test_an_error_inside_a_body_of_success(body: Any, kind: type | None, status: int | None) -> None:
    """The error's code stands for the status that did not come."""
    error = codec(P).embedded_error(body)
    assert (type(error) if error else None) is kind
    assert error is None or error.status == status


def test_an_error_of_this_wire_is_written_as_it_came() -> None:
    """Another protocol's error takes this one's form."""
    assert o.emit_error(P, o.parse_error(P, 400, REFUSED)) == REFUSED
    theirs = o.parse_error(
        o.ProviderProtocol.CLAUDE_MESSAGES, 429, {"type": "error", "error": {"type": "rate", "message": "Slow."}}
    )
    assert o.emit_error(P, theirs) == {"error": {"message": "Slow.", "type": "rate_limit_error", "param": None, "code": "rate"}}
    assert o.emit_error(P, o.parse_error(P, 500, "oops"))["error"]["message"] == "oops"
