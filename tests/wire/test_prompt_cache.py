"""The prompt cache in every format: what each policy becomes, and what is lost or refused where there is no word for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import omnillm as o

P, AT, KEY = o.ProviderProtocol, o.CacheBreakpoint, o.PromptCacheKey
SHORT, LONG = o.PromptCacheRetention.SHORT, o.PromptCacheRetention.LONG
CHAT, RESPONSES, ANTHROPIC = P.OPENAI_CHAT_COMPLETIONS, P.OPENAI_RESPONSES, P.CLAUDE_MESSAGES
GEMINI, BEDROCK = P.GEMINI_GENERATE_CONTENT, P.BEDROCK_CONVERSE
AUTO = AT.auto()

CONVERSATION = o.LlmRequest(
    "m",
    [
        o.Message.system("Be brief."),
        o.Message("user", ["Look:", o.ImageUrlPart("https://example.com/cat.png")]),
        o.Message("assistant", ["I look.", o.ToolCallPart("call_a", "weather", {})]),
        o.ToolResultPart("call_a", "15 C"),
        o.Message.user("So?"),
    ],
    instructions="Be kind.",
    capabilities=o.CapabilitySet((o.ToolDefinition("weather", {"type": "object", "properties": {}}),)),
)

MARKS = ("cache_control", "cachePoint", "prompt_cache_breakpoint")
SETTINGS = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")


def marks(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Give where a payload has a mark of the cache, and the mark."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in MARKS:
                yield pointer, inner
            else:
                yield from marks(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from marks(inner, f"{pointer}/{i}")


def asking(policy: o.PromptCachePolicy | None, request: o.LlmRequest = CONVERSATION) -> o.LlmRequest:
    return replace(request, capabilities=replace(request.capabilities, prompt_cache=policy))


def emitted(protocol: o.ProviderProtocol, request: o.LlmRequest) -> tuple[dict[str, Any], list[str]]:
    """Give the payload, and the pointers of what is lost beyond what every emission of the conversation loses."""
    report = o.emit_api_request(protocol.wire_format, request)
    usual = {loss.pointer for loss in o.emit_api_request(protocol.wire_format, asking(None, request)).losses}
    lost = [loss.pointer for loss in report.losses if loss.pointer not in usual]
    return report.value, [pointer.removeprefix("/capabilities/prompt_cache/") for pointer in lost]


def check(protocol: o.ProviderProtocol, policy: dict[str, Any], written: dict[str, Any], lost: list[str]) -> None:
    """Try a policy in its three modes."""
    plain, _ = emitted(protocol, asking(None))
    payload, losses = emitted(protocol, asking(o.PromptCachePolicy.best_effort(**policy)))
    found: dict[str, Any] = {name: payload[name] for name in SETTINGS if name in payload}
    assert ({**found, **dict(marks(payload))}, losses) == (written, lost)
    assert len(list(marks(payload))) + len(found) == len(written)
    insisting = asking(o.PromptCachePolicy.required(**policy))
    if lost or protocol is GEMINI:
        with pytest.raises(o.UnsupportedFeatureError) as caught:
            o.emit_request(protocol, insisting)
        assert caught.value.pointer == f"/capabilities/prompt_cache/{'mode' if protocol is GEMINI else lost[0]}"
    else:
        assert o.emit_request(protocol, insisting) == payload
    assert o.emit_request(protocol, asking(o.PromptCachePolicy("disabled", **policy))) == plain


E5, E1H = {"type": "ephemeral", "ttl": "5m"}, {"type": "ephemeral", "ttl": "1h"}
EPHEMERAL, DEFAULT, EXPLICIT = {"type": "ephemeral"}, {"type": "default"}, {"mode": "explicit"}

# Where the mark stands for each breakpoint; None where there is no place for one.
PLACES: list[tuple[o.CacheBreakpoint, dict[o.ProviderProtocol, str | None]]] = [
    (AUTO, {CHAT: "auto", RESPONSES: "auto", ANTHROPIC: "", BEDROCK: "/messages/2/content/2", GEMINI: "auto"}),
    (AT.end_of_tools(), {CHAT: None, RESPONSES: None, ANTHROPIC: "/tools/0", BEDROCK: "/toolConfig/tools/1", GEMINI: None}),
    (
        AT.end_of_instructions(),
        {CHAT: "/messages/1/content/0", RESPONSES: "/input/0/content/0", ANTHROPIC: "/system/1", BEDROCK: "/system/2"},
    ),
    (
        AT.end_of_message(1),
        {
            CHAT: "/messages/2/content/1",
            RESPONSES: "/input/1/content/1",
            ANTHROPIC: "/messages/0/content/1",
            BEDROCK: "/messages/0/content/1",
        },
    ),
    (
        AT.end_of_content_block(1, 0),
        {
            CHAT: "/messages/2/content/0",
            RESPONSES: "/input/1/content/0",
            ANTHROPIC: "/messages/0/content/0",
            BEDROCK: "/messages/0/content/1",
        },
    ),
    (
        AT.end_of_message(2),
        {CHAT: "/messages/3/content/0", RESPONSES: None, ANTHROPIC: "/messages/1/content/1", BEDROCK: "/messages/1/content/2"},
    ),
    (
        AT.end_of_content_block(2, 1),
        {CHAT: None, RESPONSES: None, ANTHROPIC: "/messages/1/content/1", BEDROCK: "/messages/1/content/2"},
    ),
    (
        AT.end_of_message(3),
        {
            CHAT: "/messages/4/content/0",
            RESPONSES: "/input/4/output/0",
            ANTHROPIC: "/messages/2/content/0",
            BEDROCK: "/messages/2/content/1",
        },
    ),
    (
        AT.end_of_message(4),
        {
            CHAT: "/messages/5/content/0",
            RESPONSES: "/input/5/content/0",
            ANTHROPIC: "/messages/3/content/0",
            BEDROCK: "/messages/2/content/2",
        },
    ),
    (AT.end_of_content_block(3, 1), {}),
    (AT.end_of_message(9), {}),
    (o.CacheBreakpoint("end_of_message"), {}),
]
OWN_MARK = {CHAT: EXPLICIT, RESPONSES: EXPLICIT, ANTHROPIC: EPHEMERAL, BEDROCK: DEFAULT}


@pytest.mark.parametrize("protocol", P)
@pytest.mark.parametrize(("end", "places"), [pytest.param(*row, id=repr(row[0])) for row in PLACES])
def test_a_prefix_ends_where_the_policy_says(
    protocol: o.ProviderProtocol, end: o.CacheBreakpoint, places: dict[o.ProviderProtocol, str | None]
) -> None:
    """Each breakpoint is marked in the format's own way, or it is the one loss."""
    place = places.get(protocol)
    marked = {} if place in (None, "auto") else {place: OWN_MARK[protocol]}
    check(protocol, {"breakpoint": end}, marked, ["breakpoint"] if place is None else [])


