"""JSON values read as types: exactly or not at all, with the place of what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import typed_answers as t
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

from omnillm.errors import InvalidShapeError, MissingFieldError, ProtocolError
from omnillm.people._check_schema import Checker
from omnillm.people.decode import decoder_of
from omnillm.people.schema import schema_of
from omnillm.testing._schema import least_instance

UUID_TEXT = "00000000-0000-4000-8000-00000000000A"

READ: list[tuple[Any, Any, Any]] = [
    (str, "7", "7"),
    (int, 7, 7),
    (float, 7, 7.0),
    (float, 7.5, 7.5),
    (bool, True, True),
    (None, None, None),
    (Any, {"a": [1]}, {"a": [1]}),
    (t.Name, "Ann", "Ann"),
    (Annotated[int, "n"], 7, 7),
    (list[int], [1, 2], [1, 2]),
    (list, [1, "a"], [1, "a"]),
    (Sequence[int], [1], [1]),
    (tuple[int, ...], [1, 2], (1, 2)),
    (tuple[int, str], [1, "a"], (1, "a")),
    (set[int], [1, 1, 2], {1, 2}),
    (frozenset[t.Point], [{"x": 1, "y": 2}], frozenset([t.Point(1, 2.0)])),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict, {"a": {"b": None}}, {"a": {"b": None}}),
    (int | None, None, None),
    (int | None, 1, 1),
    (int | float, 1, 1),
    (float | int, 1, 1),
    (float | int, 1.5, 1.5),
    (int | str | list[int], [3], [3]),
    (Literal["a", 1, True], True, True),
    (Literal["auto"] | int, "auto", "auto"),
    (Literal["never"] | date, "never", "never"),
    (Literal["never"] | date, "2024-02-29", date(2024, 2, 29)),
    (Literal[t.Colour.RED], "red", t.Colour.RED),
    (t.Colour, "green", t.Colour.GREEN),
    (t.Level, 2, t.Level.HIGH),
    (t.Mixed, 0.5, t.Mixed.HALF),
    (t.Mixed, 1, t.Mixed.NUMBER),
    (date, "2024-02-29", date(2024, 2, 29)),
    (datetime, "2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (datetime, "2024-01-02t03:04:05.25z", datetime(2024, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)),
    (datetime, "2024-01-02 03:04", datetime(2024, 1, 2, 3, 4)),  # noqa: DTZ001  # as it was said
    (datetime, "2024-01-02T03:04:05+02:00", datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))),
    (time, "03:04:05", time(3, 4, 5)),
    (UUID, UUID_TEXT, UUID(UUID_TEXT)),
    (t.Point, {"x": 1}, t.Point(1, 0.0)),
    (t.Stop, {"city": "Rome", "at": None}, t.Stop("Rome", None)),
    (
        t.Stop,
        {"city": "Rome", "at": {"x": 1, "y": 2.5}, "nights": 2, "tags": ["old"]},
        t.Stop("Rome", t.Point(1, 2.5), 2, ["old"]),
    ),
    (t.Node, {"value": 1, "next": {"value": 2, "next": None}}, t.Node(1, t.Node(2))),
    (t.Square | t.Circle, {"kind": "ring", "radius": 1}, t.Circle(1.0, "ring")),
    (t.Square | t.Circle | str, {"kind": "square", "side": 2}, t.Square(2.0)),
    (t.Square | t.Circle | str, "none", "none"),
    (
        t.Add,
        {"op": "add", "left": {"op": "number", "value": 1}, "right": {"op": "number", "value": 2}},
        t.Add(t.Number(1, "number"), t.Number(2, "number"), "add"),
    ),
    (t.Film, {"title": "M"}, {"title": "M"}),
    (t.Film, {"title": "M", "year": None, "seen": None}, {"title": "M", "seen": None}),
    (t.Partial, {"title": "M", "year": 1931}, {"title": "M", "year": 1931}),
]


@pytest.mark.parametrize(("hint", "said", "meant"), READ, ids=lambda value: str(value)[:40])
def test_a_value_is_read(hint: Any, said: Any, meant: Any) -> None:
    """What fits gives a value of the type, equal and of the same type."""
    value = decoder_of(hint)(said)
    assert value == meant
    assert type(value) is type(meant)


REFUSED: list[tuple[Any, Any, str, str]] = [
    (int, "7", "", "expected an integer, got '7'"),
    (int, 7.0, "", "expected an integer, got 7.0"),
    (int, True, "", "expected an integer, got true"),
    (float, True, "", "expected a number, got true"),
    (float, "7", "", "expected a number"),
    (float, 10**400, "", "beyond the range"),
    (str, 7, "", "expected a string, got 7"),
    (str, None, "", "expected a string, got null"),
    (bool, 1, "", "expected true or false, got 1"),
    (None, 0, "", "expected null, got 0"),
    (list[int], {"a": 1}, "", "expected an array, got an object"),
    (list[int], [1, "2"], "/1", "expected an integer"),
    (tuple[int, str], [1], "", "expected an array of 2 items, got an array of 1"),
    (tuple[int, str], "ab", "", "got a string"),
    (tuple[int, str], ["a", 1], "/0", "expected an integer"),
    (set, [[1]], "", "items that a set can hold"),
    (dict[str, int], {"a/b": {"c": 1}}, "/a~1b", "got an object"),
    (dict[str, int], [], "", "expected an object"),
    (int | None, "7", "", "expected an integer or null"),
    (int | str, 1.5, "", "expected an integer or a string"),
    (Literal["a", 1], True, "", "expected one of 'a', 1, got true"),
    (Literal["a", 1], [1], "", "expected one of"),
    (Literal[True], 1, "", "expected true, got 1"),
    (t.Colour, "RED", "", "expected one of 'red', 'green', got 'RED'"),
    (t.Level, 1.0, "", "expected one of 1, 2"),
    (t.Level, "1", "", "expected one of 1, 2"),
    (date, "2024-02-30", "", "expected a date such as"),
    (date, "20240229", "", "expected a date such as"),
    (date, "2024-02-29T00:00:00", "", "expected a date such as"),
    (datetime, "2024-02-29", "", "expected a date and time such as"),
    (datetime, 1709164800, "", "expected a date and time such as"),
    (time, "25:00", "", "expected a time such as"),
    (UUID, UUID_TEXT.replace("-", ""), "", "expected a UUID"),
    (t.Stop, {"city": 5, "at": None}, "/city", "expected a string"),
    (t.Stop, {"city": "Rome", "at": {"x": "1"}}, "/at/x", "expected an integer"),
    (t.Stop, {"city": "Rome", "at": None, "hotel": 1}, "/hotel", "Stop has no field 'hotel'"),
    (t.Stop, {"city": "Rome", "at": None, "known": True}, "/known", "Stop has no field"),
    (t.Stop, {"city": "Rome", "at": None, "nights": None}, "/nights", "expected an integer, got null"),
    (list[t.Node], [{"value": 1, "next": {"value": None}}], "/0/next/value", "expected an integer"),
    (t.Square | t.Circle, {"kind": "cube"}, "/kind", "expected one of 'square', 'circle', 'ring', got 'cube'"),
    (t.Square | t.Circle, {"kind": ["square"]}, "/kind", "got an array"),
    (t.Square | t.Circle, {"kind": "square", "side": "2"}, "/side", "expected a number"),
    (t.Square | t.Circle, 5, "", "expected an object"),
    (list[t.Positive], [{"value": 0}], "/0", "Positive refuses it: not positive"),
]


@pytest.mark.parametrize(("hint", "said", "pointer", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused_at_its_place(hint: Any, said: Any, pointer: str, why: str) -> None:
    """Nothing is coerced: the error has the pointer of the place and says what was expected."""
    with pytest.raises(InvalidShapeError) as caught:
        decoder_of(hint)(said)
    assert caught.value.pointer == pointer
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("hint", "said", "pointer"),
    [
        (t.Stop, {"at": None}, "/city"),
        (t.Stop, {"city": "Rome"}, "/at"),
        (t.Stop, {"city": "Rome", "at": {}}, "/at/x"),
        (list[t.Film], [{"title": "M"}, {"year": 1931}], "/1/title"),
        (t.Square | t.Circle, {"side": 2}, "/kind"),
        (t.Add, {"op": "add", "left": {"op": "number", "value": 1}, "right": {"op": "number"}}, "/right/value"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_missing_is_named(hint: Any, said: Any, pointer: str) -> None:
    """A field that has no default and is not there is a ``MissingFieldError`` at its place."""
    with pytest.raises(MissingFieldError) as caught:
        decoder_of(hint)(said)
    assert caught.value.pointer == pointer


@given(t.cases)
def test_a_value_of_any_type_comes_back(case: t.Case) -> None:
    """Of generated types: the JSON of a value fits the type's schema, and is read as that value."""
    hint, said, meant = case
    Checker(schema_of(hint)).check(said)
    value = decoder_of(hint)(said)
    assert value == meant
    assert type(value) is type(meant)


