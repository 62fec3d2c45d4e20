"""The gateway against a provider of each protocol: whole answers and streams, by a base and by a whole URL."""

from __future__ import annotations

from typing import Any

import pytest

from omnillm.testing import LocalProvider
from omnillm.types.capabilities import CapabilitySet, ToolDefinition
from omnillm.types.enums import EndpointProtocol, FinishReason
from omnillm.types.events import Completed, LlmStreamEvent, TextDelta
from omnillm.types.request import LlmRequest
from omnillm.types.response import LlmResponse

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = LlmRequest(
    "m", 'call weather with {"city": "Rome"}', capabilities=CapabilitySet(tools=(ToolDefinition("weather", SCHEMA),))
)


def _ask(gateway: Any, request: LlmRequest, stream: bool) -> tuple[LlmResponse, list[LlmStreamEvent]]:
    if not stream:
        return gateway.call(request), []
    with gateway.stream(request) as events:
        seen = list(events)
    return events.response, seen


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("protocol", EndpointProtocol)
def test_a_protocol_is_spoken(provider: LocalProvider, build: Any, protocol: EndpointProtocol, stream: bool) -> None:
    """A text and a call come back with their finish reason and usage, and the key is charged with it."""
    gateway = build(provider.endpoint(protocol))
    said, events = _ask(gateway, LlmRequest("m", "hello there"), stream)
    assert (said.text, said.finish_reason, said.usage.completion_tokens) == ("echo: hello there", FinishReason.STOP, 3)
    if stream:
        assert "".join(event.delta for event in events if isinstance(event, TextDelta)) == said.text
        assert isinstance(events[-1], Completed)
    called, _ = _ask(gateway, CALL, stream)
    assert [(call.name, call.arguments) for call in called.tool_calls] == [("weather", {"city": "Rome"})]
    assert called.finish_reason is FinishReason.TOOL_CALL
    assert all(received.protocol is protocol.wire_protocol for received in provider.requests)


def test_bedrock_has_the_model_in_the_url(provider: LocalProvider, build: Any) -> None:
    """A call to Bedrock names the model in the URL and brings its answer."""
    answer = build(provider.endpoint(EndpointProtocol.BEDROCK_CONVERSE)).call(LlmRequest("a:b/c", "hello"))
    assert str(answer) == "echo: hello"
    assert provider.requests[0].path == "/model/a%3Ab%2Fc/converse"
