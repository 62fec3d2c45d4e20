"""Transcription and speech: what is uploaded, and answers that are JSON, texts, bytes or streams."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import omnillm as o

TRANSCRIPT, SPEECH = o.WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS, o.WireFormat.OPENAI_AUDIO_SPEECH
ASKED = o.AudioTranscriptionRequest("m", o.AudioInput("a.wav", b"RIFF", "audio/wav"), "p", "verbose_json", "en", 0.5, ["word"])
SRT = "1\n00:00:00,000 --> 00:00:01,500\nHello\nyou\n\n2\n01:02:03,004 --> 01:02:04,000\nBye\n"
CRLF = SRT.replace("\n", "\r\n")
VTT = "WEBVTT\n\nNOTE x\n\n00:00.000 --> 00:01.500 align:left\nHello\n\n1\n01:02:03.004 --> 01:02:04.000\nBye\n"


def answered(body: o.ResponseBody, content_type: str | None = None, wire: o.WireFormat = TRANSCRIPT) -> Any:
    return o.parse_transport_response(wire, o.TransportResponse(200, {}, content_type, body)).value


def events(*said: dict[str, Any]) -> o.TextBody:
    return o.TextBody("".join(f"data: {json.dumps(event)}\n\n" for event in said))


# --- transcription ------------------------------------------------------------------------------------------------------------


def test_a_request_is_a_form() -> None:
    """The file is a field, the settings are texts, and a list has brackets."""
    request = o.emit_transport_request(TRANSCRIPT, ASKED).value
    assert (request.path, request.headers, request.accept) == ("/audio/transcriptions", {}, "application/json")
    assert isinstance(request.body, o.MultipartBody)
    assert request.body.fields[0] == o.MultipartField("file", o.MultipartFile("a.wav", b"RIFF", "audio/wav"))
    assert {field.name: field.value.text for field in request.body.fields[1:] if isinstance(field.value, o.MultipartText)} == {
        "model": "m",
        "prompt": "p",
        "response_format": "verbose_json",
        "language": "en",
        "temperature": "0.5",
        "timestamp_granularities[]": "word",
    }


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"stream": True, "include": ["logprobs"], "chunking_strategy": {"type": "server_vad", "threshold": 0.5}},
        {"known_speaker_names": ["a", "b"], "keywords": []},
    ],
)
def test_a_form_is_read_as_what_it_was_written_of(extensions: dict[str, Any]) -> None:
    """Settings of the host's own are texts afterwards, and are written as before."""
    import dataclasses

    from omnillm.wire import row_of

    body = o.emit_transport_request(TRANSCRIPT, dataclasses.replace(ASKED, vendor_extensions=extensions)).value.body
    read = row_of(TRANSCRIPT).read_body(body)  # type: ignore[union-attr]
    assert o.emit_transport_request(TRANSCRIPT, read).value.body == body
    assert dataclasses.replace(read, vendor_extensions={}) == ASKED


def test_a_file_of_a_form_has_no_place_for_more() -> None:
    """What a vendor would have beside a recording is named as lost; its JSON at rest keeps it."""
    audio = o.AudioInput("a.wav", b"RIFF", vendor_extensions={"gain": 2})
    report = o.emit_transport_request(TRANSCRIPT, o.AudioTranscriptionRequest("m", audio))
    assert [loss.pointer for loss in report.losses] == ["/audio/vendor_extensions/gain"]
    assert o.AudioInput.from_json(audio.to_json()) == audio


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_a_text_is_asked_for_as_such(form: str) -> None:
    """The answer's type follows the format."""
    request = o.AudioTranscriptionRequest("m", b"x", response_format=form)
    assert o.emit_transport_request(TRANSCRIPT, request).value.accept == "text/plain"


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "a"},
        {"text": "", "language": None, "segments": [], "usage": {"type": "duration", "seconds": 4}, "finish_reason": None},
        {"text": "a", "usage": {"type": "tokens", "input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "details": {}}},
        {"text": "a", "usage": {"prompt_audio_seconds": 3, "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9}},
        {"text": "a", "usage": {"input_tokens": 3}, "logprobs": [{"token": "a"}]},
        {"text": "a", "duration": "3.5", "task": "transcribe"},
        {"text": "a", "duration": 3.5, "language": "en", "words": [{"word": "a", "start": 0, "end": 0.5, "score": 1}],
         "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": " a", "tokens": [1], "speaker": None}]},
        {"text": "a", "segments": [{"type": "x", "id": "s", "start": 0, "end": 1, "text": "a", "speaker": "A"}]},
    ],
)  # fmt: skip
def test_a_response_is_written_as_it_was_read(payload: dict[str, Any]) -> None:
    """Every form of JSON that hosts answer with, at rest too."""
    response = o.parse_api_response(TRANSCRIPT, payload).value
    assert o.emit_api_response(TRANSCRIPT, response).value == payload
    assert o.emit_api_response(TRANSCRIPT, type(response).from_json(response.to_json())).value == payload