@given(t.cases)
def test_the_least_instance_is_read(case: t.Case) -> None:
    """Of generated types: what the local provider makes of the schema is a value of the type."""
    hint = case[0]
    decoder_of(hint)(least_instance(schema_of(hint)))


@given(t.cases, json_values)
def test_anything_else_is_refused_in_the_one_way(case: t.Case, said: Any) -> None:
    """A JSON value is read or refused with a ``ProtocolError``, and what is read fits the schema but for what has defaults."""
    hint = case[0]
    with suppress(ProtocolError):
        decoder_of(hint)(said)
        Checker(schema_of(hint)).check(said)


@given(st.sampled_from([hint for hint, _, _ in READ]), json_values)
def test_a_named_type_refuses_in_the_one_way(hint: Any, said: Any) -> None:
    """No JSON value makes a decoder raise anything but ``ProtocolError``."""
    with suppress(ProtocolError):
        decoder_of(hint)(said)


def test_a_decoder_is_made_once() -> None:
    """The same type gives the same decoder: making it is no cost of a call."""
    assert decoder_of(t.Stop) == decoder_of(t.Stop)
    assert decoder_of(list[t.Stop]) == decoder_of(list[t.Stop])


def test_an_integer_as_a_float_is_a_float() -> None:
    """What is asked for as a float is one."""
    assert math.isclose(decoder_of(list[float])([3])[0], 3.0)
    assert type(decoder_of(float)(3)) is float
