"""Tools of typed functions: what a model is told of them, how its arguments are read, and which functions are none."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest

from omnillm import ToolDefinition, emit_request
from omnillm.errors import ConfigurationError, InvalidShapeError, MissingFieldError
from omnillm.people.tools import Tool, tool, toolbox
from omnillm.types.capabilities import CapabilitySet
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import LlmRequest


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclass(frozen=True)
class Place:
    city: str
    country: str | None = None


class Stay(TypedDict):
    nights: int


@tool
def weather(place: Place, unit: Unit = Unit.CELSIUS, days: int = 1) -> str:
    """Tell the weather
    of a place.

    More that the model need not know.
    """
    return f"{place.city} {unit.value} {days}"


def test_a_tool_is_called_as_its_function() -> None:
    """It keeps name, docstring and behaviour, and has a definition besides."""
    assert weather(Place("Rome"), days=2) == "Rome celsius 2"
    assert (weather.name, weather.__name__, repr(weather)) == ("weather", "weather", "<Tool weather>")
    assert weather.__doc__ is not None
    assert weather.__doc__.startswith("Tell the weather")
    assert isinstance(weather, Tool)


def test_the_definition() -> None:
    """Name, first paragraph and a closed schema: what has a default may be left out, classes are defined once."""
    definition = weather.definition
    assert (definition.name, definition.description) == ("weather", "Tell the weather of a place.")
    schema = definition.input_schema
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["place"], False)
    assert schema["properties"]["unit"] == {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"}
    assert schema["properties"]["days"] == {"type": "integer", "default": 1}
    assert schema["$defs"]["Place"]["required"] == ["city", "country"]
    assert not definition.strict


def test_strict_where_the_schema_allows_it() -> None:
    """A tool is strict where every parameter is required and closed, unless it is said otherwise."""

    def closed(city: str, unit: Literal["c", "f"] | None, stay: Stay) -> None: ...
    def default(city: str = "Rome") -> None: ...
    def open_(names: dict[str, int]) -> None: ...
    def nothing() -> None: ...

    assert [Tool(f).definition.strict for f in (closed, default, open_, nothing)] == [True, False, False, True]
    assert not tool(strict=False)(closed).definition.strict


@pytest.mark.parametrize("protocol", ProviderProtocol)
def test_every_protocol_takes_it(protocol: ProviderProtocol) -> None:
    """The definition goes out in each protocol; what is lost is the mark for strict at most."""
    request = LlmRequest("m", "hi", capabilities=CapabilitySet(tools=(weather.definition,)))
    assert "weather" in str(emit_request(protocol, request))


def test_name_and_description_may_be_given() -> None:
    """``@tool(…)`` takes both."""

    @tool(name="get-weather", description="Ask me.")
    def anything(city: str) -> str:
        """Not this."""
        return city

    assert (anything.name, anything.definition.name, anything.definition.description) == ("get-weather", "get-weather", "Ask me.")
    assert anything("Rome") == "Rome"


# --- docstrings -----------------------------------------------------------------------------------------------------------------


def google(city: str, days: int, plain: str) -> None:
    """Say it.

    Args:
        city (str): Where it is,
            in words.
        days: How many: at most 9.

    Returns:
        plain: nothing of that name.
    """


def numpy(city: str, days: int, plain: str) -> None:
    """Say it.

    Parameters
    ----------
    city : str
        Where it is,
        in words.
    days : int, optional
        How many: at most 9.

    Returns
    -------
    plain
        Nothing of that name.
    """


def sphinx(city: str, days: int, plain: str) -> None:
    """Say it.

    :param str city: Where it is,
        in words.
    :param days: How many: at most 9.
    :returns: plain: nothing
    """


def annotated(
    city: Annotated[str, "Where it is, in words."], days: Annotated[int, "How many: at most 9."], plain: Annotated[str, 7]
) -> None:
    """Say it."""


@pytest.mark.parametrize("function", [google, numpy, sphinx, annotated])
def test_parameters_are_described(function: Any) -> None:
    """By annotations, or by the docstring's section in any of three styles."""
    definition = tool(function).definition
    assert definition.description == "Say it."
    said = {name: schema.get("description") for name, schema in definition.input_schema["properties"].items()}
    assert said == {"city": "Where it is, in words.", "days": "How many: at most 9.", "plain": None}


@pytest.mark.parametrize(
    ("doc", "description"),
    [
        (None, None),
        ("", None),
        ("One line.", "One line."),
        ("Two\nlines.\nArgs:\n    city: it", "Two lines."),
        ("Args:\n    city: it", None),
        (":param city: it", None),
    ],
)
def test_the_first_paragraph_is_the_description(doc: str | None, description: str | None) -> None:
    """Up to a blank line or a section; none is none."""

    def function(city: str) -> None: ...

    function.__doc__ = doc
    assert tool(function).definition.description == description


