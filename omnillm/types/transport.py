"""HTTP exchanges as values: what a wire format wants sent and what it was sent back, without a host or a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ._content import ContentField
from ._given import each_of, member, put
from ._model import Model
from .enums import HttpMethod


@dataclass(frozen=True, slots=True)
class JsonBody(Model):
    """Be a JSON body."""

    _tag: ClassVar[str | None] = "json"
    value: Any


@dataclass(frozen=True, slots=True)
class TextBody(Model):
    """Be a text body."""

    _tag: ClassVar[str | None] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class BinaryBody(Model):
    """Be a body of bytes; one that is sent may be a path or an open file, which is read when it is sent."""

    _tag: ClassVar[str | None] = "binary"
    data: ContentField
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class MultipartText(Model):
    """Be a text value of a multipart form."""

    _tag: ClassVar[str | None] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class MultipartFile(Model):
    """Be a file of a multipart form: bytes, or a path or an open file that is read when it is sent."""

    _tag: ClassVar[str | None] = "file"
    filename: str
    data: ContentField
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class MultipartField(Model):
    """Be one named field of a multipart form."""

    name: str
    value: MultipartText | MultipartFile


@dataclass(frozen=True, slots=True)
class MultipartBody(Model):
    """Be a multipart form, its fields in order."""

    _tag: ClassVar[str | None] = "multipart"
    fields: tuple[MultipartField, ...] = ()

    def __post_init__(self) -> None:
        if type(self.fields) is not tuple:
            put(self, "fields", each_of(self.fields, "fields", MultipartField, expected="MultipartFields"))


RequestBody = JsonBody | MultipartBody | TextBody | BinaryBody
ResponseBody = JsonBody | MultipartBody | TextBody | BinaryBody


@dataclass(frozen=True, slots=True)
class TransportRequest(Model):
    """Say what to send: the path is relative to the provider's base, headers hold no credentials."""

    method: HttpMethod
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    accept: str | None = None
    body: RequestBody | None = None

    def __post_init__(self) -> None:
        if type(self.method) is not HttpMethod:
            put(self, "method", member(self.method, HttpMethod, "method"))


@dataclass(frozen=True, slots=True)
class TransportResponse(Model):
    """Say what came back."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    body: ResponseBody | None = None
