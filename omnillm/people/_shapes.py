"""Shapes: what a type hint is in JSON, said once, so that the schema a model is given and the reading of its answer agree.

Contract: ``schema`` writes a shape in the subset of JSON Schema that every provider's strict mode takes where the type allows it
(``enum`` rather than ``const``, ``anyOf`` rather than ``oneOf``, every property required, none beyond them). ``decode`` gives
the value of the type, or raises ``MissingFieldError`` or ``InvalidShapeError`` with the JSON Pointer of the place. Nothing is
coerced, but that an integer is a number too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, Protocol

from .._dataclass import dataclass
from ..errors import InvalidShapeError, MissingFieldError, ProtocolError
from ..types._model import copy_json, escape

Schema = dict[str, Any]

NULL, BOOLEAN, INTEGER, NUMBER, STRING, ARRAY, OBJECT = "null", "boolean", "integer", "number", "string", "array", "object"
DEFS = "#/$defs/"
SPOKEN = {
    NULL: "null",
    BOOLEAN: "true or false",
    INTEGER: "an integer",
    NUMBER: "a number",
    STRING: "a string",
    ARRAY: "an array",
    OBJECT: "an object",
}
_KINDS = {type(None): NULL, bool: BOOLEAN, int: INTEGER, float: NUMBER, str: STRING, list: ARRAY, dict: OBJECT}


def kind_of(value: Any) -> str:
    """Name the JSON type of a value; a number without a fraction is an integer only where it was written as one."""
    return _KINDS.get(type(value), type(value).__name__)


def said(value: Any) -> str:
    """Write a value for people, true, false and null as JSON has them."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else f"{value!r:.80}"


def unexpected(what: str, value: Any) -> InvalidShapeError:
    """Give the error for a value that is something else."""
    kind = kind_of(value)
    given = SPOKEN[kind] if kind in (ARRAY, OBJECT) else said(value)
    return InvalidShapeError(f"expected {what}, got {given}")


def placed(name: str | int, decode: Callable[[Any], Any], value: Any) -> Any:
    """Decode what stands in a field or at an index, which goes in front of the pointer of whatever is refused."""
    try:
        return decode(value)
    except ProtocolError as error:
        error.pointer = f"/{escape(name)}{error.pointer}"
        raise


class Shape(Protocol):
    """What a type is in JSON; ``kinds`` are the JSON types of its values."""

    @property
    def kinds(self) -> frozenset[str]:
        """Name the JSON types of its values."""

    @property
    def what(self) -> str:
        """Say what is expected."""

    @property
    def hashable(self) -> bool:
        """Tell whether its values may be in a set."""

    def schema(self, defs: Defs) -> Schema:
        """Write the JSON Schema; objects that have a name go to ``defs``."""

    def decode(self, value: Any) -> Any:
        """Give the value that a JSON value is."""


