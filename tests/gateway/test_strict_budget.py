"""The strict estimate: no call may cost more than it reserved, and what nothing bounds is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_scripts import held, whole

from omnillm.errors import BudgetExceededError
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.testing import LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, respond
from omnillm.types.capabilities import BuiltinTool, CapabilitySet
from omnillm.types.enums import MessageRole
from omnillm.types.message import Message
from omnillm.types.parts import AudioPart, FilePart, ImageBase64Part, ImageUrlPart, TextPart, ToolCallPart, ToolResultPart
from omnillm.types.request import GenerationConfig, LlmRequest

IMAGE = ImageBase64Part("AAAA", "image/png")


def strict(limit: float = 1e9) -> Budget:
    return Budget(limit, estimate="strict")


def user(*parts: Any) -> Message:
    return Message(MessageRole.USER, parts)


def test_the_cap_is_written_into_the_request(provider: LocalProvider, build: Any) -> None:
    """A request without an output cap is sent the one that was reserved, by call and by stream."""
    gateway = build(provider, budget=strict(), pool_config=PoolConfig(default_output_tokens=3))
    assert gateway.call("one two three").text == "echo: one two"
    assert "".join(gateway.stream("one two three").text()) == "echo: one two"
    assert [{"max_tokens", "max_completion_tokens"} & set(request.json) != set() for request in provider.requests] == [True] * 2


@pytest.mark.parametrize("text", ["x" * 400, "ü" * 200, "😀" * 90, "\n" * 50])
def test_the_reservation_bounds_the_cost(build: Any, text: str) -> None:
    """Were every byte of the request a token, the call would not cost more than it reserved."""
    with ScriptedServer([expect(), respond(body=whole())]) as probe:
        build(probe, budget=strict()).call(LlmRequest("m", text, generation=GenerationConfig(max_output_tokens=5)))
    tokens = len(probe.requests[0].body)
    body = {**json.loads(whole()), "usage": {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}}
    with ScriptedServer([expect(), respond(body=json.dumps(body).encode())]) as server:
        gateway = build(server, budget=strict(float(tokens + 5)))
        gateway.call(LlmRequest("m", text, generation=GenerationConfig(max_output_tokens=5)))
        assert gateway.budget_used_usd() == tokens + 5
        assert gateway.budget_remaining_usd() == 0
    with ScriptedServer() as server, pytest.raises(BudgetExceededError):
        build(server, budget=strict(float(tokens + 4))).call(
            LlmRequest("m", text, generation=GenerationConfig(max_output_tokens=5))
        )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (LlmRequest("m", "hi", capabilities=CapabilitySet(builtin_tools=(BuiltinTool("web_search"),))), "tool"),
        (LlmRequest("m", "hi", vendor_extensions={"previous_response_id": "r1"}), "previous_response_id"),
        (LlmRequest("m", "hi", vendor_extensions={"open_ai_chat_completions": {"web_search_options": {}}}), "web_search"),
        (LlmRequest("m", "hi", vendor_extensions={"open_ai_chat_completions": {"n": 2}}), "n asks for several"),
        (LlmRequest("m", "hi", vendor_extensions={"n": 2}), "n asks for several"),
        (LlmRequest("m", user(ImageUrlPart("https://example.com/a.png"))), "URL"),
        (LlmRequest("m", user(FilePart(file_id="f1"))), "id"),
        (LlmRequest("m", user(FilePart(url="https://example.com/a.pdf"))), "URL"),
        (
            LlmRequest("m", [ToolCallPart("c", "f", {}), ToolResultPart("c", (ImageUrlPart("https://example.com/a.png"),))]),
            "URL",
        ),
    ],
)
def test_what_nothing_bounds_is_refused(provider: LocalProvider, build: Any, request_: LlmRequest, said: str) -> None:
    """A prompt that is not in the bytes, and several answers, are refused before anything is sent."""
    gateway = build(provider, budget=strict())
    with pytest.raises(BudgetExceededError, match=said):
        gateway.call(request_)
    assert (provider.connections, held(gateway)) == (0, (0, 0))


def test_media_in_the_bytes_are_bounded_by_a_rule(build: Any) -> None:
    """Pictures, sound and files count what the dearest of them may; text results of tools are in the bytes."""
    parts = (
        TextPart("hi"),
        IMAGE,
        AudioPart("AAAA", "audio/wav"),
        FilePart(data="AAAA", media_type="application/pdf", filename="a.pdf"),
    )
    request = LlmRequest(
        "m", [user(*parts), ToolCallPart("c", "f", {}), ToolResultPart("c", (TextPart("x"),)), ToolResultPart("d", "y")]
    )
    with ScriptedServer() as server:
        with pytest.raises(BudgetExceededError) as caught:
            build(server, budget=strict(1.0)).call(request)
        assert caught.value.needed_usd > 3 * 20_000


def test_one_answer_is_no_several(provider: LocalProvider, build: Any) -> None:
    """``n=1`` says nothing."""
    assert build(provider, budget=strict()).call(LlmRequest("m", "hi", vendor_extensions={"n": 1})).text == "echo: hi"


def test_two_budgets_one_strict(provider: LocalProvider, build: Any) -> None:
    """One strict budget makes every estimate strict."""
    gateway = build(provider, budget=strict(), budget_limit_usd=40.0)
    with pytest.raises(BudgetExceededError):
        gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=5)))
