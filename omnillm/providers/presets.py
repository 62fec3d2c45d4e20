"""The providers that can be called by name: one row each, and adding a host is adding a row.

A row says where the provider is and what it speaks, which of *its own* environment variables hold a key, and what it does
otherwise than its protocol says. Nothing here reads the environment: ``connect`` and the configuration do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .._names import nearest
from .._secret import mask
from ..errors import ConfigurationError
from ..types.enums import ProviderKind
from .credentials import AwsCredentials, CredentialReference, GoogleCredentials
from .endpoint import ProviderEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseVariable:
    """Name the provider's own variable for a base URL; ``path`` is what that base lacks of ours."""

    name: str
    path: str = ""

    def base(self, value: str) -> str:
        """Give the base URL that the variable's value means."""
        root = value.rstrip("/")
        return root if root.endswith(self.path) else root + self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Name what a provider's endpoint is made of, and the variables that say it; ``unless`` stands in its place."""

    name: str
    variables: tuple[str, ...] = ()
    default: str | None = None
    is_required: bool = True
    unless: str | None = None

    def is_missing(self, given: Mapping[str, str]) -> bool:
        """Tell whether it was neither given nor can be left out."""
        return self.is_required and self.name not in given and self.unless not in given

    @property
    def said(self) -> str:
        """Say how it is given."""
        return f"give it, or for connect and from_env set the environment variable {' or '.join(self.variables)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Describe a provider: its endpoint, its variables, its ways.

    A row without a ``make`` is where ``endpoint`` says, or at another ``base_url``. With one, ``takes`` names what may be told
    of the endpoint, of which ``make`` builds it; ``implied`` gives what the model's name tells, and ``options`` what was not
    told: the first of the option's own variables that is set, else its default, and without one it is required. Where no
    variable holds a key, ``credentials`` are what the cloud's own library finds, by ``found_by``. ``needs_key=False`` is for
    servers of one's own.
    """

    name: str
    kind: ProviderKind = ProviderKind.OPENAI_COMPATIBLE
    endpoint: ProviderEndpoint | None = None
    key_variables: tuple[str, ...] = ()
    base_variable: BaseVariable | None = None
    needs_key: bool = True
    takes: tuple[str, ...] = ("base_url",)
    make: Callable[..., ProviderEndpoint] | None = None
    implied: Callable[[str], Mapping[str, str]] | None = None
    options: tuple[Option, ...] = ()
    credentials: Callable[[], CredentialReference] | None = None
    found_by: tuple[str, ...] = ()
    notes: str = ""

    def build(self, model: str = "", /, **options: str) -> ProviderEndpoint:
        """Give the endpoint for a model; raises ``ConfigurationError`` naming an option that is unknown here, or missing."""
        for name in options:
            if name not in self.takes:
                raise ConfigurationError(f"{name}: unknown to {self.name}: {nearest(name, self.takes)}", field=name)
        if self.make is not None:
            implied = {} if self.implied is None else self.implied(model)
            defaults = {option.name: option.default for option in self.options if option.default is not None}
            given = {**defaults, **implied, **options}
            for option in self.options:
                if option.is_missing(given):
                    raise ConfigurationError(f"{option.name}: {self.name} needs one: {option.said}", field=option.name)
            return self.make(**given)
        if self.endpoint is None:
            raise ConfigurationError(f"provider: {self.name} has no endpoint", field="provider")
        return replace(self.endpoint, base_url=options["base_url"]) if options else self.endpoint


def _host(
    name: str,
    base_url: str,
    *key_variables: str,
    output_cap: bool = True,
    asks_for_usage: bool = True,
    needs_key: bool = True,
    notes: str = "",
) -> Preset:
    """Describe a host that offers Chat Completions; ``output_cap=False`` for one that knows ``max_tokens`` alone."""
    endpoint = replace(
        ProviderEndpoint.openai_compatible(base_url),
        output_cap="max_completion_tokens" if output_cap else "max_tokens",
        asks_for_usage=asks_for_usage,
        provider=name,
    )
    return Preset(name=name, endpoint=endpoint, key_variables=key_variables, needs_key=needs_key, notes=notes)


def _azure(*, resource: str | None = None, base_url: str | None = None, **options: str) -> ProviderEndpoint:
    return ProviderEndpoint.azure_openai(base_url or resource or "", **options)


def _publisher(model: str) -> Mapping[str, str]:
    """Give whose model it is, by the family's name."""
    return {"publisher": "anthropic"} if model.startswith("claude") else {}


