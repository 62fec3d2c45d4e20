"""Images at Bedrock, by InvokeModel: the body is the model's own, Amazon's (Titan Image, Nova Canvas) or Stability's.

Rules: an edit of images is a variation of them. A mask is refused: Amazon's is black where the image changes, not transparent.
A model whose name tells no family is spoken to as Amazon's are.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from ..errors import InvalidShapeError, ProviderError, UnsupportedFeatureError
from ..types._content import read_content
from ..types.enums import HostFormat, ProviderProtocol
from ..types.media import GeneratedImage, ImageGenerationRequest, ImageGenerationResponse, ImageInput
from ._codec import Payload
from ._endpoint import EndpointCodec, invoke_path, lose_fields
from ._errors import error_class
from ._fields import Emission, Fields, fill, kept, spelling
from ._sizes import pixels_of, ratio_of

WIRE = HostFormat.BEDROCK_IMAGES
_QUALITIES = ("standard", "premium")  # AWS, "Amazon Nova Canvas", imageGenerationConfig
_TASKS = {"TEXT_IMAGE": "textToImageParams", "IMAGE_VARIATION": "imageVariationParams"}


def _files_of(request: ImageGenerationRequest) -> list[str]:
    """Give the images to vary, in base64; raises ``UnsupportedFeatureError`` for what only other APIs find or do."""
    if request.mask is not None:
        raise UnsupportedFeatureError("a mask means another thing at Bedrock: no request has a place for one", pointer="/mask")
    given = [image.data for image in request.images]
    if None in given:
        raise UnsupportedFeatureError("Bedrock takes the image itself, not where it is", pointer="/images")
    return [base64.b64encode(read_content(data)).decode("ascii") for data in given if data is not None]


def _image_of(data: Any, pointer: str) -> ImageInput:
    try:
        return ImageInput(data=base64.b64decode(data, validate=True))
    except (TypeError, ValueError):
        raise InvalidShapeError("expected an image in base64", pointer=pointer) from None


# --- Amazon's -----------------------------------------------------------------------------------------------------------------


def parse_request(payload: Payload) -> ImageGenerationRequest:
    """Read a request of either family."""
    fields = Fields(payload)
    return _read_stability(fields) if fields.peek("taskType") is None else _read_amazon(fields)


def _read_amazon(fields: Fields) -> ImageGenerationRequest:
    task = fields.required_text("taskType")
    name = _TASKS.get(task, "")
    inner = Fields(fields.maybe_object(name) or {}, f"/{name}")
    prompt, style = inner.text("text"), inner.text("style")
    images = inner.array("images") or []
    if inner.rest():
        fields.keep(name, inner.rest())
    if task not in _TASKS:
        fields.spell("taskType", task)
    config = Fields(fields.maybe_object("imageGenerationConfig") or {}, "/imageGenerationConfig")
    n, width, height = config.integer("numberOfImages"), config.integer("width"), config.integer("height")
    size = None if width is None or height is None else f"{width}x{height}"
    quality = config.text("quality")
    if config.rest():
        fields.keep("imageGenerationConfig", config.rest())
    files = tuple(_image_of(image, f"/{name}/images/{i}") for i, image in enumerate(images))
    extensions = fields.extensions(WIRE)
    return ImageGenerationRequest(prompt or "", None, size, quality, style, n=n, images=files, vendor_extensions=extensions)


def emit_amazon(request: ImageGenerationRequest, emission: Emission) -> Payload:
    """Write a request for Amazon's models."""
    files, known = _files_of(request), kept(request.vendor_extensions, WIRE)
    task = "IMAGE_VARIATION" if files else "TEXT_IMAGE"
    asked: Payload = {"text": request.prompt}
    if files:
        asked["images"] = files
        lose_fields(emission, request, ("style",))
    elif request.style is not None:
        asked["style"] = request.style
    config: Payload = {} if request.n is None else {"numberOfImages": request.n}
    pixels = None if request.size is None else pixels_of(request.size)
    if pixels is not None:
        config["width"], config["height"] = pixels
    else:
        lose_fields(emission, request, ("size",))
    if request.quality in _QUALITIES:
        config["quality"] = request.quality
    else:
        lose_fields(emission, request, ("quality",))
    lose_fields(emission, request, ("background", "output_format"))
    config = fill(config, known.get("imageGenerationConfig"))
    out: Payload = {"taskType": spelling(request.vendor_extensions, WIRE).get("taskType", task)}
    if out["taskType"] in _TASKS:
        out[_TASKS[task]] = fill(asked, known.get(_TASKS[task]))
    if config:
        out["imageGenerationConfig"] = config
    return emission.lay(out, request.vendor_extensions, "")


