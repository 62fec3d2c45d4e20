"""Amazon Bedrock: signed by AWS credentials or with an API key, whole and streamed, by Converse and by InvokeModel."""

from omnillm import GatewayBuilder, KeyConfig, ProviderEndpoint, connect
from omnillm.testing import LocalProvider

ACCOUNT_A = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # ACCESS:SECRET, or ACCESS:SECRET:TOKEN
ACCOUNT_B = "ASIAI44QH8DHBEXAMPLE:je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY:session-token"
API_KEY = "bedrock-api-key-example"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"  # a model, an inference profile, or an ARN


def by_name(base_url: str) -> None:
    """Let the provider's name do: the region and the credentials are found as AWS's own tools find them."""
    with connect(f"bedrock/{MODEL}", region="us-east-1", api_key=ACCOUNT_A, base_url=base_url) as gateway:
        print(gateway.call("Say hello in French"))
        for text in gateway.stream("Count to five").text():
            print(text, end="|")
        print()


def several_accounts(base_url: str) -> None:
    """Spread calls over accounts: two that sign, one with a Bedrock API key; AwsCredentials("profile") would be another."""
    keys = [
        KeyConfig(ACCOUNT_A, "account-a", rpm_limit=2),
        KeyConfig(ACCOUNT_B, "account-b", rpm_limit=2),
        KeyConfig(API_KEY, "api-key", rpm_limit=2),
    ]
    endpoint = ProviderEndpoint.bedrock("us-east-1", base_url=base_url)
    with GatewayBuilder(endpoint).default_model(MODEL).add_keys(keys).build() as gateway:
        used = sorted(gateway.call(f"question {n}").meta.key_label or "" for n in range(6))
        print(used)


def own_bodies(base_url: str) -> None:
    """Reach Anthropic's models by their own protocol, with what Converse does not know."""
    endpoint = ProviderEndpoint.bedrock("us-east-1", api="invoke_model", base_url=base_url)
    with GatewayBuilder(endpoint).default_model(MODEL).add_key(KeyConfig(ACCOUNT_A)).build() as gateway:
        response = gateway.call("Say hello in Italian")
        print(response, response.provider_protocol)


def main() -> None:
    """Show all three, against a provider on this machine that verifies the signatures; leave base_url out for AWS itself."""
    with LocalProvider(keys=[ACCOUNT_A, ACCOUNT_B, API_KEY]) as provider:
        by_name(provider.base_url)
        several_accounts(provider.base_url)
        own_bodies(provider.base_url)
        print(provider.requests[0].path)


if __name__ == "__main__":
    main()
