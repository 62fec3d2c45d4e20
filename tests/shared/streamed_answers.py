"""Answers of each format whose stream has numbered blocks or parts, and the frames in which its API streams them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic_messages as claude
import bedrock_converse as converse
import gemini_content as gemini
from hypothesis import strategies as st
from strategies import json_objects, json_values, names, texts

import omnillm as o

Frames = list[o.SseFrame]


@dataclass(frozen=True)
class Streamed:
    """One format: the contents of its answers, why they end, and how an answer is made and streamed in pieces of a size."""

    wire: o.WireFormat
    contents: st.SearchStrategy[list[Any]]
    reasons: tuple[str, ...]
    answer: Callable[[list[Any], str], dict[str, Any]]
    frames: Callable[[dict[str, Any], int], Frames]


_CALLER = {"type": "code_execution_20260120", "tool_id": "s"}
_claude_blocks = st.one_of(
    st.builds(claude.text, st.text(min_size=1, max_size=9)),
    st.just(claude.SIGNED),
    st.just({"type": "redacted_thinking", "data": "Em"}),
    st.builds(claude.used, names, a=json_values),
    st.builds(lambda name, value: {**claude.used(name, a=value), "caller": _CALLER}, names, json_values),
    st.builds(
        lambda name, value: {"type": "server_tool_use", "id": "s", "name": name, "input": {"a": value}}, names, json_values
    ),
    st.builds(lambda value: {"type": "a_block_of_tomorrow", "x": value}, json_values),
)


def _claude_answer(content: list[Any], reason: str) -> dict[str, Any]:
    return claude.message(*content, stop_reason=reason, stop_details=None)


_converse_blocks = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(min_size=1, max_size=9)),
    st.just(converse.SIGNED),
    st.just(converse.REDACTED),
    st.builds(converse.used, names, a=json_values),
    st.builds(
        lambda text: {"citationsContent": {"content": [{"text": text}], "citations": [converse.CITATION]}},
        st.text(min_size=1, max_size=9),
    ),
    st.builds(lambda value: converse.gave("s", {"json": {"a": value}}, type="x_result"), json_values),
    st.just({"image": {"format": "png", "source": {"bytes": "AA=="}}}),
)


def _converse_answer(content: list[Any], reason: str) -> dict[str, Any]:
    return converse.answer(*content, stopReason=reason, serviceTier={"type": "default"})


_gemini_parts = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(min_size=1, max_size=9)),
    st.just(gemini.SIGNED),
    st.just({"text": "", "thoughtSignature": "Eq=="}),
    st.builds(lambda name, args: gemini.called(name, args=args), names, json_objects),
    st.builds(lambda args: {**gemini.called("g", id="c1", args=args), "thoughtSignature": "Eq=="}, json_objects),
    st.builds(lambda code: {"executableCode": {"language": "PYTHON", "code": code}}, texts),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
)


def _gemini_answer(content: list[Any], reason: str) -> dict[str, Any]:
    """Give an answer as a stream tells it: texts that follow one another are one."""
    joined: list[Any] = []
    for part in content:
        if joined and part.keys() == joined[-1].keys() == {"text"}:
            joined[-1] = {"text": joined[-1]["text"] + part["text"]}
        else:
            joined.append(part)
    return gemini.answer(*joined, candidate={"finishReason": reason})


def _call_id(block: dict[str, Any]) -> Any:
    """Give the id of a call; what has none is like nothing else."""
    inner = block.get("functionCall") or block.get("toolUse") or block
    return inner.get("id") or inner.get("toolUseId") or object()


def _contents(blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(blocks, max_size=5, unique_by=_call_id)


STREAMED = (
    Streamed(
        claude.WIRE,
        _contents(_claude_blocks),
        ("end_turn", "max_tokens", "tool_use", "pause_turn", "tomorrow"),
        _claude_answer,
        claude.streamed,
    ),
    Streamed(
        converse.WIRE,
        _contents(_converse_blocks),
        ("end_turn", "max_tokens", "tool_use", "guardrail_intervened", "tomorrow"),
        _converse_answer,
        converse.streamed,
    ),
    Streamed(
        gemini.WIRE, _contents(_gemini_parts), ("STOP", "MAX_TOKENS", "SAFETY", "TOMORROW"), _gemini_answer, gemini.streamed
    ),
)
