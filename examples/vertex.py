"""Vertex AI: Gemini's models and Anthropic's, with tokens of a service account that are fetched and renewed by themselves."""

import json
import tempfile
from pathlib import Path

from omnillm import GatewayBuilder, GoogleCredentials, KeyConfig, ProviderEndpoint, connect
from omnillm.testing import LocalProvider


def by_name(base_url: str, key: GoogleCredentials) -> None:
    """Let the provider's name do; without a key Google's default credentials are found."""
    with connect(
        "vertex/gemini-2.5-flash", project="my-project", location="europe-west1", api_key=key, base_url=base_url
    ) as gateway:
        print(gateway.call("Say hello in French"))
        for text in gateway.stream("Count to five").text():
            print(text, end="|")
        print()


def claude(base_url: str, key: GoogleCredentials) -> None:
    """Reach one of Anthropic's models, by rawPredict."""
    endpoint = ProviderEndpoint.vertex_ai("my-project", "global", publisher="anthropic", base_url=base_url)
    builder = GatewayBuilder(endpoint).default_model("claude-sonnet-4-5@20250929").add_key(KeyConfig(key, "robot"))
    with builder.build() as gateway:
        response = gateway.call("Say hello in Italian")
        print(response, response.provider_protocol)


def main() -> None:
    """Show both, against a provider on this machine that issues the tokens; leave base_url out for Google itself."""
    with LocalProvider() as provider, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "service-account.json"
        file.write_text(json.dumps(provider.service_account()))
        key = GoogleCredentials(file)
        by_name(f"{provider.base_url}/v1", key)
        claude(f"{provider.base_url}/v1", key)
        for request in provider.requests:
            print(request.path)
        print(f"{len(provider.tokens)} tokens for {len(provider.requests)} requests")


if __name__ == "__main__":
    main()
