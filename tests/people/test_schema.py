"""The JSON Schema of a type: every kind of hint has one form, and what has none is refused by the name of its field."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
import typed_answers as t

from omnillm.errors import ConfigurationError
from omnillm.people.schema import fields_schema, schema_of

S: dict[str, Any] = {"type": "string"}
INT: dict[str, Any] = {"type": "integer"}
N: dict[str, Any] = {"type": "null"}


def closed(**properties: Any) -> dict[str, Any]:
    """Give an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


POINT = closed(x=INT, y={"type": "number"})
SQUARE = closed(side={"type": "number"}, kind={"type": "string", "enum": ["square"]})
CIRCLE = closed(radius={"type": "number"}, kind={"type": "string", "enum": ["circle", "ring"]})
NODE = closed(value=INT, next={"anyOf": [{"$ref": "#/$defs/Node"}, N]})

SCHEMAS: list[tuple[Any, dict[str, Any]]] = [
    (str, S),
    (int, INT),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, N),
    (Any, {}),
    (t.Name, S),
    (list[int], {"type": "array", "items": INT}),
    (list, {"type": "array", "items": {}}),
    (Sequence[str], {"type": "array", "items": S}),
    (set[int], {"type": "array", "items": INT}),
    (frozenset[t.Point], {"type": "array", "items": {"$ref": "#/$defs/Point"}, "$defs": {"Point": POINT}}),
    (tuple[int, ...], {"type": "array", "items": INT}),
    (tuple[int, int], {"type": "array", "items": INT, "minItems": 2, "maxItems": 2}),
    (tuple[int, str], {"type": "array", "prefixItems": [INT, S], "minItems": 2, "maxItems": 2}),
    (dict[str, int], {"type": "object", "additionalProperties": INT}),
    (Mapping[str, Any], {"type": "object", "additionalProperties": True}),
    (dict, {"type": "object", "additionalProperties": True}),
    (int | None, {"anyOf": [INT, N]}),
    (Optional[str], {"anyOf": [S, N]}),  # noqa: UP045  # the old spelling
    (int | str | list[int], {"anyOf": [INT, S, {"type": "array", "items": INT}]}),
    (Any | None, {}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal["a", None], {"anyOf": [{"type": "string", "enum": ["a"]}, N]}),  # noqa: PYI061  # people write it so, too
    (Literal["a"] | int, {"anyOf": [{"type": "string", "enum": ["a"]}, INT]}),
    (Literal["a", 1] | None, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}, N]}),
    (Literal[t.Colour.RED], {"type": "string", "enum": ["red"]}),
    (t.Colour, {"type": "string", "enum": ["red", "green"]}),
    (t.Level, {"type": "integer", "enum": [1, 2]}),
    (date, {"type": "string", "format": "date"}),
    (datetime, {"type": "string", "format": "date-time"}),
    (time, {"type": "string", "format": "time"}),
    (UUID, {"type": "string", "format": "uuid"}),
    (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
    (Annotated[int, 5], INT),
    (Annotated[int, ["not", "hashable"]], INT),
    (list[Annotated[int, "one"] | None], {"type": "array", "items": {"anyOf": [{"type": "integer", "description": "one"}, N]}}),
    (t.Point, POINT),
    (
        t.Stop,
        {
            **closed(
                city={"type": "string", "description": "The name in English"},
                at={"anyOf": [{"$ref": "#/$defs/Point"}, N]},
                nights={"type": "integer", "description": "How many nights"},
                tags={"type": "array", "items": S},
            ),
            "description": "A place on the way.\n\nNothing more.",
            "$defs": {"Point": POINT},
        },
    ),
    (
        Annotated[t.Point, "where"],
        {"anyOf": [{"$ref": "#/$defs/Point"}], "description": "where", "$defs": {"Point": POINT}},
    ),
    (t.Node, {**NODE, "$defs": {"Node": NODE}}),
    (
        t.Square | t.Circle | None,
        {"anyOf": [{"$ref": "#/$defs/Square"}, {"$ref": "#/$defs/Circle"}, N], "$defs": {"Square": SQUARE, "Circle": CIRCLE}},
    ),
    (t.Film, closed(title=S, year={"anyOf": [INT, N]}, seen={"anyOf": [{"type": "boolean"}, N]})),
    (t.Partial, {**closed(title=S, year={"anyOf": [INT, N]}), "description": "Some of it."}),
]


@pytest.mark.parametrize(("hint", "schema"), SCHEMAS, ids=lambda value: str(value)[:40])
def test_a_type_has_its_schema(hint: Any, schema: dict[str, Any]) -> None:
    """A hint is written as the table says, the same each time."""
    assert schema_of(hint) == schema
    assert schema_of(hint) == schema


def test_two_classes_of_one_name_are_two_definitions() -> None:
    """A definition is the class's, not the name's."""
    one = dataclasses.make_dataclass("Same", [("a", int)])
    other = dataclasses.make_dataclass("Same", [("b", int)])
    both = dataclasses.make_dataclass("Both", [("one", one), ("other", other), ("again", list[one])])  # type: ignore[valid-type]
    schema = schema_of(both)
    assert schema["$defs"] == {"Same": closed(a=INT), "Same_2": closed(b=INT)}
    assert schema["properties"]["again"]["items"] == {"$ref": "#/$defs/Same"}


