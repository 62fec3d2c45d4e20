"""Breaks of streams and of answers mean the same in every protocol."""

from __future__ import annotations

from typing import Any

import pytest
from fault_play import ONCE, SHORT, TWICE
from gateway_scripts import held, key_of

from omnillm.errors import GatewayError, StreamInterruptedError
from omnillm.testing import LocalProvider, break_stream
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import TextDelta
from omnillm.types.request import LlmRequest

WORDS = "one two three four five six seven eight"
PROMPT = LlmRequest("m", WORDS).estimated_prompt_tokens()
# Bedrock's streams are no server-sent events, which are what a gateway reads
STREAMED = [protocol for protocol in ProviderProtocol if protocol is not ProviderProtocol.BEDROCK_CONVERSE]
PHASES = {"cut": "cut", "reset": "cut", "no_terminal": "no_terminal", "error_event": "error", "hang": "idle"}


@pytest.mark.parametrize("protocol", STREAMED)
@pytest.mark.parametrize("how", PHASES)
def test_a_stream_that_breaks(provider: LocalProvider, build: Any, how: Any, protocol: ProviderProtocol) -> None:
    """After an event: ``StreamInterruptedError`` with the text that came, which is paid for; one request, the key blamed once."""
    provider.script(break_stream(7, how=how))
    gateway = build(provider, protocol=protocol, retry=TWICE, timeouts={"idle": SHORT})
    seen: list[str] = []
    with pytest.raises(StreamInterruptedError) as caught:
        seen.extend(event.delta for event in gateway.stream(WORDS) if isinstance(event, TextDelta))
    partial = caught.value.partial_response
    assert (caught.value.phase, partial.text) == (PHASES[how], "".join(seen))
    assert len(seen) > 0
    assert (len(provider.requests), held(gateway), key_of(gateway).consecutive_failures) == (1, (0, 0), 1)
    assert gateway.budget_used_usd() == partial.cost_usd
    assert PROMPT + 1 <= gateway.budget_used_usd() < 1024


@pytest.mark.parametrize("protocol", STREAMED)
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_stream_that_breaks_before_its_first_event(
    provider: LocalProvider, build: Any, how: Any, protocol: ProviderProtocol
) -> None:
    """It is opened again, unseen."""
    provider.script(break_stream(0, how=how))
    gateway = build(provider, protocol=protocol, retry=TWICE)
    stream = gateway.stream(WORDS)
    assert "".join(stream.text()) == f"echo: {WORDS}"
    assert [record.outcome for record in stream.response.attempts] == ["failed", "ok"]
    assert gateway.budget_used_usd() == PROMPT + stream.response.cost_usd


@pytest.mark.parametrize("protocol", ProviderProtocol)
@pytest.mark.parametrize("how", ["cut", "reset", "no_terminal", "error_event"])
def test_an_answer_that_breaks(provider: LocalProvider, build: Any, how: Any, protocol: ProviderProtocol) -> None:
    """Cut, reset, half a JSON value, an error with status 200: tried again, and an error where no attempt is left."""
    provider.script(break_stream(3, how=how, times=2))
    gateway = build(provider, protocol=protocol, retry=TWICE)
    with pytest.raises(GatewayError) as caught:
        gateway.call(WORDS)
    assert (len(caught.value.attempts), held(gateway)) == (2, (0, 0))
    provider.script(break_stream(3, how=how))
    answer = build(provider, protocol=protocol, retry=ONCE).call
    with pytest.raises(GatewayError):
        answer(WORDS)
    assert answer(WORDS).text == f"echo: {WORDS}"
