"""The providers that can be called by name: one row each, and adding a host is adding a row.

A row says where the provider is and what it speaks, which of *its own* environment variables hold a key, and what it does
otherwise than its protocol says. Nothing here reads the environment: ``connect`` and the configuration do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .._dataclass import dataclass
from .._names import nearest
from .._secret import mask
from ..errors import ConfigurationError
from ..types.enums import ProviderKind
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
class Preset:
    """Describe a provider: its endpoint, its variables, its ways.

    ``takes`` names what may be told of the endpoint, which ``make`` builds of it; a row without a ``make`` is where ``endpoint``
    says, or at another ``base_url``. ``needs_key=False`` is for servers of one's own. A row with neither says in ``instead``
    how the provider is reached.
    """

    name: str
    kind: ProviderKind = ProviderKind.OPENAI_COMPATIBLE
    endpoint: ProviderEndpoint | None = None
    key_variables: tuple[str, ...] = ()
    base_variable: BaseVariable | None = None
    needs_key: bool = True
    takes: tuple[str, ...] = ("base_url",)
    make: Callable[..., ProviderEndpoint] | None = None
    notes: str = ""
    instead: str = ""

    def build(self, **options: str) -> ProviderEndpoint:
        """Give the endpoint; raises ``ConfigurationError`` naming an option that this provider does not take."""
        for name in options:
            if name not in self.takes:
                raise ConfigurationError(f"{name}: unknown to {self.name}: {nearest(name, self.takes)}", field=name)
        if self.make is not None:
            return self.make(**options)
        if self.endpoint is None:
            raise ConfigurationError(f"provider: {self.name} is not reached by name: {self.instead}", field="provider")
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
    )
    return Preset(name=name, endpoint=endpoint, key_variables=key_variables, needs_key=needs_key, notes=notes)


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
        instead="GatewayBuilder(ProviderEndpoint.openai_responses('https://RESOURCE.openai.azure.com/openai/v1')"
        ".with_auth(AuthScheme.header('api-key')))",
    ),
    Preset(
        name="vertex",
        kind=ProviderKind.VERTEX_AI,
        instead="its keys are OAuth tokens: GatewayBuilder(ProviderEndpoint.gemini_generate_content('https://LOCATION-aiplatform."
        "googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google').with_auth(AuthScheme.bearer()))",
    ),
    Preset(
        name="bedrock",
        kind=ProviderKind.BEDROCK,
        instead="its hosts speak Chat Completions too: GatewayBuilder(ProviderEndpoint.openai_compatible("
        "'https://bedrock-runtime.REGION.amazonaws.com/openai/v1')) with a Bedrock API key",
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