# --- functions that are no tools ------------------------------------------------------------------------------------------------


def variadic(city: str, *rest: str) -> None: ...
def keywords(**rest: str) -> None: ...
def positional(city: str, /) -> None: ...
def bare(city) -> None: ...
def strange(city: object) -> None: ...
def unknown(city: Nowhere) -> None: ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "field", "words"),
    [
        (variadic, "rest", "named parameters only"),
        (keywords, "rest", "named parameters only"),
        (positional, "city", "positional only"),
        (bare, "city", "needs an annotation"),
        (strange, "city", "object has no form in JSON"),
        (unknown, "unknown", "Nowhere"),
        (lambda: None, "name", "letters, digits"),
        (functools.partial(weather, days=2), "tool", "a function with annotations"),
        (7, "tool", "a function with annotations"),
    ],
)
def test_what_is_refused(function: Any, field: str, words: str) -> None:
    """A function that no model could call is refused where it is marked, by the parameter's name."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        tool(function)
    assert caught.value.field == field


def test_an_asynchronous_function_is_refused() -> None:
    """The library is not asynchronous, and says so where it is marked."""

    async def later(city: str) -> None: ...

    with pytest.raises(ConfigurationError, match="asynchronous"):
        tool(later)


def test_a_method_is_marked_when_it_is_bound() -> None:
    """A bound method is a function; one in a class has a parameter without a type."""

    class Station:
        def read(self, sensor: int) -> int:
            """Read it."""
            return sensor + 1

    assert tool(Station().read).run({"sensor": 1}) == 2
    with pytest.raises(ConfigurationError, match="self: a parameter needs an annotation"):
        tool(Station.read)


def test_annotations_may_name_what_stands_beside_the_function() -> None:
    """With annotations as text, a class made in the same function is found."""

    @dataclass
    class Local:
        city: str

    @tool
    def one(place: Local) -> str:
        return place.city

    @tool(name="two")
    def other(place: Local) -> str:
        return place.city

    assert [each.run({"place": {"city": "Rome"}}) for each in (one, other)] == ["Rome", "Rome"]


# --- arguments ------------------------------------------------------------------------------------------------------------------


def test_arguments_become_the_types() -> None:
    """Dataclasses and enums become instances, what is left out takes its default."""
    assert weather.read({"place": {"city": "Rome"}, "unit": "fahrenheit"}) == {"place": Place("Rome"), "unit": Unit.FAHRENHEIT}
    assert weather.run({"place": {"city": "Rome", "country": None}, "days": 3}) == "Rome celsius 3"


@pytest.mark.parametrize(
    ("arguments", "kind", "pointer"),
    [
        ({}, MissingFieldError, "/place"),
        ({"place": {}}, MissingFieldError, "/place/city"),
        ({"place": {"city": 7}}, InvalidShapeError, "/place/city"),
        ({"place": {"city": "Rome"}, "days": "2"}, InvalidShapeError, "/days"),
        ({"place": {"city": "Rome"}, "days": 2.0}, InvalidShapeError, "/days"),
        ({"place": {"city": "Rome"}, "days": None}, InvalidShapeError, "/days"),
        ({"place": {"city": "Rome"}, "unit": "kelvin"}, InvalidShapeError, "/unit"),
        ({"place": {"city": "Rome"}, "other": 1}, InvalidShapeError, "/other"),
        ([], InvalidShapeError, ""),
        ("Rome", InvalidShapeError, ""),
        (None, InvalidShapeError, ""),
    ],
)
def test_nothing_is_coerced(arguments: Any, kind: type[Exception], pointer: str) -> None:
    """What does not fit is refused with the place, and the function is not called."""
    with pytest.raises(kind) as caught:
        weather.run(arguments)
    assert caught.value.pointer == pointer


# --- several --------------------------------------------------------------------------------------------------------------------


def plain(city: str) -> str:
    """Be no tool yet."""
    return city


def test_a_toolbox_takes_tools_functions_and_definitions() -> None:
    """Tools and plain functions can be run, definitions are offered alone; a function is read once."""
    remote = ToolDefinition("remote", {"type": "object"})
    found, definitions = toolbox([weather, plain, remote])
    assert (list(found), [one.name for one in definitions]) == (["weather", "plain"], ["weather", "plain", "remote"])
    assert toolbox(plain)[0]["plain"] is found["plain"]
    assert toolbox(()) == ({}, ())


@pytest.mark.parametrize(
    "tools", [[weather, weather], [plain, ToolDefinition("plain", {})], ["weather"], "weather", [7], {"a": plain}]
)
def test_what_is_no_toolbox(tools: Any) -> None:
    """Two of one name, and what is no tool, are refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        toolbox(tools)
    assert caught.value.field == "tools"
