"""What a gateway refuses before anything is sent or charged, and the words of its errors: the field, and what was expected."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, open_stream

import omnillm as o
from omnillm.gateway.request import checked_request
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream, fail
from omnillm.testing.scripted import expect, stall

F = o.ToolDefinition("f", {})
NAN = math.nan


def generation(**settings: Any) -> o.LlmRequest:
    return o.LlmRequest("m", "hi", generation=o.GenerationConfig(**settings))


def capable(**settings: Any) -> o.LlmRequest:
    return o.LlmRequest("m", "hi", capabilities=o.CapabilitySet(**settings))


def saying(*parts: Any) -> o.LlmRequest:
    return o.LlmRequest("m", [o.Message("user", parts)])


ANSWER = o.LlmResponse((o.Message.assistant("x"),), o.TokenUsage(), "m", o.ProviderProtocol.OPENAI_RESPONSES)
REFUSED: list[tuple[Any, str, str]] = [
    ([o.Message.user("hi")], "request", r"LlmRequest\(model, \[Message.user"),
    (o.Message.user("hi"), "request", "got Message"),
    ({"role": "user"}, "request", "got dict"),
    (ANSWER, "request", r"\*response.as_input\(\)"),
    (None, "request", "or a string, got NoneType"),
    (o.LlmRequest("", "hi"), "model", "no default_model"),
    (o.LlmRequest("m"), "input", "at least one message"),
    (generation(temperature=NAN), "temperature", "finite number, got nan"),
    (generation(temperature=-0.1), "temperature", "0 or more, got -0.1"),
    (generation(top_p=math.inf), "top_p", "finite"),
    (generation(top_k=-1), "top_k", "0 or more"),
    (generation(presence_penalty=NAN), "presence_penalty", "finite"),
    (generation(frequency_penalty=-math.inf), "frequency_penalty", "finite"),
    (generation(max_output_tokens=-1), "max_output_tokens", "0 or more, got -1"),
    (capable(tools=[o.ToolDefinition("", {})]), "name", "name of a tool"),
    (capable(tools=[o.ToolDefinition("f", "{}")]), "input_schema", "an object or a bool, got str of tool 'f'"),
    (capable(tools=[o.ToolDefinition("f", {"x": {1}})]), "input_schema", "JSON values of tool 'f': .*set"),
    (capable(tools=[o.ToolDefinition("f", {"x": NAN})]), "input_schema", "JSON values of tool 'f'"),
    (capable(structured_output=o.StructuredOutputConfig([])), "schema", "of structured_output"),
    (capable(builtin_tools=[o.BuiltinTool(o.BuiltinToolKind.WEB_SEARCH, {"x": {1}})]), "payload", "builtin tool web_search"),
    (capable(tools=[F], tool_choice=o.ToolChoice("named")), "tool_choice", r"ToolChoice.named\(name\)"),
    (capable(tools=[F], tool_choice=o.ToolChoice.named("g")), "tool_choice", "'g' is none of the tools offered: f"),
    (capable(tool_choice=o.ToolChoice.named("g")), "tool_choice", "there are none"),
    (saying(o.ImageBase64Part("")), "data", "empty"),
    (saying(o.ImageBase64Part("data:image/png;base64,AAAA")), "data", "strip the prefix up to its comma, or use ImageUrlPart"),
    (saying(o.ImageBase64Part("/no/such file.png")), "data", "b64encode"),
    (saying(o.ImageBase64Part("ü")), "data", "b64encode"),
    (saying(o.AudioPart("data:audio/wav;base64,AAAA")), "data", "AudioPart"),
    (saying(o.FilePart(data="%PDF-1.4")), "data", "FilePart"),
    (saying(o.ToolResultPart("", "x")), "call_id", "that this result answers"),
    (saying(o.ToolResultPart("c", {"x": {1}})), "output", "JSON values of the tool result for 'c': .*set"),
    (saying(o.ToolResultPart("c", (o.JsonPart({1}),))), "value", "JsonPart"),
    (saying(o.ToolCallPart("c", "f", {"x": NAN})), "arguments", "call of tool 'f'"),
    (o.LlmRequest("m", [o.ToolResultPart("", "x")]), "call_id", "call_id"),
    (o.LlmRequest("m", "hi", metadata={"x": {1}}), "metadata", "set"),
    (o.LlmRequest("m", "hi", vendor_extensions={"x": b""}), "vendor_extensions", "bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "field", "said"), REFUSED)
def test_what_nobody_would_take_is_refused_by_its_name(request_: Any, field: str, said: str) -> None:
    """The error names the field, and says what was expected."""
    with pytest.raises(o.ConfigurationError, match=said) as caught:
        checked_request(request_, None)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("refused", [request for request, *_ in REFUSED[7:]])
def test_a_refused_request_costs_nothing(provider: LocalProvider, build: Any, refused: o.LlmRequest) -> None:
    """Neither a call nor a stream of it sends, holds or counts anything."""
    gateway = build(provider)
    for method in (gateway.call, gateway.stream):
        with pytest.raises(o.ConfigurationError):
            method(refused)
    assert (list(provider.requests), held(gateway), key_of(gateway).rpm_used) == ([], (0, 0), 0)


@pytest.mark.parametrize(
    "taken",
    [
        generation(temperature=0, top_p=1, presence_penalty=-2.0, frequency_penalty=-2, max_output_tokens=0, seed=-1),
        capable(tools=[F, o.ToolDefinition("g", True)], tool_choice=o.ToolChoice.named("g")),
        capable(tools=[F], tool_choice=o.ToolChoice.required()),
        capable(
            builtin_tools=[o.BuiltinTool(o.BuiltinToolKind.VENDOR, {"type": "custom", "custom": {"name": "c"}})],
            tool_choice=o.ToolChoice.named("c"),
        ),
        capable(structured_output=o.StructuredOutputConfig(None)),
        saying(o.ImageBase64Part("iVBORw0KGgo="), o.ImageBase64Part("_-8\n"), o.AudioPart(""), o.FilePart("file-1")),
        saying(o.ToolResultPart("c", {"x": [1, None]}), o.ToolResultPart("", "x", vendor_extensions={"wire": {}})),
        o.LlmRequest("m", "hi", metadata={"x": "y"}, vendor_extensions={"user": "u"}),
    ],
)
def test_what_somebody_takes_passes(taken: o.LlmRequest) -> None:
    """Unusual is not wrong: the request is given back as it is."""
    assert checked_request(taken, None) is taken


def test_the_default_model_serves_who_names_none() -> None:
    """A plain string, and a request with an empty model."""
    assert checked_request("hi", "d").model == checked_request(o.LlmRequest("", "hi"), "d").model == "d"
    assert checked_request(o.LlmRequest("m", "hi"), "d").model == "m"


# --- words of errors --------------------------------------------------------------------------------------------------------


def test_a_retired_key_is_named(provider: LocalProvider, build: Any) -> None:
    """Who finds no living key is told which were retired, what retired them, and how they come back."""
    provider.dead_keys.update(("sk-1", "sk-2"))
    gateway = build(provider, 2)
    with pytest.raises(o.UnauthorizedError):
        gateway.call("hi")
    with pytest.raises(o.NoAvailableKeyError, match=r"retired by 401: k1, k2.*gateway\.revive\(label\)") as caught:
        gateway.call("hi")
    assert caught.value.reason == "dead"


def test_a_key_denied_the_model_is_named(provider: LocalProvider, build: Any) -> None:
    """A 403 is about the model: the text says which, and which key."""
    gateway = build(provider)
    provider.script(fail(403))
    with pytest.raises(o.PermissionDeniedError):
        gateway.call("hi")
    with pytest.raises(o.NoAvailableKeyError, match="denied m by 403: k1") as caught:
        gateway.call("hi")
    assert caught.value.reason == "dead"


def test_a_request_too_large_is_told_its_size(provider: LocalProvider, build: Any) -> None:
    """The estimate, and the largest limit there is."""
    keys = [o.KeyConfig("sk-1", "a", tpm_limit=50), o.KeyConfig("sk-2", "b", tpm_limit=70)]
    estimate = o.LlmRequest("m", "hi").estimated_tokens()
    with pytest.raises(o.NoAvailableKeyError, match=f"estimated at {estimate} tokens, and the largest tpm_limit is 70"):
        build(provider, keys).call("hi")


def test_a_wait_is_short_to_read(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Seconds are written as people do."""
    gateway = build(provider, clock=clock)
    provider.script(fail(429, retry_after=3600))
    with pytest.raises(o.RateLimitedError):
        gateway.call("hi")
    with pytest.raises(o.NoAvailableKeyError, match=r"one is free in 3600 s$"):
        gateway.call("hi")