RETENTIONS: list[tuple[o.ProviderProtocol, o.PromptCacheRetention, o.CacheBreakpoint, dict[str, Any], list[str]]] = [
    (CHAT, SHORT, AUTO, {"prompt_cache_options": {"ttl": "30m"}}, []),
    (CHAT, LONG, AUTO, {"prompt_cache_retention": "24h"}, []),
    (CHAT, LONG, AT.end_of_message(4), {"/messages/5/content/0": {**EXPLICIT, "ttl": "12h"}}, []),
    (CHAT, LONG, AT.end_of_tools(), {"prompt_cache_retention": "24h"}, ["breakpoint"]),
    (RESPONSES, SHORT, AUTO, {"prompt_cache_options": {"ttl": "30m"}}, []),
    (RESPONSES, LONG, AUTO, {"prompt_cache_options": {"ttl": "12h"}}, []),
    (RESPONSES, LONG, AT.end_of_message(4), {"prompt_cache_options": {"ttl": "12h"}, "/input/5/content/0": EXPLICIT}, []),
    (ANTHROPIC, SHORT, AUTO, {"": E5}, []),
    (ANTHROPIC, LONG, AT.end_of_tools(), {"/tools/0": E1H}, []),
    (BEDROCK, SHORT, AT.end_of_tools(), {"/toolConfig/tools/1": {**DEFAULT, "ttl": "5m"}}, []),
    (BEDROCK, LONG, AUTO, {"/messages/2/content/2": {**DEFAULT, "ttl": "1h"}}, []),
    (GEMINI, SHORT, AUTO, {}, ["retention"]),
    (GEMINI, LONG, AT.end_of_tools(), {}, ["retention", "breakpoint"]),
]


