"""What a name says of its value: that it is a secret, that it is a blob, or, of a header, that it is harmless.

Headers are listed by what may stay: a provider may send any. Fields and parameters are judged by the words of their names, as
there is no list of what an application calls its own.
"""

from __future__ import annotations

import re
from functools import lru_cache

HARMLESS_HEADERS = frozenset({
    "accept", "accept-encoding", "anthropic-beta", "anthropic-version", "cache-control", "connection", "content-encoding",
    "content-length", "content-type", "date", "openai-beta", "openai-model", "openai-processing-ms", "openai-version",
    "request-id", "retry-after", "retry-after-ms", "server",
    "transfer-encoding", "user-agent", "vary", "x-amzn-requestid", "x-request-id", "x-should-retry",
})  # fmt: skip
_HARMLESS_STARTS = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
COMMON_NAMES = frozenset({"ak", "auth", "key", "sig", "signature", "sk", "token"})
_ANYWHERE = frozenset({
    "authorization", "bearer", "cookie", "cookies", "credential", "credentials", "jwt", "passphrase", "passwd",
    "password", "passwords", "pwd", "secret", "secrets",
})  # fmt: skip
_JOINED = re.compile(
    "apikey|accesskey|secretkey|privatekey|accountkey|subscriptionkey|servicekey|authkey|clientkey|licensekey|masterkey|signingkey"
    "|sharedkey|adminkey|accesstoken|authtoken|amzsignature|amzcredential"
)
_BLOBS = frozenset({"b64json", "filedata"})
_MAX_NAME = 256


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether what stands under the name is a secret, by its words: ``api_key``, ``accessToken``, ``ak``."""
    words = [word.lower() for word in _WORDS.findall(name[:_MAX_NAME])]
    if not words:
        return False
    joined = "".join(words)
    return joined in COMMON_NAMES or words[-1] == "token" or not _ANYWHERE.isdisjoint(words) or _JOINED.search(joined) is not None


@lru_cache(maxsize=4096)
def is_blob_name(name: str) -> bool:
    """Tell whether what stands under the name is base64, however short: ``b64_json``, ``image_base64``."""
    words = [word.lower() for word in re.findall("[a-z]+[0-9]*|[0-9]+", name[:_MAX_NAME].lower())]
    return bool(words) and ("".join(words) in _BLOBS or words[-1] in ("base64", "b64"))


def is_harmless_header(name: str) -> bool:
    """Tell whether a header may stay as it is."""
    lowered = name.lower()
    return lowered in HARMLESS_HEADERS or lowered.startswith(_HARMLESS_STARTS)
