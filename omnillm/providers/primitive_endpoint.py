"""Where native calls go: a provider's base, how its key is shown there, and what a caller may add to a request.

Rules: the key goes to the host of the base alone. A caller's header may neither show a key nor frame the message; a path may not
lead out of the base, nor a whole URL to another origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import ConfigurationError
from ..types.enums import EndpointProtocol, ProviderKind, ProviderProtocol
from ..types.primitive import PrimitiveProviderKind
from .auth import AuthScheme, header_name
from .endpoint import ProviderEndpoint

_SHOWS_A_KEY = re.compile(
    r"authorization|proxy-.*|cookie2?|set-cookie|api-key|(?:x-)?[a-z-]*(?:api|access|auth|security)-?(?:key|token)|x-amz-.*",
    re.IGNORECASE,
)
_FRAMES = frozenset({"te", "trailer", "upgrade", "expect", "keep-alive", "date", "host", "via"})
_PATH = re.compile(r"[!$&-;=@A-Z_a-z~%]+")

# Each speaks the errors of a protocol; a host that is none of these is taken to speak those of Chat Completions.
_PROTOCOLS = {
    ProviderKind.OPENAI: EndpointProtocol.OPENAI_RESPONSES,
    ProviderKind.AZURE_OPENAI: EndpointProtocol.OPENAI_RESPONSES,
    ProviderKind.ANTHROPIC: EndpointProtocol.CLAUDE_MESSAGES,
    ProviderKind.GEMINI: EndpointProtocol.GEMINI_GENERATE_CONTENT,
    ProviderKind.VERTEX_AI: EndpointProtocol.GEMINI_GENERATE_CONTENT,
    ProviderKind.BEDROCK: EndpointProtocol.BEDROCK_CONVERSE,
}
_BASES = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com/v1",
    ProviderKind.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
}
_AUTH = {
    ProviderKind.AZURE_OPENAI: AuthScheme.header("api-key"),
    ProviderKind.ANTHROPIC: AuthScheme.header("x-api-key"),
    ProviderKind.GEMINI: AuthScheme.header("x-goog-api-key"),
    ProviderKind.VERTEX_AI: AuthScheme.google_oauth(),
}
_KINDS = {
    ProviderProtocol.OPENAI_RESPONSES: ProviderKind.OPENAI,
    ProviderProtocol.OPENAI_CHAT_COMPLETIONS: ProviderKind.OPENAI,
    ProviderProtocol.CLAUDE_MESSAGES: ProviderKind.ANTHROPIC,
    ProviderProtocol.GEMINI_GENERATE_CONTENT: ProviderKind.GEMINI,
    ProviderProtocol.BEDROCK_CONVERSE: ProviderKind.BEDROCK,
}
_HOSTS = (
    (re.compile(r"(?:[a-z]{2}\.)?api\.openai\.com|api\.anthropic\.com|generativelanguage\.googleapis\.com"), None),
    (re.compile(r".*(?:openai\.azure\.com|services\.ai\.azure\.com|cognitiveservices\.azure\.com)"), ProviderKind.AZURE_OPENAI),
    (re.compile(r".*aiplatform\.(?:[a-z0-9-]+\.rep\.)?googleapis\.com"), ProviderKind.VERTEX_AI),
)
_AT_THE_ROOT = re.compile(r"/(?:upload|download|ws)/")  # Google's paths of media and sessions stand beside the version
_GOOGLE = (ProviderKind.GEMINI, ProviderKind.VERTEX_AI)
_PUBLISHER = re.compile(r"/publishers/[^/]+$")
_DEPLOYMENT = re.compile(r"/deployments/[^/]+$")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, repr=False)
class PrimitiveProviderEndpoint:
    """Describe where a provider's native calls go; ``query`` stands in every URL, as Azure's ``{"api-version": …}``.

    Raises ``ConfigurationError`` for a base that is no URL, as ``ProviderEndpoint`` does.
    """

    provider: PrimitiveProviderKind
    base_url: str = None  # type: ignore[assignment]  # the provider's own, put in its place below
    auth: AuthScheme | None = field(default=None, kw_only=True)
    default_headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    query: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "provider", PrimitiveProviderKind(self.provider))
        except ValueError:
            raise ConfigurationError(f"provider: expected one of {', '.join(PrimitiveProviderKind)}", field="provider") from None
        if self.base_url is None:
            object.__setattr__(self, "base_url", self._own_base())
        if self.auth is None:
            object.__setattr__(self, "auth", _AUTH.get(self.provider, AuthScheme.bearer()))
        checked = self.as_endpoint()
        object.__setattr__(self, "base_url", checked.base_url)
        object.__setattr__(self, "default_headers", checked.default_headers)
        if not isinstance(self.query, Mapping) or not all(isinstance(text, str) for pair in self.query.items() for text in pair):
            raise ConfigurationError("query: expected texts by name", field="query")
        object.__setattr__(self, "query", dict(self.query))

    def _own_base(self) -> str:
        base = _BASES.get(self.provider)
        if base is None:
            raise ConfigurationError(f"base_url: {self.provider.value} has none of its own", field="base_url")
        return base

    def __repr__(self) -> str:
        return f"PrimitiveProviderEndpoint({self.provider.value!r}, {self.base_url!r}, auth={self.auth!r})"

    @classmethod
    def openai(cls, base_url: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach OpenAI."""
        return cls(ProviderKind.OPENAI, base_url)  # type: ignore[arg-type]  # as above

    @classmethod
    def anthropic(cls, base_url: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach Anthropic."""
        return cls(ProviderKind.ANTHROPIC, base_url)  # type: ignore[arg-type]  # as above

    @classmethod
    def gemini(cls, base_url: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach the Gemini API."""
        return cls(ProviderKind.GEMINI, base_url)  # type: ignore[arg-type]  # as above

    @classmethod
    def azure_openai(cls, resource: str, api_version: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach Azure OpenAI by its v1 path: ``resource`` is the resource's name, or the URL of its endpoint.

        Raises ``ConfigurationError`` for a version that is a date: Azure takes those in the path of a deployment alone.
        """
        if _DATED.match(api_version or ""):
            what = "api_version: the v1 path takes 'preview', or none; a date is for the path of a deployment"
            raise ConfigurationError(what, field="api_version")
        query = {} if api_version is None else {"api-version": api_version}
        return cls(ProviderKind.AZURE_OPENAI, ProviderEndpoint.azure_openai(resource).base_url, query=query)

    @classmethod
    def vertex_ai(cls, project: str, location: str, *, base_url: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach Vertex AI in a project and location; ``base_url`` is a private endpoint, up to ``/v1``."""
        whole = ProviderEndpoint.vertex_ai(project, location, base_url=base_url).base_url
        return cls(ProviderKind.VERTEX_AI, _PUBLISHER.sub("", whole))

    @classmethod
    def bedrock(cls, region: str, *, base_url: str | None = None) -> PrimitiveProviderEndpoint:
        """Reach Amazon Bedrock's runtime in a region; ``base_url`` is a private endpoint."""
        found = ProviderEndpoint.bedrock(region, base_url=base_url)
        return cls(ProviderKind.BEDROCK, found.base_url, auth=found.auth)

    @classmethod
    def openai_compatible(cls, base_url: str) -> PrimitiveProviderEndpoint:
        """Reach a host that offers OpenAI's paths below this base."""
        return cls(ProviderKind.OPENAI_COMPATIBLE, base_url)

    @classmethod
    def custom(cls, base_url: str) -> PrimitiveProviderEndpoint:
        """Reach any host: requests of every kind may go there, by any path."""
        return cls(ProviderKind.CUSTOM, base_url)

    @classmethod
    def of(cls, endpoint: ProviderEndpoint) -> PrimitiveProviderEndpoint | None:
        """Give where the native calls of an endpoint's provider go; ``None`` where it was given as a whole URL."""
        if endpoint.protocol.is_compat:
            return None
        host = urlsplit(endpoint.base_url).hostname or ""
        protocol = endpoint.protocol.wire_protocol
        named = next((kind for pattern, kind in _HOSTS if pattern.fullmatch(host)), ProviderKind.OPENAI_COMPATIBLE)
        kind = _KINDS[protocol] if named is None or protocol not in _OPENAI else named
        if named is ProviderKind.VERTEX_AI or (endpoint.auth is not None and endpoint.auth.kind == "google_oauth"):
            kind = ProviderKind.VERTEX_AI
        elif endpoint.auth is not None and endpoint.auth.kind == "aws_sigv4":
            kind = ProviderKind.BEDROCK
        base = _PUBLISHER.sub("", endpoint.base_url) if kind is ProviderKind.VERTEX_AI else endpoint.base_url
        query = dict(part.split("=", 1) for part in endpoint.envelope.query.split("&") if "=" in part)
        if _DATED.match(query.get("api-version", "")):  # Azure's paths of deployments, where files and batches have no place
            base = f"{_DEPLOYMENT.sub('', base)}/v1"
            del query["api-version"]
        return cls(kind, base, auth=endpoint.auth, default_headers=endpoint.default_headers, query=query)

    def with_auth(self, auth: AuthScheme) -> PrimitiveProviderEndpoint:
        """Give the same endpoint with another scheme."""
        return replace(self, auth=auth)

    def with_default_header(self, name: str, value: str) -> PrimitiveProviderEndpoint:
        """Give the same endpoint with one more header on every request."""
        return replace(self, default_headers={**self.default_headers, name: value})

    def as_endpoint(self) -> ProviderEndpoint:
        """Give the endpoint as the rest of the house knows one: its base, its key, and the protocol whose errors are spoken."""
        protocol = _PROTOCOLS.get(self.provider, EndpointProtocol.OPENAI_CHAT_COMPLETIONS)
        return ProviderEndpoint(protocol, self.base_url, auth=self.auth, default_headers=self.default_headers)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Give the URL of a request; ``path`` is below the base, or a whole URL of the same origin, which may have a query.

        Raises ``ConfigurationError`` for a path that leads elsewhere.
        """
        check_path(path)
        given, mark, written = path.partition("?")
        base = self.base_url
        if given.startswith(("https://", "http://")):
            if urlsplit(given)[:2] != urlsplit(base)[:2]:
                raise _wrong("a whole URL must be of the endpoint's own origin: the key goes nowhere else")
            base = ""
        elif _AT_THE_ROOT.match(given) and self.provider in _GOOGLE:
            base = f"{urlsplit(base).scheme}://{urlsplit(base).netloc}"
        elif not given.startswith("/"):
            given = f"/{given}"
        added = {**self.query, **(query or {})}
        if self.auth is not None and self.auth.kind == "query" and self.auth.name in added:
            raise ConfigurationError(f"query: {self.auth.name} shows the key, which is the endpoint's to do", field="query")
        parts = [part for part in (written, urlencode(added, quote_via=quote)) if part]
        return f"{base}{given}{'?' if mark or parts else ''}{'&'.join(parts)}"

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Refuse, with ``ConfigurationError``, a header that shows the key here."""
        name = self.auth.name if self.auth is not None and self.auth.kind == "header" else None
        if name is not None and name.lower() in {given.lower() for given in headers}:
            raise ConfigurationError(f"headers: {name} shows the key, which is the endpoint's to do", field="headers")


_OPENAI = (ProviderProtocol.OPENAI_RESPONSES, ProviderProtocol.OPENAI_CHAT_COMPLETIONS)


def check_path(path: Any) -> None:
    """Refuse a path that would lead elsewhere, without quoting it: it may hold what should not be printed."""
    if not isinstance(path, str) or not path:
        raise _wrong("expected a path below the endpoint's base, as '/responses'")
    before = path.partition("?")[0]
    if not _PATH.fullmatch(path.replace("?", "", 1)):
        raise _wrong("expected visible ASCII characters, others as %XX, and no fragment")
    rest = before.partition("://")[2] if before.startswith(("https://", "http://")) else before
    if not {".", ".."}.isdisjoint(rest.lower().replace("%2e", ".").split("/")):
        raise _wrong("a segment of dots would lead to another path")
    if before.startswith("//") or (rest is not before and "@" in rest.partition("/")[0]):
        raise _wrong("expected a path, without a host or a user")


def path_part(value: str, field: str, *, slashes: bool = False) -> str:
    """Give a name as it stands in a path; raises ``ConfigurationError`` where it would lead elsewhere."""
    quoted = quote(value, safe="/:@" if slashes else "@:", errors="replace")
    if not value or not {".", "..", ""}.isdisjoint(quoted.split("/")):
        raise ConfigurationError(f"{field}: expected a name that can stand in a path", field=field)
    return quoted


def checked_header(name: object, value: object) -> str:
    """Give the value of a header that a caller adds; raises ``ConfigurationError`` for one that is not the caller's to set."""
    checked = header_name(name, "headers")
    if _SHOWS_A_KEY.fullmatch(checked) or checked.lower() in _FRAMES:
        raise ConfigurationError(f"headers: {checked} is the gateway's to set, not the caller's", field="headers")
    if not isinstance(value, str) or not value.isprintable() or not value.isascii() or value != value.strip():
        raise ConfigurationError(f"headers: {checked}: expected printable ASCII text", field="headers")
    return value


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"path: {what}", field="path")
