"""Unions: which member a JSON value is must be plain from its JSON type, a literal's values or one field; never tried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._dataclass import dataclass
from ..errors import ConfigurationError, MissingFieldError
from ..types._model import escape
from ._shapes import (
    INTEGER,
    OBJECT,
    SPOKEN,
    Anything,
    Choice,
    Defs,
    Described,
    Number,
    Record,
    Schema,
    Shape,
    kind_of,
    said,
    unexpected,
)


class Tagged:
    """One of several records, told apart by the value of one field; which field is found when all of them are read."""

    kinds = frozenset((OBJECT,))
    what = SPOKEN[OBJECT]

    def __init__(self, options: Iterable[Record]) -> None:
        self.options = tuple(dict.fromkeys(options))
        self.tag = ""
        self.records: Mapping[tuple[str, Any], Record] = {}

    @property
    def hashable(self) -> bool:
        return all(record.hashable for record in self.options)

    def schema(self, defs: Defs) -> Schema:
        return {"anyOf": [record.schema(defs) for record in self.options]}

    def decode(self, value: Any) -> Any:
        if type(value) is not dict:
            raise unexpected(self.what, value)
        if self.tag not in value:
            raise MissingFieldError(f"{self.tag!r} must say which it is", pointer=f"/{escape(self.tag)}")
        tag = value[self.tag]
        record = None if type(tag) in (list, dict) else self.records.get((kind_of(tag), tag))
        if record is None:
            error = unexpected(f"one of {', '.join(said(name) for _, name in self.records)}", tag)
            error.pointer = f"/{escape(self.tag)}"
            raise error
        return record.decode(value)


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """One of several shapes, told apart by the JSON type of the value, or by being one of a literal's."""

    options: tuple[Shape, ...]
    choices: tuple[Choice, ...]
    by_kind: Mapping[str, Shape]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset().union(*(option.kinds for option in self.options))

    @property
    def what(self) -> str:
        return " or ".join(dict.fromkeys(option.what for option in self.options))

    @property
    def hashable(self) -> bool:
        return all(option.hashable for option in self.options)

    def schema(self, defs: Defs) -> Schema:
        options: list[Schema] = []
        for option in self.options:
            schema = option.schema(defs)
            options += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
        return {"anyOf": options}

    def decode(self, value: Any) -> Any:
        for choice in self.choices:
            if choice.holds(value):
                return choice.decode(value)
        option = self.by_kind.get(kind_of(value))
        if option is None:
            raise unexpected(self.what, value)
        return option.decode(value)


def union_of(options: Sequence[Shape], at: str) -> Shape:
    """Give the shape of a union; raises ``ConfigurationError`` where nothing tells two of its members apart.

    Of several records the field that does is found by ``find_tag``, when they are read: they may hold the union.
    """
    options = [part for option in options for part in (option.options if isinstance(option, Union) else (option,))]
    if any(isinstance(option, Anything) for option in options):
        return Anything()
    records = [bare for option in options if isinstance(bare := _bare(option), Record)]
    if len(records) > 1:
        first = next(i for i, option in enumerate(options) if isinstance(_bare(option), Record))
        options = [option for option in options if not isinstance(_bare(option), Record)]
        options.insert(first, Tagged(records))
    choices = tuple(bare for option in options if isinstance(bare := _bare(option), Choice))
    _check_choices(choices, options, at)
    return Union(tuple(options), choices, _by_kind([option for option in options if not isinstance(_bare(option), Choice)], at))


def find_tag(union: Tagged, at: str) -> None:
    """Find the field that tells the records apart, and which is meant by each of its values."""
    for name in union.options[0].members:
        found: dict[tuple[str, Any], Record] = {}
        for record in union.options:
            member = record.members.get(name)
            shape = None if member is None else _bare(member.shape)
            if not isinstance(shape, Choice) or found.keys() & shape.values.keys():
                break
            found.update(dict.fromkeys(shape.values, record))
        else:
            union.tag, union.records = name, found
            return
    titles = " and ".join(record.title for record in union.options)
    raise ConfigurationError(
        f'{at}: {titles} are all objects: each needs a field of one name that tells them apart, such as kind: Literal["…"]',
        field=at,
    )


def _bare(shape: Shape) -> Shape:
    return _bare(shape.inner) if isinstance(shape, Described) else shape


def _by_kind(options: Sequence[Shape], at: str) -> Mapping[str, Shape]:
    found: dict[str, Shape] = {}
    for option in options:
        for kind in option.kinds:
            other = found.get(kind)
            if other is None or (kind == INTEGER and isinstance(_bare(other), Number)):
                found[kind] = option
            elif not (kind == INTEGER and isinstance(_bare(option), Number)):
                raise _alike(at, other.what, option.what)
    return found


def _check_choices(choices: Sequence[Choice], options: Sequence[Shape], at: str) -> None:
    seen: dict[tuple[str, Any], Choice] = {}
    for choice in choices:
        for key in choice.values:
            if key in seen:
                raise _alike(at, seen[key].what, choice.what)
            seen[key] = choice
        for option in options:
            # what is a literal is the same value whichever it was; a member of an Enum is not
            if not choice.is_literal and not isinstance(_bare(option), Choice) and choice.kinds & option.kinds:
                raise _alike(at, choice.what, option.what)


def _alike(at: str, one: str, other: str) -> ConfigurationError:
    return ConfigurationError(f"{at}: nothing tells {one} from {other} in this union", field=at)
