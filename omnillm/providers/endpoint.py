"""Where to send: a protocol, a URL that was checked when it was written down, and what every request to it carries."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from .._dataclass import dataclass
from ..errors import ConfigurationError
from ..types.enums import EndpointProtocol, ProviderProtocol
from .auth import AuthScheme, header_name

_DEFAULT_BASE = {
    EndpointProtocol.OPENAI_RESPONSES: "https://api.openai.com/v1",
    EndpointProtocol.OPENAI_CHAT_COMPLETIONS: "https://api.openai.com/v1",
    EndpointProtocol.CLAUDE_MESSAGES: "https://api.anthropic.com/v1",
    EndpointProtocol.GEMINI_GENERATE_CONTENT: "https://generativelanguage.googleapis.com/v1beta",
}
_DEFAULT_AUTH = {
    ProviderProtocol.OPENAI_RESPONSES: AuthScheme("bearer"),
    ProviderProtocol.OPENAI_CHAT_COMPLETIONS: AuthScheme("bearer"),
    ProviderProtocol.CLAUDE_MESSAGES: AuthScheme("header", "x-api-key"),
    ProviderProtocol.GEMINI_GENERATE_CONTENT: AuthScheme("header", "x-goog-api-key"),
    ProviderProtocol.BEDROCK_CONVERSE: AuthScheme("bearer"),
}
_WHOLE = {
    "/chat/completions": "openai_chat_completions_compat",
    "/responses": "openai_responses_compat",
    "/messages": "claude_messages_compat",
    ":generateContent": "gemini_generate_content_compat",
}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\U0010ffff\\]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class ProviderEndpoint:
    """Describe one endpoint: ``base_url`` is a base, or the whole URL where the protocol is a compat one.

    What a host does otherwise than its protocol says: ``text_content="array"`` is for those that refuse a plain string as a
    message's content; ``output_cap="max_tokens"`` for those of Chat Completions that refuse ``max_completion_tokens``;
    ``asks_for_usage=False`` for those that refuse ``stream_options``, and report a stream's usage unasked.

    Raises ``ConfigurationError`` for a URL with userinfo, a fragment, control characters, or a scheme other than http(s); plain
    http to another host than this one needs ``TransportConfig(allow_http=True)``.
    """

    protocol: EndpointProtocol
    base_url: str
    auth: AuthScheme | None = field(default=None, kw_only=True)
    default_headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    text_content: Literal["string", "array"] = field(default="string", kw_only=True)
    output_cap: Literal["max_completion_tokens", "max_tokens"] = field(default="max_completion_tokens", kw_only=True)
    asks_for_usage: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, EndpointProtocol):
            object.__setattr__(self, "protocol", EndpointProtocol.parse(self.protocol))
        check_url(self.base_url, query=self.protocol.is_compat)
        if not self.protocol.is_compat:
            object.__setattr__(self, "base_url", _base_of(self.base_url))
        if self.auth is None:
            object.__setattr__(self, "auth", _DEFAULT_AUTH[self.protocol.wire_protocol])
        elif not isinstance(self.auth, AuthScheme):
            raise ConfigurationError(f"auth: expected an AuthScheme, got {type(self.auth).__name__}", field="auth")
        _choice(self.text_content, "text_content", ("string", "array"))
        _choice(self.output_cap, "output_cap", ("max_completion_tokens", "max_tokens"))
        if not isinstance(self.asks_for_usage, bool):
            raise ConfigurationError("asks_for_usage: expected True or False", field="asks_for_usage")
        object.__setattr__(self, "default_headers", _headers(self.default_headers))

    @classmethod
    def openai_responses(cls, base_url: str | None = None) -> ProviderEndpoint:
        """Reach OpenAI's Responses."""
        return cls._native(EndpointProtocol.OPENAI_RESPONSES, base_url)

    @classmethod
    def openai_chat_completions(cls, base_url: str | None = None) -> ProviderEndpoint:
        """Reach OpenAI's Chat Completions."""
        return cls._native(EndpointProtocol.OPENAI_CHAT_COMPLETIONS, base_url)

    @classmethod
    def claude_messages(cls, base_url: str | None = None) -> ProviderEndpoint:
        """Reach Anthropic's Messages."""
        return cls._native(EndpointProtocol.CLAUDE_MESSAGES, base_url)

    @classmethod
    def gemini_generate_content(cls, base_url: str | None = None) -> ProviderEndpoint:
        """Reach Gemini's generateContent."""
        return cls._native(EndpointProtocol.GEMINI_GENERATE_CONTENT, base_url)

    @classmethod
    def openai_responses_compat(cls, url: str) -> ProviderEndpoint:
        """Reach something that speaks Responses at this whole URL."""
        return cls(EndpointProtocol.OPENAI_RESPONSES_COMPAT, url)

    @classmethod
    def openai_chat_completions_compat(cls, url: str) -> ProviderEndpoint:
        """Reach something that speaks Chat Completions at this whole URL."""
        return cls(EndpointProtocol.OPENAI_CHAT_COMPLETIONS_COMPAT, url)

    @classmethod
    def claude_messages_compat(cls, url: str) -> ProviderEndpoint:
        """Reach something that speaks Messages at this whole URL."""
        return cls(EndpointProtocol.CLAUDE_MESSAGES_COMPAT, url)

    @classmethod
    def gemini_generate_content_compat(cls, url: str) -> ProviderEndpoint:
        """Reach something that speaks generateContent at this whole URL."""
        return cls(EndpointProtocol.GEMINI_GENERATE_CONTENT_COMPAT, url)

    @classmethod
    def openai_compatible(cls, base_url: str) -> ProviderEndpoint:
        """Reach a host that offers Chat Completions below this base, as most compatible hosts do."""
        return cls(EndpointProtocol.OPENAI_CHAT_COMPLETIONS, base_url)

    @classmethod
    def _native(cls, protocol: EndpointProtocol, base_url: str | None) -> ProviderEndpoint:
        return cls(protocol, _DEFAULT_BASE[protocol] if base_url is None else base_url)

    def with_auth(self, auth: AuthScheme) -> ProviderEndpoint:
        """Give the same endpoint with another scheme."""
        return replace(self, auth=auth)

    def with_default_header(self, name: str, value: str) -> ProviderEndpoint:
        """Give the same endpoint with one more header on every request."""
        return replace(self, default_headers={**self.default_headers, name: value})

    def url(self, path: str) -> str:
        """Give the URL of a request: the base and the path, or the whole URL where it was given."""
        return self.base_url if self.protocol.is_compat else self.base_url + path

    @property
    def name(self) -> str:
        """Name the endpoint in records and errors: the protocol and the host, no path and no query."""
        return f"{self.protocol.value}@{urlsplit(self.base_url).netloc}"


