"""Content of Chat Completions messages: a text, or a list of typed parts, and the canonical parts they stand for.

Contract: ``read_content`` takes any JSON value, ``write_content`` what a role may hold; a part of an unknown type is a
``VendorPart``. Rules: a lone text without fields of its own is written as a string, unless the endpoint wants an array. What
nobody knows of a nested object (``image_url``, ``input_audio``, ``file``) rides in the extensions under that object's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ... import _json
from ...errors import InvalidShapeError
from ...types.enums import ProviderProtocol, WireFormat
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
from .._fields import Emission, Fields, fill, kept, names_in, spelling
from .._media import AUDIO_OF_FORMAT, FORMAT_OF_AUDIO, NAME_BY_MEDIA, image_data_url, split_data_url

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
WIRE = WireFormat.OPENAI_CHAT_COMPLETIONS

Placed = tuple[Any, str]  # a part and its pointer

_MP3_HEADS = ("SUQz", "//")  # base64 of "ID3", and of the bits that a frame begins with


def inner(extensions: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give what was kept of a nested object."""
    found = kept(extensions, WIRE).get(name)
    return found if isinstance(found, Mapping) else {}


def text_or_empty(fields: Fields, name: str) -> str:
    """Take a text; an empty one stays among the rest, since an absent one reads the same."""
    value = fields.text(name)
    if value == "":
        fields.keep(name, value)
    return value or ""


# --- reading ------------------------------------------------------------------------------------------------------------------


def read_content(content: Any, pointer: str) -> tuple[MessagePart, ...]:
    """Read a message's content: a text, a list of parts, or (some servers) an object; ``None`` is no part."""
    if isinstance(content, str):
        return (TextPart(content),)
    if isinstance(content, list):
        return tuple(read_part(part, f"{pointer}/{i}") for i, part in enumerate(content))
    if isinstance(content, dict):
        return (JsonPart(content),)
    if content is None:
        return ()
    raise InvalidShapeError("content: expected a string, an array or null", pointer=pointer)


