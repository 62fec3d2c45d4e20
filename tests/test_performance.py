"""What makes the road fast, as facts: each shortcut gives what the general way gives."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import uuid
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

import omnillm as o
from omnillm import _json
from omnillm.errors import InvalidJsonError
from omnillm.policy.ledger import Journal
from omnillm.policy.limits import ModelLimits
from omnillm.policy.window import GRAIN_S, MERGED_AT_ONCE, Window
from omnillm.transport._chunks import whole_chunks
from omnillm.wire._fields import Emission, Fields
from omnillm.wire._pieces import FOLD, Pieces
from omnillm.wire.openai_chat._assistant import read_assistant
from omnillm.wire.openai_chat._content import WIRE
from omnillm.wire.openai_chat._messages import _read_usual_reply, write_reply

# --- JSON by either module ------------------------------------------------------------------------------------------------------


def by_both(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[Any]:
    """Give what work gives, or raises, with the standard module and with orjson."""
    found = pytest.importorskip("orjson")
    outcomes = []
    for module in (None, found):
        monkeypatch.setattr(_json, "_orjson", module)
        try:
            outcomes.append(work())
        except InvalidJsonError as error:
            outcomes.append(error.message)
    return outcomes


DOCUMENTS: dict[str, str | bytes] = {
    "an integer beyond 64 bits": "[18446744073709551616, -9223372036854775809]",
    "a long integer": "1" * 400,
    "too many digits": "7" * 5_000,
    "a number beyond a double": "[1e400]",
    "NaN": "[NaN]",
    "minus zero": "[-0, -0.0]",
    "a lone surrogate": r'{"\ud800": "a\udfff"}',
    "a pair of surrogates": r'"\ud83d\ude00"',
    "a lone surrogate in a text": '"a\ud800"',
    "bad UTF-8": b'"\xff\xed\xa0\x80"',
    "a byte order mark": b"\xef\xbb\xbf[1]",
    "too deep": "[" * 101 + "]" * 101,
    "the deepest": '{"a":' * 99 + "[1]" + "}" * 99,
    "far too deep": "[" * 5_000 + "]" * 5_000,
    "too many values": "[" + "0," * _json.MAX_VALUES + "0]",
    "a key twice": '{"a": 1, "b": 2, "a": 3}',
    "a control character": '"\x01"',
    "nothing": "",
    "two values": "[1] [2]",
    "NUL behind": b"[1]\x00",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_read_does_not_depend_on_the_module(monkeypatch: pytest.MonkeyPatch, document: str | bytes) -> None:
    """A document is the same value, of the same types, or the same error, with orjson and without."""
    standard, fast = by_both(monkeypatch, lambda: _json.loads(document))
    assert fast == standard
    assert repr(fast) == repr(standard)


@given(json_values)
def test_any_value_is_read_and_written_alike(value: Any) -> None:
    """Any JSON value goes out and comes in the same, whichever module did it."""
    with pytest.MonkeyPatch.context() as patch:
        standard, fast = by_both(patch, lambda: _json.loads(_json.dump_bytes(value)))
        assert repr(fast) == repr(standard)
        written, otherwise = by_both(patch, lambda: json.loads(_json.dump_bytes(value)))
        assert repr(written) == repr(otherwise)


class Colour(Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int = 1


WRITTEN: dict[str, Any] = {
    "NaN": [math.nan],
    "infinity": {"a": math.inf},
    "a UUID": uuid.UUID(int=1),
    "an enum": [Colour.RED],
    "a dataclass": {"a": Point()},
    "a set": {1},
    "bytes": b"a",
    "None": {"a": None, "b": "null"},
    "numbers as names": {1: "a", None: "b", False: "c"},
    "a big integer": 2**70,
    "a lone surrogate": "a\ud800",
    "a tuple": ("a", (1, 2.5)),
    "an enum that is a string": {"a": o.ProviderProtocol.OPENAI_RESPONSES},
    "deep": json.loads("[" * 300 + "]" * 300),
}


@pytest.mark.parametrize("value", WRITTEN.values(), ids=WRITTEN)
def test_what_is_written_does_not_depend_on_the_module(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    """What orjson alone would take, or spell as null, is refused as ever; the rest is the same text."""
    standard, fast = by_both(monkeypatch, lambda: _json.dump_bytes(value))
    assert fast == standard


# --- chunks and pieces ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8), st.integers(0, 200), st.integers(-1, 60))
def test_whole_chunks_are_taken_and_no_byte_more(bodies: list[bytes], cut: int, most: int) -> None:
    """However the buffer ends, what is taken are the first whole chunks within the bound, up to their very end."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies) + b"0\r\n\r\n"
    found, end = whole_chunks(data[:cut], 0, most)
    assert found == bodies[: len(found)]
    assert data[:end] == b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in found)
    assert most < 0 or sum(map(len, found)) <= most


