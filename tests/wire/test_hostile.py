"""Hostile input, for every format: nothing but ``ProtocolError`` leaves the codecs, and it says where."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from damage import drop, is_place, places, put, refused, try_error, try_request, try_response, try_stream
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values
from whole_payloads import WHOLE, Whole

import omnillm as o

EACH_FORMAT = pytest.mark.parametrize("whole", [pytest.param(whole, id=name) for name, whole in WHOLE.items()])

DEEP = 10_000
LONE = "\ud800"
STRANGE = (
    None, True, 0, -1, 1 << 70, 0.5, "", "x", LONE, [], {}, [None], ["x"], [1], [{}], [[]],
    {"": None}, {"type": "text"}, {"type": 1}, {"type": []}, {"text": 1}, {"a": [{}]},
)  # fmt: skip
strange = st.sampled_from(STRANGE) | json_values


def nested(depth: int, *, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """Give a value nested that deep."""
    value: Any = "x"
    for _ in range(depth):
        value = wrap(value)
    return value


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """Give a payload with one to three places changed or left out."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(value))))
        value = drop(value, path) if path and draw(st.booleans()) else put(value, path, draw(strange))
    return value


def frames_of(whole: Whole, bodies: Any) -> list[o.SseFrame]:
    """Give the format's frames with other data, as long as there is any."""
    given = bodies if isinstance(bodies, list) else []
    return [o.SseFrame(event, json.dumps(body)) for (event, _), body in zip(whole.frames, given, strict=False)]


@EACH_FORMAT
@pytest.mark.parametrize("given", [None, 7, "text", {}, o.EmbeddingRequest("m", "x")])
def test_what_is_no_canonical_value_is_not_written(whole: Whole, given: Any) -> None:
    """Emission takes its own kind of value alone, and says which that is: never an AttributeError."""
    protocol = whole.protocol
    for emit, expected in (
        (o.emit_request, "LlmRequest"),
        (o.emit_response, "LlmResponse"),
        (o.emit_error, "ProviderError"),
    ):
        with pytest.raises(o.EndpointMismatchError, match=f"takes {expected}, not {type(given).__name__}"):
            emit(protocol, given)  # type: ignore[operator]


# --- damage -------------------------------------------------------------------------------------------------------------------


@EACH_FORMAT
def test_the_whole_payloads_are_whole(whole: Whole) -> None:
    """What is damaged below is valid before: it is read and written back as it was."""
    assert o.emit_request(whole.protocol, o.parse_request(whole.protocol, whole.request)) == whole.request
    assert o.emit_response(whole.protocol, o.parse_response(whole.protocol, whole.response)) == whole.response
    parser = o.StreamParser(whole.protocol)
    events = [event for frame in whole.stream for event in parser.feed(frame)] + parser.finish()
    assert isinstance(events[-1], o.Completed)
    assert type(o.parse_error(whole.protocol, 400, whole.error)) is not o.ProviderError


@EACH_FORMAT
@given(data=st.data())
def test_a_damaged_request_is_read_or_refused(whole: Whole, data: st.DataObject) -> None:
    """Whatever stands where in a request, it is read and written, or refused with its place; it is never changed."""
    payload = data.draw(damaged(whole.request))
    before = copy.deepcopy(payload)
    try_request(whole, payload)
    assert payload == before


@EACH_FORMAT
@given(data=st.data())
def test_a_damaged_response_is_read_or_refused(whole: Whole, data: st.DataObject) -> None:
    """Whatever stands where in an answer, it is read and written, or refused with its place; it is never changed."""
    payload = data.draw(damaged(whole.response))
    before = copy.deepcopy(payload)
    try_response(whole, payload)
    assert payload == before


@EACH_FORMAT
@given(data=st.data())
def test_a_damaged_stream_is_read_or_refused(whole: Whole, data: st.DataObject) -> None:
    """Whatever is wrong with a stream's events, their order or their number, nothing but ``ProtocolError`` is raised."""
    frames = frames_of(whole, data.draw(damaged([body for _, body in whole.frames])))
    kept = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=len(frames)) if frames else st.just([]))
    try_stream(whole, [frames[i] for i in kept] if data.draw(st.booleans()) else frames)


