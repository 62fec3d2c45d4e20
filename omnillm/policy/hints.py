"""What a provider says about waiting: pure readers of response headers and error bodies.

Purpose: turn the many spellings of "come back later" into seconds, and the rate-limit headers into what is left.
Contract: every function is total. A form that is not known, not plausible or not well-formed is no hint; nothing raises.
Rules:
- Numbers have a strict grammar. ``float()`` would take ``-5``, ``nan``, ``inf``, ``1e9`` and Arabic digits.
- The first source that gives a wait wins: ``retry-after-ms``, ``retry-after``, reset headers, the body.
- A wait of more than a day is no wait but a mistake or a monthly quota: ask again in an hour.
- A wait of nothing is no hint: a key that is free at once would be asked again at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ..wire._errors import EXHAUSTED_CODES

LONGEST_BELIEVED_S = 86_400.0
INSTEAD_OF_LONGER_S = 3_600.0

_MAX_HEADER = 64
_MAX_TEXT = 4_096

_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,3})?")
_SECONDS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,9})?")  # of a reset header: Cerebras gives microseconds
_INTEGER = re.compile(r"[0-9]{1,15}")
_EPOCH_DIGITS = 10
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?")
_DURATION = re.compile(r"(?:[0-9]{1,10}(?:\.[0-9]{1,9})?(?:ms|us|µs|ns|h|m|s))+")
_DURATION_STEP = re.compile(r"([0-9.]+)([a-zµ]+)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

# OpenAI "Please try again in 6m0s.", Gemini "Please retry in 34.07s.", Azure "Please retry after 6 seconds."
_IN_WORDS = re.compile(
    rf"(?:try again|retry) (?:in|after) (?:({_DURATION.pattern})(?![0-9a-z])|({_NUMBER.pattern}) seconds?)", re.IGNORECASE
)

# OpenAI, Azure, Groq, Mistral, xAI and others; Cerebras says of what time. What a window allows is in the windows that are read.
_REQUESTS = ("requests", "requests-minute", "requests-hour", "requests-day")
_TOKENS = ("tokens", "tokens-minute", "tokens-hour", "tokens-day", "input-tokens")
_OPENAI_WINDOWS = tuple((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in (*_REQUESTS, *_TOKENS))
_ANTHROPIC_WINDOWS = tuple(
    (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
)


def _headers_of(kinds: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Spell the headers of each kind of window once: what is left, the limit and the reset; Anthropic's of the same."""
    openai = ("x-ratelimit-remaining-", "x-ratelimit-limit-", "x-ratelimit-reset-")
    anthropic = ("-remaining", "-reset")
    return tuple(
        (*(start + kind for start in openai), *(f"anthropic-ratelimit-{kind}{end}" for end in anthropic)) for kind in kinds
    )


_OF_REQUESTS, _OF_TOKENS = _headers_of(_REQUESTS), _headers_of(_TOKENS)

# By status, because other refusals quote the caller's own words.
QUOTA_PHRASES = {
    400: ("credit balance is too low",),  # Anthropic
    403: ("billing",),  # Google: "requires billing to be enabled"
    429: ("billing", "spend limit", "credit balance is too low", "insufficient credit", "insufficient balance"),
}


class ObservedLimits(NamedTuple):
    """Tell what a provider's headers said is left of its windows, and in how many seconds they are whole again."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests: float | None = None
    reset_tokens: float | None = None


def server_hint(headers: Mapping[str, str], body: Any, *, now_wall: float) -> float | None:
    """Give the seconds an error response asks to wait, or ``None`` where it asks for nothing believable."""
    named = _lower(headers)
    for wait in (
        _scaled(named.get("retry-after-ms", ""), 1e-3),
        _retry_after(named.get("retry-after", ""), now_wall),
        _longest(_spent_windows(named, now_wall)),
        _body_hint(body, now_wall),
    ):
        if wait is not None:
            return wait
    return None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Read ``x-should-retry``: the server's own word on whether a retry makes sense."""
    return {"true": True, "false": False}.get(_lower(headers).get("x-should-retry", "").strip().lower())


def is_quota_exhausted(status: int | None, code: str | None, message: str, body: Any) -> bool:
    """Tell whether a refusal is for good (no credit, no quota left) and not for a moment (a rate)."""
    if status == 402:
        return True
    if status is None or not 400 <= status < 500:
        return False
    error = _error_of(body)
    if any(isinstance(name, str) and name in EXHAUSTED_CODES for name in (code, error.get("code"), error.get("type"))):
        return True
    # Gemini says "check your plan and billing details" of its windows per minute too.
    if error.get("status") == "RESOURCE_EXHAUSTED":
        return False
    text = message[:_MAX_TEXT].lower()
    return any(phrase in text for phrase in QUOTA_PHRASES.get(status, ()))


def observed_limits(headers: Mapping[str, str], *, now_wall: float) -> ObservedLimits | None:
    """Read what is left of the provider's windows, or ``None`` where the headers do not tell."""
    if not any("remaining" in name.lower() for name in headers):  # which all of them say
        return None
    named = _lower(headers)
    requests, reset_requests = _tightest(_windows(named, _OF_REQUESTS, now_wall), _plain_window(named, now_wall))
    tokens, reset_tokens = _tightest(_windows(named, _OF_TOKENS, now_wall))
    if requests is None and tokens is None:
        return None
    return ObservedLimits(requests, tokens, reset_requests, reset_tokens)


# --- numbers and times --------------------------------------------------------------------------------------------------------


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _believed(seconds: float) -> float | None:
    if not seconds > 0:
        return None
    return seconds if seconds <= LONGEST_BELIEVED_S else INSTEAD_OF_LONGER_S


