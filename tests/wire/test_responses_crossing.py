"""Requests of Responses and of Chat Completions, each written for the other."""

from __future__ import annotations

from typing import Any

import omnillm as o

P = o.ProviderProtocol.OPENAI_RESPONSES
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
WIRE = o.WireFormat.OPENAI_RESPONSES
CHAT_WIRE = o.WireFormat.OPENAI_CHAT_COMPLETIONS

Json = dict[str, Any]

CALLED = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'}
GAVE = {"type": "function_call_output", "call_id": "c1", "output": "15 C"}


def test_names_that_chat_shares_cross_both_ways() -> None:
    """Verbosity, storage, tiers and the like mean the same on both of OpenAI's wires."""
    shared = {"store": True, "user": "u", "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k"}
    theirs = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "verbosity": "low", **shared}
    ours = {"model": "m", "input": [{"role": "user", "content": "Hi"}], "text": {"verbosity": "low"}, **shared}
    assert o.transcode_request(CHAT, P, theirs) == ours
    assert o.transcode_request(P, CHAT, ours) == theirs


def test_a_shared_name_that_says_nothing_does_not_cross() -> None:
    """Neither API takes a null of the other's names, and nothing is lost without it."""
    nulls = dict.fromkeys(("store", "user", "service_tier", "safety_identifier", "prompt_cache_key", "metadata", "moderation"))
    theirs = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    ours = {"model": "m", "input": [{"role": "user", "content": "Hi"}]}
    assert losses(CHAT_WIRE, WIRE, {**theirs, **nulls}) == (ours, [])
    assert losses(WIRE, CHAT_WIRE, {**ours, **nulls}) == (theirs, [])


def losses(source: o.WireFormat, target: o.WireFormat, payload: Json) -> tuple[Json, list[str]]:
    report = o.transcode_api_request(source, target, payload)
    return report.value, [loss.pointer.partition("/vendor_extensions/")[2] for loss in report.losses]


def test_a_breakpoint_crosses_where_the_other_wire_has_one() -> None:
    """Both of OpenAI's wires mark the end of a cached prefix in its part; an output of Responses cannot hold the mark."""
    mark = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    theirs = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]}]}
    ours = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi", **mark}]}]}
    assert losses(CHAT_WIRE, WIRE, theirs) == (ours, [])
    assert losses(WIRE, CHAT_WIRE, ours) == (theirs, [])
    said = {"model": "m", "messages": [{"role": "assistant", "content": [{"type": "text", "text": "Hi", **mark}]}]}
    written, lost = losses(CHAT_WIRE, WIRE, said)
    assert written["input"] == [{"role": "assistant", "content": "Hi"}]
    assert lost == ["open_ai_chat_completions/prompt_cache_breakpoint"]


def test_what_chat_does_not_take_of_a_shared_name_is_lost() -> None:
    """A tier, a time to live and options that Responses alone has stay behind, each by its name."""
    payload = {
        "model": "m",
        "input": "Hi",
        "service_tier": "ultrafast",
        "prompt_cache_options": {"mode": "explicit", "ttl": "12h", "prewarm": True},
        "moderation": {"model": "omni"},
    }
    written, lost = losses(WIRE, CHAT_WIRE, payload)
    messages = [{"role": "user", "content": "Hi"}]
    assert written == {
        "model": "m",
        "messages": messages,
        "prompt_cache_options": {"mode": "explicit"},
        "moderation": {"model": "omni"},
    }
    assert sorted(lost) == [
        "open_ai_responses/prompt_cache_options/prewarm",
        "open_ai_responses/prompt_cache_options/ttl",
        "open_ai_responses/service_tier",
    ]


def test_a_conversation_of_chat_becomes_items() -> None:
    """Calls and results stand beside the messages here."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    payload = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "I look.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "15 C"},
        ],
    }
    written = o.transcode_request(CHAT, P, payload)
    assert written["input"] == [
        {"role": "system", "content": "Brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I look."},
        CALLED,
        GAVE,
    ]
    assert o.transcode_request(P, CHAT, written) == payload


def test_a_place_that_does_not_say_what_it_is_crosses() -> None:
    """Anthropic demands a type of it, which Responses may leave out."""
    tool = {"type": "web_search", "user_location": {"city": "Paris"}}
    ours = {"model": "m", "input": "Hi", "tools": [tool]}
    written = o.transcode_request(P, o.ProviderProtocol.CLAUDE_MESSAGES, ours)
    assert written["tools"][0]["user_location"] == {"type": "approximate", "city": "Paris"}