# --- Stability's --------------------------------------------------------------------------------------------------------------


def _read_stability(fields: Fields) -> ImageGenerationRequest:
    prompt, size, form = fields.required_text("prompt"), fields.text("aspect_ratio"), fields.text("output_format")
    image = fields.text("image")
    files = () if image is None else (_image_of(image, "/image"),)
    if fields.peek("mode") in ("text-to-image", "image-to-image"):
        fields.take("mode")
    extensions = fields.extensions(WIRE)
    return ImageGenerationRequest(prompt, None, size, output_format=form, images=files, vendor_extensions=extensions)


def emit_stability(request: ImageGenerationRequest, emission: Emission) -> Payload:
    """Write a request for Stability's models, which make one image at a time."""
    files = _files_of(request)
    out: Payload = {"prompt": request.prompt, "mode": "image-to-image" if files else "text-to-image"}
    if files:
        out["image"] = files[0]
    for i in range(1, len(files)):
        emission.lose(f"/images/{i}", "Stability's models vary one image")
    ratio = None if request.size is None else ratio_of(request.size)
    if ratio is not None:
        out["aspect_ratio"] = ratio
    if ratio != request.size:
        emission.lose("/size", "Stability's models take a ratio as 16:9")
    if request.n not in (None, 1):
        emission.lose("/n", "Stability's models make one image a request")
    if request.output_format is not None:
        out["output_format"] = request.output_format
    lose_fields(emission, request, ("quality", "style", "background"))
    return emission.lay(out, request.vendor_extensions, "")


# --- answers ------------------------------------------------------------------------------------------------------------------


def parse_response(payload: Payload) -> ImageGenerationResponse:
    """Read an answer of either family; raises ``ProviderError`` for one that says why it has no image."""
    fields = Fields(payload)
    given = fields.array("images")
    said = fields.peek("error")
    if not given and isinstance(said, str):
        raise _refused(said)
    if given is None:
        fields.spell("images", False)
    data = tuple(GeneratedImage(b64_json=image) for image in given or [] if isinstance(image, str))
    return ImageGenerationResponse(0, data, vendor_extensions=fields.extensions(WIRE))


def _refused(said: str) -> ProviderError:
    return error_class(400, frozenset())(said, protocol=ProviderProtocol.BEDROCK_CONVERSE, status=400)


def emit_response(response: ImageGenerationResponse, emission: Emission) -> Payload:
    """Write an answer."""
    if response.created:
        emission.lose("/created", "Bedrock does not say when")
    if response.usage is not None:
        emission.lose("/usage", "Bedrock counts no tokens of images")
    unsaid = not response.data and spelling(response.vendor_extensions, WIRE).get("images") is False
    out: Payload = {} if unsaid else {"images": [_data_of(image, emission, i) for i, image in enumerate(response.data)]}
    return emission.lay(out, response.vendor_extensions, "")


def _data_of(image: GeneratedImage, emission: Emission, place: int) -> Any:
    for name in ("url", "revised_prompt", "media_type"):
        if getattr(image, name) is not None:
            emission.lose(f"/data/{place}/{name}", "an image of Bedrock's is its data alone")
    return image.b64_json


_AMAZON = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.BEDROCK_CONVERSE,
    request_type=ImageGenerationRequest,
    response_type=ImageGenerationResponse,
    parse_request=parse_request,
    emit_request=emit_amazon,
    parse_response=parse_response,
    emit_response=emit_response,
    path=invoke_path,
    max_bytes=256 << 20,
)
_STABILITY = replace(_AMAZON, emit_request=emit_stability)


def codec_for(model: str) -> EndpointCodec:
    """Give the codec of a model's requests."""
    return _STABILITY if "stability." in model else _AMAZON
