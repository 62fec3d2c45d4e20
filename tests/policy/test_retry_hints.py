"""What providers say about waiting: every form that was seen, and every form that must not be believed."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.policy.retry import ObservedLimits, is_quota_exhausted, observed_limits, server_hint, should_retry

NOW = 1_800_000_000.0
AT = datetime.fromtimestamp(NOW, UTC)


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


HEADERS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"Retry-After-Ms": "20.5"}, 0.0205),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ({"retry-after-ms": "0", "retry-after": "9"}, 9.0),
    ({"retry-after": "30"}, 30.0),
    ({"Retry-After": " 30 "}, 30.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": "1.25"}, 1.25),
    ({"retry-after": "7200"}, 7_200.0),
    ({"retry-after": "86400"}, 86_400.0),
    ({"retry-after": _date(45)}, 45.0),
    ({"retry-after": (AT.replace(tzinfo=None)).strftime("%a %b %d %H:%M:%S %Y")}, None),  # now: no wait
    ({"retry-after": datetime.fromtimestamp(NOW + 60, UTC).strftime("%a %b %d %H:%M:%S %Y")}, 60.0),  # asctime
    ({"retry-after": datetime.fromtimestamp(NOW + 60, UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT")}, 60.0),  # RFC 850
    # not believed
    ({"retry-after": "0"}, None),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "+5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "1e9"}, None),
    ({"retry-after": "0x10"}, None),
    ({"retry-after": "1_000"}, None),
    ({"retry-after": "1,5"}, None),
    ({"retry-after": "5 seconds"}, None),
    ({"retry-after": "٣٠"}, None),
    ({"retry-after": "1.2345"}, None),
    ({"retry-after": "99999999999"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "tomorrow"}, None),
    ({"retry-after": _date(-45)}, None),
    ({"retry-after": "Sun, 06 Nov 99999 08:49:37 GMT"}, None),
    ({"retry-after": "Sun, 99 Nov 2026 25:61:00 GMT"}, None),
    ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT" + " " * 10_000}, None),
    # beyond a day: an hour
    ({"retry-after": "86401"}, 3_600.0),
    ({"retry-after": "1000000000"}, 3_600.0),
    ({"retry-after": "9999999999"}, 3_600.0),
    ({"retry-after": _date(40 * 86_400)}, 3_600.0),
    ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3_600.0),
    # reset headers: OpenAI and compatible
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms"}, 0.012),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1.0),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3_723.5),
    ({"X-RateLimit-Reset-Tokens": "59.369s"}, 59.369),
    ({"x-ratelimit-reset-tokens": "7"}, 7.0),
    ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "2s"}, 2.0),
    (
        {
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-reset-requests": "10s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "2s",
        },
        2.0,
    ),
    ({"x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "10s"}, None),
    ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "10s"}, 10.0),
    ({"x-ratelimit-reset-requests": "-1"}, None),
    ({"x-ratelimit-reset-requests": "0s"}, None),
    ({"x-ratelimit-reset-requests": "6 m"}, None),
    ({"x-ratelimit-reset-requests": "1s" * 40}, None),
    ({"retry-after": "3", "x-ratelimit-reset-requests": "10s"}, 3.0),
    # reset headers: Anthropic
    ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": _rfc3339(12)}, 12.0),
    ({"anthropic-ratelimit-output-tokens-remaining": "0", "anthropic-ratelimit-output-tokens-reset": _rfc3339(5)}, 5.0),
    ({"anthropic-ratelimit-tokens-remaining": "10", "anthropic-ratelimit-tokens-reset": _rfc3339(5)}, None),
    ({"anthropic-ratelimit-tokens-reset": _rfc3339(-5)}, None),
    ({"anthropic-ratelimit-tokens-reset": "2027-01-15"}, None),
    ({"anthropic-ratelimit-tokens-reset": "99999-01-15T00:00:00Z"}, None),
    ({"anthropic-ratelimit-tokens-reset": "2027-01-15T00:00:00Z" + " " * 100}, None),
    # OpenRouter
    ({"x-ratelimit-reset": str(int((NOW + 20) * 1_000))}, 20.0),
    ({"x-ratelimit-remaining": "4", "x-ratelimit-reset": str(int((NOW + 20) * 1_000))}, None),
    ({"x-ratelimit-reset": str(int(NOW + 20))}, 20.0),
    ({"x-ratelimit-reset": str(int(NOW - 20))}, None),
    ({"x-ratelimit-reset": "2"}, None),
    # Cerebras
    ({"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.382867326736"}, None),
    ({"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.382867"}, 33_011.382867),
    ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "11.382867"}, 11.382867),
    # Groq: requests of a day, tokens of a minute
    (
        {
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        7.66,
    ),
]


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    """A header gives the wait it means, or none where it is not believed."""
    assert server_hint(headers, None, now_wall=NOW) == (None if seconds is None else pytest.approx(seconds))


def _gemini(delay: Any) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"}, {"@type": "…RetryInfo", "retryDelay": delay}]
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}


def _openai(text: Any) -> dict[str, Any]:
    return {"error": {"message": text, "type": "tokens", "code": "rate_limit_exceeded"}}


def _router(value: Any) -> dict[str, Any]:
    return {"error": {"code": 429, "metadata": {"headers": {"X-RateLimit-Limit": "1", "X-RateLimit-Reset": value}}}}


BODIES: list[tuple[Any, float | None]] = [
    (None, None),
    ({}, None),
    ([], None),
    ("Slow down", None),
    ("Please try again in 3s", 3.0),
    (_gemini("30s"), 30.0),
    (_gemini("34.074824224s"), 34.074824224),
    ([_gemini("48s")], 48.0),
    (_gemini("soon"), None),
    (_gemini({"seconds": 3}), None),
    (_gemini("0s"), None),
    ({"error": {"details": "none"}}, None),
    ({"error": {"details": [None, "x", {"retryDelay": "2s"}]}}, 2.0),
    (_openai("Rate limit reached for gpt-4o. Please try again in 6m0s. Visit https://example.com"), 360.0),
    (_openai("Please try again in 1.5s."), 1.5),
    (_openai("Please try again in 20ms."), 0.02),
    (_openai("Please Try Again In 1h12m."), 4_320.0),
    (_openai("Please retry after 6 seconds."), 6.0),
    (_openai("Please retry in 34.07s."), 34.07),
    (_openai("Please try again in 1 second"), 1.0),
    (_openai("Please try again in 5 sheep"), None),
    (_openai("Please try again in 5secs"), None),
    (_openai("Please try again in -5s"), None),
    (_openai("Please try again in 999999999s"), 3_600.0),
    (_openai("x" * 100_000 + " try again in 5s"), None),
    (_openai(None), None),
    ({"error": "try again in 2s"}, 2.0),
    ({"message": "try again in 2s"}, 2.0),
    (_router(str(int((NOW + 20) * 1_000))), 20.0),
    (_router(int((NOW + 20) * 1_000)), 20.0),
    (_router("1754667660000"), None),  # long past
    (_router(True), None),
    ({"error": {"metadata": {"headers": "none"}}}, None),
]


@pytest.mark.parametrize(("body", "seconds"), BODIES)
def test_bodies(body: Any, seconds: float | None) -> None:
    """An error body gives the wait it means, or none where it is not believed."""
    assert server_hint({}, body, now_wall=NOW) == (None if seconds is None else pytest.approx(seconds))


def test_a_header_stands_above_the_body() -> None:
    """The body is asked only where no header says anything."""
    assert server_hint({"retry-after": "3"}, _gemini("30s"), now_wall=NOW) == 3.0
    assert server_hint({"retry-after": "junk"}, _gemini("30s"), now_wall=NOW) == 30.0


KEYS = st.sampled_from(["error", "details", "retryDelay", "metadata", "headers", "message", "code"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset"]
)


@given(headers=st.dictionaries(NAMES, st.text(max_size=40) | st.from_regex(r"[0-9.eTZ:hms -]{0,30}", fullmatch=True)), body=JSON)
def test_no_answer_is_too_strange(headers: dict[str, str], body: Any) -> None:
    """Whatever a server sends, a hint is none or a wait of more than nothing and at most a day; no reader raises."""
    hint = server_hint(headers, body, now_wall=NOW)
    assert hint is None or 0 < hint <= 86_400
    observed_limits(headers, now_wall=NOW)
    should_retry(headers)
    is_quota_exhausted(429, None, "", body)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-should-retry": "true"}, True),
        ({"X-Should-Retry": "True"}, True),
        ({"x-should-retry": " false "}, False),
        ({"x-should-retry": "1"}, None),
        ({"x-should-retry": ""}, None),
    ],
)
def test_should_retry(headers: dict[str, str], expected: bool | None) -> None:
    """``x-should-retry`` is read where it says true or false."""
    assert should_retry(headers) is expected


GEMINI_WORDS = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("status", "code", "message", "body", "expected"),
    [
        (402, None, "", None, True),
        (429, "insufficient_quota", "", None, True),
        (429, "billing_hard_limit_reached", "", None, True),
        (400, "billing_hard_limit_reached", "", None, True),
        (429, "contract_spend_limit_reached", "", None, True),
        (429, "enforced_spend_limit_reached", "", None, True),
        (429, "ramp_limit_exceeded", "", None, True),
        (429, "quota_exceeded", "", None, True),
        (403, "insufficient_balance", "", None, True),
        (429, None, "", {"error": {"code": "insufficient_credits"}}, True),
        (403, "billing_not_active", "", None, True),
        (429, None, GEMINI_WORDS, {"error": {"type": "insufficient_quota"}}, True),
        (429, None, "", {"type": "error", "error": {"type": "billing_error"}}, True),
        (429, None, GEMINI_WORDS, None, True),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", None, True),
        (429, None, "Insufficient balance", None, True),
        (429, "rate_limit_exceeded", "Rate limit reached for requests", None, False),
        (429, None, GEMINI_WORDS, {"error": {"status": "RESOURCE_EXHAUSTED", "code": 429}}, False),
        (429, None, GEMINI_WORDS, [{"error": {"status": "RESOURCE_EXHAUSTED"}}], False),
        (400, None, "messages.0: the tool billing_lookup has no schema", None, False),
        (429, None, "", {"error": {"code": ["insufficient_quota"]}}, False),
        (500, "insufficient_quota", "billing", None, False),
        (None, "insufficient_quota", "", None, False),
    ],
)
def test_a_quota_that_is_exhausted_for_good_is_told_from_a_rate(
    status: int | None, code: str | None, message: str, body: Any, expected: bool
) -> None:
    """Codes decide; words decide only where the status makes them the provider's own."""
    assert is_quota_exhausted(status, code, message, body) is expected


