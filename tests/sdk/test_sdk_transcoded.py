"""Every official SDK answered by a provider of another protocol, omnillm between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from sdk_clients import ASKS, SDKS, error_of
from sdk_shim import Shim

from omnillm.testing import LocalProvider, break_stream, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.wire import parse_request

pytestmark = pytest.mark.sdk

BEDROCK = ProviderProtocol.BEDROCK_CONVERSE
PAIRS = list(permutations(SDKS, 2))
STREAMED = [(served, asked) for served, asked in PAIRS if asked is not BEDROCK]  # its streams are no event streams of text


def _check(provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol, ask: str, stream: bool) -> None:
    own = SDKS[served](provider.base_url, ASKS[ask], stream)
    with Shim(provider, served, asked) as shim:
        seen = SDKS[served](shim.base_url, ASKS[ask], stream)
    received = provider.requests[-1]
    assert received.protocol is asked
    prompt = parse_request(asked, received.body).estimated_prompt_tokens()  # what this provider counts
    assert seen == replace(own, usage=(prompt, own.usage[1]))


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("served", "asked"), PAIRS)
def test_an_sdk_sees_the_same_answer(
    provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol, ask: str
) -> None:
    """An SDK sees the answer of another protocol as it sees that of its own: text, calls, finish reason and usage."""
    _check(provider, served, asked, ask, stream=False)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("served", "asked"), STREAMED)
def test_an_sdk_sees_the_same_stream(
    provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol, ask: str
) -> None:
    """An SDK sees the stream of another protocol as it sees that of its own."""
    _check(provider, served, asked, ask, stream=True)


@pytest.mark.parametrize(("served", "asked"), PAIRS)
def test_an_sdk_sees_the_refusal(provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol) -> None:
    """A refusal of another protocol is the SDK's own error, with its text."""
    provider.script(fail(429, message="slow down, please"))
    with Shim(provider, served, asked) as shim, pytest.raises(error_of(served), match="slow down, please"):
        SDKS[served](shim.base_url, ASKS["text"], False)


@pytest.mark.parametrize(("served", "asked"), STREAMED)
def test_an_sdk_sees_the_stream_fail(provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol) -> None:
    """An error in the stream of another protocol is the SDK's own error, with its text."""
    provider.script(break_stream(3, how="error_event"))
    with Shim(provider, served, asked) as shim, pytest.raises(error_of(served), match="scripted failure of a stream"):
        SDKS[served](shim.base_url, ASKS["text"], True)
