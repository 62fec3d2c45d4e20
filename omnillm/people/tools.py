"""Tools made of typed functions: the definition that a model is offered, and the reading of the arguments that it writes."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..errors import ConfigurationError, InvalidShapeError, MissingFieldError
from ..types._given import wrong_type
from ..types._model import escape
from ..types.capabilities import ToolDefinition
from ._docstring import parameters_of, summary_of
from ._hints import hints_of
from ._shapes import OBJECT, SPOKEN, placed, unexpected
from ._strict import is_strict
from .decode import decoder_of
from .schema import fields_schema

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what every provider takes
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_MISSING = inspect.Parameter.empty


class Tool(Generic[P, R_co]):
    """Be a function that a model may call; made by ``@tool``, and called as the function is.

    ``definition`` is what the model is told: a strict JSON Schema. ``run`` takes the arguments as it writes them.
    """

    def __init__(
        self,
        function: Callable[P, R_co],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> None:
        if not (inspect.isfunction(function) or inspect.ismethod(function)):
            raise wrong_type("tool", "a function with annotations", function)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(f"{function.__qualname__}: expected a function that is not asynchronous", field="tool")
        functools.update_wrapper(self, function)
        self._function: Callable[P, R_co] = function
        self.name = _checked_name(function.__name__ if name is None else name)
        parameters = _parameters(function)
        hints = hints_of(function)
        texts = {p: text for p, text in parameters_of(function.__doc__).items() if p in parameters}
        defaults = {p: parameter.default for p, parameter in parameters.items() if parameter.default is not _MISSING}
        schema = fields_schema({p: hints[p] for p in parameters}, descriptions=texts, defaults=defaults)
        self._decoders = {p: decoder_of(hints[p]) for p in parameters}
        self._optional = frozenset(defaults)
        _note_defaults(schema["properties"], defaults)
        self.definition = ToolDefinition(
            self.name,
            schema,
            summary_of(function.__doc__) if description is None else description,
            strict=is_strict(schema) if strict is None else strict,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, as if it were no tool."""
        return self._function(*args, **kwargs)

    def read(self, arguments: Any) -> dict[str, Any]:
        """Give the parameters that JSON arguments are: dataclasses become instances, nothing is coerced.

        Raises ``MissingFieldError`` or ``InvalidShapeError`` with the pointer of the place.
        """
        if type(arguments) is not dict:
            raise unexpected(SPOKEN[OBJECT], arguments)
        for name in arguments:
            if name not in self._decoders:
                raise InvalidShapeError(f"{self.name} has no parameter {name!r:.80}", pointer=f"/{escape(name)}")
        given: dict[str, Any] = {}
        for name, decode in self._decoders.items():
            if name in arguments:
                given[name] = placed(name, decode, arguments[name])
            elif name not in self._optional:
                raise MissingFieldError(f"{self.name} needs {name!r}", pointer=f"/{name}")
        return given

    def run(self, arguments: Any) -> R_co:
        """Call the function with JSON arguments, as a model gives them, and give what it gives."""
        return typing.cast(Callable[..., R_co], self._function)(**self.read(arguments))

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"


ToolLike = Tool[..., Any] | Callable[..., Any] | ToolDefinition


@overload
def tool(function: Callable[P, R_co], /) -> Tool[P, R_co]: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool | None = None
) -> Callable[[Callable[P, R_co]], Tool[P, R_co]]: ...


def tool(function: Any = None, /, *, name: str | None = None, description: str | None = None, strict: bool | None = None) -> Any:
    """Make a ``Tool`` of a typed function: ``@tool``, or ``@tool(name=…, description=…)``.

    Its name is the function's, its description the docstring's first paragraph; parameters are described by
    ``Annotated[T, "…"]`` or the docstring's section. ``strict`` asks the provider to hold the model to the schema: where unset,
    if the schema allows it, which one with defaults does not. Raises ``ConfigurationError`` naming a parameter that has no form
    in JSON.
    """
    make = functools.partial(Tool, name=name, description=description, strict=strict)
    return make if function is None else make(function)


# --- reading a function ---------------------------------------------------------------------------------------------------------


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"name: a tool's is made of up to 64 letters, digits, _ and -, got {name!r:.80}", field="name")
    return name


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        what = None
        if parameter.kind in _VARIADIC:
            what = f"a tool takes named parameters only, and no {parameter}"
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            what = "a model gives parameters by name, and this one is positional only"
        elif parameter.annotation is _MISSING:
            what = "a parameter needs an annotation, such as str"
        if what is not None:
            raise ConfigurationError(f"{name}: {what} (of {function.__qualname__})", field=name)
    return parameters


def _note_defaults(properties: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Tell the model the defaults that are plain values."""
    for name, default in defaults.items():
        value = default.value if isinstance(default, Enum) else default
        if value is not None and isinstance(value, str | int | float) and "$ref" not in properties[name]:
            properties[name] = {**properties[name], "default": value}


# --- several --------------------------------------------------------------------------------------------------------------------


def toolbox(tools: Iterable[ToolLike] | ToolLike) -> tuple[dict[str, Tool[..., Any]], tuple[ToolDefinition, ...]]:
    """Give the tools that can be run, by name, and the definitions of all; raises ``ConfigurationError`` for two of one name."""
    given = tools if isinstance(tools, Iterable) and not isinstance(tools, str | Mapping) else (tools,)
    found: dict[str, Tool[..., Any]] = {}
    definitions: dict[str, ToolDefinition] = {}
    for one in given:
        item = one if isinstance(one, Tool | ToolDefinition) else _tool_of(one)
        if item.name in definitions:
            raise ConfigurationError(f"tools: two are called {item.name!r}", field="tools")
        if isinstance(item, Tool):
            found[item.name] = item
        definitions[item.name] = item if isinstance(item, ToolDefinition) else item.definition
    return found, tuple(definitions.values())


def _tool_of(function: Any) -> Tool[..., Any]:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise wrong_type("tools", "functions, marked @tool or plain and typed, or ToolDefinition", function)
    return _made(function) if inspect.isfunction(function) else Tool(function)


@lru_cache(maxsize=256)
def _made(function: Callable[..., Any]) -> Tool[..., Any]:
    return Tool(function)
