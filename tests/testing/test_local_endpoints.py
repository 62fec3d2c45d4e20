"""The local provider's endpoints beside generation: deterministic, at their providers' paths, recorded as their own formats."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import omnillm as o
from omnillm.testing import LocalProvider, answer, record, replay
from omnillm.testing._endpoint_answers import heard, picture, recording, vector_of


def gateway_to(endpoint: o.ProviderEndpoint) -> o.Gateway:
    return o.GatewayBuilder(endpoint).default_model("m").add_key(o.KeyConfig("good")).build()


@pytest.fixture
def gateway(provider: LocalProvider) -> Any:
    with gateway_to(provider.endpoint("chat_completions")) as it:
        yield it


def test_the_same_text_has_the_same_embedding(gateway: o.Gateway) -> None:
    """An embedding depends on its text alone, is as long as was asked for, and has length one."""
    alone, [first, other] = gateway.embed("a red fox", dimensions=32), gateway.embed(["a red fox", "x"], dimensions=32).embeddings
    assert alone.embeddings == (first,)
    assert first != other
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-5)


def test_texts_with_words_in_common_are_near() -> None:
    """The more words two texts share, the nearer are their vectors."""

    def near(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(vector_of(one, 64), vector_of(other, 64), strict=True))

    assert near("the red fox", "the red dog") > near("the red fox", "a blue whale")


def test_numbers_and_base64_are_the_same_embedding(gateway: o.Gateway) -> None:
    """Single precision holds every number that is given as JSON."""
    assert gateway.embed("a b").embeddings == gateway.embed("a b", encoding_format="base64").embeddings


@pytest.mark.parametrize("text", ["", "a", "ab", "ünïcode 🦊"])
def test_a_recording_says_what_was_spoken(text: str) -> None:
    """The text is in the file, which is a WAV of whole chunks."""
    data = recording(text)
    assert heard(data, "x.wav") == text
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


def test_another_recording_is_told_by_its_size() -> None:
    """What no one here made says how long it is."""
    assert heard(b"ID3" + bytes(7), "x.mp3") == "10 bytes of x.mp3"


def test_a_picture_is_a_valid_png() -> None:
    """Every chunk has its checksum, and the dot is one pixel."""
    data = picture("a fox")
    at = 8
    while at < len(data):
        [size] = struct.unpack_from(">I", data, at)
        assert zlib.crc32(data[at + 4 : at + 8 + size]) == struct.unpack_from(">I", data, at + 8 + size)[0]
        at += 12 + size
    assert (data[:8], struct.unpack_from(">II", data, 16)) == (b"\x89PNG\r\n\x1a\n", (1, 1))


def test_each_picture_is_another(gateway: o.Gateway) -> None:
    """The same prompt draws the same pictures, and several of them differ."""
    drawn = [image.b64_json for image in gateway.generate_images("a fox", n=3).data]
    assert len(set(drawn)) == 3
    assert [image.b64_json for image in gateway.generate_images("a fox", n=3).data] == drawn
    assert base64.b64decode(drawn[0] or "").startswith(b"\x89PNG")


@pytest.mark.parametrize("base", ["/v1", "/openai/v1", "/v1beta", "/v1/projects/p/locations/l/publishers/google", "/v2"])
def test_the_paths_of_all_hosts_are_served(provider: LocalProvider, base: str) -> None:
    """OpenAI's, Azure's, Gemini's, Vertex AI's and Cohere's."""
    protocol = "gemini_generate_content" if base.endswith(("beta", "google")) else "chat_completions"
    formats = {o.EndpointKind.EMBEDDINGS: o.WireFormat.COHERE_EMBED} if base == "/v2" else {}
    with gateway_to(o.ProviderEndpoint(protocol, provider.base_url + base, formats=formats)) as gateway:
        assert len(gateway.embed("a b").data) == 1


@pytest.mark.parametrize(
    ("given", "call", "wanted"),
    [
        ("something else", lambda gateway: gateway.transcribe(b"RIFF").text, "something else"),
        (o.EmbeddingResponse("m", (o.EmbeddingVector(0, (0.5,)),)), lambda gateway: gateway.embed("a").embeddings, ((0.5,),)),
        (o.AudioSpeechResponse(b"xyz", "audio/mpeg"), lambda gateway: gateway.speak("a").audio, b"xyz"),
    ],
)
def test_an_answer_may_be_scripted(
    gateway: o.Gateway, provider: LocalProvider, given: Any, call: Callable[[o.Gateway], Any], wanted: Any
) -> None:
    """A response of the kind that was asked for is given; a text is a transcript's."""
    provider.script(answer(given))
    assert call(gateway) == wanted


def test_a_body_that_is_none_is_refused(provider: LocalProvider, gateway: o.Gateway) -> None:
    """The error is the provider's, with its place."""
    with pytest.raises(o.BadRequestError, match="/input"):
        gateway.embed("a", vendor_extensions={"input": 5})


def calls(gateway: o.Gateway) -> list[Any]:
    """Everything whose answer a recording keeps: not the bytes of speech, which are blacked out."""
    return [
        gateway.embed("a red fox").embeddings,
        gateway.rerank("a", ["a", "b"]).results,
        gateway.transcribe(b"RIFF0000WAVE").text,
        gateway.generate_images("a fox", images=[b"\x89PNG"]).usage,
        gateway.speak("a fox").media_type,
    ]


def test_endpoints_are_recorded_and_replayed(tmp_path: Path) -> None:
    """A tape knows each exchange by its format; a form is found again, whatever its boundary is."""
    tape = tmp_path / "tape.json"
    with LocalProvider() as provider:
        endpoint = provider.endpoint("chat_completions")
        with gateway_to(endpoint) as gateway, record(tape, gateway):
            answers = calls(gateway)
    with gateway_to(endpoint) as gateway, replay(tape, gateway):
        assert calls(gateway) == answers
    exchanges = json.loads(tape.read_text("utf-8"))["exchanges"]
    assert [exchange["wire_format"] for exchange in exchanges] == [
        "open_ai_embeddings",
        "open_ai_rerank",
        "open_ai_audio_transcriptions",
        "open_ai_image_generations",
        "open_ai_audio_speech",
    ]
