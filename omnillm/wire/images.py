"""Images: ``POST /v1/images/generations``, and ``/v1/images/edits`` where there are images to edit.

Contract: an edit of files is a form to upload; one of images that the provider finds by URL or id is JSON, which the files of
another go into as data URLs. A stream of partial images adds up to the completed ones.
"""

from __future__ import annotations

import base64

from ..errors import IncompleteStreamError, InvalidShapeError
from ..types._content import read_content
from ..types.enums import ProviderProtocol, WireFormat
from ..types.media import GeneratedImage, ImageGenerationRequest, ImageGenerationResponse, ImageInput
from ..types.transport import JsonBody, MultipartBody, MultipartField, MultipartFile, RequestBody, ResponseBody
from ._codec import Payload, value_of
from ._endpoint import EVENTS, JSON, EndpointCodec, form_of, objects, read_usage, set_fields, text_of, write_usage
from ._events import events_in
from ._fields import Emission, Fields, payload_object, spelling
from ._forms import as_number, settings_of, text_fields

WIRE = WireFormat.OPENAI_IMAGE_GENERATIONS
_PROTOCOL = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
_TEXTS = ("model", "size", "quality", "style", "background", "output_format")
_SETTINGS = {name: name for name in (*_TEXTS, "n")}
_TYPES = ("media_type", "mime_type")  # xAI's


# --- requests -----------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> ImageGenerationRequest:
    """Read a request."""
    return _read(Fields(payload), None)


def _read(fields: Fields, files: list[tuple[str, MultipartFile]] | None) -> ImageGenerationRequest:
    prompt = fields.required_text("prompt")
    texts = {name: fields.text(name) for name in _TEXTS}
    n = fields.integer("n")
    images: tuple[ImageInput, ...] = ()
    mask = None
    if files is not None:
        uploads = [(name, ImageInput(file.filename, file.data, file.media_type)) for name, file in files]
        images = tuple(upload for name, upload in uploads if name != "mask")
        mask = next((upload for name, upload in uploads if name == "mask"), None)
    elif fields.peek("images"):
        images = tuple(_read_image(item) for item in objects(fields.required_array("images"), "/images"))
        given = fields.maybe_object("mask")
        mask = None if given is None else _read_image(Fields(given, "/mask"))
    return ImageGenerationRequest(prompt, **texts, n=n, images=images, mask=mask, vendor_extensions=fields.extensions(WIRE))


def _read_image(fields: Fields) -> ImageInput:
    url, file_id = fields.maybe_text("image_url"), fields.maybe_text("file_id")
    extensions = fields.extensions(WIRE)
    if url is None and file_id is None and not extensions:
        raise InvalidShapeError("expected an image_url or a file_id", pointer=fields.pointer)
    return ImageInput(url=url, file_id=file_id, vendor_extensions=extensions)


def parse_body(body: RequestBody) -> ImageGenerationRequest:
    """Read an edit from its form."""
    settings, files = settings_of(form_of(body))
    as_number(settings, "n")
    return _read(Fields(settings), files)


def emit_request(request: ImageGenerationRequest, emission: Emission) -> Payload:
    """Write a request as JSON, files as data URLs."""
    out = set_fields({"prompt": request.prompt}, request, _SETTINGS)
    if request.images:
        out["images"] = [_write_image(image, emission, f"/images/{i}") for i, image in enumerate(request.images)]
    if request.mask is not None:
        out["mask"] = _write_image(request.mask, emission, "/mask")
    return emission.lay(out, request.vendor_extensions, "")


def _write_image(image: ImageInput, emission: Emission, pointer: str) -> Payload:
    out: Payload = {}
    if image.data is not None:
        encoded = base64.b64encode(read_content(image.data)).decode("ascii")
        out["image_url"] = f"data:{image.media_type or 'image/png'};base64,{encoded}"
    elif image.url is not None:
        out["image_url"] = image.url
    if image.file_id is not None:
        out["file_id"] = image.file_id
    return emission.lay(out, image.vendor_extensions, pointer)


