"""The official SDKs' own clients of the clouds, at the local provider: signed, with tokens, at a deployment."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from omnillm.testing import LocalProvider

pytestmark = pytest.mark.sdk

ACCESS, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session/token=="
ASK: dict[str, Any] = {"max_tokens": 20, "messages": [{"role": "user", "content": "Say hello"}]}


def both(client: Any, **options: Any) -> list[str]:
    """Ask for an answer and for a stream by Anthropic's SDK."""
    with client.messages.stream(**ASK, **options) as stream:
        streamed = "".join(stream.text_stream)
    return [client.messages.create(**ASK, **options).content[0].text, streamed]


def test_anthropics_client_of_bedrock_is_understood() -> None:
    """Its signature is verified, with a session token, and its stream is binary."""
    anthropic = pytest.importorskip("anthropic")
    with LocalProvider(keys=[f"{ACCESS}:{SECRET}:{TOKEN}"]) as provider:
        made = anthropic.AnthropicBedrock(
            aws_access_key=ACCESS,
            aws_secret_key=SECRET,
            aws_session_token=TOKEN,
            aws_region="us-east-1",
            base_url=provider.base_url,
            max_retries=0,
        )
        with closing(made) as client:
            assert both(client, model="us.anthropic.claude-v2:0") == ["echo: Say hello"] * 2
        assert {request.key for request in provider.requests} == {ACCESS}


def test_anthropics_client_of_vertex_is_understood() -> None:
    """By rawPredict and streamRawPredict."""
    anthropic = pytest.importorskip("anthropic")
    with LocalProvider(keys=["ya29.token"]) as provider:
        made = anthropic.AnthropicVertex(
            region="us-east5", project_id="p", access_token="ya29.token", base_url=f"{provider.base_url}/v1", max_retries=0
        )
        with closing(made) as client:
            assert both(client, model="claude-sonnet-4-5@20250929") == ["echo: Say hello"] * 2
        assert [request.path.rpartition(":")[2] for request in provider.requests] == ["streamRawPredict", "rawPredict"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openais_client_of_azure_is_understood(stream: bool) -> None:
    """At the path of a deployment, with its version."""
    openai = pytest.importorskip("openai")
    with LocalProvider(keys=["azure-key"]) as provider:
        made = openai.AzureOpenAI(azure_endpoint=provider.base_url, api_version="2024-10-21", api_key="azure-key", max_retries=0)
        with closing(made) as client:
            answer = client.chat.completions.create(model="my-deployment", messages=ASK["messages"], stream=stream)
            chunks = [chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices] if stream else []
            assert ("".join(chunks) if stream else answer.choices[0].message.content) == "echo: Say hello"
        assert provider.requests[0].path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"


def test_boto3s_signature_is_verified() -> None:
    """A wrong secret is told, in the exception that boto3 knows."""
    boto3 = pytest.importorskip("boto3")
    from botocore.exceptions import ClientError

    message = {"role": "user", "content": [{"text": "Say hello"}]}
    with LocalProvider(keys=[f"{ACCESS}:{SECRET}"]) as provider:
        for secret in (SECRET, "wrong"):
            session = boto3.session.Session(aws_access_key_id=ACCESS, aws_secret_access_key=secret, region_name="us-east-1")
            with closing(session.client("bedrock-runtime", endpoint_url=provider.base_url)) as client:
                if secret == SECRET:
                    answer = client.converse(modelId="arn:aws:bedrock:us-east-1:1:inference-profile/m", messages=[message])
                    assert answer["output"]["message"]["content"][0]["text"] == "echo: Say hello"
                else:
                    with pytest.raises(ClientError, match="signature we calculated does not match"):
                        client.converse(modelId="m", messages=[message])
