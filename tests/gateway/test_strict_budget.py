"""The strict estimate: no call may cost more than it reserved, and what nothing bounds is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_scripts import held, whole

from omnillm.errors import BudgetExceededError, GatewayError
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.testing import LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, respond
from omnillm.types.capabilities import BuiltinTool, CapabilitySet
from omnillm.types.enums import MessageRole, ProviderProtocol
from omnillm.types.message import Message
from omnillm.types.parts import AudioPart, FilePart, ImageBase64Part, ImageUrlPart, TextPart, ToolCallPart, ToolResultPart
from omnillm.types.request import GenerationConfig, LlmRequest
from omnillm.wire import parse_request

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


@pytest.mark.parametrize("protocol", ProviderProtocol)
def test_a_schema_may_have_fields_of_any_name(provider: LocalProvider, build: Any, protocol: ProviderProtocol) -> None:
    """What an answer is asked to hold is no setting, though it be called as one is."""
    properties = {name: {"type": "integer"} for name in ("n", "max_tokens", "service_tier")}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    gateway = build(provider.endpoint(protocol), budget=strict())
    assert gateway.call("hi", into=schema).parsed == {"n": 0, "max_tokens": 0, "service_tier": 0}


def test_two_budgets_one_strict(provider: LocalProvider, build: Any) -> None:
    """One strict budget makes every estimate strict."""
    gateway = build(provider, budget=strict(), budget_limit_usd=40.0)
    with pytest.raises(BudgetExceededError):
        gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=5)))


CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
GEMINI, RESPONSES = ProviderProtocol.GEMINI_GENERATE_CONTENT, ProviderProtocol.OPENAI_RESPONSES
BEDROCK = ProviderProtocol.BEDROCK_CONVERSE
SCREENSHOT = {"type": "computer_screenshot", "image_url": "u"}


@pytest.mark.parametrize("where", ["request", "generation"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("protocol", "extension"),
    [
        (CHAT, {"max_tokens": 6}),
        (CHAT, {"max_completion_tokens": 6}),
        (CHAT, {"max_tokens": None, "max_completion_tokens": None}),
        (CHAT, {"max_tokens": "9", "max_completion_tokens": 9.5}),
        (CHAT, {"n": 2}),
        (CHAT, {"service_tier": "priority"}),
        (CHAT, {"plugins": [{"id": "web"}]}),
        (CLAUDE, {"max_tokens": 6}),
        (CLAUDE, {"speed": "fast"}),
        (GEMINI, {"generationConfig": {"maxOutputTokens": 6}}),
        (GEMINI, {"generationConfig": {"candidateCount": 2}}),
        (RESPONSES, {"max_output_tokens": 6}),
        (RESPONSES, {"background": True}),
        (BEDROCK, {"inferenceConfig": {"maxTokens": 6}}),
        (BEDROCK, {"additionalModelRequestFields": {"max_tokens": 6}}),
        (BEDROCK, {"serviceTier": {"type": "priority"}}),
    ],
)
def test_no_extension_raises_the_cost(build: Any, protocol: ProviderProtocol, extension: Any, where: str, nested: bool) -> None:
    """What would let the call cost more than it reserves never goes out, wherever it is put; what is sent has the cap."""
    extensions = {protocol.wire_format.value: extension} if nested else extension
    cap = GenerationConfig(max_output_tokens=5, vendor_extensions=extensions if where == "generation" else {})
    request = LlmRequest("m", "hi", generation=cap, vendor_extensions=extensions if where == "request" else {})
    with ScriptedServer([expect(), respond(400)]) as server:
        gateway = build(server, budget=strict(), protocol=protocol)
        with pytest.raises(GatewayError) as caught:
            gateway.call(request)
        if not isinstance(caught.value, BudgetExceededError):  # a known field fills a gap: what it said was not sent
            assert nested
            sent = json.loads(server.requests[0].body)
            assert set(_numbers_and_words(sent)).isdisjoint({6, 2, 9.5, "9", "priority"})
            assert 5 in set(_numbers_and_words(sent))


def _numbers_and_words(value: Any) -> Iterator[Any]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _numbers_and_words(inner)
    if isinstance(value, int | float | str):
        yield value


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [
        (RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f1"}]}]}),
        (
            RESPONSES,
            {"input": [{"type": "computer_call_output", "call_id": "c", "output": SCREENSHOT}]},
        ),
        (CLAUDE, {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f1"}]}]}),
        (
            CLAUDE,
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "https://x"}}]}]},
        ),
        (
            CLAUDE,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "source": {
                                    "type": "content",
                                    "content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}],
                                },
                            }
                        ],
                    }
                ]
            },
        ),
        (CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x"}}]}]}),
        (GEMINI, {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "u"}}]}]}),
    ],
)
def test_what_the_provider_would_fetch_is_refused(build: Any, protocol: ProviderProtocol, payload: Any) -> None:
    """Parts that only one vendor knows, and references to what is elsewhere, are bounded by nothing."""
    cap = {"max_tokens": 5} if protocol is CLAUDE else {}
    request = parse_request(protocol, {"model": "m", **cap, **payload})
    with ScriptedServer() as server, pytest.raises(BudgetExceededError, match="cannot bound"):
        build(server, budget=strict(), protocol=protocol).call(dataclasses.replace(request, model="m"))


def test_what_is_known_to_cost_nothing_is_sent(provider: LocalProvider, build: Any) -> None:
    """Ordinary settings pass, a cap within the reservation among them."""
    settings = {"user": "u1", "seed": 1, "logprobs": True, "service_tier": "auto", "max_tokens": 4, "parallel_tool_calls": False}
    request = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=5), vendor_extensions=settings)
    assert build(provider, budget=strict()).call(request).text == "echo: hi"