@pytest.mark.parametrize(
    ("body", "content_type", "text", "segments"),
    [
        (o.JsonBody({"text": "a"}), "application/json", "a", ()),
        (o.TextBody('{"text": "a"}'), "application/json; charset=utf-8", "a", ()),
        (o.BinaryBody(b'{"text": "a"}'), "application/json", "a", ()),
        (o.JsonBody("a"), "application/json", "a", ()),
        (o.TextBody("Hello you\n"), "text/plain", "Hello you\n", ()),
        (o.BinaryBody(b"Hello\xff"), "text/plain", "Hello�", ()),
        (o.TextBody(SRT), "text/plain", SRT, ((0.0, 1.5, "Hello\nyou"), (3723.004, 3724.0, "Bye"))),
        (
            o.TextBody(SRT.replace("\n", "\r\n")),
            None,
            SRT.replace("\n", "\r\n"),
            ((0.0, 1.5, "Hello\nyou"), (3723.004, 3724.0, "Bye")),
        ),
        (o.TextBody(VTT), "text/vtt", VTT, ((0.0, 1.5, "Hello"), (3723.004, 3724.0, "Bye"))),
    ],
)
def test_an_answer_is_json_or_a_text(body: Any, content_type: str | None, text: str, segments: tuple[Any, ...]) -> None:
    """A text stands as it came; the cues of subtitles are its segments."""
    response = answered(body, content_type)
    assert response.text == text
    assert tuple((segment.start, segment.end, segment.text) for segment in response.segments) == segments


def test_a_stream_adds_up() -> None:
    """The last event has the whole text and the usage, the segments come before it."""
    segment = {"type": "transcript.text.segment", "id": "s", "start": 0.0, "end": 1.0, "text": "a b", "speaker": "A"}
    done = {"type": "transcript.text.done", "text": "a b", "usage": {"input_tokens": 3, "output_tokens": 2}}
    response = answered(events({"type": "transcript.text.delta", "delta": "a "}, segment, done), "text/event-stream")
    assert (response.text, response.usage.completion_tokens, response.segments[0].speaker) == ("a b", 2, "A")


@pytest.mark.parametrize("wire", [TRANSCRIPT, SPEECH])
def test_a_stream_that_breaks_off_is_incomplete(wire: o.WireFormat) -> None:
    """Without the event that ends it there is no answer."""
    with pytest.raises(o.IncompleteStreamError):
        answered(events({"type": "transcript.text.delta", "delta": "a"}), "text/event-stream", wire)


@pytest.mark.parametrize("wire", [TRANSCRIPT, SPEECH])
def test_an_error_in_a_stream_is_the_provider_s(wire: o.WireFormat) -> None:
    """The provider's words are kept."""
    with pytest.raises(o.ProviderError, match="too loud"):
        answered(events({"type": "error", "error": {"message": "too loud"}}), "text/event-stream", wire)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, "/text"),
        ({"text": 5}, "/text"),
        ({"text": "a", "segments": 5}, "/segments"),
        ({"text": "a", "segments": [{"start": 0}]}, "/segments/0/end"),
        ({"text": "a", "words": [{"word": "a", "start": "0", "end": 1}]}, "/words/0/start"),
    ],
)
def test_a_response_that_is_none_is_refused_with_its_place(payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_response(TRANSCRIPT, payload)
    assert caught.value.pointer == pointer


# --- speech -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {"model": "m", "input": "text", "voice": "alloy"},
        {
            "model": "m",
            "input": "text",
            "voice": {"id": "voice_1"},
            "response_format": "wav",
            "speed": 1.5,
            "instructions": "slow",
        },
        {"input": "", "voice": "alloy", "stream_format": "sse", "speed": None},
    ],
)
def test_a_speech_request_is_written_as_it_was_read(payload: dict[str, Any]) -> None:
    """A voice by its id stays one."""
    request = o.parse_api_request(SPEECH, payload).value
    assert o.emit_api_request(SPEECH, request).value == payload
    assert o.emit_api_request(SPEECH, type(request).from_json(request.to_json())).value == payload


@pytest.mark.parametrize(
    ("body", "content_type", "media_type"),
    [
        (o.BinaryBody(b"\xff\xfb"), "audio/mpeg", "audio/mpeg"),
        (o.BinaryBody(b"\xff\xfb", "audio/wav"), "audio/mpeg", "audio/wav"),
        (o.BinaryBody(b"\xff\xfb"), "Audio/PCM; rate=24000", "audio/pcm"),
        (o.BinaryBody(b"\xff\xfb"), None, None),
    ],
)
def test_audio_is_bytes(body: Any, content_type: str | None, media_type: str | None) -> None:
    """The media type is the body's, or the one of the headers."""
    assert answered(body, content_type, SPEECH) == o.AudioSpeechResponse(b"\xff\xfb", media_type)


def test_chunks_of_audio_add_up() -> None:
    """A stream's pieces are one recording, with the usage of its end."""
    said = [{"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()} for part in (b"ab", b"c")]
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}
    response = answered(events(*said, done), "text/event-stream", SPEECH)
    assert (response.audio, response.usage) == (b"abc", o.TokenUsage(1, 2, 3))


@pytest.mark.parametrize("body", [o.JsonBody({}), o.TextBody("x"), o.BinaryBody(b"{}")])
def test_what_is_no_audio_is_refused(body: Any) -> None:
    """JSON and text are no recording."""
    with pytest.raises(o.ProtocolError):
        answered(body, "application/json", SPEECH)


# --- what has no JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: o.emit_api_request(TRANSCRIPT, ASKED),
        lambda: o.parse_api_request(TRANSCRIPT, {"model": "m"}),
        lambda: o.transcode_api_request(TRANSCRIPT, TRANSCRIPT, "{}"),
        lambda: o.emit_api_response(SPEECH, o.AudioSpeechResponse(b"x")),
        lambda: o.parse_api_response(SPEECH, b"{}"),
    ],
)
def test_what_is_no_json_needs_the_transport(call: Any) -> None:
    """The error says which functions do it."""
    with pytest.raises(o.TransportRequiredError, match="emit_transport_request"):
        call()