class Defs:
    """Collect the named objects of one schema, each once; what is defined may refer to itself."""

    def __init__(self) -> None:
        self._names: dict[type, str] = {}
        self._adopted: dict[int, Schema] = {}
        self.schemas: dict[str, Schema] = {}

    def reference(self, record: Record) -> Schema:
        """Give the reference to the object of a class, which is written on its first use."""
        name = self._names.get(record.cls)
        if name is None:
            name = self._names[record.cls] = self.free(record.title)
            self.schemas[name] = {}  # taken, and in its place, before what is within it
            self.schemas[name] = record.body(self)
        return {"$ref": DEFS + name}

    def adopt(self, schema: Schema) -> Schema:
        """Give a schema that has definitions of its own without them: they are among these, renamed where a name is taken."""
        found = self._adopted.get(id(schema))
        if found is None:
            names: dict[str, str] = {}
            for name in schema.get("$defs", {}):
                names[name] = self.free(name)
                self.schemas[names[name]] = {}
            for name, inner in schema.get("$defs", {}).items():
                self.schemas[names[name]] = _renamed(inner, names)
            found = self._adopted[id(schema)] = _renamed({key: part for key, part in schema.items() if key != "$defs"}, names)
        return found

    def free(self, title: str) -> str:
        """Give a name that is not taken yet."""
        plain = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_") or "Object"
        name, n = plain, 1
        while name in self.schemas:
            n += 1
            name = f"{plain}_{n}"
        return name


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Give a schema with its references to the definitions by their new names."""
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and (name := reference.removeprefix(DEFS)) in names:
        return {**value, "$ref": DEFS + names[name]}
    return {key: _renamed(inner, names) for key, inner in value.items()}


def described(schema: Schema, text: str | None) -> Schema:
    """Add a description; beside a ``$ref`` strict modes take nothing, so there it stands around it."""
    if not text:
        return schema
    return {"anyOf": [schema], "description": text} if "$ref" in schema else {**schema, "description": text}


# --- values -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A string, integer, true or false, or null, as it is."""

    kind: str
    hashable: bool = True

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset((self.kind,))

    @property
    def what(self) -> str:
        return SPOKEN[self.kind]

    def schema(self, defs: Defs) -> Schema:  # noqa: ARG002
        return {"type": self.kind}

    def decode(self, value: Any) -> Any:
        if _KINDS.get(type(value)) != self.kind:
            raise unexpected(self.what, value)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A float; an integer in JSON is a number too."""

    kinds: frozenset[str] = frozenset((INTEGER, NUMBER))
    what: str = SPOKEN[NUMBER]
    hashable: bool = True

    def schema(self, defs: Defs) -> Schema:  # noqa: ARG002
        return {"type": NUMBER}

    def decode(self, value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise unexpected(self.what, value)
        try:
            return float(value)
        except OverflowError:
            raise InvalidShapeError("expected a number, got an integer beyond the range of a double") from None


@dataclass(frozen=True, slots=True, eq=False)
class Anything:
    """Any JSON value."""

    kinds: frozenset[str] = frozenset(SPOKEN)
    what: str = "a JSON value"
    hashable: bool = True

    def schema(self, defs: Defs) -> Schema:  # noqa: ARG002
        return {}

    def decode(self, value: Any) -> Any:
        return copy_json(value)


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A value that is written as a string of one form."""

    format: str
    what: str
    form: re.Pattern[str]
    read: Callable[[str], Any]
    kinds: frozenset[str] = frozenset((STRING,))
    hashable: bool = True

    def schema(self, defs: Defs) -> Schema:  # noqa: ARG002
        return {"type": STRING, "format": self.format}

    def decode(self, value: Any) -> Any:
        if type(value) is str and self.form.fullmatch(value):
            try:
                return self.read(value)
            except ValueError:
                pass  # the 30th of February
        raise unexpected(self.what, value)


class Choice:
    """One of some values: of a ``Literal``, or the members of an ``Enum`` by theirs."""

    hashable = True

    def __init__(self, values: Iterable[tuple[Any, Any]], *, is_literal: bool) -> None:
        self.values = {(kind_of(value), value): meant for value, meant in values}
        self.is_literal = is_literal
        self.kinds = frozenset(kind for kind, _ in self.values)
        names = [said(value) for _, value in self.values]
        self.what = f"one of {', '.join(names)}" if len(names) > 1 else names[0]

    def holds(self, value: Any) -> bool:
        """Tell whether the value is one of them."""
        return self._key(value) in self.values

    def schema(self, defs: Defs) -> Schema:  # noqa: ARG002
        by_kind: dict[str, list[Any]] = {}
        for kind, value in self.values:
            by_kind.setdefault(kind, []).append(value)
        options = [{"type": kind} if kind == NULL else {"type": kind, "enum": given} for kind, given in by_kind.items()]
        return options[0] if len(options) == 1 else {"anyOf": options}

    def decode(self, value: Any) -> Any:
        key = self._key(value)
        if key not in self.values:
            raise unexpected(self.what, value)
        return self.values[key]

    def _key(self, value: Any) -> tuple[str, Any]:
        kind = kind_of(value)
        if kind in (ARRAY, OBJECT):
            return kind, None
        return (NUMBER if kind == INTEGER and (kind, value) not in self.values else kind), value


