"""Type hints read into shapes; what has no form in JSON is a ``ConfigurationError`` that names the field.

A class is read once within one hint, so that it may hold itself.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import sys
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from .._cancel import is_from_outside
from ..errors import ConfigurationError
from ._pydantic import Foreign, is_pydantic
from ._shapes import (
    BOOLEAN,
    INTEGER,
    NULL,
    STRING,
    Anything,
    Array,
    Choice,
    Described,
    Member,
    Number,
    Record,
    Row,
    Scalar,
    Shape,
    Table,
    Text,
)
from ._unions import Tagged, find_tag, union_of

_DAY, _OFFSET = r"\d{4}-\d\d-\d\d", r"(?:[Zz]|[+-]\d\d:\d\d)?"
_HOUR = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?" + _OFFSET


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _parsed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: read(text.upper())


# What a test that freezes time has put in their place, while this is imported, are classes derived from them.
_DATE, _DATETIME = (next(base for base in kind.__mro__ if base.__module__ == "datetime") for kind in (date, datetime))

_PLAIN: dict[Any, Callable[[], Shape]] = {
    str: lambda: Scalar(STRING),
    int: lambda: Scalar(INTEGER),
    bool: lambda: Scalar(BOOLEAN),
    None: lambda: Scalar(NULL),
    type(None): lambda: Scalar(NULL),
    float: Number,
    Any: Anything,
    _DATE: lambda: Text("date", "a date such as 2024-12-31", _form(_DAY), date.fromisoformat),
    _DATETIME: lambda: Text(
        "date-time", "a date and time such as 2024-12-31T23:59:59Z", _form(f"{_DAY}[Tt ]{_HOUR}"), _parsed(datetime.fromisoformat)
    ),
    time: lambda: Text("time", "a time such as 23:59:59", _form(_HOUR), _parsed(time.fromisoformat)),
    uuid.UUID: lambda: Text("uuid", "a UUID", _form(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), uuid.UUID),
}
_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    tuple: tuple,
    set: set,
    abc.MutableSet: set,
    frozenset: frozenset,
    abc.Set: frozenset,
}
_TABLES = frozenset({dict, abc.Mapping, abc.MutableMapping})
_WRAPPERS = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})


def shape_of(hint: Any, *, at: str = "") -> Shape:
    """Give the shape of a type hint, made once; ``at`` is how an error names the place."""
    try:
        hash(hint)
    except TypeError:  # metadata that cannot be a key of the cache
        return _Reader().whole(hint, at or spoken(hint))
    return _kept(hint, at)


@lru_cache(maxsize=512)
def _kept(hint: Any, at: str) -> Shape:
    return _Reader().whole(hint, at or spoken(hint))


def spoken(hint: Any) -> str:
    """Name a type as it is written."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return "None"
    if origin is typing.Annotated:
        return spoken(args[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(spoken, args))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    name = str(getattr(origin or hint, "__name__", None) or hint)
    inner = ", ".join("..." if arg is Ellipsis else spoken(arg) for arg in args)
    return f"{name}[{inner}]" if args else name


class _Reader:
    """Read one hint."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}
        self._aliases: list[Any] = []
        self._unions: list[tuple[Tagged, str]] = []  # whose records may not be read to their end yet

    def whole(self, hint: Any, at: str) -> Shape:
        """Read a hint and all that is within it."""
        shape = self.read(hint, at)
        for union, place in self._unions:
            find_tag(union, place)
        return shape

    def read(self, hint: Any, at: str) -> Shape:
        try:
            plain = _PLAIN.get(hint)
        except TypeError:
            plain = None
        if plain is not None:
            return plain()
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            text = next((note for note in hint.__metadata__ if isinstance(note, str)), None)
            inner = self.read(args[0], at)
            return inner if text is None else Described(inner, text)
        if origin in (typing.Union, types.UnionType):
            if all(arg is type(None) or is_pydantic(arg) for arg in args):
                return Foreign(hint, at)  # it tells its models apart by itself
            return self._union([self.read(arg, at) for arg in args], at)
        if origin is typing.Literal:
            return _literal(args, at)
        if getattr(origin, "_name", None) in _WRAPPERS or getattr(origin, "__name__", None) in _WRAPPERS:
            return self.read(args[0], at)
        container = hint if origin is None else origin
        if isinstance(container, abc.Hashable) and (container in _ARRAYS or container in _TABLES):
            return self._container(container, args, at)
        return self._named(hint, at)

    def _union(self, options: list[Shape], at: str) -> Shape:
        shape = union_of(options, at)
        self._unions += [(option, at) for option in getattr(shape, "options", ()) if isinstance(option, Tagged)]
        return shape

    def _container(self, kind: Any, args: tuple[Any, ...], at: str) -> Shape:
        if kind in _TABLES:
            if args and self.read(args[0], at).kinds != {STRING}:
                raise _no_form(at, f"a dict whose names are {spoken(args[0])}", "the names of an object are str")
            return Table(self.read(args[1] if args else Any, f"{at}[]"))
        if kind is tuple and args and args[1:] != (Ellipsis,):
            return Row(tuple(self.read(arg, f"{at}[{i}]") for i, arg in enumerate(args)))
        item = self.read(args[0] if args else Any, f"{at}[]")
        make = _ARRAYS[kind]
        if make in (set, frozenset) and not item.hashable:
            raise _no_form(at, "a set of what is not hashable", "a frozen dataclass or a tuple is")
        return Array(item, make)

    def _named(self, hint: Any, at: str) -> Shape:
        """Read a class or another name for a type."""
        if is_pydantic(hint):
            return Foreign(hint, at)
        if isinstance(hint, typing.NewType):
            return self.read(hint.__supertype__, at)
        if type(hint).__name__ == "TypeAliasType":
            if hint in self._aliases:
                raise _no_form(at, f"{hint}, which is made of itself", "a dataclass may hold itself")
            self._aliases.append(hint)
            shape = self.read(hint.__value__, at)
            self._aliases.remove(hint)
            return shape
        if isinstance(hint, type):
            if hint in self._records:
                return self._records[hint]
            if issubclass(hint, enum.Enum):
                return _enumeration(hint, at)
            if dataclasses.is_dataclass(hint):
                return self._dataclass(hint)
            if issubclass(hint, dict) and hasattr(hint, "__required_keys__"):
                return self._typed_dict(hint)
        instead = (
            "use str, int, float, bool, None, list, dict[str, …], tuple, set, Literal, Enum, date, a dataclass or a TypedDict"
        )
        raise _no_form(at, "a parameter without annotation" if hint is inspect.Parameter.empty else spoken(hint), instead)

    def _dataclass(self, cls: Any) -> Record:
        doc = cls.__dict__.get("__doc__")
        if doc is not None and doc.startswith(f"{cls.__name__}("):
            doc = None  # dataclass's own, which repeats the signature
        record = Record(cls, _cleaned(doc), lambda given: cls(**given), cls.__hash__ is not None)
        self._records[cls] = record
        hints = hints_of(cls)
        for field in dataclasses.fields(cls):
            if field.init:
                required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
                shape = self.read(hints[field.name], f"{cls.__name__}.{field.name}")
                text = field.metadata.get("description")
                record.members[field.name] = Member(shape, required=required, text=text if isinstance(text, str) else None)
        return record

    def _typed_dict(self, cls: Any) -> Record:
        record = Record(cls, _cleaned(cls.__dict__.get("__doc__")), dict, hashable=False)
        self._records[cls] = record
        for name, hint in hints_of(cls).items():
            said = _requirement(hint)
            required = name in cls.__required_keys__ if said is None else said
            record.members[name] = Member(self.read(hint, f"{cls.__name__}.{name}"), required=required, droppable=not required)
        return record


def hints_of(owner: Any) -> Mapping[str, Any]:
    """Resolve the annotations of a class or a function; raises ``ConfigurationError`` where a name is not known."""
    own = {owner.__name__: owner} if isinstance(owner, type) else {}
    try:
        return typing.get_type_hints(owner, localns={**_around(owner), **own}, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"{owner.__qualname__}: the annotation {error.name!r} cannot be resolved: define it at the top of the module",
            field=owner.__name__,
        ) from None
    except Exception as error:  # an annotation written as text is any expression
        if is_from_outside(error):
            raise
        raise ConfigurationError(
            f"{owner.__qualname__}: an annotation cannot be resolved: {error}", field=owner.__name__
        ) from None


def _around(owner: Any) -> dict[str, Any]:
    """Give what is known in the functions around a class or function, as long as they run: annotations as text may name it."""
    *parents, _ = owner.__qualname__.split(".<locals>.")
    around = {".<locals>.".join(parents[: n + 1]) for n in range(len(parents))}
    found: dict[str, Any] = {}
    frame = sys._getframe() if around else None
    while frame is not None:
        if frame.f_code.co_qualname in around and frame.f_globals.get("__name__") == owner.__module__:
            found = {**frame.f_locals, **found}
        frame = frame.f_back
    return found


def _requirement(hint: Any) -> bool | None:
    """Tell what ``Required`` and ``NotRequired`` say, which a class with annotations as text has not counted."""
    while (origin := typing.get_origin(hint)) is not None:
        if origin is typing.Required:
            return True
        if origin is typing.NotRequired:
            return False
        if origin is not typing.Annotated and getattr(origin, "_name", None) not in _WRAPPERS:
            return None
        hint = typing.get_args(hint)[0]
    return None


def _literal(args: tuple[Any, ...], at: str) -> Choice:
    values = [(arg.value if isinstance(arg, enum.Enum) else arg, arg) for arg in args]
    return _choice(values, at, is_literal=True)


def _enumeration(cls: type[enum.Enum], at: str) -> Choice:
    members = [(_plain(member.value), member) for member in cls]
    if not members:
        raise _no_form(at, f"{cls.__name__}, which has no members", "an Enum needs one")
    return _choice(members, at, is_literal=False)


def _plain(value: Any) -> Any:
    """Give a member's value as JSON has it: that of a ``StrEnum`` is a string of a class of its own."""
    return next((kind(value) for kind in (str, int, float) if isinstance(value, kind) and not isinstance(value, bool)), value)


def _choice(values: list[tuple[Any, Any]], at: str, *, is_literal: bool) -> Choice:
    for said, meant in values:
        if said is not None and not isinstance(said, str | int | float):
            raise _no_form(at, repr(meant), "the values must be strings, numbers, booleans or None")
    return Choice([(_plain(said), meant) for said, meant in values], is_literal=is_literal)


def _cleaned(doc: str | None) -> str | None:
    return inspect.cleandoc(doc) if doc else None


def _no_form(at: str, what: str, instead: str) -> ConfigurationError:
    return ConfigurationError(f"{at}: {what} has no form in JSON: {instead}", field=at)
