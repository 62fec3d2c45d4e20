"""JSON at rest for canonical values: one mixin, dataclasses-json behind it, imported on first use.

dataclasses-json coerces (``"7"`` becomes ``7``), drops unknown fields and tries union members one after another, so on the first
use of a class its fields are given an encoder and a decoder made of the type hint: exact, strict, and unions by their ``"type"``
tag. Nothing of this is on the road of a call.
"""

from __future__ import annotations

import base64
import binascii
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

from .. import _json
from .._late import importing
from ..errors import InvalidShapeError, MissingFieldError, ProtocolError

Json = Any  # a JSON value: None, bool, int, float, str, list, dict with str keys

Encoder = Callable[[Any], Any]
Decoder = Callable[[Any], Any]

_ready: set[type] = set()


class Model:
    """Give a canonical dataclass its JSON form; ``_tag`` is the ``"type"`` of a union's member."""

    __slots__ = ()

    _tag: ClassVar[str | None] = None
    _not_in_json: ClassVar[frozenset[str]] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Give the value as JSON-ready dictionaries and lists, with a ``"type"`` where it is a member of a union."""
        library = _prepared(type(self))
        kvs = library.to_dict(self)
        for name in self._not_in_json:
            kvs.pop(name, None)
        return {"type": self._tag, **kvs} if self._tag is not None else dict(kvs)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` gave; raises ``MissingFieldError`` or ``InvalidShapeError``, nothing is coerced or dropped."""
        library = _prepared(cls)
        kvs = dict(_expect(data, Mapping, "an object"))
        if cls._tag is not None and kvs.pop("type", cls._tag) != cls._tag:
            raise InvalidShapeError(f"expected type {cls._tag!r}", pointer="/type")
        own = {f.name: f for f in fields(cls) if f.init and f.name not in cls._not_in_json}  # type: ignore[arg-type]  # a dataclass, by use
        for name, value in kvs.items():
            if name not in own:
                raise InvalidShapeError(f"{cls.__name__} has no field {name!r:.80}", pointer=f"/{escape(name)}")
            if value is None:  # which dataclasses-json lets into any field
                own[name].metadata["dataclasses_json"]["decoder"](None)
        for name, f in own.items():
            if name not in kvs and f.default is MISSING and f.default_factory is MISSING:
                raise MissingFieldError(f"{cls.__name__} needs {name!r}", pointer=f"/{name}")
        return typing.cast(Self, library.from_dict.__func__(cls, kvs))

    def to_json(self) -> str:
        """Give the value as JSON text."""
        return _json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` gave; raises ``ProtocolError`` and its subclasses only."""
        return cls.from_dict(_json.loads(text))


def _prepared(cls: type) -> Any:
    with importing:
        import dataclasses_json  # the at-rest road alone pays for it

    if cls not in _ready:
        hints = typing.get_type_hints(cls, include_extras=True)
        for f in fields(cls):
            encode, decode = _codec(hints[f.name])
            config = {"encoder": encode, "decoder": _placed(f.name, decode)}
            f.metadata = types.MappingProxyType({**f.metadata, "dataclasses_json": config})
        _ready.add(cls)
    return dataclasses_json.DataClassJsonMixin


def _placed(name: str, decode: Decoder) -> Decoder:
    """Put the field's name in front of the pointer of whatever its decoder refuses."""

    def placed(value: Any) -> Any:
        try:
            return decode(value)
        except ProtocolError as error:
            error.pointer = f"/{name}{error.pointer}"
            raise

    return placed


def _expect(value: Any, kind: Any, what: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, (int, float))):
        raise InvalidShapeError(f"expected {what}, got {type(value).__name__}")
    return value


def _same(value: Any) -> Any:
    return value


def escape(name: object) -> str:
    """Write a name as a reference token of a JSON Pointer (RFC 6901 section 3)."""
    text = str(name)
    return text.replace("~", "~0").replace("/", "~1") if "~" in text or "/" in text else text


def copy_json(value: Any) -> Any:
    """Copy the containers of a JSON value; tuples become lists."""
    if isinstance(value, Mapping):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copy_json(item) for item in value]
    return value


_SCALARS: dict[Any, tuple[Any, str]] = {
    str: (str, "a string"),
    int: (int, "an integer"),
    float: ((int, float), "a number"),
    bool: (bool, "true or false"),
}


def _codec(hint: Any) -> tuple[Encoder, Decoder]:
    """Give the encoder and the decoder of a type hint."""
    if hint in _SCALARS:
        kind, what = _SCALARS[hint]
        return _same, lambda value: _expect(value, kind, what)
    if hint is bytes:
        return _encode_bytes, _decode_bytes
    if hint is Any:
        return copy_json, copy_json
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return args[1].codec()  # type: ignore[no-any-return]  # a marker that knows its own form: see parts.ToolOutput
    if origin in (typing.Union, types.UnionType):
        return _union_codec(args)
    if origin is tuple:
        return tuple_of(*_codec(args[0]))
    if origin is typing.Literal:
        return _same, _literal_decoder(args)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str, _enum_decoder(hint)
    if isinstance(hint, type) and issubclass(hint, Model):
        return lambda value: value.to_dict(), hint.from_dict
    if origin in (dict, Mapping):
        return copy_json, lambda value: copy_json(_expect(value, Mapping, "an object"))
    return copy_json, copy_json


def tuple_of(encode: Encoder, decode: Decoder) -> tuple[Encoder, Decoder]:
    """Give the encoder and the decoder of a tuple, made of those of its items."""

    def decode_all(value: Any) -> tuple[Any, ...]:
        return tuple(_placed(str(i), decode)(item) for i, item in enumerate(_expect(value, list | tuple, "an array")))

    return lambda value: [encode(item) for item in value], decode_all


def _union_codec(args: tuple[Any, ...]) -> tuple[Encoder, Decoder]:
    options = [arg for arg in args if arg is not type(None)]
    optional = len(options) < len(args)
    encode, decode = _codec(options[0]) if len(options) == 1 else tagged(*options)
    if not optional:
        return encode, decode
    return (lambda value: None if value is None else encode(value)), (lambda value: None if value is None else decode(value))


def tagged(*options: type[Model]) -> tuple[Encoder, Decoder]:
    """Give the encoder and the decoder of a union whose members carry a ``"type"`` tag."""
    by_tag = {option._tag: option for option in options}

    def decode(value: Any) -> Any:
        tag = _expect(value, Mapping, "an object").get("type")
        option = by_tag.get(tag) if isinstance(tag, str) else None
        if option is None:
            raise InvalidShapeError(f"unknown type {tag!r}: expected one of {sorted(map(str, by_tag))}", pointer="/type")
        return option.from_dict(value)

    return lambda value: value.to_dict(), decode


def _enum_decoder(enum: type[StrEnum]) -> Decoder:
    def decode(value: Any) -> StrEnum:
        try:
            return enum(value)
        except ValueError:
            raise InvalidShapeError(f"expected one of {[member.value for member in enum]}, got {value!r:.80}") from None

    return decode


def _literal_decoder(choices: tuple[Any, ...]) -> Decoder:
    def decode(value: Any) -> Any:
        if value not in choices:
            raise InvalidShapeError(f"expected one of {list(choices)}, got {value!r:.80}")
        return value

    return decode


def _encode_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _decode_bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_expect(value, str, "base64 text"), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidShapeError("expected base64 text") from None
