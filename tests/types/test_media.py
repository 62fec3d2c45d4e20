"""The values of embeddings, images, audio and rerank: what they take, what they hold, and their JSON at rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import omnillm as o

WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "
EXTENSIONS = {"open_ai_embeddings": {"a": [1, None, {"b": 0.5}]}, "own": True}
VALUES: list[Any] = [
    o.EmbeddingRequest("m", ["a", [1, 2], o.EmbeddingInput(vendor_extensions={"image": "x"})], 3, "base64", "u"),
    o.EmbeddingResponse("m", [o.EmbeddingVector(0, [0.5, 1])], o.EmbeddingUsage(3, 4), vendor_extensions=EXTENSIONS),
    o.ImageGenerationRequest("p", "m", "1x1", "high", "vivid", "opaque", "png", 2, images=[b"\x89PNG"], mask=b"GIF8"),
    o.ImageGenerationRequest("p", images=[o.ImageInput(url="https://a/b.png"), o.ImageInput(file_id="f")]),
    o.ImageGenerationResponse(5, (o.GeneratedImage("u", "AA==", "r", "image/png"),), usage=o.TokenUsage(1, 2)),
    o.AudioTranscriptionRequest("m", WAV, "p", "verbose_json", "en", 0.5, ["word"], vendor_extensions=EXTENSIONS),
    o.AudioTranscriptionResponse("t", "en", 1.5, [o.AudioSegment(0, 1, "t", "A")], [o.TranscribedWord("t", 0, 1)]),
    o.AudioSpeechRequest("m", "text", "alloy", "wav", 1.5, "slowly"),
    o.AudioSpeechResponse(b"\x00\xff", "audio/wav"),
    o.RerankRequest("m", "q", ["a", {"text": "b", "title": "c"}], 1, True),
    o.RerankResponse("m", [o.RerankResult(1, 0.5, o.RerankDocument("a"))], o.RerankUsage(1, 2, 3)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_json_at_rest_gives_the_same_value(value: Any) -> None:
    """Every field is there again, bytes and extensions included."""
    assert type(value).from_json(value.to_json()) == value


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("a", [("a", None)]),
        (["a", "b"], [("a", None), ("b", None)]),
        ([1, 2], [(None, (1, 2))]),
        ([[1, 2], "a"], [(None, (1, 2)), ("a", None)]),
        (iter(("a",)), [("a", None)]),
        ([], []),
    ],
)
def test_texts_and_tokens_are_taken_as_they_are(given: Any, held: list[Any]) -> None:
    """A text is one input, a list of integers is one of tokens, any other iterable holds several."""
    request = o.EmbeddingRequest("m", given)
    assert [(item.text, item.tokens) for item in request.input] == held


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (WAV, "audio.wav", "audio/wav"),
        (b"ID3\x04", "audio.mp3", "audio/mpeg"),
        (b"OggS", "audio.ogg", "audio/ogg"),
        (b"fLaC", "audio.flac", "audio/flac"),
        (b"\x00\x00\x00\x1cftypM4A ", "audio.m4a", "audio/mp4"),
        (b"unknown", "audio", None),
        (Path("/recordings/talk.mp3"), "talk.mp3", "audio/mpeg"),
        (io.BytesIO(WAV), "audio", None),
        (bytearray(WAV), "audio.wav", "audio/wav"),
    ],
)
def test_a_recording_is_named_by_what_it_is(content: Any, name: str, media_type: str | None) -> None:
    """Providers know the format by the name's ending: the file's own, or the one that its first bytes tell."""
    audio = o.AudioTranscriptionRequest("m", content).audio
    assert (audio.filename, audio.media_type) == (name, media_type)


def test_what_is_said_of_a_recording_stands() -> None:
    """A name and a media type that were given are not guessed."""
    audio = o.AudioInput("talk.bin", WAV, "audio/x")
    assert (audio.filename, audio.media_type) == ("talk.bin", "audio/x")


def test_files_are_read_for_json_and_stay_where_they_are(tmp_path: Path) -> None:
    """JSON holds the bytes of a path or an open file, which is not moved."""
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    with path.open("rb") as file:
        for content in (path, file):
            request = o.AudioTranscriptionRequest("m", content)
            assert o.AudioTranscriptionRequest.from_json(request.to_json()).audio.data == WAV
        assert file.tell() == 0


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: o.EmbeddingRequest("m", None), "input"),
        (lambda: o.EmbeddingRequest("m", [1.5]), "input[0]"),
        (lambda: o.EmbeddingRequest("m", [True]), "input[0]"),
        (lambda: o.EmbeddingRequest("m", b"a"), "input"),
        (lambda: o.EmbeddingRequest(None, "a"), "model"),
        (lambda: o.EmbeddingRequest("m", "a", dimensions="3"), "dimensions"),
        (lambda: o.EmbeddingRequest("m", "a", dimensions=True), "dimensions"),
        (lambda: o.EmbeddingInput(), "text"),
        (lambda: o.EmbeddingInput("a", (1,)), "tokens"),
        (lambda: o.EmbeddingInput(tokens=["a"]), "tokens"),
        (lambda: o.EmbeddingInput(tokens="ab"), "tokens"),
        (lambda: o.ImageGenerationRequest(5), "prompt"),
        (lambda: o.ImageGenerationRequest("p", images="a.png"), "images[0]"),
        (lambda: o.ImageGenerationRequest("p", mask="a.png"), "mask"),
        (lambda: o.ImageInput(), "data"),
        (lambda: o.AudioInput("a.wav", "path"), "data"),
        (lambda: o.AudioTranscriptionRequest("m", io.StringIO("x")), "audio"),
        (lambda: o.AudioTranscriptionRequest("m", WAV, timestamp_granularities=[1]), "timestamp_granularities[0]"),
        (lambda: o.AudioTranscriptionRequest("m", WAV, temperature="hot"), "temperature"),
        (lambda: o.AudioSpeechRequest("m", "text", None), "voice"),
        (lambda: o.RerankRequest("m", "q", "a"), "documents"),
        (lambda: o.RerankRequest("m", "q", [5]), "documents[0]"),
        (lambda: o.RerankRequest("m", "q", [], return_documents=1), "return_documents"),
        (lambda: o.RerankRequest("m", "q", [], vendor_extensions=[]), "vendor_extensions"),
    ],
)
def test_a_wrong_value_is_named(make: Callable[[], Any], field: str) -> None:
    """The error is a ConfigurationError with the field, and does not show the value."""
    with pytest.raises(o.ConfigurationError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (o.EmbeddingRequest("m", ["abcdefgh", [1, 2, 3]]), 5),
        (o.ImageGenerationRequest("abcd", quality="low", n=2), 1 + 2 * 408),
        (o.ImageGenerationRequest("abcd"), 1 + 6_240),
        (o.AudioTranscriptionRequest("m", WAV + bytes(8_000 - len(WAV))), 2 * 26),
        (o.AudioSpeechRequest("m", "a" * 150, "v"), 38 + 210),
        (o.RerankRequest("m", "abcd", ["abcdefgh", "abcd"]), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tokens_are_estimated_by_a_rule_for_each_kind(request_: Any, tokens: int) -> None:
    """Text is a quarter of its bytes; images, recordings and speech have rules of their own."""
    assert request_.estimated_tokens() == tokens


@pytest.mark.parametrize("name", ["model", "data", "usage"])
def test_values_are_frozen(name: str) -> None:
    """Nobody changes an answer that others hold."""
    with pytest.raises(AttributeError):
        setattr(VALUES[1], name, None)


def test_meta_is_neither_compared_nor_kept() -> None:
    """What the gateway knows of a call is not the answer."""
    told = o.EmbeddingResponse("m", (), meta=o.ResponseMeta(cost_usd=1.0))
    assert told == o.EmbeddingResponse("m", ())
    assert (told.cost_usd, "meta" in told.to_dict()) == (1.0, False)
