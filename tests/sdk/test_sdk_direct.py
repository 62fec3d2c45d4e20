"""The official SDKs straight at the local provider, each in its own protocol."""

from __future__ import annotations

from typing import Any

import pytest
from sdk_clients import ASKS, KEY, SDKS, SYSTEM, Seen, bedrock_client

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


ERRORS = {
    CHAT: ("openai", "RateLimitError"),
    RESPONSES: ("openai", "RateLimitError"),
    CLAUDE: ("anthropic", "RateLimitError"),
    GEMINI: ("google.genai.errors", "ClientError"),
    BEDROCK: ("botocore.exceptions", "ClientError"),
}


@pytest.mark.parametrize("protocol", SDKS)
def test_an_sdk_understands_a_refusal(provider: LocalProvider, protocol: ProviderProtocol) -> None:
    """A refusal is the error of the SDK, with its text."""
    module, name = ERRORS[protocol]
    error: type[Exception] = getattr(pytest.importorskip(module), name)
    provider.script(fail(429, message="slow down, please"))
    with pytest.raises(error, match="slow down, please"):
        SDKS[protocol](provider.base_url, ASKS["text"], False)


def test_boto3_understands_an_exception_in_a_stream(provider: LocalProvider) -> None:
    """A frame of an exception ends a binary stream with the exception that it names."""
    exceptions: Any = pytest.importorskip("botocore.exceptions")
    provider.script(break_stream(2, how="error_event"))
    with pytest.raises(exceptions.EventStreamError, match="internalServerException"):
        SDKS[BEDROCK](provider.base_url, ASKS["text"], True)


def test_boto3_names_its_key(provider: LocalProvider) -> None:
    """A signed request shows the id of its key, by which the provider knows it, and an ARN is the model."""
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/m"
    with bedrock_client(provider.base_url) as client:
        client.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    (request,) = provider.requests
    assert request.key == "good"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    provider.forbidden.add(("good", arn))
    with pytest.raises(Exception, match="may not use the model"), bedrock_client(provider.base_url) as client:
        client.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "hi"}]}])