@pytest.mark.parametrize(("protocol", "retention", "end", "written", "lost"), RETENTIONS)
def test_how_long_a_prefix_stays(
    protocol: o.ProviderProtocol,
    retention: o.PromptCacheRetention,
    end: o.CacheBreakpoint,
    written: dict[str, Any],
    lost: list[str],
) -> None:
    """A short and a long time are the nearest that the format knows."""
    check(protocol, {"retention": retention, "breakpoint": end}, written, lost)


@pytest.mark.parametrize("protocol", P)
def test_a_key_is_of_openai_alone(protocol: o.ProviderProtocol) -> None:
    """The others find a prefix by its content: a key is lost, or refused where it is required."""
    openai = protocol in (CHAT, RESPONSES)
    written: dict[str, Any] = {"prompt_cache_key": "k"} if openai else {}
    payload, lost = emitted(protocol, asking(o.PromptCachePolicy.best_effort(key=KEY.explicit("k"))))
    assert {name: payload[name] for name in SETTINGS if name in payload} == written
    assert lost == ([] if openai else ["key"])
    insisting = asking(o.PromptCachePolicy.required(key=KEY.explicit("k")))
    if openai:
        assert o.emit_request(protocol, insisting)["prompt_cache_key"] == "k"
    else:
        with pytest.raises(o.UnsupportedFeatureError):
            o.emit_request(protocol, insisting)


def test_both_openai_formats_give_a_prefix_the_same_key() -> None:
    """The hash is of the canonical prefix, system messages at its start included, and not of what follows."""
    request = asking(o.PromptCachePolicy.best_effort(key=KEY.stable_prefix_hash("app", "tenant")))
    key = o.emit_request(CHAT, request)["prompt_cache_key"]
    assert o.emit_request(RESPONSES, request)["prompt_cache_key"] == key
    assert len(key) == 64
    later = replace(request, input=(*request.input, o.Message.user("More?"), o.Message.system("Hush.")))
    assert o.emit_request(CHAT, later)["prompt_cache_key"] == key
    others = [
        replace(request, model="n"),
        replace(request, instructions="Be rude."),
        replace(request, input=(o.Message.system("Be long."), *request.input[1:])),
        asking(o.PromptCachePolicy.best_effort(key=KEY.stable_prefix_hash("app", "another"))),
        asking(o.PromptCachePolicy.best_effort(key=KEY.stable_prefix_hash("app"))),
    ]
    keys = {o.emit_request(CHAT, other)["prompt_cache_key"] for other in others}
    assert len(keys | {key}) == len(others) + 1


@pytest.mark.parametrize("protocol", P)
@pytest.mark.parametrize("enabled", [True, False])
def test_the_old_setting_is_a_best_effort(protocol: o.ProviderProtocol, enabled: bool) -> None:
    """``CacheSettings`` say what a policy without fields says, and off is off."""
    old = replace(CONVERSATION, capabilities=replace(CONVERSATION.capabilities, cache=o.CacheSettings(enabled)))
    policy = o.PromptCachePolicy.best_effort() if enabled else o.PromptCachePolicy.disabled()
    assert emitted(protocol, old) == emitted(protocol, asking(policy))
    empty = o.LlmRequest("m", capabilities=o.CapabilitySet(cache=o.CacheSettings(enabled)))
    losses = [loss.pointer for loss in o.emit_api_request(BEDROCK.wire_format, empty).losses]
    assert losses == (["/capabilities/cache/enabled"] if enabled else [])


@pytest.mark.parametrize("protocol", [CHAT, RESPONSES])
def test_a_breakpoint_stands_in_whatever_a_result_holds(protocol: o.ProviderProtocol) -> None:
    """The result of a tool may be a text, a JSON value or parts: its last text takes the mark, wherever the result stands."""
    outputs: list[Any] = ["15 C", {"c": 15}, (o.TextPart("15"), o.TextPart("C"))]
    for output in outputs:
        result = o.ToolResultPart("call_a", output)
        for item in (result, o.Message("tool", [result]), o.Message("user", [result])):
            policy = o.PromptCachePolicy.required(breakpoint=AT.end_of_message(0))
            payload = o.emit_request(protocol, o.LlmRequest("m", item, capabilities=o.CapabilitySet(prompt_cache=policy)))
            assert [mark for _, mark in marks(payload)] == [EXPLICIT]


