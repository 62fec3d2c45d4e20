"""The schema of a configuration: one table, which the reader, the checks and ``docs/configuration.md`` are made of.

A file, a mapping and the environment say the same things under the same names. What a value may be is judged by the value's own
class (``PoolConfig``, ``Budget``, …); here stands what there is, where it stands, and what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["value", "table", "list", "named"]


@dataclass(frozen=True, slots=True)
class Field:
    """Describe a field: its name, what it takes and is where left out (in words), and what it means.

    ``table`` is the table that its value is (``shape="table"``), that each item of its list is (``"list"``), or that each of its
    named values is (``"named"``). ``is_secret``: a text may be ``${VARIABLE}``.
    """

    name: str
    takes: str
    default: str
    about: str
    table: str | None = None
    shape: Shape = "value"
    is_secret: bool = False

    @property
    def is_required(self) -> bool:
        """Tell whether the field must be there."""
        return self.default == REQUIRED


@dataclass(frozen=True, slots=True)
class Table:
    """Describe a table; ``text`` is the field for which a plain text in its place stands."""

    about: str
    fields: tuple[Field, ...]
    text: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names of its fields."""
        return tuple(field.name for field in self.fields)


REQUIRED = "required"
_NAMED = "a provider's name"
_OWN = "of `from_env`: its own variable"
_WHERE = (
    Field("provider", _NAMED, "the part of `model` before its first slash", "Which of the providers below is called."),
    Field("endpoint", "table `endpoint`", "the provider's", "Where to call instead of a provider by name.", "endpoint", "table"),
    Field(
        "base_url", "URL", "the provider's", "Where the provider is reached instead; only beside `provider` or `provider/model`."
    ),
    Field("resource", "text", _OWN, "Of `azure`: the resource's name, or the URL of its endpoint."),
    Field("deployment", "text", "the model", "Of `azure`: the deployment that every model means."),
    Field("api_version", "text", "the v1 API", "Of `azure`: a version; a dated one has the path of a deployment."),
    Field("project", "text", _OWN, "Of `vertex`: the project's id."),
    Field("location", "text", "`global`", "Of `vertex`: the location."),
    Field("publisher", "`google` or `anthropic`", "by the model's name", "Of `vertex`: whose models."),
    Field("region", "text", _OWN, "Of `bedrock`: the region."),
)
PROVIDER_OPTIONS = ("base_url", "resource", "deployment", "api_version", "project", "location", "publisher", "region")
_KEYS = (
    Field(
        "keys",
        "list of texts or tables `key`",
        "the provider's own variable",
        "The API keys. A text is a `key` with the limits below.",
        "key",
        "list",
    ),
    Field("rpm_limit", "integer", "`500`", "Requests in any 60 seconds, of the keys that do not say."),
    Field("tpm_limit", "integer", "`90000`", "Tokens in any 60 seconds, of the keys that do not say."),
)

