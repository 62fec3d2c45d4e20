"""What a call consumed, in tokens, normalised: every input token and every output token, whatever the provider's convention."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._late import importing
from ._model import Model


@dataclass(frozen=True, slots=True)
class PromptCacheUsage(Model):
    """Tell what the prompt cache did; all of these tokens are among the prompt tokens.

    ``cached_input_tokens`` is what a provider without the distinction reports; creation is split by time to live where known.
    """

    cached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_short_input_tokens: int | None = None
    cache_creation_long_input_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TokenUsage(Model):
    """Count a call's tokens; ``estimated`` where the provider reported none."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_cache: PromptCacheUsage | None = None
    estimated: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def total(self) -> int:
        """Give the reported total, or the sum where none was reported."""
        return self.total_tokens if self.total_tokens is not None else self.prompt_tokens + self.completion_tokens

    def _repr_html_(self) -> str:
        with importing:
            from ._display import html_table, usage_rows

        return html_table(("tokens", ""), usage_rows(self))

    def _repr_markdown_(self) -> str:
        with importing:
            from ._display import markdown_table, usage_rows

        return markdown_table(("tokens", ""), usage_rows(self))


class UsageDetails(NamedTuple):
    """Tell what else a call is charged by; the tokens named here are among the usage's own, and the cached ones among both.

    ``tier`` and ``region`` are the tier of service and where the answer was made, where the provider says so; ``audio_seconds``
    is the length of what was heard.
    ``passes`` are what else the model was run for on the way to the answer: charged, and in none of the usage's counts.
    """

    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    image_input_tokens: int = 0
    cached_image_tokens: int = 0
    video_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0
    video_output_tokens: int = 0
    citation_tokens: int = 0
    uncounted_output_tokens: int = 0  # reasoning that the host counts beside the output (xAI), charged with it
    searches: int = 0
    images: int = 0
    audio_seconds: float = 0.0
    characters: int = 0
    pages: int = 0
    tier: str | None = None
    region: str | None = None
    passes: tuple[TokenUsage, ...] = ()


NO_DETAILS = UsageDetails()