OPENAI_LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "1.5s",
    "x-ratelimit-limit-tokens": "90000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "6m0s",
}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        (OPENAI_LIMITS, ObservedLimits(499, 0, 1.5, 360.0)),
        ({name.title(): value for name, value in OPENAI_LIMITS.items()}, ObservedLimits(499, 0, 1.5, 360.0)),
        ({"x-ratelimit-remaining-requests": "3"}, ObservedLimits(remaining_requests=3)),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "never"}, ObservedLimits(remaining_requests=3)),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "9999999h"}, ObservedLimits(remaining_requests=3)),
        ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-remaining-tokens": "-1"}, None),
        ({"x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0"}, None),
        ({"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "0"}, None),
        ({"x-ratelimit-remaining-tokens": "1e3"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "7",
                "anthropic-ratelimit-requests-reset": _rfc3339(30),
                "anthropic-ratelimit-tokens-remaining": "1000",
                "anthropic-ratelimit-tokens-reset": _rfc3339(-3),
                "anthropic-ratelimit-input-tokens-remaining": "2000",
            },
            ObservedLimits(7, 1_000, 30.0, 0.0),
        ),
        ({"anthropic-ratelimit-input-tokens-remaining": "2000"}, ObservedLimits(remaining_tokens=2_000)),
        (
            {"anthropic-ratelimit-tokens-remaining": "9000", "anthropic-ratelimit-input-tokens-remaining": "20"},
            ObservedLimits(remaining_tokens=20),
        ),
        ({"anthropic-ratelimit-output-tokens-remaining": "5"}, None),  # what is left of the output is no bound of the whole
        # Cerebras: the tightest of several windows, with its own time
        (
            {
                "x-ratelimit-remaining-requests-day": "9",
                "x-ratelimit-reset-requests-day": "33011.382867",
                "x-ratelimit-remaining-requests-minute": "29",
                "x-ratelimit-reset-requests-minute": "11.382867",
                "x-ratelimit-remaining-tokens-minute": "300",
                "x-ratelimit-reset-tokens-minute": "11.382867",
            },
            ObservedLimits(9, 300, 33_011.382867, 11.382867),
        ),
        (
            {
                "x-ratelimit-remaining-requests-day": "0",
                "x-ratelimit-reset-requests-day": "300",
                "x-ratelimit-remaining-requests-minute": "0",
                "x-ratelimit-reset-requests-minute": "20",
            },
            ObservedLimits(remaining_requests=0, reset_requests=300.0),
        ),
        # OpenRouter
        (
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int((NOW + 20) * 1_000))},
            ObservedLimits(remaining_requests=3, reset_requests=20.0),
        ),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(NOW + 20))}, ObservedLimits(3, None, 20.0)),
        ({"x-ratelimit-remaining": "3"}, None),  # of how long a time, nobody knows
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1"}, None),
        ({"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 20))}, None),
        ({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": str(int(NOW + 20))}, None),
    ],
)
def test_observed_limits(headers: dict[str, str], expected: ObservedLimits | None) -> None:
    """Headers tell what is left of the windows; what they mark as unknown is not told."""
    assert observed_limits(headers, now_wall=NOW) == expected
