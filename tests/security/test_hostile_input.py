"""What comes from upstream, from a model or from a command line costs no more than its size, and takes nothing along."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest
from gateway_scripts import whole
from reporter import locals_of, told

from omnillm import Conversation, KeyConfig
from omnillm._secret import Secret, scrub
from omnillm.cli import main
from omnillm.errors import MalformedResponseError, OmniLLMError, ProtocolError
from omnillm.gateway.workers import WorkerFuture
from omnillm.people._check_schema import Checker
from omnillm.people.structured import target_of
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, respond, send, sse

KEY = "sk-CANARY/0123+abcdef=789"
SECONDS = 5.0  # of this thread's own time; what is not linear takes minutes
CONTROLS = "\x1b]0;owned\x07\x1b[31m"


# --- upstream -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [b"X-A: x" + b" " * 60_000 + b"x", b"X-A:" + b" " * 60_000 + b"\0", b"X-A:" + b"\t" * 60_000, b"X" * 60_000 + b"\0:"],
    ids=repr,
)
def test_p27_headers_are_read_in_linear_time(build: Any, header: bytes) -> None:
    """A header of blanks is read, or refused, at once: nothing tries all the ways of splitting it."""
    body = whole()
    answer = b"HTTP/1.1 200 OK\r\n" + (header + b"\r\n") * 20 + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with ScriptedServer([expect(), send(answer)]) as server:
        gateway = build(server, retry=RetryPolicy(max_attempts=1))
        started = time.thread_time()
        try:
            assert gateway.call("hi").text == "hello"
        except MalformedResponseError:
            assert b"\0" in header
        assert time.thread_time() - started < SECONDS


_ECHOES: dict[str, Any] = {
    "not its protocol": respond(200, body=json.dumps({"choices": KEY, "id": KEY}).encode()),
    "an error in a 200": respond(200, body=json.dumps({"error": {"message": f"no {KEY}", "code": KEY}}).encode()),
    "no JSON": respond(200, body=f'{{"a": {KEY}'.encode()),
    "HTML": respond(200, {"Content-Type": "text/html"}, f"<p>{KEY}".encode()),
    "a stream unasked, broken": sse(f'{{"choices": "{KEY}"}}'),
    "a stream unasked, failed": sse(json.dumps({"error": {"message": f"no {KEY}"}})),
    "a stream unasked, cut": sse(json.dumps({"choices": [], "note": KEY})),
    "a 400": respond(400, body=json.dumps({"error": {"message": f"no {KEY}"}}).encode()),
    "a key cut by our limit": respond(400, {"Content-Type": "text/plain"}, b"x" * (64 * 1024 - 20) + KEY.encode() * 2),
    "a key cut in a quotation": respond(200, body=json.dumps({"choices": "x" * 58 + KEY}).encode()),
}  # fmt: skip


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("name", _ECHOES)
def test_p30_an_answer_that_echoes_the_key_leaves_no_trace(build: Any, name: str, how: str) -> None:
    """No error has the key, nor half of it where something was cut; nor is what was read a local where the error is raised."""
    with ScriptedServer([expect(), _ECHOES[name]]) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")], retry=RetryPolicy(max_attempts=1))
        with pytest.raises(OmniLLMError) as caught:
            gateway.call("hi") if how == "call" else list(gateway.stream("hi"))
    half = KEY[: len(KEY) // 2 + 1]
    assert [text[-200:] for text in told(caught.value) if half in text] == []
    assert [where for where, text in locals_of(caught.value) if half in text] == []


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"no such key: {KEY[:20]}", "no such key: <redacted>"),
        (f"{KEY[:13]}, {KEY[:13]}!", "<redacted>, <redacted>!"),
        (f"{KEY}{KEY[:14]}", "<redacted><redacted>"),
        (KEY[:12], KEY[:12]),
        ("sk-CANARY****789", "sk-CANARY****789"),
    ],
)
def test_p30_a_key_that_was_cut_is_redacted(text: str, scrubbed: str) -> None:
    """From half of it on; what providers themselves show of a key stays."""
    assert scrub(text, [Secret.literal(KEY)]) == scrubbed


# --- models ---------------------------------------------------------------------------------------------------------------------

_NODE = {"type": "object", "properties": {"left": {"$ref": "#/$defs/e"}, "right": {"$ref": "#/$defs/e"}}, "required": ["kind"]}
EXPRESSION = {
    "$defs": {"e": {"oneOf": [{**_NODE, "title": name} for name in ("add", "sub", "mul")] + [{"type": "null"}]}},
    "$ref": "#/$defs/e",
}
LOOPS: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}}, "$ref": "#/$defs/a"},
]


@pytest.mark.parametrize("depth", [10, 40, 95])
def test_an_answer_nested_within_alternatives_costs_no_power_of_its_depth(depth: int) -> None:
    """The depth is the model's to choose, so the work that it causes is bounded, and beyond it the answer is refused."""
    value: Any = None
    for _ in range(depth):
        value = {"left": value, "right": None}
    started = time.thread_time()
    with pytest.raises(ProtocolError):
        Checker(EXPRESSION).check(value)
    assert time.thread_time() - started < SECONDS