@given(st.lists(st.text(max_size=3), max_size=3 * FOLD))
def test_pieces_are_their_text(given_pieces: list[str]) -> None:
    """Folded or not, the pieces join to what came, and are few."""
    pieces = Pieces()
    for piece in given_pieces:
        pieces.append(piece)
    assert "".join(pieces) == "".join(given_pieces)
    assert len(pieces) <= FOLD + len(given_pieces) // FOLD


# --- the window of a busy minute ------------------------------------------------------------------------------------------------


def test_a_busy_window_stays_short_and_never_lets_more_in() -> None:
    """Of ten thousand settled requests a few hundred slots are left, and none leaves before its minute, nor a grain after it."""
    window, now, journal = Window(ModelLimits(10**9, 10**6)), 1000.0, Journal()
    for _ in range(10_000):
        slot, changes = window.admitting(7, now)
        journal.commit(changes)
        journal.commit(window.settling(slot, requests=1, tokens=5, now=now))
        now += 0.002
    assert len(window._log) < 2 * MERGED_AT_ONCE + 20 / GRAIN_S + 10_000 / MERGED_AT_ONCE
    assert window.used(now) == (10_000, 50_000)
    for second in range(82):
        let_in_since = [1000.0 + 0.002 * i for i in range(10_000) if 1000.0 + 0.002 * i >= 1000.0 + second - 60]
        counted = window.used(1000.0 + max(second, 20))[0]
        assert counted >= (len(let_in_since) if second >= 20 else 10_000) - 1
        late = sum(1 for i in range(10_000) if 1000.0 + 0.002 * i >= 1000.0 + max(second, 20) - 60 - GRAIN_S)
        assert counted <= late + 1
    assert len(window._log) == 0


def test_what_has_not_settled_is_never_merged() -> None:
    """A request in flight keeps a slot of its own, however busy the window, and still settles for what it used."""
    window, journal = Window(ModelLimits(10**9, 10**6)), Journal()
    flying, changes = window.admitting(100, 0.0)
    journal.commit(changes)
    for i in range(4 * MERGED_AT_ONCE):
        slot, changes = window.admitting(1, i * 0.001)
        journal.commit(changes)
        journal.commit(window.settling(slot, requests=1, tokens=1, now=i * 0.001))
    assert window.used(70.0) == (1, 100)
    journal.commit(window.settling(flying, requests=1, tokens=3, now=70.0))
    assert window.used(70.0) == (0, 0)


# --- what no call enters --------------------------------------------------------------------------------------------------------

_ROAD = """
import sys
from omnillm import GatewayBuilder, KeyConfig
from omnillm.testing import LocalProvider
with LocalProvider() as provider:
    for protocol in ("openai_responses", "openai_chat_completions", "claude_messages", "gemini_generate_content"):
        builder = GatewayBuilder(provider.endpoint(protocol)).add_key(KeyConfig("sk-test-0123456789"))
        with builder.default_model("gpt-4o").build() as gateway:
            assert gateway.call("Hello").content_text
            assert [event for event in gateway.stream("Hello")]
print([name for name in sys.modules if name.startswith(("dataclasses_json", "marshmallow"))])
"""