_FINER_RATES = (
    ("reasoning", "`output`", "Output tokens that were thought."),
    ("citation", "none", "Cited tokens, which some providers charge on top."),
    ("audio_input", "`input`", "Prompt tokens that were heard."),
    ("cached_audio", "`cached_input`", "Those, read from a cache."),
    ("audio_output", "`output`", "Output tokens that are spoken."),
    ("image_input", "`input`", "Prompt tokens that were seen."),
    ("cached_image", "`cached_input`", "Those, read from a cache."),
    ("image_output", "`output`", "Output tokens that are drawn."),
    ("video_input", "`input`", "Prompt tokens that were watched."),
    ("video_output", "`output`", "Output tokens that are filmed."),
    ("request", "none", "Each call."),
    ("search", "none", "Each search of the web, or of a rerank."),
    ("image", "none", "Each image made."),
    ("audio_hour", "none", "Each hour of audio heard."),
    ("character", "none", "Each character spoken."),
    ("page", "none", "Each page read."),
)
TABLES: dict[str, Table] = {
    "gateway": Table(
        "A gateway: at the top of a file, or as `[gateways.NAME]` where a file holds several.",
        (
            Field(
                "model",
                "`provider/model`, or a model",
                "none: each request names its own",
                "The model of requests that name none. `provider/model` says the provider as well, where neither `provider` nor "
                "`endpoint` does.",
            ),
            *_WHERE,
            *_KEYS,
            Field("budget_usd", "number", "no budget", "What the gateway may spend in all (USD)."),
            Field("budgets", "list of tables `budget`", "none", "More budgets; a call must fit each.", "budget", "list"),
            Field("pool", "table `pool`", "its defaults", "How keys are chosen, waited for and rested.", "pool", "table"),
            Field("timeouts", "table `timeouts`", "its defaults", "How long the steps of a call may take.", "timeouts", "table"),
            Field("retry", "table `retry`", "its defaults", "How often and how patiently a call is tried.", "retry", "table"),
            Field(
                "losses",
                "`allow`, `warn` or `raise`",
                "`allow`",
                "What happens where an endpoint cannot carry a whole request.",
            ),
            Field(
                "fallbacks",
                "list of texts or tables `fallback`",
                "none",
                "Where to turn when those before cannot serve, in order. A text is `provider/model`.",
                "fallback",
                "list",
            ),
            Field(
                "downgrades",
                "list of tables `downgrade`",
                "none",
                "Cheaper models where a budget runs low; the lowest step that applies decides.",
                "downgrade",
                "list",
            ),
            Field("pricing", "table `pricing`", "the prices of the package", "Prices of your own.", "pricing", "table"),
            Field("transport", "table `transport`", "its defaults", "How the network is reached.", "transport", "table"),
            Field("max_workers", "integer", "`64`", "How many threads use the gateway at once: that many connections are kept."),
            Field(
                "primitives",
                "list of tables `primitive`",
                "where its endpoints are",
                "Where native calls go, by their provider.",
                "primitive",
                "list",
            ),
        ),
    ),
    "key": Table(
        "An API key and what it may use in a minute.",
        (
            Field(
                "key",
                "`${VARIABLE}`, or in a mapping the key itself",
                REQUIRED,
                "The variable that holds the key. A file may not hold the key itself.",
                is_secret=True,
            ),
            Field("label", "text", "`key-1`, `key-2`, … by place", "What the key is called wherever it is spoken of."),
            Field("rpm_limit", "integer", "the gateway's", "Requests in any 60 seconds."),
            Field("tpm_limit", "integer", "the gateway's", "Tokens in any 60 seconds."),
            Field("models", "tables `limits` by model", "none", "Models with limits of their own.", "limits", "named"),
        ),
        text="key",
    ),
    "limits": Table(
        "The limits of one model, which never eat another's.",
        (
            Field("tpm_limit", "integer", REQUIRED, "Tokens in any 60 seconds."),
            Field("rpm_limit", "integer", REQUIRED, "Requests in any 60 seconds."),
        ),
    ),
    "endpoint": Table(
        "An endpoint that is none of the providers by name.",
        (
            Field(
                "protocol", "a protocol, as `chat_completions`", REQUIRED, "What it speaks; `…_compat` where `base_url` is whole."
            ),
            Field("base_url", "URL", REQUIRED, "The base of its URLs, or the whole URL of a `…_compat` protocol."),
            Field("auth", "text or table `auth`", "the protocol's", "How it is shown the key.", "auth", "table"),
            Field("default_headers", "texts by name", "none", "Headers of every request."),
            Field("text_content", "`string` or `array`", "`string`", "How it takes a message's text."),
            Field(
                "output_cap",
                "`max_completion_tokens` or `max_tokens`",
                "`max_completion_tokens`",
                "The name by which a Chat Completions host knows the cap of the output.",
            ),
            Field(
                "envelope", "table `envelope`", "the protocol's", "What else its requests have otherwise.", "envelope", "table"
            ),
            Field("asks_for_usage", "boolean", "`true`", "Whether streams are asked for their usage; some hosts refuse that."),
            Field(
                "formats",
                "formats by kind of endpoint",
                "the protocol's",
                'Formats of other endpoints than those that go with the protocol, as `rerank = "cohere_rerank"`.',
            ),
            Field("provider", "text", "told by the host", "Whose prices hold here, as `groq`."),
        ),
    ),
    "auth": Table(
        "How a key is shown; a text is the `scheme`.",
        (
            Field(
                "scheme",
                "`bearer`, `header`, `query`, `aws_sigv4` or `google_oauth`",
                REQUIRED,
                "Where the key goes, or what is made of it.",
            ),
            Field("name", "text", "none", "The name of the header or of the query parameter."),
            Field("region", "text", "none", "Of `aws_sigv4`: the region."),
            Field("service", "text", "none", "Of `aws_sigv4`: the service, as `bedrock`."),
            Field("scopes", "list of texts", "that of Google's cloud", "Of `google_oauth`: what the tokens are for."),
        ),
        text="scheme",
    ),
    "envelope": Table(
        "What a host's requests have otherwise than its protocol's. In a path `{path}` stands for the protocol's own, `{model}` "
        "for the model.",
        (
            Field("path", "text", "`{path}`", "The path below the base."),
            Field("stream_path", "text", "`path`", "The path of a stream."),
            Field("query", "text", "none", "What is added to every URL, as `api-version=v1`."),
            Field("without", "list of texts", "none", "Fields of the body that are left out."),
            Field("fields", "values by name", "none", "Fields of the body that are laid over the rest."),
            Field("without_headers", "list of texts", "none", "The protocol's own headers that are not sent."),
            Field(
                "stream_type",
                "`text/event-stream` or `application/vnd.amazon.eventstream`",
                "`text/event-stream`",
                "What a stream is asked for as.",
            ),
        ),
    ),
    "budget": Table(
        "What may be spent.",
        (
            Field("limit_usd", "number", REQUIRED, "The limit (USD)."),
            Field("scope", "`gateway`, `tenant`, `key` or `model`", "`gateway`", "Of what each has this limit."),
            Field("window", "`total`, `day` or `month`", "`total`", "For how long."),
            Field("timezone", "text", "`UTC`", "Where the day or month begins."),
            Field(
                "estimate", "`default` or `strict`", "`default`", "`strict` admits only what cannot cost more than is reserved."
            ),
        ),
    ),
    "pool": Table(
        "How keys are chosen, waited for and rested.",
        (
            Field("circuit_breaker_threshold", "integer", "`5`", "After how many failures in a row a key rests."),
            Field("circuit_breaker_cooldown", "seconds", "`30`", "For how long."),
            Field("acquire_timeout", "seconds", "`0`", "How long a call waits for a key; 0 fails at once."),
            Field("default_output_tokens", "integer", "`1024`", "What is reserved for the output of a request without a cap."),
            Field("selection", "`random`, `least_loaded` or `latency`", "`random`", "Which of the keys with room is taken."),
            Field(
                "prompt_estimates",
                "`fixed`, `learned` or `tokenizer`",
                "`fixed`",
                "What a prompt is taken for until its usage is known: a quarter of its bytes, what was learned of the model's "
                "tokens to a character, or what tiktoken counts (extra `tokens`).",
            ),
        ),
    ),
    "timeouts": Table(
        "How long the steps of a call may take. No limit is `inf`.",
        (
            Field("connect", "seconds", "`5`", "Until a connection stands."),
            Field("first_byte", "seconds", "`60`", "Until a stream's first byte."),
            Field("idle", "seconds", "`60`", "Between two events of a stream."),
            Field("total", "seconds", "`600`", "For a whole call, with all its attempts."),
        ),
    ),
    "retry": Table(
        "How often and how patiently a call is tried.",
        (
            Field("max_attempts", "integer", "`3`", "How many attempts a call has."),
            Field("base", "seconds", "`0.5`", "What the first wait is at most; each next at most twice that."),
            Field("cap", "seconds", "`30`", "What no wait exceeds, unless the server asks for it."),
            Field("retry_unknown", "boolean", "`true`", "Whether to try again where the first may have reached the model."),
            Field("hedge_after", "seconds", "never", "After how long a second attempt starts beside a slow one."),
        ),
    ),
    "fallback": Table(
        "An endpoint to turn to.",
        (
            Field(
                "model",
                "`provider/model`, or a model",
                "the model asked for",
                "The model there, for the gateway's own `model`.",
            ),
            *_WHERE,
            *_KEYS,
            Field("model_map", "texts by model", "none", "The model there, for each model asked for."),
        ),
        text="model",
    ),
    "primitive": Table(
        "Where the native calls of a provider go.",
        (
            Field("provider", "a kind, as `open_ai` or `custom`", REQUIRED, "Whose they are."),
            Field("base_url", "URL", "the provider's", "The base of their paths; some providers have none of their own."),
            Field("auth", "text or table `auth`", "the provider's", "How the key is shown.", "auth", "table"),
            Field("default_headers", "texts by name", "none", "Headers of every request."),
            Field("query", "texts by name", "none", "Parameters of every URL."),
            Field("keys", "list of texts or tables `key`", "the gateway's, in their windows", "The API keys.", "key", "list"),
            *_KEYS[1:],
        ),
        text="provider",
    ),
    "downgrade": Table(
        "A step down to cheaper models.",
        (
            Field(
                "below", "number", REQUIRED, "The fraction of the tightest budget's limit: it holds while less than that is left."
            ),
            Field("model_map", "texts by model", REQUIRED, "The model instead, for each model asked for."),
        ),
    ),
    "pricing": Table(
        "Prices.",
        (
            Field("unknown", "`error` or `zero`", "`error`", "What a model without a price is taken for where a budget is set."),
            Field("file", "path", "none", "A price list to use instead of the package's, as `omnillm prices update` writes it."),
            Field("overrides", "tables `price` by model", "none", "Prices above those.", "price", "named"),
        ),
    ),
    "price": Table(
        "The price of a model, in USD per million tokens, or per one of what else is counted.",
        (
            Field("input", "number", REQUIRED, "Prompt tokens."),
            Field("output", "number", REQUIRED, "Output tokens, reasoning included."),
            Field("cached_input", "number", "`input`", "Prompt tokens read from a cache."),
            Field("cache_write_short", "number", "`input`", "Prompt tokens written to a cache for short."),
            Field("cache_write_long", "number", "`cache_write_short`", "Prompt tokens written to a cache for long."),
            Field("long_above", "integer", "none", "Prompts of more tokens than this are priced by `long`."),
            Field("long", "table `price`", "none", "The price of those.", "price", "table"),
            *(Field(name, "number", default, about) for name, default, about in _FINER_RATES),
        ),
    ),
    "transport": Table(
        "How the network is reached. TLS is always verified.",
        (
            Field("allow_http", "boolean", "`false`", "Whether plain http to another host is allowed."),
            Field("ca_bundle", "path", "certifi's", "The certificates of a private authority."),
            Field("trust_proxy_env", "boolean", "`false`", "Whether `HTTPS_PROXY` and its like count."),
            Field("proxies", "URLs by scheme", "none", 'Proxies, as `https = "http://host:port"`.'),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Variable:
    """Describe a variable of the environment that ``from_env`` reads; ``path`` is the field it stands for."""

    name: str
    about: str
    path: str = ""
    is_number: bool = False


VARIABLES = (
    Variable(
        "OMNILLM_CONFIG",
        "A file. Beside it only `OMNILLM_GATEWAY` and `OMNILLM_API_KEY`, to which the file may refer, may be set.",
    ),
    Variable("OMNILLM_GATEWAY", "Which of the file's gateways."),
    Variable("OMNILLM_MODEL", "`provider/model`.", "model"),
    Variable("OMNILLM_API_KEY", "The key. Unset, it is the provider's own variable that counts.", "keys"),
    Variable("OMNILLM_BASE_URL", "The field `base_url`.", "base_url"),
    Variable("OMNILLM_BUDGET_USD", "The field `budget_usd`.", "budget_usd", is_number=True),
    Variable("OMNILLM_RPM_LIMIT", "The field `rpm_limit`.", "rpm_limit", is_number=True),
    Variable("OMNILLM_TPM_LIMIT", "The field `tpm_limit`.", "tpm_limit", is_number=True),
    Variable("OMNILLM_TIMEOUT", "The field `timeouts.total`.", "timeouts.total", is_number=True),
)

__all__ = ["PROVIDER_OPTIONS", "REQUIRED", "TABLES", "VARIABLES", "Field", "Table", "Variable"]
