"""Types of every kind that an answer may be asked for as, and strategies that make more of them."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, NotRequired, Required, TypedDict, Union
from uuid import UUID

from hypothesis import strategies as st


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    WORD = "word"
    NUMBER = 1
    HALF = 0.5


Name = NewType("Name", str)


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


@dataclasses.dataclass
class Stop:
    """A place on the way.

    Nothing more.
    """

    city: Annotated[str, "The name in English"]
    at: Point | None
    nights: int = dataclasses.field(default=1, metadata={"description": "How many nights"})
    tags: list[str] = dataclasses.field(default_factory=list)
    known: bool = dataclasses.field(default=True, init=False)


@dataclasses.dataclass
class Node:
    value: int
    next: Node | None = None


@dataclasses.dataclass
class Square:
    side: float
    kind: Literal["square"] = "square"


@dataclasses.dataclass
class Circle:
    radius: float
    kind: Literal["circle", "ring"] = "circle"


@dataclasses.dataclass
class Number:
    value: int
    op: Literal["number"]


@dataclasses.dataclass
class Add:
    left: Add | Number
    right: Add | Number
    op: Literal["add"]


@dataclasses.dataclass
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value <= 0:
            raise ValueError("not positive")


class Film(TypedDict):
    title: str
    year: NotRequired[int]
    seen: NotRequired[bool | None]


class Partial(TypedDict, total=False):
    """Some of it."""

    title: Required[str]
    year: int


@dataclasses.dataclass
class Unannotated:
    what: Any
    raw: bytes


@dataclasses.dataclass
class Unknown:
    what: NotThere  # type: ignore[name-defined]  # noqa: F821


# --- generated: a hint, the JSON of a value, and the value --------------------------------------------------------------------

Case = tuple[Any, Any, Any]

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}
_WRITTEN: dict[Any, tuple[st.SearchStrategy[Any], Any]] = {
    date: (st.dates(), lambda value: value.isoformat()),
    datetime: (st.datetimes(), lambda value: value.isoformat()),
    time: (st.times(), lambda value: value.isoformat()),
    UUID: (st.uuids(), str),
    Colour: (st.sampled_from(Colour), lambda value: value.value),
    Level: (st.sampled_from(Level), lambda value: value.value),
    Mixed: (st.sampled_from(Mixed), lambda value: value.value),
    Literal["a", 1, True]: (st.sampled_from(["a", 1, True]), lambda value: value),
}


def _scalar(hint: Any) -> st.SearchStrategy[Case]:
    return st.tuples(st.just(hint), _SCALARS[hint]).map(lambda made: (made[0], made[1], made[1]))


def _written(hint: Any) -> st.SearchStrategy[Case]:
    values, write = _WRITTEN[hint]
    return values.map(lambda value: (hint, write(value), value))


def _listed(inner: Case) -> st.SearchStrategy[Case]:
    hint, said, meant = inner
    forms = [(list[hint], list), (tuple[hint, ...], tuple)]
    return st.tuples(st.sampled_from(forms), st.integers(0, 2)).map(
        lambda made: (made[0][0], [said] * made[1], made[0][1]([meant] * made[1]))
    )


def _rowed(inner: tuple[Case, Case]) -> Case:
    (one, said, meant), (other, also, too) = inner
    return tuple[one, other], [said, also], (meant, too)


def _tabled(inner: tuple[str, Case]) -> Case:
    name, (hint, said, meant) = inner
    return dict[str, hint], {name: said}, {name: meant}


def _optional(inner: tuple[Case, bool]) -> Case:
    (hint, said, meant), there = inner
    return (hint | None, said, meant) if there else (hint | None, None, None)


def _record(inner: list[Case]) -> Case:
    cls = dataclasses.make_dataclass("Made", [(f"f{i}", hint) for i, (hint, _, _) in enumerate(inner)])
    said = {f"f{i}": value for i, (_, value, _) in enumerate(inner)}
    return cls, said, cls(*(meant for _, _, meant in inner))


def _tagged(inner: tuple[Case, Case, bool]) -> Case:
    (one, said, meant), (other, also, too), first = inner
    here = dataclasses.make_dataclass("Here", [("tag", Literal["here"]), ("is_", one)])
    there = dataclasses.make_dataclass("There", [("is_", other), ("tag", Literal["there"])])
    hint = Union[here, there]  # noqa: UP007  # made of variables
    return (
        (hint, {"tag": "here", "is_": said}, here("here", meant))
        if first
        else (hint, {"tag": "there", "is_": also}, there(too, "there"))
    )


cases: st.SearchStrategy[Case] = st.recursive(
    st.one_of([_scalar(hint) for hint in _SCALARS] + [_written(hint) for hint in _WRITTEN]),
    lambda inner: st.one_of(
        inner.flatmap(_listed),
        st.tuples(inner, inner).map(_rowed),
        st.tuples(_TEXT, inner).map(_tabled),
        st.tuples(inner, st.booleans()).map(_optional),
        st.lists(inner, max_size=3).map(_record),
        st.tuples(inner, inner, st.booleans()).map(_tagged),
    ),
    max_leaves=6,
)
