"""Where to send: a protocol, a URL that was checked when it was written down, and what every request to it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from .._late import importing
from .._loopback import is_loopback_host
from .._secret import Headers, sealed
from ..errors import ConfigurationError, UnsupportedFeatureError
from ..types.enums import EndpointKind, EndpointProtocol, HostFormat, ProviderProtocol, WireFormat
from .auth import AuthScheme, header_name
from .envelope import AMAZON_EVENT_STREAM, PLAIN, Envelope

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
_DEFAULT_ENVELOPE = {ProviderProtocol.BEDROCK_CONVERSE: Envelope(stream_type=AMAZON_EVENT_STREAM)}
_WHOLE = {
    "/chat/completions": "openai_chat_completions_compat",
    "/responses": "openai_responses_compat",
    "/messages": "claude_messages_compat",
    ":generateContent": "gemini_generate_content_compat",
}
_HOST_FORMATS = frozenset(HostFormat)
_FORBIDDEN = re.compile(r"[^!-\[\]-~]")  # all but visible ASCII without the backslash
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True, repr=False)
class ProviderEndpoint:
    """Describe one endpoint: ``base_url`` is a base, or the whole URL where the protocol is a compat one.

    What a host does otherwise than its protocol says: ``text_content="array"`` is for those that refuse a plain string as a
    message's content; ``output_cap="max_tokens"`` for those of Chat Completions that refuse ``max_completion_tokens``;
    ``asks_for_usage=False`` for those that refuse ``stream_options``, and report a stream's usage unasked; ``formats`` for those
    that have another format of embeddings, rerank, … than the one that goes with the protocol; ``envelope`` for those whose path,
    query or body differ. ``provider`` is whose prices hold here (``"groq"``), where the host does not tell.

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
    formats: Mapping[EndpointKind, WireFormat | HostFormat] = field(default_factory=dict, kw_only=True)
    provider: str | None = field(default=None, kw_only=True)
    envelope: Envelope = field(default=PLAIN, kw_only=True)

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
        if self.provider is not None and not isinstance(self.provider, str):
            raise ConfigurationError("provider: expected its name, as 'groq'", field="provider")
        if not isinstance(self.envelope, Envelope):
            raise ConfigurationError(f"envelope: expected an Envelope, got {type(self.envelope).__name__}", field="envelope")
        if self.envelope is PLAIN:
            object.__setattr__(self, "envelope", _DEFAULT_ENVELOPE.get(self.protocol.wire_protocol, PLAIN))
        object.__setattr__(self, "default_headers", _headers(self.default_headers))
        object.__setattr__(self, "formats", _formats(self.formats))

    def __repr__(self) -> str:
        base, mark, _ = self.base_url.partition("?")
        shown = [f"{self.protocol.value!r}, {base + mark + '…' * bool(mark)!r}", f"auth={self.auth!r}"]
        if self.default_headers:
            shown.append(f"default_headers={self.default_headers!r}")
        shown += [f"{name}={getattr(self, name)!r}" for name in ("text_content", "output_cap", "asks_for_usage")]
        return f"ProviderEndpoint({', '.join(shown)})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as it was declared: its default headers are configuration, and go as they were given."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        given["default_headers"] = {name: str(value) for name, value in self.default_headers.items()}
        return (_declared, (type(self), given))

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
    def azure_openai(
        cls,
        resource: str,
        deployment: str | None = None,
        api_version: str | None = None,
        *,
        protocol: EndpointProtocol | str = EndpointProtocol.OPENAI_CHAT_COMPLETIONS,
    ) -> ProviderEndpoint:
        """Reach Azure OpenAI: ``resource`` is the resource's name, or the URL of its endpoint.

        Without ``api_version``, or with one that is no date (``preview``), by the v1 path; with a dated one by that of the
        deployment, which is the model of each request where none is given here. The key goes into the header ``api-key``; for an
        Entra token there is ``with_auth(AuthScheme.bearer())``. ``protocol`` may be ``responses``.
        """
        with importing:
            from .hosts import azure_openai

        return azure_openai(resource, deployment, api_version, protocol)

    @classmethod
    def vertex_ai(
        cls,
        project: str,
        location: str,
        *,
        publisher: Literal["google", "anthropic"] = "google",
        base_url: str | None = None,
    ) -> ProviderEndpoint:
        """Reach Vertex AI in a project and location (``global`` is one): Gemini's models, or Anthropic's by their own protocol.

        A key is ``GoogleCredentials``, or the text of an access token. ``base_url`` is a private endpoint, up to ``/v1``.
        """
        with importing:
            from .hosts import vertex_ai

        return vertex_ai(project, location, publisher, base_url)

    @classmethod
    def bedrock(
        cls, region: str, *, api: Literal["converse", "invoke_model"] = "converse", base_url: str | None = None
    ) -> ProviderEndpoint:
        """Reach Amazon Bedrock in a region: by Converse, or Anthropic's models by ``invoke_model`` with their own bodies.

        A key is ``"ACCESS:SECRET"`` or ``"ACCESS:SECRET:TOKEN"`` or ``AwsCredentials``, which sign, or the text of a Bedrock
        API key. A model is a model id, an inference profile's id or an ARN. ``base_url`` is a private endpoint.
        """
        with importing:
            from .hosts import bedrock

        return bedrock(region, api, base_url)

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
        return self.base_url if self.protocol.is_compat else self.envelope.queried(self.base_url + path)

    def url_beside(self, path: str, generation: str) -> str:
        """Give the URL of another kind of endpoint here, ``generation`` being the path of the one that this describes.

        Raises ``UnsupportedFeatureError`` where the whole URL was given and does not end in that path, and where the host has one
        path alone.
        """
        if "{path}" not in self.envelope.path:
            raise UnsupportedFeatureError(f"the endpoint has a path of its own for generation: where {path} is, nobody knows")
        if not self.protocol.is_compat:
            return self.envelope.queried(self.base_url + path)
        whole, mark, query = self.base_url.partition("?")
        if not whole.endswith(generation):
            raise UnsupportedFeatureError(
                f"the endpoint's whole URL was given and does not end in {generation}: where {path} is, nobody knows"
            )
        return f"{whole.removesuffix(generation)}{path}{mark}{query}"

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
    return is_loopback_host(urlsplit(url).hostname or "")


