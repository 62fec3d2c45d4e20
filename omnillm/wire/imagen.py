"""Images as Google's Imagen makes them: ``POST /models/MODEL:predict``, at the Gemini API and at Vertex AI.

Rules: ``sampleCount`` is always said, for without it there are four images. A size in pixels goes as its ratio, which is a loss;
one as ``2K`` is the size of the longer side. An image that was filtered has no data, and its reason in the extensions.
"""

from __future__ import annotations

import re

from ..errors import UnsupportedFeatureError
from ..types.enums import HostFormat, ProviderProtocol
from ..types.media import GeneratedImage, ImageGenerationRequest, ImageGenerationResponse
from ._codec import Payload
from ._endpoint import EndpointCodec, lose_fields, model_segment, objects
from ._fields import Emission, Fields, fill, kept, spelling
from ._sizes import ratio_of

WIRE = HostFormat.GOOGLE_IMAGES
_SIDE = re.compile(r"[1-9][0-9]?K")
_TYPE = "image/"


def parse_request(payload: Payload) -> ImageGenerationRequest:
    """Read a request."""
    fields = Fields(payload)
    instances = objects(fields.required_array("instances"), "/instances")
    first = instances[0] if instances else Fields({}, "/instances/0")
    prompt = first.required_text("prompt")
    rest = [first.rest(), *(instance.rest() for instance in instances[1:])]
    if any(rest):
        fields.keep("instances", rest)
    given = fields.maybe_object("parameters")
    inner = Fields({} if given is None else given, "/parameters")
    size, n = inner.text("aspectRatio"), inner.integer("sampleCount")
    if size is None:
        size = inner.text("sampleImageSize")
    options = inner.maybe_object("outputOptions")
    output = Fields({} if options is None else options, "/parameters/outputOptions")
    made = output.peek("mimeType")
    form = made.removeprefix(_TYPE) if isinstance(made, str) and made.startswith(_TYPE) else None
    if form is not None:
        output.take("mimeType")
    if output.rest():
        inner.keep("outputOptions", output.rest())
    if inner.rest():
        fields.keep("parameters", inner.rest())
    if n is None:
        fields.spell("n", False)
    extensions = fields.extensions(WIRE)
    return ImageGenerationRequest(prompt, None, size, output_format=form, n=n, vendor_extensions=extensions)


def emit_request(request: ImageGenerationRequest, emission: Emission) -> Payload:
    """Write a request; raises ``UnsupportedFeatureError`` for an edit, which no image of the prompt alone would be."""
    if request.images or request.mask is not None:
        raise UnsupportedFeatureError("Imagen's predict makes images of a prompt: edits have no place in it", pointer="/images")
    known = kept(request.vendor_extensions, WIRE)
    said = known.get("instances")
    more = said if isinstance(said, list) else []
    first = fill({"prompt": request.prompt}, more[0] if more else None)
    unsaid = request.n is None and spelling(request.vendor_extensions, WIRE).get("n") is False
    parameters: Payload = {} if unsaid else {"sampleCount": 1 if request.n is None else request.n}
    if request.size is not None:
        _write_size(parameters, request.size, emission)
    if request.output_format is not None:
        options = {"mimeType": f"{_TYPE}{request.output_format}"}
        parameters["outputOptions"] = fill(options, (known.get("parameters") or {}).get("outputOptions"))
    lose_fields(emission, request, ("quality", "style", "background"))
    parameters = fill(parameters, known.get("parameters"))
    out: Payload = {"instances": [first, *more[1:]], **({"parameters": parameters} if parameters else {})}
    own = request.vendor_extensions.get("parameters")
    if isinstance(own, dict):  # beside ours, and over them
        rest = {name: value for name, value in request.vendor_extensions.items() if name != "parameters"}
        return emission.lay({**out, "parameters": {**parameters, **own}}, rest, "")
    return emission.lay(out, request.vendor_extensions, "")


def _write_size(parameters: Payload, size: str, emission: Emission) -> None:
    if _SIDE.fullmatch(size):
        parameters["sampleImageSize"] = size
        return
    ratio = ratio_of(size)
    if ratio is None:
        emission.lose("/size", "Imagen takes a ratio as 16:9, or the longer side as 2K")
        return
    parameters["aspectRatio"] = ratio
    if ratio != size:
        emission.lose("/size", f"Imagen takes a ratio: {size} went as {ratio}")


def parse_response(payload: Payload) -> ImageGenerationResponse:
    """Read a response; there are no predictions where all were filtered."""
    fields = Fields(payload)
    given = fields.array("predictions")
    if given is None:
        fields.spell("predictions", False)
    data = tuple(_read_image(item) for item in objects(given or [], "/predictions"))
    return ImageGenerationResponse(0, data, vendor_extensions=fields.extensions(WIRE))


def _read_image(fields: Fields) -> GeneratedImage:
    names = ("gcsUri", "bytesBase64Encoded", "prompt", "mimeType")
    return GeneratedImage(*(fields.text(name) for name in names), vendor_extensions=fields.extensions(WIRE))


def emit_response(response: ImageGenerationResponse, emission: Emission) -> Payload:
    """Write a response."""
    if response.created:
        emission.lose("/created", "Imagen does not say when")
    if response.usage is not None:
        emission.lose("/usage", "Imagen counts no tokens")
    images = [_write_image(image, emission, f"/data/{i}") for i, image in enumerate(response.data)]
    return emission.lay({"predictions": images} if images else {}, response.vendor_extensions, "")


def _write_image(image: GeneratedImage, emission: Emission, pointer: str) -> Payload:
    named = {"gcsUri": image.url, "bytesBase64Encoded": image.b64_json, "prompt": image.revised_prompt}
    out: Payload = {name: value for name, value in {**named, "mimeType": image.media_type}.items() if value is not None}
    return emission.lay(out, image.vendor_extensions, pointer)


def _path(request: ImageGenerationRequest, _streamed: bool) -> str:
    return f"/models/{model_segment((request.model or '').removeprefix('models/'))}:predict"


CODEC = EndpointCodec(
    wire_format=WIRE,
    protocol=ProviderProtocol.GEMINI_GENERATE_CONTENT,
    request_type=ImageGenerationRequest,
    response_type=ImageGenerationResponse,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    path=_path,
    max_bytes=256 << 20,
)


def codec_for(_model: str) -> EndpointCodec:
    """Give the codec of a model's requests."""
    return CODEC