@pytest.mark.parametrize(
    ("asked", "said"), [(0.2, "the timeout of 0.2 s is over"), (None, "the request_timeout of 0.3 s is over")]
)
def test_a_timeout_says_which(build: Any, asked: float | None, said: str) -> None:
    """How many seconds, and whose setting it was."""
    with ScriptedServer([expect(), stall()]) as server, pytest.raises(o.DeadlineExceededError, match=re.escape(said)):
        build(server, request_timeout=0.3).call("hi", timeout=asked)


@pytest.mark.parametrize(
    ("steps", "said"),
    [([stall()], r"no answer from .* within 0\.2 s, which is timeouts\(first_byte=…\)"),
     ([open_stream(data(chunk("a"))), stall()], r"nothing came within 0\.2 s, which is timeouts\(idle=…\)")],
)  # fmt: skip
def test_a_silent_stream_says_which_time_ran_out(build: Any, steps: list[Any], said: str) -> None:
    """How many seconds, and which of the time-outs it was."""
    with ScriptedServer([expect(), *steps]) as server:
        gateway = build(server, timeouts={"first_byte": 0.2, "idle": 0.2}, retry=o.RetryPolicy(max_attempts=1))
        with pytest.raises(o.GatewayError, match=said):
            list(gateway.stream("hi"))