_ROWS = (
    Preset(
        name="openai",
        kind=ProviderKind.OPENAI,
        endpoint=ProviderEndpoint.openai_responses(),
        key_variables=("OPENAI_API_KEY",),
        base_variable=BaseVariable(name="OPENAI_BASE_URL"),
        notes="Responses; `openai-chat` is the same provider by Chat Completions",
    ),
    Preset(
        name="openai-chat",
        kind=ProviderKind.OPENAI,
        endpoint=ProviderEndpoint.openai_chat_completions(),
        key_variables=("OPENAI_API_KEY",),
        base_variable=BaseVariable(name="OPENAI_BASE_URL"),
    ),
    Preset(
        name="anthropic",
        kind=ProviderKind.ANTHROPIC,
        endpoint=ProviderEndpoint.claude_messages(),
        key_variables=("ANTHROPIC_API_KEY",),
        base_variable=BaseVariable(name="ANTHROPIC_BASE_URL", path="/v1"),
    ),
    Preset(
        name="gemini",
        kind=ProviderKind.GEMINI,
        endpoint=ProviderEndpoint.gemini_generate_content(),
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    _host("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    _host("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", output_cap=False),
    _host("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", output_cap=False),
    _host("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _host(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        output_cap=False,
        asks_for_usage=False,
        notes="refuses fields it does not know, `max_completion_tokens` and `stream_options` among them",
    ),
    _host("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", output_cap=False),
    _host("perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", output_cap=False),
    _host("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", output_cap=False),
    _host("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    _host("lmstudio", "http://localhost:1234/v1", output_cap=False, needs_key=False),
    _host("ollama", "http://localhost:11434/v1", output_cap=False, needs_key=False),
    _host("vllm", "http://localhost:8000/v1", "VLLM_API_KEY", needs_key=False),
    Preset(
        name="azure",
        kind=ProviderKind.AZURE_OPENAI,
        key_variables=("AZURE_OPENAI_API_KEY",),
        takes=("resource", "deployment", "api_version", "base_url"),
        make=_azure,
        options=(
            Option(name="resource", variables=("AZURE_OPENAI_ENDPOINT",), unless="base_url"),
            Option(name="api_version", variables=("OPENAI_API_VERSION",), is_required=False),
        ),
        notes="Chat Completions; the model is the deployment where no `deployment` is given; `resource` is a name or a URL",
    ),
    Preset(
        name="vertex",
        kind=ProviderKind.VERTEX_AI,
        takes=("project", "location", "publisher", "base_url"),
        make=ProviderEndpoint.vertex_ai,
        implied=_publisher,
        options=(
            Option(name="project", variables=("GOOGLE_CLOUD_PROJECT",)),
            Option(name="location", variables=("GOOGLE_CLOUD_LOCATION",), default="global"),
        ),
        credentials=GoogleCredentials,
        found_by=("GOOGLE_APPLICATION_CREDENTIALS",),
        notes="Gemini, and by Messages the models whose names begin with `claude`; needs the extra `vertex`",
    ),
    Preset(
        name="bedrock",
        kind=ProviderKind.BEDROCK,
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        takes=("region", "base_url"),
        make=ProviderEndpoint.bedrock,
        options=(Option(name="region", variables=("AWS_REGION", "AWS_DEFAULT_REGION")),),
        credentials=AwsCredentials,
        found_by=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        notes="Converse; needs the extra `bedrock`",
    ),
)
PRESETS = {row.name: row for row in _ROWS}


def preset(name: object) -> Preset:
    """Find a provider's row; raises ``ConfigurationError`` with the nearest name, and all there are."""
    found = PRESETS.get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(sorted(PRESETS))
        near = nearest(name, PRESETS)
        said = f"{near} There are {known}" if near.startswith("did") else near
        raise ConfigurationError(mask(f"provider: {name!r:.80} is unknown: {said}"), field="provider")
    return found


def split_model(model: object) -> tuple[Preset, str]:
    """Take ``"provider/model"`` apart at its first slash; raises ``ConfigurationError`` where it is none."""
    name, slash, own = model.partition("/") if isinstance(model, str) else ("", "", "")
    if not (name and slash and own):
        what = f"{model!r:.80}" if isinstance(model, str) else type(model).__name__
        raise ConfigurationError(mask(f"model: expected 'provider/model', as 'openai/gpt-4.1-mini', got {what}"), field="model")
    return preset(name), own