@EACH_FORMAT
@given(data=st.data(), status=st.none() | st.integers(-1, 1000))
def test_a_damaged_error_is_an_error_all_the_same(whole: Whole, data: st.DataObject, status: int | None) -> None:
    """An error body is read whatever it is: what went wrong must not be hidden by how it was said."""
    try_error(whole, status, data.draw(damaged(whole.error) | strange))


@EACH_FORMAT
@given(text=st.text(max_size=30) | st.binary(max_size=30))
def test_any_text_is_read_or_refused(whole: Whole, text: str | bytes) -> None:
    """A body that is no JSON, or no object, is refused like any other."""
    for read in (o.parse_request, o.parse_response):
        refused(lambda read=read: read(whole.protocol, text))  # type: ignore[misc]  # a default
    try_error(whole, 500, text)
    if isinstance(text, str):
        try_stream(whole, [o.SseFrame(None, text)])


@EACH_FORMAT
def test_every_place_of_a_request_says_where_it_is_wrong(whole: Whole) -> None:
    """One wrong type at each place: whoever is refused is told a place that exists, and many places are refused."""
    found = []
    for path in places(whole.request):
        for value in (7, [7], {"type": 7}):
            payload = put(whole.request, path, value)
            error = refused(lambda payload=payload: o.parse_request(whole.protocol, payload), payload)  # type: ignore[misc]  # a default
            found += [error.pointer] if error is not None else []
    assert len(set(found)) > 5


CRASHERS = [
    pytest.param(
        "gemini", ("tools",), {"functionDeclarations": [{"name": True}]}, id="a tool alone, its function's name is none"
    ),
    pytest.param("gemini", (), {"contents": [], "generation_config": {"stop_sequences": [1]}}, id="a setting in snake_case"),
    pytest.param("gemini", ("generationConfig",), {"max_output_tokens": "x"}, id="a count in snake_case"),
    pytest.param("gemini", ("contents",), {"parts": [{"text": 1}]}, id="a content alone, its text is none"),
]


@pytest.mark.parametrize(("name", "path", "value"), CRASHERS)
def test_what_fuzzing_found_stays_found(name: str, path: tuple[str | int, ...], value: Any) -> None:
    """Requests that once were refused with a pointer to nowhere, or worse."""
    try_request(WHOLE[name], put(WHOLE[name].request, path, value))


def test_a_place_is_told_from_none() -> None:
    """The check itself: a pointer into the payload or to a missing field passes, one beyond that does not."""
    payload = {"a": [{"b/c": 1}]}
    for pointer, found in (("/a/0/b~1c", True), ("/a/0/missing", True), ("/a/1", False), ("/b/c", False), ("/a/0/b~1c/d", False)):
        assert is_place(payload, o.ProtocolError("x", pointer=pointer)) is found


# --- extremes -----------------------------------------------------------------------------------------------------------------


@EACH_FORMAT
@pytest.mark.parametrize("depth", [101, 900, DEEP])
@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: {"type": "text", "text": inner}]
)
def test_a_deep_value_is_read_or_refused(whole: Whole, depth: int, wrap: Callable[[Any], Any]) -> None:
    """A value nested deeper than Python recurses is no crash, wherever it stands."""
    deep = nested(depth, wrap=wrap)
    for field in [*whole.request, "unknown"]:
        payload = {**whole.request, field: deep}
        found: list[Any] = []
        if refused(lambda: found.append(o.parse_request(whole.protocol, payload))) is None:  # noqa: B023  # called at once
            refused(lambda: o.emit_request(whole.protocol, found[0]))  # noqa: B023  # called at once
    for field in [*whole.response, "unknown"]:
        payload = {**whole.response, field: deep}
        refused(lambda: o.emit_response(whole.protocol, o.parse_response(whole.protocol, payload)))  # noqa: B023  # called at once
    o.parse_error(whole.protocol, 400, {**whole.error, "error": deep})


