"""Faults in the body of an answer, whole or streamed."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
import zlib
from typing import Any

import pytest
from fault_play import SHORT, Play
from gateway_scripts import HEAD, JSON_HEAD, chunk, data, more, open_stream, streamed, whole

from omnillm.errors import OmniLLMError
from omnillm.testing.scripted import Step, dribble, expect, repeat, reset, respond, send, sse, stall, wait
from omnillm.types.events import Completed, TextDelta, VendorEvent

STREAM_HEAD = (HEAD + "Connection: close\r\n\r\n").encode()


def head(length: int, *fields: str) -> bytes:
    return (JSON_HEAD + "".join(f"{field}\r\n" for field in fields) + f"Content-Length: {length}\r\n\r\n").encode()


def partial(played: Any) -> str:
    """Give what the error says had come; it is priced as it was charged."""
    found = played.error.partial_response
    assert found.cost_usd == played.gateway.budget_used_usd()
    return str(found.text)


# --- whole answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [head(999) + whole(), (JSON_HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\n{").encode()],
    ids=["short of its length", "chunked"],
)
def test_row_21_a_body_is_cut(play: Play, body: bytes) -> None:
    """HTTP knows that something is missing; that some of it is JSON changes nothing."""
    play([expect(), send(body)])


def test_row_22_a_body_that_ends_with_its_connection_is_cut(play: Play) -> None:
    """HTTP does not know, the wire format does."""
    played = play([expect(), send((JSON_HEAD + "\r\n").encode() + whole()[:-20])])
    assert "not JSON" in str(played.error)


def test_row_23_reset_in_the_body(play: Play) -> None:
    """A reset is a cut."""
    play([expect(), send(head(999) + b"{"), reset()])


def test_row_24_a_dribbled_body(play: Play) -> None:
    """No byte extends the time of the call."""
    play([expect(), send(head(9_999)), dribble(b" " * 9_999, 0.01)], options={"timeout": SHORT}, within=SHORT)


# --- streams that break -------------------------------------------------------------------------------------------------------


def test_row_25_silence_between_events(play: Play) -> None:
    """Pings are silence too; what came before is in the error, and is paid for."""
    pings = repeat(more(b": ping\n\n"), lambda peer: peer.pause(seconds=0.02))
    script = [expect(), open_stream(data(chunk("four"))), pings]
    played = play(script, how="stream", timeouts={"idle": SHORT}, received=1, within=SHORT)
    assert (played.text, partial(played)) == ("four", "four")


@pytest.mark.parametrize("end", [[], [reset()]], ids=["closed", "reset"])
def test_row_26_cut_before_the_first_event(play: Play, end: list[Step]) -> None:
    """Nobody has seen an event: the stream is opened again."""
    played: Any = play([expect(), open_stream(), *end], how="stream")
    assert played.error.partial_response is None


@pytest.mark.parametrize("end", [[], [reset()]], ids=["closed", "reset"])
def test_row_27_cut_after_events(play: Play, end: list[Step]) -> None:
    """What was given cannot be taken back: it is not opened again."""
    gate = threading.Event()
    script = [expect(), open_stream(data(chunk("abcd"))), more(data(chunk("efgh"))), wait(gate), *end]
    played = play(script, how="stream", received=2, at_event=lambda event: gate.set() if event == TextDelta("efgh") else None)
    assert (played.text, partial(played)) == ("abcdefgh", "abcdefgh")


def test_row_28_no_terminal_event(play: Play) -> None:
    """An end of the bytes is no end of the answer."""
    played = play([expect(), sse(data(chunk("abcd")))], how="stream", received=1)
    assert partial(played) == "abcd"


@pytest.mark.parametrize("tail", [data("[DONE]"), data("[DONE]", "[DONE]")])
def test_row_29_two_terminal_events(play: Play, tail: bytes) -> None:
    """There is one ``Completed``, and it is the last event; usage is counted once."""
    usage = chunk(choices=[], usage={"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8})
    body = data(chunk("a"), chunk(finish="stop"), usage, "[DONE]") + tail
    played = play([expect(), sse(body)], how="stream")
    assert [type(event) for event in played.events].count(Completed) == 1
    assert isinstance(played.events[-1], Completed)
    assert played.gateway.budget_used_usd() == 8


@pytest.mark.parametrize("tail", [data(chunk("more")), b"data: {broken\n\n", data('{"error": {"message": "late", "code": 429}}')])
def test_row_30_events_after_the_terminal_one(play: Play, tail: bytes) -> None:
    """Whatever comes behind the end is not told."""
    usage = chunk(choices=[], usage={"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8})
    played = play([expect(), sse(data(chunk("a"), chunk(finish="stop"), usage, "[DONE]") + tail)], how="stream")
    assert (played.text, played.response.text) == ("a", "a")


ERRORS = {
    "overloaded": {"message": "busy", "code": 503, "type": "overloaded_error"},
    "rate limit": {"message": "Please try again in 90s", "code": 429, "type": "rate_limit_error"},
    "a mistake of the caller's": {"message": "no such field", "code": 400, "type": "invalid_request_error"},
    "the server's": {"message": "it broke", "type": "server_error"},
}


def error_event(name: str) -> bytes:
    return data(json.dumps({"error": ERRORS[name]}))


@pytest.mark.parametrize("face", ["overloaded", "rate limit"])
def test_row_31_an_error_event_in_mid_stream(play: Play, face: str, clock: Any) -> None:
    """It ends the stream, with what had come, and means for the key what its status would."""
    cools = 90.0 if face == "rate limit" else None
    script = [expect(), open_stream(data(chunk("abcd"))), more(error_event(face)), stall()]
    played: Any = play(script, face=face, how="stream", received=1, cools=cools, clock=clock)
    assert (partial(played), played.error.retry_after) == ("abcd", cools)


@pytest.mark.parametrize("face", ["overloaded", "rate limit", "a mistake of the caller's"])
def test_row_32_an_error_event_first(play: Play, face: str, clock: Any) -> None:
    """It is what its status would be, another try included."""
    play([expect(), sse(error_event(face))], face=face, how="stream", cools=90.0 if face == "rate limit" else None, clock=clock)


@pytest.mark.parametrize("face", ["the server's", "a mistake of the caller's"])
@pytest.mark.parametrize("how", ["call", "stream"])
def test_row_33_an_error_with_status_200(play: Play, face: str, how: str) -> None:
    """The body says what the status should have."""
    play([repeat(expect(), respond(body=json.dumps({"error": ERRORS[face]}).encode()))], face=face, how=how)


# --- streams that are odd -----------------------------------------------------------------------------------------------------

USAGE = chunk(choices=[], usage={"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8})
END = data(chunk(finish="stop"), USAGE, "[DONE]")


def test_row_34_an_unknown_event(play: Play) -> None:
    """It is told as what it is, and the stream goes on."""
    played = play([expect(), sse(data(chunk("a"), '{"object": "new.thing", "x": 1}', chunk("b")) + END)], how="stream")
    assert [event.payload["x"] for event in played.events if isinstance(event, VendorEvent)] == [1]
    assert played.response.text == "ab"


@pytest.mark.parametrize("end", [b"\n\n", b""], ids=["an event", "a line without an end"])
def test_row_35_an_event_over_the_bound(play: Play, end: bytes) -> None:
    """Memory is bounded; the next one would be as large."""
    big = b"data: " + b"x" * (1 << 20) + end
    script = [expect(), open_stream(data(chunk("abcd"))), more(big), stall()]
    assert "too large" in str(play(script, face="after an event", how="stream", received=1).error)
    assert "too large" in str(play([expect(), open_stream(big), stall()], face="first", how="stream").error)


def test_row_36_an_unterminated_tail(play: Play) -> None:
    """An event that was cut is none, however much of it is there."""
    cut = data(chunk("efgh"))[:-12]
    played = play([expect(), send(STREAM_HEAD + data(chunk("abcd")) + cut)], how="stream", received=1)
    assert (played.text, partial(played)) == ("abcd", "abcd")


def test_row_37_bytes_that_are_no_text(play: Play) -> None:
    """Bytes that are no UTF-8 become U+FFFD; a character that chunks cut in two is whole."""
    bad = data(chunk("a?b")).replace(b"?", b"\xff")
    cut = data(json.dumps(json.loads(chunk("ä")), ensure_ascii=False))
    place = cut.index("ä".encode()) + 1
    played = play([expect(), sse(bad, cut[:place], cut[place:], END)], how="stream")
    assert played.response.text == "a\ufffdbä"


FORMS = {
    "BOM": lambda body: b"\xef\xbb\xbf" + body,
    "CR": lambda body: body.replace(b"\n", b"\r"),
    "CR LF": lambda body: body.replace(b"\n", b"\r\n"),
    "mixed": lambda body: body.replace(b"\n\n", b"\r\n\n", 1).replace(b"\n\n", b"\n\r", 1),
    "comments": lambda body: b": hello\n\n" + body.replace(b"\n\n", b"\n: ping\n\n"),
}


@pytest.mark.parametrize("name", FORMS)
def test_row_38_forms_of_an_event_stream(play: Play, name: str) -> None:
    """However its lines end, and whatever stands between them, the events are the same, cut at every byte."""
    plain = data(chunk("a"), chunk("b")) + END
    body = FORMS[name](plain)
    expected = play([expect(), sse(plain)], how="stream").events
    played = play([expect(), sse(*(body[place : place + 1] for place in range(len(body))))], how="stream")
    assert played.events[:-1] == expected[:-1]
    assert played.response.text == "ab"


def test_row_39_a_gzipped_stream(play: Play) -> None:
    """A server that compresses against our word is read all the same, and no event waits for the next."""
    packed, gate = zlib.compressobj(wbits=31), threading.Event()
    first = packed.compress(data(chunk("soon"))) + packed.flush(zlib.Z_SYNC_FLUSH)
    rest = packed.compress(END) + packed.flush()
    begin = send((HEAD + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
    script = [expect(), begin, more(first), wait(gate), more(rest), send(b"0\r\n\r\n")]
    played = play(script, how="stream", at_event=lambda event: gate.set() if event == TextDelta("soon") else None)
    assert played.response.text == "soon"


# --- what is no answer --------------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    packed = zlib.compressobj(level=1, wbits=31)
    block = bytes(1 << 20)
    return b"".join(packed.compress(block) for _ in range(100)) + packed.flush()


BOMB = bomb()


@pytest.mark.parametrize("fault", ["bomb", "six encodings", "corrupt"])
def test_row_40_what_does_not_unpack(play: Play, fault: str) -> None:
    """100 MiB in half of one are not unpacked; nor is what was packed six times over, or is not what it says."""
    coding, body = {
        "bomb": ("gzip", BOMB),
        "six encodings": (", ".join(["gzip"] * 6), gzip.compress(whole())),
        "corrupt": ("deflate", b"no deflate at all"),
    }[fault]
    tracemalloc.start()
    try:
        play([expect(), send(head(len(body), f"Content-Encoding: {coding}") + body)])
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_row_41_an_event_that_is_no_json(play: Play) -> None:
    """After an event it breaks the stream, before it is another try."""
    broken = b"data: {broken\n\n"
    script = [expect(), open_stream(data(chunk("abcd"))), more(broken), stall()]
    assert partial(play(script, face="after an event", how="stream", received=1)) == "abcd"
    play([expect(), open_stream(broken), stall()], face="first", how="stream")


HOSTILE = {"deep": b"[" * 500 + b"]" * 500, "digits": b'{"id": ' + b"9" * 5_000 + b"}", "NaN": b'{"choices": NaN}'}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("how", ["call", "stream"])
def test_row_42_json_beyond_bounds(play: Play, name: str, how: str) -> None:
    """It is refused, not tried again, and nothing but our own error is raised."""
    answer = respond(body=HOSTILE[name]) if how == "call" else sse(b"data: " + HOSTILE[name] + b"\n\n")
    assert isinstance(play([expect(), answer], face="deep nesting, 5 000 digits, `NaN`", how=how).error, OmniLLMError)


def test_row_42_json_that_is_odd(play: Play) -> None:
    """A lone surrogate becomes U+FFFD, so that the text can be written; of two values of a name the last one counts."""
    body = whole("a?b").replace(b"?", rb"\ud800").replace(b'"model": "m"', b'"model": "one", "model": "two"')
    played = play([expect(), respond(body=body)], face="a lone surrogate, a name twice")
    assert (played.response.text, played.response.model) == ("a\ufffdb", "two")


USAGES: dict[str, Any] = {
    "missing": None,
    "negative": {"prompt_tokens": -6, "completion_tokens": -2, "total_tokens": -8},
    "strings": {"prompt_tokens": "six", "completion_tokens": "two", "total_tokens": "eight"},
    "huge": {"prompt_tokens": 10**15, "completion_tokens": 10**15, "total_tokens": 2 * 10**15},
}


@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("how", ["call", "stream"])
def test_row_43_usage_that_is_none(play: Play, name: str, how: str) -> None:
    """The estimate stands in: the prompt as admitted, the output by its length."""
    reported = USAGES[name]
    streaming = data(
        chunk("abcdefgh"), chunk(finish="stop"), *([chunk(choices=[], usage=reported)] if reported else []), "[DONE]"
    )
    answer = sse(streaming) if how == "stream" else respond(body=whole("abcdefgh", usage=reported))
    played = play([expect(), answer], how=how)
    assert played.gateway.budget_used_usd() == played.prompt + 2


@pytest.mark.parametrize("how", ["call", "stream"])
def test_row_44_a_page_of_html(play: Play, how: str) -> None:
    """The log-in page of a network is no answer; its beginning says whose it is, and no key that stands in it."""
    page = b"<html>\n <title>Log in to sk-1</title>" + b"x" * 900
    played = play([repeat(expect(), respond(headers={"Content-Type": "text/html"}, body=page))], how=how)
    text = str(played.error)
    assert "<html> <title>Log in to" in text
    assert "sk-1" not in text
    assert len(text) < 400


def test_row_45_the_other_kind_of_answer(play: Play) -> None:
    """A whole answer where a stream was asked for, and the reverse, are decoded as what they are."""
    played = play([expect(), respond(body=whole("hello"))], how="stream")
    assert (played.text, played.response.text) == ("hello", "hello")
    usage = chunk(choices=[], usage={"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8})
    answer = sse(streamed("hel", "lo").replace(b"data: [DONE]", b"data: " + usage.encode() + b"\n\ndata: [DONE]"))
    assert play([expect(), answer]).response.text == "hello"
