"""What other wires cannot hold of a generateContent request: each field is named as its sender wrote it."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_content import P

import omnillm as o

TARGETS = [protocol for protocol in o.ProviderProtocol if protocol is not P]

PARTS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("user", {"text": "", "thoughtSignature": "c2ln"}, {"thoughtSignature"}),
    ("user", {"text": "", "partMetadata": {"k": {"deep": 1}}}, {"partMetadata", "deep"}),
    ("user", {"inlineData": {"mimeType": "audio/flac", "data": "AA=="}, "videoMetadata": {"fps": 1}}, {"videoMetadata", "fps"}),
    ("user", {"fileData": {"fileUri": "https://e.com/a.bin"}, "mediaResolution": {"level": "LOW"}}, {"mediaResolution", "level"}),
    (
        "user",
        {"inline_data": {"mime_type": "video/mp4", "data": "AAAA"}, "video_metadata": {"fps": 1}},
        {"video_metadata", "fps"},
    ),
    ("user", {"inlineData": {"mimeType": "image/png", "data": "AAAA", "displayName": "n"}}, {"displayName"}),
    ("model", {"text": "Hm.", "thought": True, "audioMetadata": {"startOffset": "1s"}}, {"audioMetadata", "startOffset"}),
    ("model", {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}, {"thoughtSignature"}),
    ("model", {"text": "Hm.", "thought": True, "thought_signature": "c2ln"}, {"thought_signature"}),
    ("user", {"functionResponse": {"name": "f", "response": {}, "scheduling": "SILENT"}}, {"functionResponse", "scheduling"}),
    ("user", {"function_response": {"name": "f", "response": {}, "scheduling": "SILENT"}}, {"function_response", "scheduling"}),
]


def names(losses: tuple[o.Loss, ...]) -> set[str]:
    """Give every word by which a reader finds a lost field."""
    said = " ".join(f"{loss.pointer} {loss.reason}" for loss in losses)
    return set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in said).split())


def lost(target: o.ProviderProtocol, payload: dict[str, Any]) -> tuple[o.Loss, ...]:
    return o.transcode_api_request(P.wire_format, target.wire_format, payload).losses


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize(("role", "part", "fields"), PARTS, ids=str)
def test_a_side_field_is_named(target: o.ProviderProtocol, role: str, part: dict[str, Any], fields: set[str]) -> None:
    """Whether its part is sent without it or is not sent at all."""
    losses = lost(target, {"model": "m", "contents": [{"role": role, "parts": [{"text": "Look."}, part]}]})
    assert fields <= names(losses)
    assert "spelling" not in names(losses)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_a_kept_object_holds_is_named(target: o.ProviderProtocol) -> None:
    """An object that only this wire knows is one loss, which names the fields within, in either spelling."""
    config = {"retrieval_config": {"language_code": "de"}}
    payload = {"contents": [{"parts": [{"text": "Hi"}]}], "tool_config": {**config, "function_calling_config": {"mode": "AUTO"}}}
    found = lost(target, payload)
    assert {"tool_config", "retrieval_config", "language_code"} <= names(found)
    assert sum("retrieval_config" in loss.reason for loss in found) == 1


def test_an_empty_text_alone_loses_nothing() -> None:
    """A wire that refuses an empty text leaves it out, and there is nothing in it to be lost."""
    for target in TARGETS:
        assert lost(target, {"model": "m", "contents": [{"role": "user", "parts": [{"text": "Hi"}, {"text": ""}]}]}) == ()


@pytest.mark.parametrize(
    "target", [protocol for protocol in o.ProviderProtocol if protocol is not o.ProviderProtocol.CLAUDE_MESSAGES]
)
def test_what_anthropic_redacted_is_named(target: o.ProviderProtocol) -> None:
    """By the field that it came in."""
    blocks = [{"type": "redacted_thinking", "data": "b3BhcXVl"}, {"type": "text", "text": "Hi"}]
    payload = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": blocks}]}
    report = o.transcode_api_request(o.WireFormat.ANTHROPIC_MESSAGES, target.wire_format, payload)
    assert "data" in names(report.losses)


@pytest.mark.parametrize(
    "target", [protocol for protocol in o.ProviderProtocol if protocol is not o.ProviderProtocol.CLAUDE_MESSAGES]
)
def test_how_long_a_lost_text_was_is_told(target: o.ProviderProtocol) -> None:
    """Of what only one provider knows more than its fields' names."""
    block = {"type": "new_summary", "content": "They spoke of trains.", "parts": [{"text": "Hi"}]}
    payload = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": [block]}]}
    (loss,) = o.transcode_api_request(o.WireFormat.ANTHROPIC_MESSAGES, target.wire_format, payload).losses
    assert "content (21 characters)" in loss.reason
    assert "text (2 characters)" in loss.reason