def test_closed_figures(provider: LocalProvider, build: Any) -> None:
    """After ``close()`` the figures can still be read: they are memory."""
    gateway = build(provider, budget_limit_usd=10_000.0)
    gateway.call("hi")
    before = (gateway.pool_status(), gateway.budget_used_usd(), gateway.budget_remaining_usd())
    gateway.close()
    after = (gateway.pool_status(), gateway.budget_used_usd(), gateway.budget_remaining_usd())
    assert [key.rpm_used for key in after[0]] == [key.rpm_used for key in before[0]] == [1]
    assert after[1:] == before[1:]
    with pytest.raises(o.ClosedError), gateway:
        pass


@pytest.mark.parametrize("how", ["cut", "no_terminal", "error_event"])
def test_a_broken_stream_says_what_it_was_charged(provider: LocalProvider, build: Any, how: Any) -> None:
    """The partial answer's usage is the estimate that was charged, its cost the money that is gone."""
    provider.script(break_stream(4, how=how))
    gateway = build(provider)
    with pytest.raises(o.StreamInterruptedError) as caught:
        list(gateway.stream("one two three four five six seven eight"))
    partial = caught.value.partial_response
    assert partial.text
    assert partial.usage.estimated
    assert partial.usage.total() == key_of(gateway).tpm_used > partial.usage.prompt_tokens > 0
    assert partial.cost_usd == partial.cost.usd == gateway.budget_used_usd() == partial.usage.total()  # a dollar a token
    assert (partial.key_label, len(partial.attempts)) == ("k1", 1)
