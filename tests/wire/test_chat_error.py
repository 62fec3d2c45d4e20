"""Errors of Chat Completions, in the many forms that servers give them."""

from __future__ import annotations

from typing import Any

import pytest

from omnillm import (
    BadRequestError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    ProviderProtocol,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
    emit_error,
    parse_error,
)
from omnillm.types.enums import WireFormat
from omnillm.wire import codec

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
OWN = WireFormat.OPENAI_CHAT_COMPLETIONS.value


def openai(message: str = "no", kind: Any = "invalid_request_error", code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "cls", "message", "code"),
    [
        (400, openai(), BadRequestError, "no", "invalid_request_error"),
        (401, openai(code="invalid_api_key"), UnauthorizedError, "no", "invalid_api_key"),
        (403, openai(), PermissionDeniedError, "no", "invalid_request_error"),
        (404, openai(code="model_not_found"), BadRequestError, "no", "model_not_found"),
        (429, openai(code="rate_limit_exceeded"), RateLimitedError, "no", "rate_limit_exceeded"),
        (429, openai(kind="insufficient_quota", code="insufficient_quota"), QuotaExhaustedError, "no", "insufficient_quota"),
        (429, openai(kind="insufficient_quota", code="other"), QuotaExhaustedError, "no", "other"),
        (400, openai(code="billing_hard_limit_reached"), QuotaExhaustedError, "no", "billing_hard_limit_reached"),
        (403, openai(code="insufficient_balance"), QuotaExhaustedError, "no", "insufficient_balance"),
        (429, openai(kind="insufficient_credits"), QuotaExhaustedError, "no", "insufficient_credits"),
        (429, openai(code="quota_exceeded"), QuotaExhaustedError, "no", "quota_exceeded"),
        (500, openai(code="insufficient_balance"), ServerError, "no", "insufficient_balance"),
        (402, {"error": {"message": "Insufficient Balance"}}, QuotaExhaustedError, "Insufficient Balance", None),
        (500, openai(kind="server_error"), ServerError, "no", "server_error"),
        (503, openai(), OverloadedError, "no", "invalid_request_error"),
        (400, {"error": {"message": "no", "code": 400, "metadata": {"a": 1}}}, BadRequestError, "no", "400"),
        (401, {"error": {"code": "401", "message": "no"}}, UnauthorizedError, "no", "401"),
        (400, {"error": "words"}, BadRequestError, "words", None),
        (400, {"error": "words", "message": "better"}, BadRequestError, "better", None),
        (400, {"message": "no", "code": "1210", "object": "error"}, BadRequestError, "no", "1210"),
        (422, {"detail": "words"}, BadRequestError, "words", None),
        (422, {"detail": [{"loc": ["body"], "msg": "m"}]}, BadRequestError, '[{"loc":["body"],"msg":"m"}]', None),
        (422, {"message": {"detail": [1]}}, BadRequestError, '{"detail":[1]}', None),
        (400, [{"error": {"message": "no", "status": "INVALID_ARGUMENT"}}], BadRequestError, "no", None),
        (400, ["words"], BadRequestError, "words", None),
        (500, [], ServerError, "the provider answered 500", None),
        (500, [[1]], ServerError, "the provider answered 500: [[1]]", None),
        (500, None, ServerError, "the provider answered 500", None),
        (None, {}, ServerError, "the provider answered with an error", None),
        (502, "<html>Bad gateway</html>", ServerError, "<html>Bad gateway</html>", None),
        (500, {"error": {}}, ServerError, "the provider answered 500: {'error': {}}", None),
        (500, {"detail": [float("nan")]}, ServerError, "[nan]", None),
    ],
)
def test_every_form_of_an_error_is_read(status: int | None, body: Any, cls: type, message: str, code: str | None) -> None:
    """The provider's own words, the class that fits the status, and the body itself."""
    error = parse_error(CHAT, status, body)
    assert type(error) is cls
    assert (error.message, error.code, error.status, error.protocol, error.raw_body) == (message, code, status, CHAT, body)


def test_the_rest_of_an_error_is_kept() -> None:
    """Fields beside message and code, and the request's id, ride along."""
    error = parse_error(CHAT, 400, {"error": {"message": "no", "param": "tools", "failed_generation": "x"}, "request_id": "r"})
    assert error.vendor_extensions == {OWN: {"param": "tools", "failed_generation": "x"}}
    assert error.request_id == "r"


@pytest.mark.parametrize("body", [openai(), {"error": "words"}, {"detail": "words"}])
def test_an_error_goes_out_as_it_came(body: dict[str, Any]) -> None:
    """The wire's own body is not rewritten."""
    assert emit_error(CHAT, parse_error(CHAT, 400, body)) == body


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RateLimitedError("m"), "rate_limit_error"),
        (QuotaExhaustedError("m"), "insufficient_quota"),
        (UnauthorizedError("m"), "authentication_error"),
        (PermissionDeniedError("m"), "permission_error"),
        (OverloadedError("m"), "server_error"),
        (ServerError("m"), "server_error"),
        (BadRequestError("m"), "invalid_request_error"),
        (ProviderError("m", protocol=CHAT, raw_body="no object"), "invalid_request_error"),
        (BadRequestError("m", protocol=ProviderProtocol.CLAUDE_MESSAGES, raw_body={"x": 1}), "invalid_request_error"),
    ],
)
def test_an_error_of_another_wire_is_written_in_this_one_s_form(error: ProviderError, kind: str) -> None:
    """Message, type by class, and code."""
    assert emit_error(CHAT, error) == {"error": {"message": "m", "type": kind, "param": None, "code": None}}


@pytest.mark.parametrize(
    ("body", "cls", "status"),
    [
        ({"error": {"message": "m", "code": 429}}, RateLimitedError, 429),
        ({"error": {"message": "m", "code": "503"}, "choices": []}, OverloadedError, 503),
        ({"error": {"message": "m", "status": 401}}, UnauthorizedError, 401),
        ({"error": "m", "choices": None}, ServerError, None),
        ({"error": {"message": "m", "code": 200}}, ServerError, None),
        ({"error": {"message": "m", "code": True}}, ServerError, None),
    ],
)
def test_an_error_that_came_with_success_is_found(body: dict[str, Any], cls: type, status: int | None) -> None:
    """OpenRouter and others answer 200 with an error object, which may name the status itself."""
    error = codec(WireFormat.OPENAI_CHAT_COMPLETIONS).embedded_error(body)
    assert error is not None
    assert (type(error), error.status, error.message) == (cls, status, "m")


@pytest.mark.parametrize(
    "body", [{}, {"error": None}, {"error": {"message": "m"}, "choices": [{"message": {}}]}, {"choices": []}]
)
def test_an_answer_is_no_error(body: dict[str, Any]) -> None:
    """A body with choices, or without an error, is an answer."""
    assert codec(WireFormat.OPENAI_CHAT_COMPLETIONS).embedded_error(body) is None