def emit_body(request: ImageGenerationRequest, emission: Emission) -> RequestBody:
    """Write a request as it is sent: an edit of files as a form."""
    sent = [*request.images, *([] if request.mask is None else [request.mask])]
    if not request.images or any(image.data is None for image in sent):
        return JsonBody(emit_request(request, emission))
    settings = emission.lay(set_fields({}, request, _SETTINGS), request.vendor_extensions, "")
    name = "image" if len(request.images) == 1 else "image[]"
    files = [MultipartField(name, _file(image)) for image in request.images]
    if request.mask is not None:
        files.append(MultipartField("mask", _file(request.mask)))
    return MultipartBody((*files, *text_fields({"prompt": request.prompt, **settings})))


def _file(image: ImageInput) -> MultipartFile:
    return MultipartFile(image.filename or "image.png", image.data, image.media_type)


# --- responses ----------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> ImageGenerationResponse:
    """Read a response."""
    fields = Fields(payload)
    created = fields.integer("created")
    if created is None:
        fields.spell("created", False)
    data = tuple(_read_result(item) for item in objects(fields.required_array("data"), "/data"))
    usage = read_usage(fields, WIRE)
    return ImageGenerationResponse(created or 0, data, usage=usage, vendor_extensions=fields.extensions(WIRE))


def _read_result(fields: Fields) -> GeneratedImage:
    called = next((name for name in _TYPES if fields.peek(name) is not None), _TYPES[0])
    if called != _TYPES[0]:
        fields.spell("media_type", called)
    url, data, revised = (fields.text(name) for name in ("url", "b64_json", "revised_prompt"))
    return GeneratedImage(url, data, revised, fields.text(called), vendor_extensions=fields.extensions(WIRE))


def emit_response(response: ImageGenerationResponse, emission: Emission) -> Payload:
    """Write a response."""
    out: Payload = {}
    if response.created or spelling(response.vendor_extensions, WIRE).get("created") is not False:
        out["created"] = response.created
    out["data"] = [_write_result(image, emission, f"/data/{i}") for i, image in enumerate(response.data)]
    write_usage(out, response.usage, emission)
    return emission.lay(out, response.vendor_extensions, "")


def _write_result(image: GeneratedImage, emission: Emission, pointer: str) -> Payload:
    called = spelling(image.vendor_extensions, WIRE).get("media_type")
    names = {"url": "url", "b64_json": "b64_json", "revised_prompt": "revised_prompt"}
    out = set_fields({}, image, {**names, "media_type": called if called in _TYPES else _TYPES[0]})
    return emission.lay(out, image.vendor_extensions, pointer)


def parse_answer(body: ResponseBody | None, content_type: str) -> ImageGenerationResponse:
    """Read what came back: JSON, or a stream of partial images."""
    if not content_type.startswith(EVENTS):
        return parse_response(payload_object(value_of(body)))
    events = events_in(text_of(body), _PROTOCOL)
    done = [event for event in events if str(event.get("type", "")).endswith(".completed")]
    if not done:
        raise IncompleteStreamError("the stream ended without a completed image")
    images = [{name: event[name] for name in ("b64_json", "url") if name in event} for event in done]
    last = dict(done[-1])
    for name in ("type", "b64_json", "url", "partial_image_index"):
        last.pop(name, None)
    return parse_response({**last, "created": last.pop("created_at", 0), "data": images})


def _path(request: ImageGenerationRequest, _streamed: bool) -> str:
    return "/images/edits" if request.images else "/images/generations"


def _accepts(request: ImageGenerationRequest) -> str:
    return EVENTS if request.vendor_extensions.get("stream") is True else JSON


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=_PROTOCOL,
    request_type=ImageGenerationRequest,
    response_type=ImageGenerationResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    emit_body=emit_body,
    parse_body=parse_body,
    parse_answer=parse_answer,
    path=_path,
    accepts=_accepts,
    max_bytes=256 << 20,
)
