"""Content parts of messages and of tool outputs, and the canonical parts they stand for.

Contract: ``read_part`` takes any JSON object, ``write_part`` any canonical part that is no item of its own; a part of an
unknown type or shape is a ``VendorPart``. Rules: whose text it is says its type, ``output_text`` for the assistant and
``input_text`` for everybody else; another type is noted as the wire's spelling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _json
from ...types.enums import WireFormat
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    MessagePart,
    RefusalPart,
    TextPart,
    VendorPart,
)
from .. import _fields
from .._fields import Emission, Fields, fill, names_in
from .._media import AUDIO_OF_FORMAT, FORMAT_OF_AUDIO, NAME_BY_MEDIA, image_data_url, split_data_url
from ._annotations import is_annotation, read_annotation, write_annotations
from ._own import PROTOCOL, WIRE, Item, kept, spelled

INPUT, OUTPUT = "input_text", "output_text"

_CHAT, _BREAKPOINT = WireFormat.OPENAI_CHAT_COMPLETIONS, "prompt_cache_breakpoint"

_FILES = frozenset({"file_id", "file_data", "file_url"})


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_parts(values: list[Any], pointer: str, text_type: str) -> tuple[MessagePart, ...]:
    """Read an array of parts; ``text_type`` is the type that a text usually has there."""
    return tuple([read_part(value, f"{pointer}/{i}", text_type) for i, value in enumerate(values)])


def read_part(value: Any, pointer: str, text_type: str) -> MessagePart:
    """Read one part."""
    if type(value) is dict and is_plain_text(value, text_type):
        return TextPart(value["text"])
    fields = Fields(value, pointer)
    kind = fields.peek("type")
    if kind == text_type or kind in (INPUT, OUTPUT, "text"):
        return _read_text(fields, text_type)
    readers = _ASSISTANT_READERS if text_type == OUTPUT else _READERS
    read = readers.get(kind) if isinstance(kind, str) else None
    part = read(fields) if read is not None else None
    return VendorPart(PROTOCOL, value) if part is None else part


def _read_text(fields: Fields, text_type: str) -> TextPart:
    kind = fields.take("type")
    if kind != text_type:
        fields.spell("type", kind)
    text = fields.required_text("text")
    given = fields.peek("annotations")
    if given and isinstance(given, list) and all(map(is_annotation, given)):
        annotations = tuple(map(read_annotation, fields.take("annotations")))
        return TextPart(text, annotations, vendor_extensions=fields.extensions(WIRE))
    return TextPart(text, vendor_extensions=fields.extensions(WIRE))


def _read_refusal(fields: Fields) -> MessagePart:
    fields.take("type")
    return RefusalPart(fields.required_text("refusal"), vendor_extensions=fields.extensions(WIRE))


def _read_image(fields: Fields) -> MessagePart | None:
    url = fields.maybe_text("image_url")
    file_id = fields.maybe_text("file_id") if url is None else None
    if url is None and file_id is None:
        return None
    fields.take("type")
    if url is None:
        fields.spell("type", "input_image")  # a file is a document unless it says otherwise
        return FilePart(file_id, vendor_extensions=fields.extensions(WIRE))
    detail = fields.maybe_text("detail")
    data = split_data_url(url)
    if data is None:
        return ImageUrlPart(url, detail, vendor_extensions=fields.extensions(WIRE))
    return ImageBase64Part(data[1], data[0], detail, vendor_extensions=fields.extensions(WIRE))


def _read_file(fields: Fields) -> MessagePart | None:
    if not any(isinstance(fields.peek(name), str) for name in _FILES):
        return None
    fields.take("type")
    file_id, filename, given = fields.maybe_text("file_id"), fields.maybe_text("filename"), fields.maybe_text("file_data")
    media_type = data = None
    if given is not None:
        split = split_data_url(given)
        if split is not None:
            media_type, data = split
        else:
            data = given
            fields.spell("data", "bare")
        if filename is None:
            fields.spell("filename", None)
    url = fields.maybe_text("file_url")
    return FilePart(file_id, media_type, data, filename, url, vendor_extensions=fields.extensions(WIRE))


def _read_audio(fields: Fields) -> MessagePart | None:
    given = fields.peek("input_audio")
    if not isinstance(given, dict) or not isinstance(given.get("data"), str):
        return None
    fields.take("type")
    audio = Fields(fields.take("input_audio"), fields.at("input_audio"))
    data, form = audio.required_text("data"), audio.maybe_text("format")
    fields.spell("type", "input_audio")
    if audio.rest():
        fields.keep("input_audio", audio.rest())
    media_type = None if form is None else AUDIO_OF_FORMAT.get(form, f"audio/{form}")
    return AudioPart(data, media_type, vendor_extensions=fields.extensions(WIRE))


_ASSISTANT_READERS: dict[str, Callable[[Fields], MessagePart | None]] = {"refusal": _read_refusal}
_READERS: dict[str, Callable[[Fields], MessagePart | None]] = {
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


# --- writing ------------------------------------------------------------------------------------------------------------------


def write_part(part: MessagePart, emission: Emission, pointer: str, text_type: str) -> Item | None:
    """Write one part; ``None`` where it has no form here, which is a loss."""
    write = _WRITERS.get(type(part))
    if write is None or (text_type == OUTPUT and type(part) in _NOT_OF_THE_ASSISTANT):
        drop(part, emission, pointer)
        return None
    block = write(part, emission, pointer, text_type)
    if block is None or isinstance(part, VendorPart) or not part.vendor_extensions:
        return block
    emission.lay(block, part.vendor_extensions, pointer)
    if text_type == OUTPUT and _BREAKPOINT in _fields.kept(part.vendor_extensions, _CHAT):
        del block[_BREAKPOINT]
        emission.lose(f"{pointer}/vendor_extensions/{_CHAT.value}/{_BREAKPOINT}", "an output of Responses ends no cached prefix")
    return block


def drop(part: MessagePart, emission: Emission, pointer: str) -> None:
    """Record that a whole part is left out, naming what it held."""
    if isinstance(part, VendorPart):
        kind = part.payload.get("type") if isinstance(part.payload, dict) else None
        reason = f"a {kind or 'vendor'} part is known to {part.protocol.value} only, with its {names_in(part.payload)}"
        emission.lose(pointer, reason)
        return
    emission.drop(part, pointer, f"{type(part).__name__} has no place in this message of Responses")


def needs_output_form(blocks: list[Any]) -> bool:
    """Tell whether an assistant's content has what only an output message may hold."""
    return any(type(block) is dict and (block.get("type") == "refusal" or block.get("annotations")) for block in blocks)