def _choice(value: object, field: str, choices: tuple[str, str]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{field}: expected {choices[0]!r} or {choices[1]!r}", field=field)


def _formats(given: object) -> dict[EndpointKind, WireFormat | HostFormat]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"formats: expected a mapping, got {type(given).__name__}", field="formats")
    checked: dict[EndpointKind, WireFormat | HostFormat] = {}
    for name, spoken in given.items():
        try:
            kind = EndpointKind(name)
            wire = HostFormat(spoken) if spoken in _HOST_FORMATS else WireFormat(spoken)
        except ValueError:
            raise ConfigurationError("formats: expected EndpointKinds with their WireFormats", field="formats") from None
        if wire.is_generation or wire.endpoint_kind is not kind:
            raise ConfigurationError(f"formats: {wire.value} is no format of {kind.value}", field="formats")
        checked[kind] = wire
    return checked


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"base_url: {what}", field="base_url")


def _declared(kind: type[ProviderEndpoint], given: dict[str, Any]) -> ProviderEndpoint:
    return kind(**given)


def _headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"default_headers: expected a mapping, got {type(given).__name__}", field="default_headers")
    checked = Headers()
    for name, value in given.items():
        header_name(name, "default_headers")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii() or value != value.strip():
            raise ConfigurationError(f"default_headers: {name}: expected printable ASCII text", field="default_headers")
        checked[name] = sealed(value)  # it may be a second key
    return checked
