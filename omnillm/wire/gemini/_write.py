"""Parts written as the API's parts.

Purpose: the one writer of parts, for requests and responses.
Contract: every part is written, or lost by name. A ``VendorPart`` of this wire is written as it stands, never copied; nothing
given is changed.
Rules: a result must name its function, so the writer remembers the name of every call. What only its provider can verify (a
signature, an encrypted state) is never sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import _json
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    MessagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .._base64 import is_base64
from .._fields import Emission, fill, names_in
from .._media import image_type
from ._own import PROTOCOL, as_spelled, kept, spelling

Part = dict[str, Any]

_IMAGE_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
}


class PartWriter:
    """Write the parts of one request, in order."""

    _nameless = "tool"  # a call must name its function

    def __init__(self, emission: Emission) -> None:
        self._emission = emission
        self._names: dict[str, str] = {}
        self._calls = 0
        self._results = 0

    def write(self, part: MessagePart, pointer: str) -> Part | None:
        """Write a part; ``None`` where nothing of it can be written."""
        written: Part | None = getattr(self, f"_{part._tag}")(part, pointer)
        return written

    def _lay(self, out: Part, part: Any, pointer: str) -> Part:
        return as_spelled(self._emission.lay(out, part.vendor_extensions, pointer), part.vendor_extensions)

    def _wrap(self, name: str, inner: Part, part: Any, pointer: str) -> Part:
        """Write a part whose data is an object: what parsing kept of that fills its gaps."""
        filled = as_spelled(fill(inner, kept(part.vendor_extensions, name)), part.vendor_extensions)
        return self._lay({name: filled}, part, pointer)

    def _text(self, part: TextPart, pointer: str) -> Part | None:
        if part.annotations:
            self._emission.lose(f"{pointer}/annotations", "a text that is sent holds no citations here")
        return self._lay({"text": part.text}, part, pointer)

    def _refusal(self, part: RefusalPart, pointer: str) -> Part | None:
        return self._lay({"text": part.text}, part, pointer)

    def _json(self, part: JsonPart, pointer: str) -> Part | None:
        return self._lay({"text": _json.dumps(part.value)}, part, pointer)

    def _image_url(self, part: ImageUrlPart, pointer: str) -> Part | None:
        file = {"fileUri": part.url}
        media_type = _IMAGE_ENDINGS.get(part.url.partition("?")[0].rpartition(".")[2].lower())
        if media_type is not None and kept(part.vendor_extensions, "fileData") is None:
            file["mimeType"] = media_type
        self._lose_detail(part, pointer)
        return self._wrap("fileData", file, part, pointer)

    def _is_data(self, part: ImageBase64Part | AudioPart | FilePart, pointer: str) -> bool:
        if part.data is None or is_base64(part.data):
            return True
        self._emission.drop(part, pointer, "data is base64 here; the API refuses any other text")
        return False

    def _image_base64(self, part: ImageBase64Part, pointer: str) -> Part | None:
        if not self._is_data(part, pointer):
            return None
        media_type = part.media_type
        if media_type is None:
            media_type = image_type(part.data)
        self._lose_detail(part, pointer)
        return self._wrap("inlineData", {"mimeType": media_type, "data": part.data}, part, pointer)

    def _lose_detail(self, part: ImageUrlPart | ImageBase64Part, pointer: str) -> None:
        if part.detail is not None:
            self._emission.lose(f"{pointer}/detail", "an image has a media resolution here, and no detail")

    def _audio(self, part: AudioPart, pointer: str) -> Part | None:
        if not self._is_data(part, pointer):
            return None
        if part.transcript is not None:
            self._emission.lose(f"{pointer}/transcript", "sound is sent without its transcript")
        if not part.data and part.media_type is None:
            self._emission.forfeit(part.vendor_extensions, pointer, "sound that is known by its id alone is not sent")
            return None
        return self._wrap("inlineData", {"mimeType": part.media_type or "audio/wav", "data": part.data}, part, pointer)

    def _file(self, part: FilePart, pointer: str) -> Part | None:
        if not self._is_data(part, pointer):
            return None
        uri = part.url
        if uri is None and part.file_id is not None and part.file_id.startswith(("files/", "gs://", "https://")):
            uri = part.file_id
        sources = (("data", part.data), ("url", part.url), ("file_id", part.file_id))
        used = part.data or uri
        if used is None:
            used = part.data  # an empty file is a file, where there is no other source
        if used is None:
            reason = "a file is its data or a URI that the API knows; this one has neither: its file_id, filename and media_type"
            self._emission.lose(pointer, f"{reason} are not sent, nor its {names_in(part.vendor_extensions)}")
            return None
        for name, value in sources:
            if value is not None and value != used:
                self._emission.lose(f"{pointer}/{name}", "a file has one source here: its data, or a URI that the API knows")
        file: Part = {}
        if part.media_type is not None:
            file["mimeType"] = part.media_type
        if part.filename is not None:
            file["displayName"] = part.filename
        if used is uri:
            return self._wrap("fileData", {**file, "fileUri": used}, part, pointer)
        return self._wrap("inlineData", {"mimeType": "application/pdf", **file, "data": used}, part, pointer)

    def _tool_call(self, part: ToolCallPart, pointer: str) -> Part | None:
        call_id = part.call_id or f"call_{self._calls}"
        self._calls += 1
        self._names[call_id] = part.name
        spelled = spelling(part.vendor_extensions)
        call: Part = {"name": part.name or self._nameless}
        if "id" not in spelled:
            call["id"] = call_id
        args = self._emission.arguments(part, pointer)
        if args or "args" not in spelled:
            call["args"] = args
        return self._wrap("functionCall", call, part, pointer)

    def _tool_result(self, part: ToolResultPart, pointer: str) -> Part | None:
        call_id = part.call_id or f"call_{self._results}"
        self._results += 1
        result: Part = {"name": part.name or self._names.get(call_id) or call_id}
        if "id" not in spelling(part.vendor_extensions):
            result["id"] = call_id
        output: Any = part.output
        media: list[Part] = []
        if isinstance(output, tuple):
            output, media = self._split(output, pointer)
        result["response"] = _response(output, part.is_error)
        if media:
            result["parts"] = media
        return self._wrap("functionResponse", result, part, pointer)

    def _split(self, output: tuple[MessagePart, ...], pointer: str) -> tuple[Any, list[Part]]:
        """Give what a result says as one JSON value, and its media."""
        said: list[Any] = []
        media: list[Part] = []
        for i, part in enumerate(output):
            at = f"{pointer}/output/{i}"
            if isinstance(part, TextPart | JsonPart):
                said.append(part.text if isinstance(part, TextPart) else part.value)
                if isinstance(part, TextPart) and part.annotations:
                    self._emission.lose(f"{at}/annotations", "a text that is sent holds no citations here")
                self._emission.forfeit(part.vendor_extensions, at, "the text of a result is no part here")
            else:
                written = self.write(part, at)
                if written is not None:
                    media.append(written)
        if len(said) == 1:
            return said[0], media
        return "".join(item if isinstance(item, str) else _json.dumps(item) for item in said), media

    def _reasoning(self, part: ReasoningPart, pointer: str) -> Part | None:
        if part.protocol not in (PROTOCOL, None):
            return self._foreign_reasoning(part, pointer)
        if part.encrypted_content is not None:
            self._emission.lose(f"{pointer}/encrypted_content", "reasoning is signed here, not encrypted")
        out: Part = {"text": self._thought(part, pointer), "thought": True}
        if part.signature is not None:
            out["thoughtSignature"] = part.signature
        return self._lay(out, part, pointer)

    def _thought(self, part: ReasoningPart, pointer: str) -> str:
        if part.text and part.summary:
            self._emission.lose(f"{pointer}/summary", "reasoning has no separate summary here")
        return part.text or "\n\n".join(part.summary)

    def _foreign_reasoning(self, part: ReasoningPart, pointer: str) -> Part | None:
        if part.text or part.summary or part.signature or part.encrypted_content:
            reason = "the reasoning (thinking, reasoning_content, reasoning_details) of another provider is not sent"
            self._emission.drop(part, pointer, reason)
        else:
            self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not sent")
        return None

    def _vendor(self, part: VendorPart, pointer: str) -> Part | None:
        if part.protocol is PROTOCOL and isinstance(part.payload, dict):
            return part.payload
        reason = f"a block that only {part.protocol.value} knows is not sent, with its {names_in(part.payload)}"
        self._emission.lose(pointer, reason)
        return None


class AnswerWriter(PartWriter):
    """Write the parts of an answer: what a client is shown, not what the API must take back."""

    _nameless = ""

    def __init__(self, emission: Emission) -> None:
        super().__init__(emission)
        self.refusals: list[str] = []

    def _text(self, part: TextPart, pointer: str) -> Part | None:
        return self._lay({"text": part.text}, part, pointer)  # citations are the candidate's

    def _refusal(self, part: RefusalPart, pointer: str) -> Part | None:
        """Leave it to the finish message: a refusal is no text of the answer."""
        self.refusals.append(part.text)
        self._emission.forfeit(part.vendor_extensions, pointer, "a refusal is no part of an answer here")
        return None

    def _foreign_reasoning(self, part: ReasoningPart, pointer: str) -> Part | None:
        for name in ("signature", "encrypted_content"):
            if getattr(part, name) is not None:
                self._emission.lose(f"{pointer}/{name}", "another provider's state means nothing here")
        text = self._thought(part, pointer)
        if text:
            return self._lay({"text": text, "thought": True}, part, pointer)
        self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not written")
        return None


def _response(output: Any, is_error: bool) -> Mapping[str, Any]:
    """Give a function's output as the object that the API takes."""
    if isinstance(output, Mapping):
        marked = output.keys() == {"error"}
        if is_error:
            return output if marked else {"error": output}
        return {"output": output} if marked else output
    return {"error" if is_error else "output": output}
