"""What a message is made of. Every part keeps, under its wire's name, the fields that only that wire knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from .. import _json
from ..errors import InvalidJsonError, InvalidShapeError
from ._given import each_of, member, put, wrong_type
from ._model import Decoder, Encoder, Json, Model, copy_json, tagged, tuple_of
from .enums import ProviderProtocol

_BASE64 = "base64 text, as base64.b64encode(…).decode() gives it"


@dataclass(frozen=True, slots=True)
class Annotation(Model):
    """Point from a stretch of text to its source; ``raw`` is the provider's own form, ``start`` and ``end`` count characters."""

    kind: str
    url: str | None = None
    title: str | None = None
    start: int | None = None
    end: int | None = None
    cited_text: str | None = None
    file_id: str | None = None
    raw: Any = None


@dataclass(frozen=True, slots=True)
class TextPart(Model):
    """Carry visible text, and the sources that it cites."""

    _tag: ClassVar[str | None] = "text"

    text: str
    annotations: tuple[Annotation, ...] = ()
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise wrong_type("text", "a string", self.text)
        if type(self.annotations) is not tuple:
            put(self, "annotations", each_of(self.annotations, "annotations", Annotation, expected="Annotations"))


@dataclass(frozen=True, slots=True)
class ImageUrlPart(Model):
    """Carry an image by its URL (an ``https`` one: data goes into ``ImageBase64Part``)."""

    _tag: ClassVar[str | None] = "image_url"

    url: str
    detail: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.url, str):
            raise wrong_type("url", "a string", self.url)


@dataclass(frozen=True, slots=True)
class ImageBase64Part(Model):
    """Carry an image as base64 text."""

    _tag: ClassVar[str | None] = "image_base64"

    data: str
    media_type: str | None = None
    detail: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise wrong_type("data", _BASE64, self.data)


@dataclass(frozen=True, slots=True)
class AudioPart(Model):
    """Carry sound as base64 text, with what is said in it where that is known."""

    _tag: ClassVar[str | None] = "audio"

    data: str
    media_type: str | None = None
    transcript: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise wrong_type("data", _BASE64, self.data)


@dataclass(frozen=True, slots=True)
class FilePart(Model):
    """Carry a document: by the provider's id, by URL, or as base64 text (plain text too is base64 here)."""

    _tag: ClassVar[str | None] = "file"

    file_id: str | None = None
    media_type: str | None = None
    data: str | None = None
    filename: str | None = None
    url: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.data, str | None):
            raise wrong_type("data", _BASE64, self.data)
        for name in ("file_id", "url", "filename"):
            if not isinstance(getattr(self, name), str | None):
                raise wrong_type(name, "a string", getattr(self, name))


@dataclass(frozen=True, slots=True)
class JsonPart(Model):
    """Carry a JSON value as such."""

    _tag: ClassVar[str | None] = "json"

    value: Any
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class ToolCallPart(Model):
    """Carry the model's call of a tool.

    ``arguments`` is the JSON value, or, where the model wrote what is no JSON, that very text. ``raw_arguments`` is the text as
    it came, kept where writing the value again would not give it back; it counts only while it still means ``arguments``.
    """

    _tag: ClassVar[str | None] = "tool_call"

    call_id: str
    name: str
    arguments: Any
    raw_arguments: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.call_id, str):
            raise wrong_type("call_id", "a string", self.call_id)
        if not isinstance(self.name, str):
            raise wrong_type("name", "a string", self.name)

    @classmethod
    def from_text(cls, call_id: str, name: str, text: str, *, vendor_extensions: dict[str, Any] | None = None) -> ToolCallPart:
        """Read the arguments from the text that a model wrote: never an exception, never a repair."""
        try:
            arguments = _json.loads(text) if text else {}
            kept = None if text and _json.dumps(arguments) == text else text
        except InvalidJsonError:
            arguments = kept = text
        return cls(call_id, name, arguments, kept, vendor_extensions=vendor_extensions or {})

    def arguments_text(self) -> str:
        """Give the arguments as the text that protocols with text arguments send."""
        raw = self.raw_arguments
        if raw is not None:
            if raw == self.arguments:
                return raw
            try:
                if (_json.loads(raw) if raw else {}) == self.arguments:
                    return raw
            except InvalidJsonError:
                pass
        return self.arguments if isinstance(self.arguments, str) else _json.dumps(self.arguments)


