"""Pydantic's models where pydantic is installed: read by pydantic, nothing coerced, its errors in our words and places."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pytest

from omnillm.errors import ConfigurationError, InvalidShapeError, MissingFieldError
from omnillm.people._strict import is_strict
from omnillm.people.decode import decoder_of
from omnillm.people.schema import schema_of
from omnillm.people.structured import target_of

pydantic = pytest.importorskip("pydantic")


class Leg(pydantic.BaseModel):  # type: ignore[name-defined,misc]  # where it is not installed
    to: str
    kind: Literal["leg"] = "leg"


class Rest(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    hours: int
    kind: Literal["rest"] = "rest"


class Trip(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    """A trip."""

    city: str = pydantic.Field(description="where to", min_length=2, alias="theCity")
    nights: int = pydantic.Field(default=1, ge=1)
    start: date
    legs: list[Leg] = pydantic.Field(default_factory=list)
    first: Leg | None = None


class Tree(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    value: int
    kids: list[Tree] = pydantic.Field(default_factory=list)


@dataclass
class Holder:
    trip: Trip
    others: list[Leg]


SAID = {"theCity": "Rome", "nights": 2, "start": "2024-05-01", "legs": [{"to": "Pisa", "kind": "leg"}], "first": None}

READ: list[tuple[Any, Any, Any]] = [
    (Trip, SAID, Trip(theCity="Rome", nights=2, start=date(2024, 5, 1), legs=[Leg(to="Pisa")])),
    (list[Leg], [{"to": "Pisa", "kind": "leg"}], [Leg(to="Pisa")]),
    (Leg | Rest, {"hours": 1, "kind": "rest"}, Rest(hours=1)),
    (Leg | None, None, None),
    (Tree, {"value": 1, "kids": [{"value": 2, "kids": []}]}, Tree(value=1, kids=[Tree(value=2)])),
    (Holder, {"trip": SAID, "others": []}, Holder(Trip.model_validate(SAID), [])),
    (pydantic.TypeAdapter(dict[str, Leg]), {"a": {"to": "Pisa", "kind": "leg"}}, {"a": Leg(to="Pisa")}),
]


@pytest.mark.parametrize(("hint", "said", "meant"), READ, ids=lambda value: str(value)[:40])
def test_a_model_is_read(hint: Any, said: Any, meant: Any) -> None:
    """A model, or what holds one, is read as its type, dates from strings included."""
    assert decoder_of(hint)(said) == meant


@pytest.mark.parametrize("hint", [Trip, list[Leg], Leg | Rest, Holder, list[Tree], Tree], ids=str)
def test_the_schema_is_a_strict_one(hint: Any) -> None:
    """A model goes out in strict mode, with every field required and its bounds and words kept."""
    target = target_of(hint)
    assert target.config.strict
    assert is_strict(target.config.schema)


def test_the_words_and_bounds_are_in_the_schema() -> None:
    """The alias is the field's name, the description its words, the bound its own."""
    schema = schema_of(Trip)
    assert schema["properties"]["theCity"] == {"type": "string", "description": "where to", "minLength": 2}
    assert schema["properties"]["nights"] == {"type": "integer", "minimum": 1}
    assert schema["required"] == ["theCity", "nights", "start", "legs", "first"]
    assert schema["description"] == "A trip."


REFUSED: list[tuple[Any, Any, type[Exception], str]] = [
    (Trip, {**SAID, "nights": "2"}, InvalidShapeError, "/nights"),
    (Trip, {**SAID, "nights": 0}, InvalidShapeError, "/nights"),
    (Trip, {**SAID, "start": 5}, InvalidShapeError, "/start"),
    (Trip, {**SAID, "legs": [{"kind": "leg"}]}, MissingFieldError, "/legs/0/to"),
    (Trip, [], InvalidShapeError, ""),
    (Holder, {"trip": {"theCity": "Rome"}, "others": []}, MissingFieldError, "/trip/start"),
    (Leg | Rest, {"hours": "1", "kind": "rest"}, MissingFieldError, "/to"),
    (list[Rest], [{"hours": 1}, {"hours": 1.5}], InvalidShapeError, "/1/hours"),
]


@pytest.mark.parametrize(("hint", "said", "kind", "pointer"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_mismatch_is_the_usual_error(hint: Any, said: Any, kind: type[Exception], pointer: str) -> None:
    """What pydantic refuses is our error at the place in the answer; nothing is coerced."""
    with pytest.raises(kind) as caught:
        decoder_of(hint)(said)
    assert caught.value.pointer == pointer  # type: ignore[attr-defined]
    assert caught.value.__context__ is None


def test_a_model_without_a_schema_is_refused() -> None:
    """What pydantic cannot say in JSON Schema is refused by the name of its place."""
    model = pydantic.create_model("Odd", run=(Callable[[], int], ...))
    with pytest.raises(ConfigurationError, match="Odd: pydantic makes no JSON Schema of it") as caught:
        schema_of(model)
    assert caught.value.field == "Odd"


def test_a_model_beside_another_object_is_refused() -> None:
    """Nothing tells a model from a dataclass: a union of both is refused when it is given."""
    with pytest.raises(ConfigurationError, match="nothing tells an object from an object"):
        schema_of(Leg | Holder)
    assert decoder_of(Leg | int)(5) == 5


def test_pydantic_is_not_imported_for_others() -> None:
    """A dataclass is asked for without pydantic being loaded, though it is there."""
    code = (
        "import sys\nfrom dataclasses import dataclass\nfrom omnillm.people.structured import target_of\n"
        "@dataclass\nclass A:\n    x: int\n"
        "target_of(list[A]); sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