def test_classes_of_a_running_function_know_each_other() -> None:
    """Annotations that are text are looked up in the functions around the class too, while they run."""

    @dataclasses.dataclass
    class Inner:
        x: int

    def deeper() -> Any:
        @dataclasses.dataclass
        class Outer:
            inner: list[Inner]
            again: Outer | None

        return schema_of(Outer), Outer

    with_names, outer = deeper()
    assert with_names["$defs"]["Inner"] == closed(x=INT)
    orphan = dataclasses.make_dataclass("Orphan", [("inner", "Inner")])
    with pytest.raises(ConfigurationError, match="'Inner' cannot be resolved: define it at the top of the module"):
        schema_of(orphan)
    assert schema_of(outer) == with_names


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is of Python 3.12")
def test_another_name_for_a_type_is_the_type() -> None:
    """A ``type`` statement names a type; one that is made of itself has no end."""
    scope: dict[str, Any] = {}
    exec("type Whole = int | None\ntype Endless = list[Endless]", scope)
    whole = scope["Whole"]
    assert schema_of(list[whole]) == {"type": "array", "items": {"anyOf": [INT, N]}}
    with pytest.raises(ConfigurationError, match="made of itself"):
        schema_of(scope["Endless"])


@dataclasses.dataclass
class Deep:
    stops: list[dict[str, bytes]]


LOOSE = dataclasses.make_dataclass("Loose", [("a", int)])

REFUSED: list[tuple[Any, str, str]] = [
    (enum.Enum("Empty", ()), "Empty", "has no members"),
    (dataclasses.make_dataclass("Wrong", [("x", "1 / 0")]), "Wrong", "an annotation cannot be resolved: division by zero"),
    (bytes, "bytes", "bytes has no form in JSON"),
    (complex, "complex", "has no form in JSON"),
    (object(), "object", "has no form in JSON"),
    (inspect.Parameter.empty, "", "a parameter without annotation"),
    (Deep, "Deep.stops[][]", "bytes has no form"),
    (t.Unannotated, "Unannotated.raw", "bytes has no form"),
    (t.Unknown, "Unknown", "'NotThere' cannot be resolved"),
    (dict[int, str], "dict[int, str]", "the names of an object are str"),
    (set[LOOSE], "set[Loose]", "a frozen dataclass or a tuple is"),  # type: ignore[valid-type]
    (set[dict[str, int]], "set[dict[str, int]]", "not hashable"),
    (t.Point | t.Node, "Point | Node", "each needs a field of one name that tells them apart"),
    (t.Square | t.Film, "Square | Film", "tells them apart"),
    (t.Colour | str, "Colour | str", "nothing tells"),
    (t.Colour | Literal["red"], "Colour | Literal['red']", "nothing tells"),
    (str | date, "str | date", "nothing tells a string from a date such as"),
    (list[int] | set[str], "list[int] | set[str]", "nothing tells"),
    (dict[str, int] | t.Point, "dict[str, int] | Point", "nothing tells"),
    (Literal[b"x"], "Literal[b'x']", "strings, numbers, booleans or None"),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "place", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_has_no_form_is_refused_by_name(hint: Any, place: str, why: str) -> None:
    """The error names the place and says what is missing, before anything is sent."""
    with pytest.raises(ConfigurationError) as caught:
        schema_of(hint)
    assert why in str(caught.value)
    assert place in str(caught.value)
    assert caught.value.field is not None


def test_the_fields_of_a_function_are_an_object() -> None:
    """Named parameters share their definitions; those with a default may be absent, and have their words."""
    schema = fields_schema(
        {"start": t.Point, "end": t.Point | None, "note": Annotated[str, "from the hint"]},
        descriptions={"start": "where from"},
        defaults={"end"},
    )
    assert schema == {
        "type": "object",
        "properties": {
            "start": {"anyOf": [{"$ref": "#/$defs/Point"}], "description": "where from"},
            "end": {"anyOf": [{"$ref": "#/$defs/Point"}, N]},
            "note": {"type": "string", "description": "from the hint"},
        },
        "required": ["start", "note"],
        "additionalProperties": False,
        "$defs": {"Point": POINT},
    }


def test_a_field_without_a_form_is_named() -> None:
    """A parameter that cannot be said in JSON is refused by its name."""
    with pytest.raises(ConfigurationError, match=r"data: bytes has no form") as caught:
        fields_schema({"data": bytes})
    assert caught.value.field == "data"


def test_dates_are_known_though_time_was_frozen_at_the_import() -> None:
    """Types that a test's frozen clock stands in for are known once it runs again."""
    code = (
        "import datetime, freezegun\n"
        "with freezegun.freeze_time('2026-01-02'):\n"
        "    from omnillm.people.schema import schema_of\n"
        "assert schema_of(datetime.date)['format'] == 'date'\n"
        "assert schema_of(datetime.datetime)['format'] == 'date-time'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
