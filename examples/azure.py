"""Azure OpenAI: a resource and its deployments, by the v1 path and by a dated version, with a key and with an Entra token."""

from omnillm import AuthScheme, BadRequestError, GatewayBuilder, KeyConfig, ProviderEndpoint, connect
from omnillm.testing import LocalProvider, fail


def by_name(resource: str) -> None:
    """Let the provider's name do; the model is the deployment."""
    with connect("azure/my-deployment", resource=resource, api_key="azure-key") as gateway:
        print(gateway.call("Say hello in French"))
    with connect("azure/my-deployment", resource=resource, api_version="2024-10-21", api_key="azure-key") as gateway:
        for text in gateway.stream("Count to five").text():
            print(text, end="|")
        print()


def priced_by_its_model(resource: str) -> None:
    """Name the deployment apart: requests keep the model's name, by which they are priced."""
    endpoint = ProviderEndpoint.azure_openai(resource, "my-deployment")
    builder = GatewayBuilder(endpoint).default_model("gpt-4.1-mini").add_key(KeyConfig("azure-key")).budget_limit_usd(1.0)
    with builder.build() as gateway:
        print(f"${gateway.call('What does this cost?').cost_usd:.7f}")


def entra(resource: str) -> None:
    """Send an Entra token instead of a key."""
    endpoint = ProviderEndpoint.azure_openai(resource, protocol="responses").with_auth(AuthScheme.bearer())
    with GatewayBuilder(endpoint).default_model("my-deployment").add_key(KeyConfig("an-entra-token")).build() as gateway:
        try:
            gateway.call("Say what is not allowed")
        except BadRequestError as error:
            print(f"{error.code}: {error}")


def main() -> None:
    """Show all three, against a provider on this machine; give the resource's name for Azure itself."""
    with LocalProvider() as provider:
        by_name(provider.base_url)
        priced_by_its_model(provider.base_url)
        provider.script(fail(400, code="content_filter", message="the prompt was filtered"))
        entra(provider.base_url)
        for request in provider.requests:
            print(request.path)


if __name__ == "__main__":
    main()
