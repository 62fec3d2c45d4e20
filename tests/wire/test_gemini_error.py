"""Google's errors, read from whatever a body is, and written."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_content import CHAT, P, answer

import omnillm as o
from omnillm.wire import codec

BODY = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "48s"}]}}

CLASSES: list[tuple[int, str, type[o.ProviderError]]] = [
    (400, "INVALID_ARGUMENT", o.BadRequestError),
    (400, "FAILED_PRECONDITION", o.BadRequestError),
    (401, "UNAUTHENTICATED", o.UnauthorizedError),
    (403, "PERMISSION_DENIED", o.PermissionDeniedError),
    (404, "NOT_FOUND", o.BadRequestError),
    (429, "RESOURCE_EXHAUSTED", o.RateLimitedError),
    (500, "INTERNAL", o.ServerError),
    (503, "UNAVAILABLE", o.OverloadedError),
    (504, "DEADLINE_EXCEEDED", o.ServerError),
]


@pytest.mark.parametrize(("status", "word", "cls"), CLASSES)
@pytest.mark.parametrize("given", [True, False])
def test_every_status_has_its_class(status: int, word: str, cls: type[o.ProviderError], given: bool) -> None:
    """By the HTTP status, or inside a stream by the error's own word."""
    error = o.parse_error(P, status if given else None, {"error": {"message": "m", "status": word}})
    assert (type(error), error.status, error.code, error.message) == (cls, status, word, "m")
    assert o.emit_error(P, error) == {"error": {"message": "m", "status": word}}


def test_what_an_error_says() -> None:
    """Its words, its body, and its details in the extensions; an array around it is looked into."""
    for body in (BODY, [BODY]):
        error = o.parse_error(P, 429, body)
        assert (error.message, error.code, error.status) == ("slow down", "RESOURCE_EXHAUSTED", 429)
        assert error.vendor_extensions == {"gemini_generate_content": {"details": [{"retryDelay": "48s"}]}}
        assert error.raw_body == body
        assert o.emit_error(P, error) == BODY


def test_a_key_that_is_not_valid_is_not_a_bad_request() -> None:
    """Google answers 400; the reason in the details tells."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = o.parse_error(P, 400, {"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": details}})
    assert (type(error), error.status) == (o.UnauthorizedError, 400)


STRANGE: list[tuple[Any, str]] = [
    (None, "HTTP status 500"),
    ("<html>", "<html>"),
    ([], "HTTP status 500"),
    ([[]], "HTTP status 500"),
    ({}, "HTTP status 500"),
    ({"error": "m"}, "m"),
    ({"message": "m"}, "m"),
    ({"error": {"message": 1, "details": [1, {"reason": 2}]}}, "HTTP status 500"),
]


@pytest.mark.parametrize(("body", "message"), STRANGE)
def test_a_body_of_any_form(body: Any, message: str) -> None:
    """It never raises, and always says something."""
    assert o.parse_error(P, 500, body).message == message


def test_an_error_without_anything() -> None:
    """Inside a stream there is not even a status."""
    error = o.parse_error(P, None, {"error": {"x": 1}})
    assert (error.message, error.status) == ("an error without a message", None)


WRITTEN: list[tuple[o.ProviderError, int, str]] = [
    (o.RateLimitedError("m", protocol=CHAT, status=429, code="rate_limit"), 429, "RESOURCE_EXHAUSTED"),
    (o.OverloadedError("m", status=529), 529, "UNAVAILABLE"),
    (o.BadRequestError("m", status=422), 422, "INVALID_ARGUMENT"),
    (o.ServerError("m", status=502), 502, "INTERNAL"),
    (o.ProviderError("m"), 500, "INTERNAL"),
    (o.ProviderError("m", code="OUT_OF_RANGE"), 400, "OUT_OF_RANGE"),
]


@pytest.mark.parametrize(("error", "code", "word"), WRITTEN)
def test_an_error_of_another_wire(error: o.ProviderError, code: int, word: str) -> None:
    """It has Google's form, its status and the word for it."""
    assert o.emit_error(P, error) == {"error": {"code": code, "message": "m", "status": word}}


def test_an_error_in_a_body_of_success() -> None:
    """It is found where there is no answer."""
    find = codec(P).embedded_error
    found = find(BODY)
    assert isinstance(found, o.RateLimitedError)
    assert find(answer()) is None
    assert find({**answer(), **BODY}) is None