@pytest.mark.parametrize("protocol", [CHAT, RESPONSES])
def test_a_part_that_is_not_sent_ends_no_prefix(protocol: o.ProviderProtocol) -> None:
    """Where the part itself is lost, or the item is of another kind, the breakpoint is lost too."""
    unsent: Any = {CHAT: o.FilePart(url="https://example.com/a.pdf"), RESPONSES: o.AudioPart("AAAA", "audio/wav")}[protocol]
    items: list[Any] = [o.Message("user", [unsent]), o.ReasoningPart("Hm."), o.Message("assistant", [o.RefusalPart("No.")])]
    for index in range(len(items)):
        policy = o.PromptCachePolicy.best_effort(breakpoint=AT.end_of_message(index))
        request = o.LlmRequest("m", items, capabilities=o.CapabilitySet(prompt_cache=policy))
        payload, losses = emitted(protocol, request)
        assert (list(marks(payload)), losses) == ([], ["breakpoint"])


def test_instructions_alone_are_a_message_of_chat() -> None:
    """Chat marks the instructions themselves; Responses has them in a field that holds a text."""
    policy = o.PromptCachePolicy.best_effort(breakpoint=AT.end_of_instructions())
    request = o.LlmRequest("m", "Hi", instructions="Be kind.", capabilities=o.CapabilitySet(prompt_cache=policy))
    payload, lost = emitted(CHAT, request)
    assert (list(marks(payload)), lost) == ([("/messages/0/content/0", EXPLICIT)], [])
    assert payload["messages"][0]["content"][0]["text"] == "Be kind."
    assert emitted(RESPONSES, request)[1] == ["breakpoint"]
    assert emitted(CHAT, replace(request, instructions=None))[1] == ["breakpoint"]


def test_a_request_keeps_its_own_options_beside_the_policy() -> None:
    """What parsing kept of the options stays; the policy says the time; the request itself is not touched."""
    body = {"model": "m", "input": "Hi", "prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}
    read = o.parse_request(RESPONSES, body)
    again = asking(o.PromptCachePolicy.best_effort(retention=SHORT, breakpoint=AT.end_of_message(0)), read)
    options = {"mode": "explicit", "ttl": "30m"}
    for protocol in (CHAT, RESPONSES):
        payload = o.emit_request(protocol, again)
        assert payload["prompt_cache_options"] == options
        assert [mark for _, mark in marks(payload)] == [EXPLICIT]
    assert o.emit_request(RESPONSES, read) == body


def test_a_breakpoint_needs_something_to_stand_in() -> None:
    """Without an input, or with one that the breakpoint does not reach, it is the one loss; system messages alone will do."""
    policy = o.PromptCachePolicy.best_effort(breakpoint=AT.end_of_instructions())
    prompted = o.parse_request(RESPONSES, {"prompt": {"id": "pmpt_1"}})
    assert emitted(RESPONSES, asking(policy, prompted))[1] == ["breakpoint"]
    for protocol in (CHAT, RESPONSES):
        payload, lost = emitted(protocol, asking(policy, o.LlmRequest("m", [o.Message.system("a"), o.Message("developer", "b")])))
        assert lost == []
        assert [pointer.split("/")[2] for pointer, _ in marks(payload)] == ["1"]


def test_the_chat_view_takes_a_breakpoint_too() -> None:
    """Messages given as such are marked as the input is."""
    policy = o.PromptCachePolicy.required(breakpoint=AT.end_of_message(0))
    request = o.LlmRequest("m", messages=[o.Message.user("Hi")], capabilities=o.CapabilitySet(prompt_cache=policy))
    for protocol in (CHAT, RESPONSES, ANTHROPIC, BEDROCK):
        assert len(list(marks(o.emit_request(protocol, request)))) == 1