def read_part(value: Any, pointer: str) -> MessagePart:
    """Read one content part."""
    fields = Fields(value, pointer)
    kind = fields.peek("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return VendorPart(CHAT, value)
    fields.take("type")
    return read(fields)


def _read_text(fields: Fields) -> MessagePart:
    return TextPart(fields.required_text("text"), vendor_extensions=fields.extensions(WIRE))


def _read_refusal(fields: Fields) -> MessagePart:
    fields.spell("text", "content")  # not the message's own field
    return RefusalPart(fields.required_text("refusal"), vendor_extensions=fields.extensions(WIRE))


def _nested(fields: Fields, name: str) -> Fields:
    return Fields(fields.take(name), fields.at(name))


def _keep_nested(fields: Fields, name: str, nested: Fields) -> dict[str, Any]:
    if nested.rest():
        fields.keep(name, nested.rest())
    return fields.extensions(WIRE)


def _read_image(fields: Fields) -> MessagePart:
    given = fields.peek("image_url")
    if isinstance(given, str):  # Mistral takes the URL itself
        image = Fields({"url": given}, fields.pointer)
        fields.take("image_url")
        fields.spell("url", "image_url")
    else:
        image = _nested(fields, "image_url")
    url, detail = image.required_text("url"), image.text("detail")
    extensions = _keep_nested(fields, "image_url", image)
    data = split_data_url(url)
    if data is None:
        return ImageUrlPart(url, detail, vendor_extensions=extensions)
    return ImageBase64Part(data[1], data[0], detail, vendor_extensions=extensions)


def _read_audio(fields: Fields) -> MessagePart:
    given = fields.peek("input_audio")
    if isinstance(given, str):  # Mistral takes the data itself, or its URL
        return _read_short_audio(fields, given)
    audio = _nested(fields, "input_audio")
    data, form = audio.required_text("data"), audio.text("format")
    media_type = None if form is None else AUDIO_OF_FORMAT.get(form, f"audio/{form}")
    if form not in AUDIO_OF_FORMAT:  # none, or one of those that OpenAI refuses and others take
        fields.spell("media_type", form)
    return AudioPart(data, media_type, vendor_extensions=_keep_nested(fields, "input_audio", audio))


def _read_short_audio(fields: Fields, given: str) -> MessagePart:
    if given.startswith(("https://", "http://")):
        return VendorPart(CHAT, {"type": "input_audio", **fields.rest()})
    media_type, data = split_data_url(given) or (None, given)
    fields.take("input_audio")
    fields.spell("data", "input_audio")
    return AudioPart(data, media_type, vendor_extensions=fields.extensions(WIRE))


def _read_file(fields: Fields) -> MessagePart:
    if "file" not in fields and isinstance(fields.peek("file_id"), str):  # Mistral takes the id itself
        file_id = fields.take("file_id")
        fields.spell("file_id", "file_id")
        return FilePart(file_id, vendor_extensions=fields.extensions(WIRE))
    given = fields.peek("file")
    if isinstance(given, dict) and given.get("file_id") is None and given.get("file_data") is None:
        return VendorPart(CHAT, {"type": "file", **fields.rest()})
    file = _nested(fields, "file")
    file_id, filename, given = file.text("file_id"), file.text("filename"), file.text("file_data")
    media_type = data = url = None
    if given is not None:
        split = split_data_url(given)
        if split is not None:
            media_type, data = split
        elif given.startswith(("https://", "http://")):
            url = given
            fields.spell("url", "file_data")
        else:
            data = given
            fields.spell("data", "bare")
        if filename is None:
            fields.spell("filename", None)
    extensions = _keep_nested(fields, "file", file)
    return FilePart(file_id, media_type, data, filename, url, vendor_extensions=extensions)


def _read_thinking(fields: Fields) -> MessagePart:
    thinking = fields.take("thinking")
    if isinstance(thinking, list):
        text = "".join(chunk["text"] for chunk in thinking if isinstance(chunk, dict) and isinstance(chunk.get("text"), str))
    elif isinstance(thinking, str | None):
        text = thinking or ""
    else:
        fields.keep("thinking", thinking)
        fields.refuse("thinking", "an array or a string")
    fields.spell("text", "thinking")
    return ReasoningPart(text, protocol=CHAT, vendor_extensions=fields.extensions(WIRE))


_READERS: dict[str, Callable[[Fields], MessagePart]] = {
    "text": _read_text,
    "image_url": _read_image,
    "input_audio": _read_audio,
    "file": _read_file,
    "refusal": _read_refusal,
    "thinking": _read_thinking,
}


# --- writing ------------------------------------------------------------------------------------------------------------------

TEXT: frozenset[type] = frozenset({TextPart, JsonPart})
MEDIA: frozenset[type] = frozenset({ImageUrlPart, ImageBase64Part, AudioPart, FilePart})
TEXT_ROLE = TEXT | {VendorPart}
USER_ROLE = TEXT_ROLE | MEDIA


def write_content(
    parts: Iterable[Placed], emission: Emission, allowed: frozenset[type], *, array: bool = False
) -> str | list[Any] | None:
    """Write what a role may hold of the parts; ``None`` where nothing is left. ``array`` keeps a lone text in an array."""
    written = []
    for part, pointer in parts:
        if type(part) in allowed:
            block = _WRITERS[type(part)](part, emission, pointer)
        elif isinstance(part, AudioPart) and part.transcript:
            block = _write_transcript(part, emission, pointer)
        else:
            drop(part, emission, pointer)
            continue
        if block is not None:
            written.append(block)
    if not written:
        return None
    if len(written) == 1 and not array and emission.text_content != "array":
        return lone_text(written[0])
    return written


def lone_text(block: Any) -> str | list[Any]:
    """Give a text block without fields of its own as a string."""
    if isinstance(block, dict) and len(block) == 2 and block.get("type") == "text":
        text = block.get("text")
        if isinstance(text, str):
            return text
    return [block]


def drop(part: Any, emission: Emission, pointer: str) -> None:
    """Record that a whole part is left out, naming what it held."""
    if isinstance(part, VendorPart):
        emission.lose(f"{pointer}/payload", f"a block that only {part.protocol.value} knows, with its {names_in(part.payload)}")
        return
    emission.drop(part, pointer, f"{_KINDS[type(part)]} has no place in this message")


_KINDS: dict[type, str] = {
    TextPart: "a text",
    ImageUrlPart: "an image",
    ImageBase64Part: "an image",
    AudioPart: "sound (audio)",
    FilePart: "a file",
    JsonPart: "a JSON value",
    ToolCallPart: "a call of a tool",
    ToolResultPart: "the result of a tool",
    ReasoningPart: "the reasoning (thinking, redactedContent) of another provider",
    RefusalPart: "a refusal",
}


def _write_text(part: TextPart, emission: Emission, pointer: str) -> Any:
    return emission.lay({"type": "text", "text": part.text}, part.vendor_extensions, pointer)


def _write_refusal(part: RefusalPart, emission: Emission, pointer: str) -> Any:
    return emission.lay({"type": "refusal", "refusal": part.text}, part.vendor_extensions, pointer)


def _write_json(part: JsonPart, emission: Emission, pointer: str) -> Any:
    return emission.lay({"type": "text", "text": _json.dumps(part.value)}, part.vendor_extensions, pointer)


def _write_image(part: ImageUrlPart | ImageBase64Part, emission: Emission, pointer: str) -> Any:
    image = {"url": part.url if isinstance(part, ImageUrlPart) else image_data_url(part.data, part.media_type)}
    if part.detail is not None:
        image["detail"] = part.detail
    bare = len(image) == 1 and spelling(part.vendor_extensions, WIRE).get("url") == "image_url"
    fill(image, inner(part.vendor_extensions, "image_url"))
    out = {"type": "image_url", "image_url": image["url"] if bare else image}
    return emission.lay(out, part.vendor_extensions, pointer)


def _write_audio(part: AudioPart, emission: Emission, pointer: str) -> Any:
    audio: Any
    if "data" in spelling(part.vendor_extensions, WIRE):
        audio = part.data if part.media_type is None else f"data:{part.media_type};base64,{part.data}"
    else:
        known, form = inner(part.vendor_extensions, "input_audio"), _audio_format(part)
        if form is None and part.media_type is not None and "format" not in known:
            return _write_transcript(part, emission, pointer)
        audio = fill({"data": part.data} if form is None else {"data": part.data, "format": form}, known)
    if part.transcript is not None:
        emission.lose(f"{pointer}/transcript", "Chat Completions takes sound without its transcript")
    return emission.lay({"type": "input_audio", "input_audio": audio}, part.vendor_extensions, pointer)


def _audio_format(part: AudioPart) -> str | None:
    """Give the format of sound: the one that this wire said, or one of those that the API takes."""
    spelled = spelling(part.vendor_extensions, WIRE)
    if "media_type" in spelled:
        form: str | None = spelled["media_type"]
        if part.media_type == (None if form is None else f"audio/{form}"):
            return form
    if part.media_type is not None:
        return FORMAT_OF_AUDIO.get(part.media_type.partition(";")[0].strip().lower())
    if "format" in inner(part.vendor_extensions, "input_audio"):
        return None
    return "mp3" if part.data.startswith(_MP3_HEADS) else "wav"


def _write_transcript(part: AudioPart, emission: Emission, pointer: str) -> Any:
    """Write sound that has no place, or is of no format that the API takes, as what is said in it."""
    if not part.transcript:
        drop(part, emission, pointer)
        return None
    for name in ("data", "media_type"):
        if getattr(part, name):
            emission.lose(f"{pointer}/{name}", "this sound (audio, input_audio) is not sent; its transcript is")
    return emission.lay({"type": "text", "text": part.transcript}, part.vendor_extensions, pointer)


def _write_file(part: FilePart, emission: Emission, pointer: str) -> Any:
    spelled = spelling(part.vendor_extensions, WIRE)
    by_url = "Chat Completions takes no document by its URL (file_url)"
    if part.url is not None and "url" not in spelled and part.file_id is None and part.data is None:
        emission.drop(part, pointer, by_url)
        return None
    known = inner(part.vendor_extensions, "file")
    if part.file_id is part.data is part.url is None and not known:
        emission.drop(part, pointer, "a file (input_file) without data, url and file_id is none")
        return None
    file: dict[str, Any] = {}
    if part.file_id is not None:
        file["file_id"] = part.file_id
    if part.data is not None:
        bare = part.media_type is None and "data" in spelled
        file["file_data"] = part.data if bare else f"data:{_media_type(part)};base64,{part.data}"
    elif part.media_type is not None:
        emission.lose(f"{pointer}/media_type", "Chat Completions knows a file's media type by its data only")
    if part.url is not None and "url" in spelled:
        file.setdefault("file_data", part.url)
    elif part.url is not None:
        emission.lose(f"{pointer}/url", by_url)
    if part.filename is not None:
        file["filename"] = part.filename
    elif part.data is not None and "filename" not in spelled:  # the API refuses data without a name
        file["filename"] = NAME_BY_MEDIA.get(_media_type(part), "document")
    fill(file, known)
    if "file_id" in spelled and file.keys() == {"file_id"}:
        return emission.lay({"type": "file", **file}, part.vendor_extensions, pointer)
    return emission.lay({"type": "file", "file": file}, part.vendor_extensions, pointer)


def _media_type(part: FilePart) -> str:
    return "application/pdf" if part.media_type is None else part.media_type


def _write_vendor(part: VendorPart, emission: Emission, pointer: str) -> Any:
    if part.protocol is CHAT:
        return part.payload
    drop(part, emission, pointer)
    return None


def _write_thinking(part: ReasoningPart, emission: Emission, pointer: str) -> Any:
    out = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
    return emission.lay(out, part.vendor_extensions, pointer)


_WRITERS: dict[type, Callable[[Any, Emission, str], Any]] = {
    TextPart: _write_text,
    JsonPart: _write_json,
    ImageUrlPart: _write_image,
    ImageBase64Part: _write_image,
    AudioPart: _write_audio,
    FilePart: _write_file,
    ReasoningPart: _write_thinking,
    RefusalPart: _write_refusal,
    VendorPart: _write_vendor,
}