# --- containers ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A list, tuple or set of one kind of items."""

    item: Shape
    make: Callable[[list[Any]], Any]
    kinds: frozenset[str] = frozenset((ARRAY,))
    what: str = SPOKEN[ARRAY]

    @property
    def hashable(self) -> bool:
        return self.make is frozenset or (self.make is tuple and self.item.hashable)

    def schema(self, defs: Defs) -> Schema:
        return {"type": ARRAY, "items": self.item.schema(defs)}

    def decode(self, value: Any) -> Any:
        if type(value) is not list:
            raise unexpected(self.what, value)
        decode = self.item.decode
        items = [placed(i, decode, item) for i, item in enumerate(value)]
        try:
            return self.make(items)
        except TypeError:  # of Any, in a set
            raise InvalidShapeError("expected items that a set can hold, got arrays or objects") from None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A tuple of so many items, each of its own kind."""

    items: tuple[Shape, ...]
    kinds: frozenset[str] = frozenset((ARRAY,))

    @property
    def what(self) -> str:
        return f"an array of {len(self.items)} items"

    @property
    def hashable(self) -> bool:
        return all(item.hashable for item in self.items)

    def schema(self, defs: Defs) -> Schema:
        schemas = [item.schema(defs) for item in self.items]
        size = {"minItems": len(schemas), "maxItems": len(schemas)}
        if any(schema != schemas[0] for schema in schemas):
            return {"type": ARRAY, "prefixItems": schemas, **size}
        return {"type": ARRAY, "items": schemas[0] if schemas else {}, **size}

    def decode(self, value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(self.items):
            given = f"an array of {len(value)}" if type(value) is list else SPOKEN.get(kind_of(value), kind_of(value))
            raise InvalidShapeError(f"expected {self.what}, got {given}")
        return tuple(placed(i, shape.decode, item) for i, (shape, item) in enumerate(zip(self.items, value, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A dict of any names."""

    item: Shape
    kinds: frozenset[str] = frozenset((OBJECT,))
    what: str = SPOKEN[OBJECT]
    hashable: bool = False

    def schema(self, defs: Defs) -> Schema:
        return {"type": OBJECT, "additionalProperties": self.item.schema(defs) or True}

    def decode(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise unexpected(self.what, value)
        decode = self.item.decode
        return {name: placed(name, decode, item) for name, item in value.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A shape with words for the model."""

    inner: Shape
    text: str

    @property
    def kinds(self) -> frozenset[str]:
        return self.inner.kinds

    @property
    def what(self) -> str:
        return self.inner.what

    @property
    def hashable(self) -> bool:
        return self.inner.hashable

    def schema(self, defs: Defs) -> Schema:
        return described(self.inner.schema(defs), self.text)

    def decode(self, value: Any) -> Any:
        return self.inner.decode(value)


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a record. A ``droppable`` one may be left out of a ``TypedDict``, which strict modes say as null."""

    shape: Shape
    required: bool = True
    droppable: bool = False
    text: str | None = None

    def schema(self, defs: Defs) -> Schema:
        """Write the property."""
        schema = self.shape.schema(defs)
        if self.droppable and NULL not in self.shape.kinds:
            schema = {"anyOf": [*(schema["anyOf"] if set(schema) == {"anyOf"} else [schema]), {"type": NULL}]}
        return described(schema, self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An object of named fields: a dataclass or a ``TypedDict``; its members come after it, for it may hold itself."""

    cls: type
    text: str | None
    make: Callable[[dict[str, Any]], Any]
    hashable: bool
    members: dict[str, Member] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset((OBJECT,))
    what: str = SPOKEN[OBJECT]

    @property
    def title(self) -> str:
        """Name the class."""
        return self.cls.__name__

    def schema(self, defs: Defs) -> Schema:
        return defs.reference(self)

    def body(self, defs: Defs) -> Schema:
        """Write the object itself."""
        return described(object_schema(self.members, self.members, defs), self.text)

    def decode(self, value: Any) -> Any:
        if type(value) is not dict:
            raise unexpected(self.what, value)
        for name in value:
            if name not in self.members:
                raise InvalidShapeError(f"{self.title} has no field {name!r:.80}", pointer=f"/{escape(name)}")
        given: dict[str, Any] = {}
        for name, member in self.members.items():
            if name not in value:
                if member.required:
                    raise MissingFieldError(f"{self.title} needs {name!r}", pointer=f"/{escape(name)}")
            elif value[name] is not None or not member.droppable or NULL in member.shape.kinds:
                given[name] = placed(name, member.shape.decode, value[name])
        try:
            return self.make(given)
        except (ValueError, TypeError) as error:  # of the type's own __post_init__
            raise InvalidShapeError(f"{self.title} refuses it: {error}") from error


def object_schema(members: Mapping[str, Member], required: Iterable[str], defs: Defs) -> Schema:
    """Write an object that has these fields and no others."""
    return {
        "type": OBJECT,
        "properties": {name: member.schema(defs) for name, member in members.items()},
        "required": list(required),
        "additionalProperties": False,
    }
