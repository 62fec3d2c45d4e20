"""The official SDKs straight at the local provider, each in its own protocol."""

from __future__ import annotations

import pytest
from sdk_clients import ASKS, KEY, SDKS, SYSTEM, Seen, bedrock_client, error_of

from omnillm.testing import LocalProvider, break_stream, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.wire import parse_request

pytestmark = pytest.mark.sdk

CHAT, RESPONSES = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.OPENAI_RESPONSES
CLAUDE, GEMINI = ProviderProtocol.CLAUDE_MESSAGES, ProviderProtocol.GEMINI_GENERATE_CONTENT
BEDROCK = ProviderProtocol.BEDROCK_CONVERSE
TEXTS = {"text": "echo: Say hello to Zoë", "calls": "", "result": "weather gave: 18 C", "cut": "echo: one"}
CALLS = {"calls": (("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"}))}
FINISHES = {
    CHAT: {"calls": "tool_calls", "cut": "length", "": "stop"},
    RESPONSES: {"calls": "completed", "cut": "incomplete", "": "completed"},
    CLAUDE: {"calls": "tool_use", "cut": "max_tokens", "": "end_turn"},
    GEMINI: {"calls": "STOP", "cut": "MAX_TOKENS", "": "STOP"},
    BEDROCK: {"calls": "tool_use", "cut": "max_tokens", "": "end_turn"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("protocol", SDKS)
def test_an_sdk_understands_the_local_provider(
    provider: LocalProvider, protocol: ProviderProtocol, ask: str, stream: bool
) -> None:
    """An SDK sees the text, the calls, the finish reason and the usage that the provider documents."""
    seen = SDKS[protocol](provider.base_url, ASKS[ask], stream)
    (received,) = provider.requests
    finishes = FINISHES[protocol]
    tokens = 4 if ask == "calls" else len(TEXTS[ask].split())
    prompt = parse_request(protocol, received.body).estimated_prompt_tokens()
    assert seen == Seen(TEXTS[ask], CALLS.get(ask, ()), finishes.get(ask, finishes[""]), (prompt, tokens))
    assert SYSTEM in received.body.decode()
    assert (received.protocol, received.key) == (protocol, KEY)


@pytest.mark.parametrize("protocol", SDKS)
def test_an_sdk_understands_a_refusal(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A refusal is the error of the SDK, with its text."""
    provider.script(fail(429, message="slow down, please"))
    with pytest.raises(error_of(protocol), match="slow down, please"):
        SDKS[protocol](provider.base_url, ASKS["text"], False)


@pytest.mark.parametrize("protocol", SDKS)
def test_an_sdk_understands_an_error_in_a_stream(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """An error in mid-stream is the error of the SDK, with its text."""
    provider.script(break_stream(3, how="error_event"))
    with pytest.raises(error_of(protocol), match="scripted failure of a stream"):
        SDKS[protocol](provider.base_url, ASKS["text"], True)


def test_boto3_names_its_key(provider: LocalProvider) -> None:
    """A signed request shows the id of its key, by which the provider knows it, and an ARN is the model."""
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/m"
    with bedrock_client(provider.base_url) as client:
        client.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    (request,) = provider.requests
    assert request.key == "good"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    provider.forbidden.add(("good", arn))
    with pytest.raises(error_of(BEDROCK), match="may not use the model"), bedrock_client(provider.base_url) as client:
        client.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "hi"}]}])