def _plausible(seconds: float | None) -> float | None:
    return max(seconds, 0.0) if seconds is not None and seconds <= LONGEST_BELIEVED_S else None


def _scaled(text: str, unit: float) -> float | None:
    text = text.strip()
    return _believed(float(text) * unit) if _NUMBER.fullmatch(text) else None


def _retry_after(text: str, now_wall: float) -> float | None:
    return _scaled(text, 1.0) or _until_http_date(text, now_wall)


def _until_http_date(text: str, now_wall: float) -> float | None:
    if len(text) > _MAX_HEADER or not text.isascii():
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # asctime and "-0000" carry no zone: RFC 9110 section 5.6.7 has them all in GMT
    return _believed((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_wall)


def _until_rfc3339(text: str, now_wall: float) -> float | None:
    if len(text) > _MAX_HEADER:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        return at.timestamp() - now_wall if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _duration(text: str) -> float | None:
    """Read a Go duration (``12ms``, ``6m0s``, ``1h2m3.5s``) or a plain number of seconds."""
    text = text.strip()
    if len(text) > _MAX_HEADER:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_STEP.findall(text))


def _until_epoch(value: Any, now_wall: float) -> float | None:
    """Read Unix seconds, or milliseconds, which have three digits more; a smaller number has no unit that all agree on."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    if not _EPOCH.fullmatch(text):
        return None
    return _believed(int(text) / (1 if len(text) == _EPOCH_DIGITS else 1000) - now_wall)


def _longest(waits: Iterable[float | None]) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)


# --- windows ------------------------------------------------------------------------------------------------------------------


def _spent_windows(named: Mapping[str, str], now_wall: float) -> Iterator[float | None]:
    """Give the wait of every window that is not known to have room; one with room left is not what refused."""
    for remaining, reset in _OPENAI_WINDOWS:
        if not _has_room(named.get(remaining)):
            yield _believed(_duration(named.get(reset, "")) or 0.0)
    for remaining, reset in _ANTHROPIC_WINDOWS:
        if not _has_room(named.get(remaining)):
            yield _believed(_until_rfc3339(named.get(reset, ""), now_wall) or 0.0)
    # OpenRouter: milliseconds since 1970
    if not _has_room(named.get("x-ratelimit-remaining")):
        yield _until_epoch(named.get("x-ratelimit-reset", ""), now_wall)


def _has_room(remaining: str | None) -> bool:
    return (_count(remaining) or 0) > 0


def _count(text: str | None) -> int | None:
    if not text:
        return None
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


_Window = tuple[int | None, float | None]


def _windows(named: Mapping[str, str], kinds: Iterable[tuple[str, ...]], now_wall: float) -> Iterator[_Window]:
    """Give what is left of every window that the headers tell of, and in how many seconds it is whole again."""
    for remaining, limit, reset, anthropic_remaining, anthropic_reset in kinds:
        # Azure sends a limit of 0 or -1 for "unknown", and then the rest means nothing
        if (left := _count(named.get(remaining))) is not None:
            if _count(named.get(limit, "1")):
                yield left, _plausible(_duration(named.get(reset, "")))
        elif (left := _count(named.get(anthropic_remaining))) is not None:
            yield left, _plausible(_until_rfc3339(named.get(anthropic_reset, ""), now_wall))


def _plain_window(named: Mapping[str, str], now_wall: float) -> Iterator[_Window]:
    """Give OpenRouter's window of requests, of whatever length: only where it says when it ends."""
    left, reset = _count(named.get("x-ratelimit-remaining")), _until_epoch(named.get("x-ratelimit-reset", ""), now_wall)
    if left is not None and reset is not None and _count(named.get("x-ratelimit-limit", "1")):
        yield left, reset


def _tightest(*windows: Iterable[_Window]) -> _Window:
    """Give the window with the least left, and of several alike the one that lasts longest."""
    known = [window for some in windows for window in some]
    return min(known, key=lambda window: (window[0] or 0, -(window[1] or 0.0)), default=(None, None))


# --- bodies -------------------------------------------------------------------------------------------------------------------


def _error_of(body: Any) -> Mapping[str, Any]:
    """Give the object that describes the error, wherever a provider puts it; Gemini may wrap it in an array."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, Mapping):
        return {}
    error = body.get("error", body)
    return error if isinstance(error, Mapping) else body


def _body_hint(body: Any, now_wall: float) -> float | None:
    error = _error_of(body)
    return _retry_info(error) or _router_reset(error, now_wall) or _in_words(_text_of(body, error))


def _retry_info(error: Mapping[str, Any]) -> float | None:
    """Read Google's ``RetryInfo.retryDelay`` among the error's details."""
    details = error.get("details")
    delays = [item.get("retryDelay") for item in details if isinstance(item, Mapping)] if isinstance(details, list) else []
    return _longest(_believed(_duration(delay) or 0.0) for delay in delays if isinstance(delay, str))


def _router_reset(error: Mapping[str, Any], now_wall: float) -> float | None:
    """Read the upstream's headers that OpenRouter copies into ``error.metadata.headers``."""
    metadata = error.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, Mapping) else None
    if not isinstance(headers, Mapping):
        return None
    values = (value for name, value in headers.items() if str(name).lower() == "x-ratelimit-reset")
    return _longest(_until_epoch(value, now_wall) for value in values)


def _text_of(body: Any, error: Mapping[str, Any]) -> str:
    for text in (body, error.get("message"), error.get("error")):
        if isinstance(text, str):
            return text[:_MAX_TEXT]
    return ""


def _in_words(text: str) -> float | None:
    found = _IN_WORDS.search(text)
    return _believed(_duration((found[1] or found[2]).lower()) or 0.0) if found else None