def _base_of(url: str) -> str:
    """Give a base without its last slash; raises ``ConfigurationError`` for the whole URL of a request."""
    base = url.rstrip("/")
    for end, compat in _WHOLE.items():
        if base.endswith(end):
            raise _wrong(f"ends in {end}: give the base before it, or the whole URL to ProviderEndpoint.{compat}(url)")
    return base


def check_url(url: str, *, query: bool) -> SplitResult:
    """Check the URL of an endpoint, without quoting it: it may hold what should not be printed."""
    if not isinstance(url, str):
        raise _wrong(f"expected a URL as a string, got {type(url).__name__}")
    if not url or _FORBIDDEN.search(url):
        raise _wrong("expected a URL of visible ASCII characters")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise _wrong("not a URL") from None
    if split.scheme not in ("https", "http"):
        raise _wrong("expected https:// (or http:// to this host)")
    if "@" in split.netloc:
        raise _wrong("a user or password in a URL is refused: keys go into KeyConfig")
    if "#" in url:
        raise _wrong("a fragment has no meaning in an endpoint")
    if "?" in url and not query:
        raise _wrong("a query may stand in a compat endpoint's whole URL only")
    host = split.netloc.removesuffix(f":{port}") if port is not None else split.netloc
    if not _HOST.fullmatch(host) or port == 0:
        raise _wrong("expected a host name or address, and a port from 1 where one is given")
    if any(segment == ".." for segment in split.path.split("/")):
        raise _wrong("a path with '..' is refused")
    return split


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _choice(value: object, field: str, choices: tuple[str, str]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{field}: expected {choices[0]!r} or {choices[1]!r}", field=field)


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"base_url: {what}", field="base_url")


def _headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"default_headers: expected a mapping, got {type(given).__name__}", field="default_headers")
    checked: dict[str, str] = {}
    for name, value in given.items():
        header_name(name, "default_headers")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii() or value != value.strip():
            raise ConfigurationError(f"default_headers: {name}: expected printable ASCII text", field="default_headers")
        checked[name] = value
    return checked