def test_neither_a_call_nor_a_stream_enters_dataclasses_json() -> None:
    """In a process that calls and streams with every protocol, the library behind JSON at rest is not even imported."""
    run = subprocess.run([sys.executable, "-c", _ROAD], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


# --- usual answers --------------------------------------------------------------------------------------------------------------

USUAL_REPLIES: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hi"},
    {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
    {"content": "Hi", "role": "assistant", "reasoning_content": "", "tool_calls": [], "audio": None, "function_call": None},
    {"role": "assistant", "content": "Hi", "x_host": {"a": [1]}, "refusal": ""},
]
OTHER_REPLIES: list[dict[str, Any]] = [
    {"role": "assistant", "content": ""},
    {"role": "assistant", "content": None, "refusal": "No."},
    {"role": "assistant", "content": "Hi", "refusal": "No."},
    {"role": "assistant", "content": "Hi", "reasoning": "Well."},
    {"role": "assistant", "content": "Hi", "@spelling": {}},
    {"role": "model", "content": "Hi"},
    {"content": "Hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
]


@pytest.mark.parametrize("reply", USUAL_REPLIES)
def test_a_usual_reply_is_read_as_the_general_way_reads_it(reply: dict[str, Any]) -> None:
    """A text with nothing beside it is the same message either way, and is written as it came."""
    fields = Fields(reply)
    fields.take("role")
    usual = _read_usual_reply(reply)
    assert usual is not None
    assert usual == read_assistant(fields, reply=True)
    assert write_reply(usual, Emission(WIRE)) == reply


@pytest.mark.parametrize("reply", OTHER_REPLIES)
def test_any_other_reply_is_left_to_the_general_way(reply: dict[str, Any]) -> None:
    """What says more than a text, or says it otherwise, is not usual."""
    assert _read_usual_reply(reply) is None


def _converse(*frames: o.SseFrame) -> list[o.LlmStreamEvent]:
    parser = o.StreamParser(o.ProviderProtocol.BEDROCK_CONVERSE)
    ends = [o.SseFrame("messageStop", '{"stopReason": "end_turn"}'), o.SseFrame("metadata", '{"usage": {"inputTokens": 1}}')]
    return [event for frame in (*frames, *ends) for event in parser.feed(frame)]


DELTAS: list[list[dict[str, Any]]] = [
    [{"contentBlockIndex": 0, "delta": {"text": text}, "p": "ab"} for text in ("a", "b", "", "c")],
    [{"contentBlockIndex": i, "delta": {"text": "a"}} for i in (0, 0, 1, 1, 0)],
    [{"contentBlockIndex": 0, "delta": {"text": "a"}}, {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}],
    [{"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "a"}}}, {"contentBlockIndex": 0, "delta": {"text": "b"}}],
]


@pytest.mark.parametrize("deltas", DELTAS)
def test_a_growing_text_of_bedrock_is_read_as_the_general_way_reads_it(deltas: list[dict[str, Any]]) -> None:
    """Whether a frame or its data names the event, which no shortcut reads, the events are the same."""
    start = o.SseFrame("messageStart", '{"role": "assistant"}')
    named = [o.SseFrame("contentBlockDelta", json.dumps(delta)) for delta in deltas]
    inside = [o.SseFrame(None, json.dumps({"contentBlockDelta": delta})) for delta in deltas]
    assert _converse(start, *named) == _converse(start, *inside)


# --- types that passed ----------------------------------------------------------------------------------------------------------


class Count(int):
    """An integer of the caller's."""


def test_types_that_passed_pass_again_and_no_others() -> None:
    """What is remembered is the types of all fields together: a bool is no integer, before and after one was."""
    for _ in range(2):
        for value in (True, "7", 1.5):
            with pytest.raises(o.ConfigurationError, match="max_output_tokens: expected an integer"):
                o.GenerationConfig(max_output_tokens=value)  # type: ignore[arg-type]
        assert o.GenerationConfig(max_output_tokens=7, temperature=1).max_output_tokens == 7
        assert o.GenerationConfig(max_output_tokens=Count(7)).max_output_tokens == 7
