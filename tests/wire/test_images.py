"""Images: generations as JSON, edits as JSON or a form."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

import omnillm as o
from omnillm.wire import row_of

WIRE = o.WireFormat.OPENAI_IMAGE_GENERATIONS
PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize(
    "payload",
    [
        {"prompt": "p"},
        {"prompt": "p", "model": "m", "n": 2, "size": "1x1", "quality": "hd", "style": "vivid", "background": "auto",
         "output_format": "png", "response_format": "b64_json", "user": "u", "moderation": None},
        {"prompt": "p", "images": [{"image_url": "data:;base64,AA=="}, {"file_id": "f", "x": 1}], "mask": {"file_id": ""}},
        {"prompt": "p", "images": [], "n": None},
    ],
)  # fmt: skip
def test_a_request_is_written_as_it_was_read(payload: dict[str, Any]) -> None:
    """What is not named rides along; at rest, too."""
    request = o.parse_api_request(WIRE, payload).value
    assert o.emit_api_request(WIRE, request).value == payload
    assert o.emit_api_request(WIRE, type(request).from_json(request.to_json())).value == payload


@pytest.mark.parametrize(
    "payload",
    [
        {"created": 5, "data": [{"url": "u", "revised_prompt": "r"}]},
        {"created": 0, "data": [{"b64_json": "AA==", "media_type": "image/jpeg"}], "size": "1x1", "quality": "high",
         "usage": {"input_tokens": 10, "output_tokens": 4160, "total_tokens": 4170, "input_tokens_details": {"text_tokens": 10}}},
        {"data": [{"url": "u", "mime_type": "image/jpeg"}], "usage": {"cost_in_usd_ticks": 5}},
        {"created": 5, "data": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14, "cost": 0.5}},
    ],
)  # fmt: skip
def test_a_response_is_written_as_it_was_read(payload: dict[str, Any]) -> None:
    """OpenAI's, OpenRouter's and xAI's, at rest too."""
    response = o.parse_api_response(WIRE, payload).value
    assert o.emit_api_response(WIRE, response).value == payload
    assert o.emit_api_response(WIRE, type(response).from_json(response.to_json())).value == payload


@pytest.mark.parametrize(("images", "path"), [((), "/images/generations"), ((PNG,), "/images/edits")])
def test_images_to_edit_choose_the_path(images: Any, path: str) -> None:
    """Generations and edits have one request, and two paths."""
    assert o.emit_transport_request(WIRE, o.ImageGenerationRequest("p", "m", images=images)).value.path == path


@pytest.mark.parametrize(("count", "name"), [(1, "image"), (2, "image[]")])
def test_files_are_uploaded(count: int, name: str) -> None:
    """An edit of files is a form, and is read back from one."""
    request = o.ImageGenerationRequest("p", "m", n=2, images=[PNG] * count, mask=PNG)
    body = o.emit_transport_request(WIRE, request).value.body
    assert isinstance(body, o.MultipartBody)
    assert [field.name for field in body.fields] == [*[name] * count, "mask", "prompt", "model", "n"]
    assert dataclasses.replace(row_of(WIRE).read_body(body), vendor_extensions={}) == request  # type: ignore[union-attr]


def test_urls_are_sent_as_json() -> None:
    """Where the provider finds an image, nothing is uploaded; a file beside it goes as a data URL."""
    request = o.ImageGenerationRequest("p", images=[o.ImageInput(url="https://a/b.png"), PNG])
    body = o.emit_transport_request(WIRE, request).value.body
    assert body == o.JsonBody(
        {"prompt": "p", "images": [{"image_url": "https://a/b.png"}, {"image_url": "data:image/png;base64,iVBORw0K"}]}
    )


def test_a_stream_adds_up_to_its_completed_images() -> None:
    """Partial images are left out; the usage is the last one's."""
    said = [
        {"type": "image_generation.partial_image", "b64_json": "AA==", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "BB==", "created_at": 5, "size": "1x1",
         "usage": {"input_tokens": 1, "output_tokens": 2}},
    ]  # fmt: skip
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in said)
    response = o.parse_transport_response(WIRE, o.TransportResponse(200, {}, "text/event-stream", o.TextBody(text))).value
    assert (response.created, [image.b64_json for image in response.data]) == (5, ["BB=="])  # type: ignore[union-attr]
    with pytest.raises(o.IncompleteStreamError):
        o.parse_transport_response(WIRE, o.TransportResponse(200, {}, "text/event-stream", o.TextBody("data: {}\n\n")))


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [({}, "/prompt"), ({"prompt": "p", "n": "2"}, "/n"), ({"prompt": "p", "images": [{}]}, "/images/0")],
)
def test_a_request_that_is_none_is_refused_with_its_place(payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_request(WIRE, payload)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, "/data"),
        ({"data": [5]}, "/data/0"),
        ({"data": [{"url": 5}]}, "/data/0/url"),
        ({"created": "x", "data": []}, "/created"),
    ],
)
def test_a_response_that_is_none_is_refused_with_its_place(payload: dict[str, Any], pointer: str) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_api_response(WIRE, payload)
    assert caught.value.pointer == pointer
