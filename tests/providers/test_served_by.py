"""Whose prices hold at an endpoint."""

from __future__ import annotations

import pytest

from omnillm.errors import ConfigurationError
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.providers.presets import PRESETS
from omnillm.providers.served_by import served_by


@pytest.mark.parametrize(
    ("base_url", "provider", "region"),
    [
        ("https://api.openai.com/v1", "openai", None),
        ("https://eu.api.openai.com/v1", "openai", "eu"),
        ("https://api.anthropic.com/v1", "anthropic", None),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini", None),
        ("https://aiplatform.googleapis.com/v1", "vertex", None),
        ("https://europe-west1-aiplatform.googleapis.com/v1", "vertex", "europe-west1"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "bedrock", "eu-west-1"),
        ("https://mine.openai.azure.com/openai/v1", "azure", None),
        ("https://mine.services.ai.azure.com/openai/v1", "azure", None),
        ("https://api.cohere.com/v2", "cohere", None),
        ("https://api.voyageai.com/v1", "voyage", None),
        ("https://api.openai.com.evil.example/v1", None, None),
        ("https://proxy.example/v1", None, None),
        ("http://localhost:4000/v1", None, None),
    ],
)
def test_the_host_tells(base_url: str, provider: str | None, region: str | None) -> None:
    """A provider's own host names it, and its region where that is in the name; any other tells nothing."""
    assert served_by(ProviderEndpoint.openai_compatible(base_url)) == (provider, region)


def test_the_endpoint_tells_where_the_host_does_not() -> None:
    """A preset's host is known by its row, and an endpoint of one's own may say whose prices hold."""
    groq = PRESETS["groq"].build()
    assert served_by(groq) == ("groq", None)
    assert served_by(PRESETS["groq"].build(base_url="https://proxy.example/v1")) == ("groq", None)
    with pytest.raises(ConfigurationError, match="provider"):
        ProviderEndpoint("responses", "https://x.example", provider=3)  # type: ignore[arg-type]  # a wrong type is named