@pytest.mark.parametrize("schema", LOOPS, ids=json.dumps)
def test_a_schema_that_leads_back_to_itself_ends(schema: dict[str, Any]) -> None:
    """In a verdict or in a refusal, soon."""
    started = time.thread_time()
    with contextlib.suppress(ProtocolError):
        Checker(schema).check({"a": [1, {"b": None}]})
    assert time.thread_time() - started < SECONDS


@dataclass
class Nest:
    inner: Nest | None = None


def test_what_is_nested_too_deep_for_the_stack_is_an_answer_that_does_not_fit() -> None:
    """A caller whose own stack is deep is told so by an error of ours."""
    value: Any = None
    for _ in range(95):
        value = {"inner": value}
    target = target_of(Nest)

    class Answer:
        text = json.dumps(value)
        tool_calls = ()
        refusal = None
        finish_reason = None

    def deep(frames: int) -> Any:
        return deep(frames - 1) if frames else target.read(Answer())  # type: ignore[arg-type]  # all that is read of it

    limit = sys.getrecursionlimit()
    with pytest.raises(ProtocolError, match="nested too deep"):
        deep(limit - _depth() - 120)


def _depth() -> int:
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]  # None ends it
    return count


# --- people ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        ["call", "--api-key", KEY, "openai/m", "hi"],
        ["call", f"--api-key={KEY}", "openai/m", "hi"],
        ["call", "openai/m", "hi", "--key", "0123456789abcdef0123"],
        ["stream", "openai/m", "hi", KEY],
        ["call", "openai/m", "hi", "--timeout", KEY],
        ["transcode", "--from", KEY, "--to", "chat_completions"],
        ["call", KEY, "hi"],
        ["call", "openai/m", "hi", "--base-url", f"https://user:{KEY}@host/v1"],
        ["call", "-", "hi", "--config", "/missing.toml"],
    ],
    ids=lambda line: " ".join(line)[:40],
)
def test_the_command_line_takes_and_repeats_no_key(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """There is no option for a key, and a complaint about what was typed does not say it again."""
    try:
        code = main(line)
    except SystemExit as left:
        code = int(str(left.code))
    captured = capsys.readouterr()
    assert code != 0
    for shown in (captured.out, captured.err):
        assert "CANARY" not in shown
        assert "0123456789abcdef" not in shown
    if any(word.startswith("--api-key") for word in line):
        assert "never from the command line" in captured.err


def test_the_command_line_complains_without_escapes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a provider says in an error reaches the terminal as one line of printable characters."""
    body = json.dumps({"error": {"message": f"no{CONTROLS}\n\u202eway"}}).encode()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedServer([expect(), respond(400, body=body)]) as server:
        assert main(["call", "openai/m", "hi", "--base-url", f"{server.base_url}/v1"]) == 1
    said = capsys.readouterr().err
    assert said.rstrip("\n").isprintable()
    assert "way" in said


def test_p30_what_is_at_hand_shows_no_key(build: Any) -> None:
    """Futures, gateways, conversations and responses are printed, and written down, without it."""
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")])
        conversation = Conversation(gateway)
        response = conversation.say("hi")
        future: WorkerFuture[Any] = WorkerFuture()
        future.set_result(response)
        shown = [
            conversation.to_json(),
            repr(conversation),
            repr(gateway),
            repr(gateway._core.config),
            response.to_json(),
            repr(response),
        ]
        shown += [repr(future), repr(gateway.pool_status()), repr(gateway._core.transport), repr(vars(gateway._core))]
    assert [text for text in shown if KEY in text] == []


def test_p30_http_clients_own_debugging_shows_no_key(
    build: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``http.client.HTTPConnection.debuglevel``, which prints every header elsewhere, prints none of ours."""
    import http.client

    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 9)
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        build(server, [KeyConfig(KEY, "k1")]).call("hi")
    captured = capfd.readouterr()
    assert KEY not in captured.out + captured.err
