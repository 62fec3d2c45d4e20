"""Whose prices hold at an endpoint: told by its host, or by the endpoint itself."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from .endpoint import ProviderEndpoint

_HOSTS = (
    (re.compile(r"(?:([a-z]{2})\.)?api\.openai\.com"), "openai"),
    (re.compile(r"api\.anthropic\.com()?"), "anthropic"),
    (re.compile(r"generativelanguage\.googleapis\.com()?"), "gemini"),
    (re.compile(r"(?:([a-z0-9-]+)-)?aiplatform\.googleapis\.com"), "vertex"),
    (re.compile(r"aiplatform\.([a-z0-9-]+)\.rep\.googleapis\.com"), "vertex"),
    (re.compile(r"bedrock-(?:runtime(?:-fips)?|mantle)\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"), "bedrock"),
    (re.compile(r"(?:[^.]+\.)+(?:openai\.azure\.com|services\.ai\.azure\.com|cognitiveservices\.azure\.com)()?"), "azure"),
    (re.compile(r"api\.cohere\.(?:com|ai)()?"), "cohere"),
    (re.compile(r"api\.voyageai\.com()?"), "voyage"),
    (re.compile(r"api\.jina\.ai()?"), "jina"),
    (re.compile(r"api\.avian\.io()?"), "avian"),
    (re.compile(r"api\.cloudflare\.com()?"), "cloudflare"),
    (re.compile(r"dashscope(?:-[a-z]+)?\.aliyuncs\.com()?"), "dashscope"),
    (re.compile(r"api\.minimaxi?\.(?:io|com|chat)()?"), "minimax"),
    (re.compile(r"api\.moonshot\.(?:ai|cn)()?"), "moonshot"),
    (re.compile(r"api\.novita\.ai()?"), "novita"),
    (re.compile(r"oai\.endpoints\.kepler\.ai\.cloud\.ovh\.net()?"), "ovhcloud"),
    (re.compile(r"api\.z\.ai()?"), "zai"),
    (re.compile(r"open\.bigmodel\.cn()?"), "zhipu"),
)


def served_by(endpoint: ProviderEndpoint) -> tuple[str | None, str | None]:
    """Give the provider, by its name in the price list, and the region; ``None`` for what the endpoint does not tell."""
    host = urlsplit(endpoint.base_url).hostname or ""
    for pattern, provider in _HOSTS:
        found = pattern.fullmatch(host)
        if found is not None:
            return endpoint.provider or provider, found[1] or None
    return endpoint.provider, None
