"""The event-stream decoder: any cutting of any bytes gives the frames of the WHATWG text, in linear time and bounded memory."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_payloads import WHOLE

from omnillm.errors import InvalidShapeError, ProtocolError
from omnillm.types.events import Completed
from omnillm.wire import StreamParser
from omnillm.wire.sse import SseDecoder, SseFrame, encode_sse


def decoded(chunks: list[bytes], **options: int) -> list[SseFrame]:
    decoder = SseDecoder(**options)
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    return frames + decoder.finish()


def standard(stream: bytes) -> list[SseFrame]:
    """A strict reading of "9.2.6 Interpreting an event stream", the whole text at once, a block at a time."""
    lines = re.split("\r\n|\n|\r", stream.decode("utf-8-sig", "replace"))
    frames: list[SseFrame] = []
    event = id = retry = None
    data: list[str] = []
    for line in lines[:-1]:  # what follows the last line end is no line
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                frames.append(SseFrame(event, "\n".join(data), id, retry))
            event, id, retry, data = None, None, None, []
        elif name == "data":
            data.append(value)
        elif name == "event":
            event = value or None
        elif name == "id" and "\0" not in value:
            id = value
        elif name == "retry" and re.fullmatch("[0-9]{1,9}", value):
            retry = int(value)
    return frames


ONE = SseFrame(None, '{"a":1}')

READINGS = [
    ("data alone", b'data: {"a":1}\n\n', [ONE]),
    ("named", b"event: ping\ndata: x\n\n", [SseFrame("ping", "x")]),
    ("named message", b"event: message\ndata: x\n\n", [SseFrame("message", "x")]),
    ("named message, two lines", b"event: message\ndata: x\ndata: y\n\n", [SseFrame("message", "x\ny")]),
    ("empty name", b"event:\ndata: x\n\n", [SseFrame(None, "x")]),
    ("empty name, with blank", b"event: \ndata: x\n\n", [SseFrame(None, "x")]),
    ("name after data", b"data: x\nevent: e\n\n", [SseFrame("e", "x")]),
    ("last name counts", b"event: a\nevent: b\ndata: x\n\n", [SseFrame("b", "x")]),
    ("several data lines", b"data: a\ndata:\ndata: b\n\n", [SseFrame(None, "a\n\nb")]),
    ("no blank after the colon", b"data:x\n\n", [SseFrame(None, "x")]),
    ("one blank is taken off", b"data:  x\n\n", [SseFrame(None, " x")]),
    ("no colon", b"data\n\n", [SseFrame(None, "")]),
    ("no value", b"data:\n\n", [SseFrame(None, "")]),
    ("id and retry", b"id: 7\nretry: 30\ndata: x\n\n", [SseFrame(None, "x", "7", 30)]),
    ("id with NUL", b"id: a\0b\ndata: x\n\n", [SseFrame(None, "x")]),
    ("retry of no digits", b"retry: soon\ndata: x\n\n", [SseFrame(None, "x")]),
    ("a bad retry leaves the good one", b"retry: 5\nretry\nretry: x\ndata: x\n\n", [SseFrame(None, "x", None, 5)]),
    ("retry in other digits", "retry: ٣\ndata: x\n\n".encode(), [SseFrame(None, "x")]),
    ("comments only", b": ping\n\n:\n\n", []),
    ("comment before data", b': ping\ndata: {"a":1}\n\n', [ONE]),
    ("unknown field", b"__class__: x\ndata: y\n\n", [SseFrame(None, "y")]),
    ("name without data", b"event: x\n\ndata: y\n\n", [SseFrame(None, "y")]),
    ("leading blank lines", b'\n\n\ndata: {"a":1}\n\n', [ONE]),
    ("many blank lines between", b"data: a\n\n\n\n\ndata: b\n\n", [SseFrame(None, "a"), SseFrame(None, "b")]),
    ("CR LF", b"event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [SseFrame("e", "a"), SseFrame(None, "b")]),
    ("CR", b"data: a\r\rdata: b\r\r", [SseFrame(None, "a"), SseFrame(None, "b")]),
    ("mixed", b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\n\n", [SseFrame(None, x) for x in "abcd"]),
    ("BOM", b'\xef\xbb\xbfdata: {"a":1}\n\n', [ONE]),
    ("BOM inside", b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [SseFrame(None, "a")]),
    ("half a BOM", b"\xef\xbbdata: b\n\n", []),
    ("invalid UTF-8", b"data: \xff\n\n", [SseFrame(None, "\ufffd")]),
    ("separators that are no line ends", "data: a\u2028b\x85c\x0b\n\n".encode(), [SseFrame(None, "a\u2028b\x85c\x0b")]),
    ("more lines than are read at once", b"data: y\n" * 1000 + b"event: e\n\n", [SseFrame("e", "\n".join("y" * 1000))]),
    ("a lot of lines without data", b"event: e\n" + b"x: y\n" * 1000 + b"data: z\n\n", [SseFrame("e", "z")]),
]


@pytest.mark.parametrize(("stream", "frames"), [row[1:] for row in READINGS], ids=[row[0] for row in READINGS])
def test_reading(stream: bytes, frames: list[SseFrame]) -> None:
    """Each form is read as the standard has it, whole, byte by byte, and cut in two at every place."""
    assert decoded([stream]) == frames == standard(stream)
    assert decoded([stream[i : i + 1] for i in range(len(stream))]) == frames
    for cut in range(min(len(stream), 120)):
        assert decoded([stream[:cut], b"", stream[cut:]]) == frames


TAILS = [
    ("done", b"data: [DONE]", [SseFrame(None, "[DONE]")]),
    ("done with its line end", b"data: [DONE]\n", [SseFrame(None, "[DONE]")]),
    ("a whole object", b'event: e\ndata: {"a":1}', [SseFrame("e", '{"a":1}')]),
    ("a whole array", b"data: [1]\r\n", [SseFrame(None, "[1]")]),
    ("a whole object over two lines", b'data: {"a":\ndata: 1}', [SseFrame(None, '{"a":\n1}')]),
    ("cut in the JSON", b'data: {"a":1', []),
    ("cut in the second line", b'data: {"a":\ndata: 1', []),
    ("a number may have been longer", b"data: 1", []),
    ("cut done", b"data: [DON", []),
    ("no JSON", b"data: hello\n", []),
    ("a cut line after whole data is dropped", b'data: {"a":1}\nevent: mess', [ONE]),
    ("a whole line after whole data counts", b'data: {"a":1}\nevent: message\n', [SseFrame("message", '{"a":1}')]),
    ("no data", b"event: e\n", []),
    ("a comment", b": ping", []),
    ("nothing", b"", []),
    ("half a BOM", b"\xef\xbb", []),
]


@pytest.mark.parametrize(("tail", "frames"), [row[1:] for row in TAILS], ids=[row[0] for row in TAILS])
def test_tail(tail: bytes, frames: list[SseFrame]) -> None:
    """An end without a blank line gives the last event if its JSON proves it whole, and nothing a second time."""
    decoder = SseDecoder()
    assert [frame for i in range(len(tail)) for frame in decoder.feed(tail[i : i + 1])] == []
    assert decoder.finish() == frames
    assert decoder.finish() == []


LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data", b"data:", b'data: {"a": "\xe2\x82\xac"}', b"data:\xff", b"event: e", b"event:", b"id: 1", b"id: \0",
         b"retry: 3", b"retry: x", b": c", b"x", b"", b"", b"", b"\xef\xbb\xbf"]
    ),
    max_size=30,
)  # fmt: skip


@given(LINES, st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=30, max_size=30), st.data())
def test_p16_any_cutting_gives_the_frames_of_the_standard(lines: list[bytes], ends: list[bytes], draw: st.DataObject) -> None:
    """Whatever the lines, their ends and the cuts, the frames are those of the standard."""
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=False)) + b"\n\n"
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(chunks) == standard(stream)


EVERY_SPLIT = {
    "BOM": b"\xef\xbb\xbfdata: a\n\ndata: b\n\n",
    "CR LF": b"event: e\r\ndata: a\r\n\r\ndata: b\r\ndata: c\r\n\r\n",
    "CR": b"data: a\r\rdata: b\rid: 1\r\r",
    "mixed": b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\n",
    "characters": 'data: \u00e4\u20ac\U0001f511\n\ndata: {"a": "\u00e4"}\n\n'.encode(),
    "no characters": b"data: \xff\xe2\x82 \xed\xa0\x80\n\ndata: \xf0\x9f\x94\n\n",
    "comments": b": hi\n\n: ping\ndata: a\n: x\n\n\n\n\ndata: b\n\n",
}


@pytest.mark.parametrize("name", EVERY_SPLIT)
def test_p16_every_split_gives_the_frames_of_the_standard(name: str) -> None:
    """Cut in two at every byte, in three at every two, and byte by byte: always the same frames."""
    stream = EVERY_SPLIT[name]
    frames, size = standard(stream), len(stream)
    assert len(frames) >= 2
    assert decoded([stream[at : at + 1] for at in range(size)]) == frames
    for first in range(size + 1):
        for second in range(first, size + 1):
            assert decoded([stream[:first], stream[first:second], stream[second:]]) == frames, (first, second)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "bedrock"])
def test_p16_every_split_of_a_stream_gives_the_same_events(name: str) -> None:
    """Of every protocol: one piece, two pieces cut anywhere, and byte by byte lead to the same events."""
    whole = WHOLE[name]
    ends = [b"data: [DONE]\n\n"] if name == "chat" else []
    stream = b"".join([*map(encode_sse, whole.stream), *ends]).replace(b"\n", b"\r\n")

    def events(chunks: list[bytes]) -> list[object]:
        decoder, parser = SseDecoder(), StreamParser(whole.protocol)
        found = [event for chunk in chunks for frame in decoder.feed(chunk) for event in parser.feed(frame)]
        return found + [event for frame in decoder.finish() for event in parser.feed(frame)] + list(parser.finish())

    expected = events([stream])
    assert isinstance(expected[-1], Completed)
    assert events([stream[at : at + 1] for at in range(len(stream))]) == expected
    for at in range(0, len(stream), 13):
        assert events([stream[:at], stream[at:]]) == expected, at


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_arbitrary_bytes_give_the_same_however_cut(stream: bytes, sizes: list[int]) -> None:
    """Bytes that are no event stream give the same frames, or the same refusal, however they are cut."""

    def outcome(chunks: list[bytes]) -> list[object]:
        decoder, seen = SseDecoder(max_event_bytes=40), []
        try:
            for chunk in chunks:
                seen += decoder.feed(chunk)
            seen += decoder.finish()
        except ProtocolError as error:
            return [*seen, str(error)]
        return list(seen)

    chunks, place, turn = [], 0, 0
    while place < len(stream):
        chunks.append(stream[place : place + sizes[turn % len(sizes)]])
        place, turn = place + sizes[turn % len(sizes)], turn + 1
    assert outcome(chunks) == outcome([stream]) == outcome([stream[i : i + 1] for i in range(len(stream))])


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_cap_is_exact(chunk: int) -> None:
    """An event of the cap passes, one byte more is refused, after the frames before it."""

    def run(size: int) -> list[SseFrame]:
        stream = b"data: 1\n\ndata: " + b"x" * (size - 6) + b"\n\n"
        return decoded([stream[i : i + chunk] for i in range(0, len(stream), chunk)], max_event_bytes=100)

    assert [len(frame.data) for frame in run(100)] == [1, 94]
    with pytest.raises(InvalidShapeError, match="event too large"):
        run(101)


def test_a_refusal_comes_after_the_frames_before_it_and_stays() -> None:
    """The frames in front of an event over the cap are given, then every call refuses."""
    decoder = SseDecoder(max_event_bytes=10)
    assert decoder.feed(b"data: 1\n\ndata: 123456789\n\ndata: 2\n\n") == [SseFrame(None, "1")]
    with pytest.raises(InvalidShapeError):
        decoder.feed(b"data: 3\n\n")
    with pytest.raises(InvalidShapeError):
        decoder.finish()


def test_an_endless_line_costs_no_more_than_the_cap() -> None:
    """An event that never ends is refused at the cap, not kept."""
    decoder = SseDecoder()
    tracemalloc.start()
    with pytest.raises(InvalidShapeError):
        for _ in range(1000):
            decoder.feed(b"y" * 65536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("unit", [b"x", b"data: yyyyyyyyyyyyyyyyyyyyyyyyyy\n", b"data:\n", b": ping\n"])
def test_work_is_linear(unit: bytes) -> None:
    """Ten times the bytes cost about ten times as much, in small chunks, for one long line as for many short ones."""

    def seconds(size: int) -> float:
        stream = b"data: " + unit * (size // len(unit)) + b"\n\n"
        start = time.process_time()
        decoded([stream[i : i + 128] for i in range(0, len(stream), 128)], max_event_bytes=1 << 30)
        return time.process_time() - start

    small = min(seconds(100_000) for _ in range(3))
    assert seconds(1_000_000) < 30 * small + 0.05


@given(
    st.builds(
        SseFrame,
        event=st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1),
        data=st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])),
        id=st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])),
        retry=st.none() | st.integers(0, 999_999_999),
    )
)
def test_a_frame_survives_encoding(frame: SseFrame) -> None:
    """What ``encode_sse`` writes, the decoder reads back."""
    assert decoded([encode_sse(frame)]) == [frame]


@pytest.mark.parametrize("frame", [SseFrame("a\nb", ""), SseFrame("a\rb", ""), SseFrame(None, "", id="1\n2"), SseFrame("\0", "")])
def test_no_field_can_be_forged(frame: SseFrame) -> None:
    """An event name or id with a line end is refused rather than written."""
    with pytest.raises(InvalidShapeError):
        encode_sse(frame)


def test_encoding_is_the_form_that_providers_send() -> None:
    """A frame is written with its name first and a data line for each line of its data."""
    assert encode_sse(SseFrame("e", "a\r\nb")) == b"event: e\ndata: a\ndata: b\n\n"