def as_output(block: Item) -> Item:
    """Give a part as an output message holds it."""
    return {**block, "annotations": block.get("annotations", [])} if block.get("type") == OUTPUT else block


def is_plain_text(block: Item, text_type: str) -> bool:
    """Tell whether a part is the usual text and nothing else, so that a string says the same."""
    return len(block) == 2 and block.get("type") == text_type and isinstance(block.get("text"), str)


def _write_text(part: TextPart, emission: Emission, pointer: str, text_type: str) -> Item:
    out: Item = {"type": spelled(part.vendor_extensions).get("type", text_type), "text": part.text}
    if part.annotations:
        if out["type"] == INPUT:
            emission.lose(f"{pointer}/annotations", "an input text of Responses cites nothing")
        else:
            written = write_annotations(part, emission, pointer)
            if written:
                out["annotations"] = written
    return out


def _write_refusal(part: RefusalPart, _emission: Emission, _pointer: str, text_type: str) -> Item:
    return {"type": "refusal", "refusal": part.text} if text_type == OUTPUT else {"type": text_type, "text": part.text}


def _write_json(part: JsonPart, _emission: Emission, _pointer: str, text_type: str) -> Item:
    return {"type": text_type, "text": _json.dumps(part.value)}


def _write_image(part: ImageUrlPart | ImageBase64Part, _emission: Emission, _pointer: str, _text_type: str) -> Item:
    url = part.url if isinstance(part, ImageUrlPart) else image_data_url(part.data, part.media_type)
    out = {"type": "input_image", "image_url": url}
    if part.detail is not None:
        out["detail"] = part.detail
    return out