class ToolOutput:
    """The JSON form of a tool's output: a text as it is, parts as an array of parts, any other JSON value as a ``json`` part."""

    @staticmethod
    def codec() -> tuple[Encoder, Decoder]:
        """Give the encoder and the decoder."""
        encode_parts, decode_parts = tuple_of(*tagged(*PART_TYPES))

        def encode(value: Any) -> Any:
            if isinstance(value, str):
                return value
            if isinstance(value, tuple):
                return encode_parts(value)
            return {"type": "json", "value": copy_json(value)}

        def decode(value: Any) -> Any:
            if isinstance(value, str):
                return value
            if isinstance(value, list):
                return decode_parts(value)
            if isinstance(value, Mapping) and value.keys() == {"type", "value"} and value["type"] == "json":
                return copy_json(value["value"])
            raise InvalidShapeError("expected a text, an array of parts or a json part")

        return encode, decode


@dataclass(frozen=True, slots=True)
class ToolResultPart(Model):
    """Carry what a tool gave back: a text, a tuple of parts, or any JSON value."""

    _tag: ClassVar[str | None] = "tool_result"

    call_id: str
    output: Annotated[Any, ToolOutput]
    name: str | None = None
    is_error: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.call_id, str):
            raise wrong_type("call_id", "a string", self.call_id)
        output = self.output
        if isinstance(output, PART_TYPES):
            object.__setattr__(self, "output", (output,))
        elif isinstance(output, list | tuple) and output:
            kind = tuple if all(isinstance(part, PART_TYPES) for part in output) else list
            if type(output) is not kind:
                object.__setattr__(self, "output", kind(output))

    def text(self) -> str:
        """Give the output as text: its text parts joined, a JSON value written out."""
        if isinstance(self.output, str):
            return self.output
        if isinstance(self.output, tuple):
            return "".join(_text_of(part) for part in self.output)
        return _json.dumps(self.output)


def _text_of(part: object) -> str:
    if isinstance(part, TextPart):
        return part.text
    return _json.dumps(part.value) if isinstance(part, JsonPart) else ""


@dataclass(frozen=True, slots=True)
class ReasoningPart(Model):
    """Carry the model's reasoning: its text or summaries, and the provider's opaque state that must ride along unchanged.

    ``protocol`` says whose ``signature`` and ``encrypted_content`` these are; it is not compared.
    """

    _tag: ClassVar[str | None] = "reasoning"

    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted_content: str | None = None
    protocol: ProviderProtocol | None = field(default=None, kw_only=True, compare=False)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise wrong_type("text", "a string", self.text)
        if type(self.summary) is not tuple:
            put(self, "summary", each_of(self.summary, "summary", str, expected="texts", lone=True))
        if self.protocol is not None:
            hold_protocol(self, "protocol")


@dataclass(frozen=True, slots=True)
class RefusalPart(Model):
    """Carry the model's refusal to answer."""

    _tag: ClassVar[str | None] = "refusal"

    text: str
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise wrong_type("text", "a string", self.text)


@dataclass(frozen=True, slots=True)
class VendorPart(Model):
    """Carry, whole, a block that only one protocol knows."""

    _tag: ClassVar[str | None] = "vendor"

    protocol: ProviderProtocol
    payload: Any

    def __post_init__(self) -> None:
        hold_protocol(self, "protocol")


MessagePart = (
    TextPart
    | ImageUrlPart
    | ImageBase64Part
    | AudioPart
    | FilePart
    | JsonPart
    | ToolCallPart
    | ToolResultPart
    | ReasoningPart
    | RefusalPart
    | VendorPart
)
PART_TYPES: tuple[type[Model], ...] = (
    TextPart,
    ImageUrlPart,
    ImageBase64Part,
    AudioPart,
    FilePart,
    JsonPart,
    ToolCallPart,
    ToolResultPart,
    ReasoningPart,
    RefusalPart,
    VendorPart,
)


def hold_protocol(value: object, name: str) -> None:
    """Hold the protocol that a plain text in the field names; a format of the user's own is held as it is."""
    given = getattr(value, name)
    if given.__class__ is str:
        put(value, name, member(given, ProviderProtocol, name))
    elif not isinstance(given, str):
        raise wrong_type(name, "a ProviderProtocol", given)


def plain_text(parts: Iterable[object]) -> str:
    """Join the text of the text parts."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


__all__ = [
    "PART_TYPES",
    "Annotation",
    "AudioPart",
    "FilePart",
    "ImageBase64Part",
    "ImageUrlPart",
    "Json",
    "JsonPart",
    "MessagePart",
    "ReasoningPart",
    "RefusalPart",
    "TextPart",
    "ToolCallPart",
    "ToolOutput",
    "ToolResultPart",
    "VendorPart",
    "hold_protocol",
    "plain_text",
]