@EACH_FORMAT
def test_a_deep_text_is_refused(whole: Whole) -> None:
    """JSON text beyond the depth that is read is refused, closed or not; as an error's body it is just a text."""
    for text in ("[" * DEEP, '{"a":' * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP):
        assert refused(lambda text=text: o.parse_request(whole.protocol, text)) is not None  # type: ignore[misc]  # a default
        assert refused(lambda text=text: o.parse_response(whole.protocol, text)) is not None  # type: ignore[misc]  # a default
        assert refused(lambda text=text: o.StreamParser(whole.protocol).feed(o.SseFrame(None, text))) is not None  # type: ignore[misc]  # a default
        try_error(whole, 400, text)


@EACH_FORMAT
@pytest.mark.parametrize(
    "value", ["1" + "0" * 400, "-" + "9" * 4_300, "1" * 5_000, "1e400", "-1e400", "1e-400", "NaN", "Infinity"]
)
def test_a_huge_number_is_read_or_refused(whole: Whole, value: str) -> None:
    """A number beyond what a double or Python's own reading takes is no crash, wherever a number stands."""
    for payload, read in ((whole.request, o.parse_request), (whole.response, o.parse_response)):
        for path in places(payload):
            text = json.dumps(put(payload, path, "@here")).replace('"@here"', value)
            refused(lambda read=read, text=text: read(whole.protocol, text))  # type: ignore[misc]  # a default


@EACH_FORMAT
def test_lone_surrogates_leave_as_valid_text(whole: Whole) -> None:
    """Half a character in a body's text becomes U+FFFD, so that what is written can be sent."""
    said = json.dumps(whole.request).replace('"See"', r'"a\ud83d\u0041\udc00"')
    request = o.parse_request(whole.protocol, said)
    assert "a\ufffdA\ufffd" in json.dumps(o.emit_request(whole.protocol, request), ensure_ascii=False)
    json.dumps(o.emit_request(whole.protocol, request), ensure_ascii=False).encode("utf-8")


@EACH_FORMAT
def test_of_duplicate_keys_the_last_counts(whole: Whole) -> None:
    """A body that says a field twice means the last one, as every JSON reader of the providers has it."""
    text = json.dumps(whole.request)
    twice = "{" + ", ".join(f"{json.dumps(name)}: 7" for name in whole.request) + ", " + text[1:]
    assert o.parse_request(whole.protocol, twice) == o.parse_request(whole.protocol, text)


# --- work ---------------------------------------------------------------------------------------------------------------------


def calls(function: Callable[[], object]) -> int:
    """Count the Python functions that are called on the way."""
    seen = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return seen


def grown(payload: Any, path: tuple[str | int, ...], times: int) -> Any:
    """Give a payload whose list at a path holds what it held, so many times."""
    value = payload
    for key in path:
        value = value[key]
    return put(payload, path, list(value) * times)


def lists_in(payload: Any) -> list[tuple[str | int, ...]]:
    """Give the places of the lists that hold something."""
    found = []
    for path in places(payload):
        value = payload
        for key in path:
            value = value[key]
        found += [path] if isinstance(value, list) and value else []
    return found


@EACH_FORMAT
def test_work_grows_with_the_input(whole: Whole) -> None:
    """Ten times as much in any list costs at most about ten times the work, to read and to write."""
    for payload, read, write in (
        (whole.request, o.parse_request, o.emit_request),
        (whole.response, o.parse_response, o.emit_response),
    ):
        for path in lists_in(payload):
            small, large = grown(payload, path, 20), grown(payload, path, 200)
            costs = [calls(lambda: write(whole.protocol, read(whole.protocol, given))) for given in (small, large)]  # noqa: B023
            assert costs[1] <= 12 * costs[0], path


@EACH_FORMAT
def test_a_stream_is_read_and_written_event_by_event(whole: Whole) -> None:
    """Ten times as many text deltas cost at most about ten times the work, the end included."""
    first = o.StreamParser(whole.protocol)
    place = next(i for i, frame in enumerate(whole.stream) if any(isinstance(event, o.TextDelta) for event in first.feed(frame)))

    def run(times: int) -> None:
        parser, emitter = o.StreamParser(whole.protocol), o.StreamEmitter(whole.protocol)
        for frame in [*whole.stream[:place], *[whole.stream[place]] * times, *whole.stream[place:]]:
            for event in parser.feed(frame):
                emitter.feed(event)
        parser.finish()
        emitter.finish()

    run(1)
    assert calls(lambda: run(1000)) <= 12 * calls(lambda: run(100))
