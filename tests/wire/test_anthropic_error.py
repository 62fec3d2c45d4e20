"""Anthropic's errors: the class that fits, whatever the body, and the body of any error."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic_messages import CHAT, P, message, own, text

import omnillm as o
from omnillm.wire import codec


def failed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "Sorry.", **fields}, "request_id": "req_1"}


STATUSES: list[tuple[int, str, type[o.ProviderError]]] = [
    (400, "invalid_request_error", o.BadRequestError),
    (401, "authentication_error", o.UnauthorizedError),
    (402, "billing_error", o.QuotaExhaustedError),
    (403, "permission_error", o.PermissionDeniedError),
    (404, "not_found_error", o.BadRequestError),
    (409, "conflict_error", o.BadRequestError),
    (413, "request_too_large", o.BadRequestError),
    (429, "rate_limit_error", o.RateLimitedError),
    (500, "api_error", o.ServerError),
    (504, "timeout_error", o.ServerError),
    (529, "overloaded_error", o.OverloadedError),
]


@pytest.mark.parametrize(("status", "kind", "cls"), STATUSES)
@pytest.mark.parametrize("sent", [True, False])
def test_each_error_has_its_class(status: int, kind: str, cls: type[o.ProviderError], sent: bool) -> None:
    """As a body with its status, and as an event of a stream, where the type stands for the status."""
    error = o.parse_error(P, status if sent else None, failed(kind))
    assert type(error) is cls
    assert (error.status, error.code, error.message, error.request_id) == (status, kind, "Sorry.", "req_1")
    assert error.raw_body == failed(kind)
    assert o.emit_error(P, error) == failed(kind)


@pytest.mark.parametrize(
    "details",
    [
        {"error_code": "contract_spend_limit_reached"},
        {"code": "enforced_spend_limit_reached"},
        [{"type": "x"}, {"error_code": "ramp_limit_exceeded"}],
    ],
)
def test_a_spend_limit_is_for_good(details: Any) -> None:
    """It comes as a 429, and is told from a throttle by a code among the details, which are kept."""
    error = o.parse_error(P, 429, failed("rate_limit_error", details=details))
    assert type(error) is o.QuotaExhaustedError
    assert error.code == "rate_limit_error"
    assert error.vendor_extensions == own(details=details)


BODIES: list[tuple[int | None, Any, str, str | None]] = [
    (500, "<html>Bad gateway</html>", "<html>Bad gateway</html>", None),
    (500, b"\xff", "\ufffd", None),
    (500, "", "HTTP status 500", None),
    (500, None, "HTTP status 500", None),
    (None, None, "an error without a message", None),
    (400, {"error": {"message": "Unreadable token."}}, "Unreadable token.", None),
    (400, {"error": "no"}, "no", None),
    (400, {"message": "no", "type": "x"}, "no", "x"),
    (400, [{"error": {"message": "no", "type": 7}}], "no", None),
    (400, {"error": {"type": "", "message": ""}}, "HTTP status 400", None),
    (400, [], "HTTP status 400", None),
    (400, 7, "HTTP status 400", None),
]


@pytest.mark.parametrize(("status", "given", "said", "code"), BODIES)
def test_any_body_is_an_error(status: int | None, given: Any, said: str, code: str | None) -> None:
    """A strange body never hides that the call failed."""
    error = o.parse_error(P, status, given)
    assert (error.message, error.code, error.status) == (said, code, status)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (o.RateLimitedError("Slow.", protocol=CHAT, status=429, code="rate_limit_exceeded"), "rate_limit_error"),
        (o.ProviderError("Slow.", code="overloaded_error"), "overloaded_error"),
        (o.QuotaExhaustedError("Slow."), "billing_error"),
        (o.UnauthorizedError("Slow."), "authentication_error"),
        (o.PermissionDeniedError("Slow."), "permission_error"),
        (o.BadRequestError("Slow.", status=422), "invalid_request_error"),
        (o.OverloadedError("Slow.", status=503), "overloaded_error"),
        (o.ServerError("Slow."), "api_error"),
        (o.BadRequestError("Slow.", protocol=P, raw_body="<html>"), "invalid_request_error"),
    ],
)
def test_any_error_has_a_body(error: o.ProviderError, kind: str) -> None:
    """Its type is that of its code, its status or its class."""
    assert o.emit_error(P, error) == {"type": "error", "error": {"type": kind, "message": "Slow."}}


def test_the_requests_id_goes_with_the_error() -> None:
    """It is where Anthropic's clients look for it."""
    assert o.emit_error(P, o.ServerError("x", protocol=CHAT, request_id="req_1"))["request_id"] == "req_1"


def test_an_error_may_come_with_success() -> None:
    """A body that holds an error instead of a message is found; a message is none."""
    embedded = codec(P).embedded_error
    found = embedded(failed("overloaded_error"))
    assert type(found) is o.OverloadedError
    assert type(embedded({"error": {"message": "no"}})) is o.ServerError
    assert embedded(message(text("Hi"))) is None
    assert embedded({**message(text("Hi")), "error": {}}) is None
    assert embedded({"error": None}) is None


def test_a_stream_asks_for_usage_without_asking() -> None:
    """The body is not changed: usage is part of every stream."""
    payload = {"model": "m"}
    assert codec(P).ask_for_usage(payload) is payload
