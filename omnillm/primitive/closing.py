"""What a provider means by the code with which it closes a session: RFC 6455, IANA's registry, and the providers' own words.

A session is closed where a call would be refused by a status; the error is of the class of that status, with the code as its
``code``. The code of a policy is used for everything, so the reason is looked at.
"""

from __future__ import annotations

import re

from ..errors import ProviderError
from ..types.enums import ProviderProtocol
from ..wire._errors import error_class

NORMAL = (1000, 1005)
GOING_AWAY = 1001
_STATUS = {
    1001: 503,
    1002: 400,
    1003: 400,
    1007: 400,
    1008: 400,
    1009: 413,
    1010: 400,
    1011: 500,
    1012: 503,
    1013: 503,
    1014: 502,
    3000: 401,
    3003: 403,
    3008: 408,
}
_OWN = range(4400, 4600)  # a status, 4 000 above
_SPEAKING = (1008, 1011, 1013)
_WORDS = (
    (re.compile(r"insufficient.quota|credit balance", re.IGNORECASE), 429),
    (re.compile(r"quota|rate.?limit|resource.exhausted|too many requests", re.IGNORECASE), 429),
    (re.compile(r"api.?key|unauthenticated|invalid.authentication|token.expired", re.IGNORECASE), 401),
    (re.compile(r"permission|forbidden|not allowed to", re.IGNORECASE), 403),
)
_SPENT = _WORDS[0][0]


def closed_by(code: int, reason: str, protocol: ProviderProtocol) -> ProviderError:
    """Give the error that a close of the provider's is."""
    status = _STATUS.get(code, code - 4000 if code in _OWN else 500)
    if code in _SPEAKING:
        status = next((meant for words, meant in _WORDS if words.search(reason)), status)
    codes = frozenset({"insufficient_quota"} if status == 429 and _SPENT.search(reason) else ())
    said = f"the provider closed the session ({code}){f': {reason}' if reason else ''}"
    return error_class(status, codes)(said, protocol=protocol, code=str(code), sent="yes")