def _write_file(part: FilePart, emission: Emission, pointer: str, _text_type: str) -> Item | None:
    media_type = part.media_type
    if (media_type or "").startswith("image/") or spelled(part.vendor_extensions).get("type") == "input_image":
        return _write_image_file(part, emission, pointer)
    if part.file_id is part.data is part.url is None and _FILES.isdisjoint(kept(part.vendor_extensions)):
        emission.drop(part, pointer, "a file (input_file) without data, url and file_id is none")
        return None
    out: Item = {"type": "input_file"}
    if part.file_id is not None:
        out["file_id"] = part.file_id
    if part.data is not None:
        bare = media_type is None and "data" in spelled(part.vendor_extensions)
        out["file_data"] = part.data if bare else f"data:{media_type or 'application/pdf'};base64,{part.data}"
    elif media_type is not None:
        emission.lose(f"{pointer}/media_type", "Responses knows a file's media type by its data only")
    if part.url is not None:
        out["file_url"] = part.url
    if part.filename is not None:
        out["filename"] = part.filename
    elif part.data is not None and "filename" not in spelled(part.vendor_extensions):  # the API refuses data without a name
        out["filename"] = NAME_BY_MEDIA.get(media_type or "application/pdf", "document")
    return out


def _write_image_file(part: FilePart, emission: Emission, pointer: str) -> Item:
    out: Item = {"type": "input_image"}
    if part.data is not None:
        out["image_url"] = image_data_url(part.data, part.media_type)
    elif part.url is not None:
        out["image_url"] = part.url
    if part.file_id is not None:
        out["file_id"] = part.file_id
    lost = {"filename": part.filename, "media_type": part.media_type if part.data is None else None}
    if part.data is not None:
        lost["url"] = part.url
    for name, value in lost.items():
        if value is not None:
            emission.lose(f"{pointer}/{name}", f"an image of Responses has no {name}")
    return out


def _write_audio(part: AudioPart, emission: Emission, pointer: str, text_type: str) -> Item | None:
    if spelled(part.vendor_extensions).get("type") == "input_audio":
        audio: Item = {"data": part.data}
        if part.media_type is not None:
            audio["format"] = FORMAT_OF_AUDIO.get(part.media_type) or part.media_type.removeprefix("audio/")
        if part.transcript is not None:
            emission.lose(f"{pointer}/transcript", "Responses takes sound without its transcript")
        return {"type": "input_audio", "input_audio": fill(audio, kept(part.vendor_extensions).get("input_audio"))}
    if part.transcript:
        emission.lose(f"{pointer}/data", "Responses takes no sound (audio); its transcript is sent")
        if part.media_type is not None:
            emission.lose(f"{pointer}/media_type", "a transcript has no format of sound (input_audio)")
        return {"type": text_type, "text": part.transcript}
    emission.drop(part, pointer, "Responses takes no sound (audio, input_audio)")
    return None


def _write_vendor(part: VendorPart, emission: Emission, pointer: str, _text_type: str) -> Item | None:
    payload = part.payload
    if part.protocol is PROTOCOL and isinstance(payload, dict):
        return payload
    drop(part, emission, pointer)
    return None


_NOT_OF_THE_ASSISTANT = frozenset({ImageUrlPart, ImageBase64Part, FilePart})
_WRITERS: dict[type, Callable[[Any, Emission, str, str], Item | None]] = {
    TextPart: _write_text,
    RefusalPart: _write_refusal,
    JsonPart: _write_json,
    ImageUrlPart: _write_image,
    ImageBase64Part: _write_image,
    FilePart: _write_file,
    AudioPart: _write_audio,
    VendorPart: _write_vendor,
}
