"""Pydantic's models among the shapes: they are read by pydantic itself, in its strict mode for JSON.

Nothing here imports pydantic before a type of its own is given, and then it is there.
"""

from __future__ import annotations

from typing import Any

from .. import _json
from .._late import importing
from ..errors import ConfigurationError, InvalidShapeError, MissingFieldError, ProtocolError
from ..types._model import escape
from ._shapes import DEFS, OBJECT, SPOKEN, Defs, Schema
from ._strict import strict_form


def is_pydantic(hint: Any) -> bool:
    """Tell whether a type is a model or a dataclass of pydantic's, or a ``TypeAdapter``."""
    kind = hint if isinstance(hint, type) else type(hint)
    return "__pydantic_validator__" in vars(kind) or (kind.__name__ == "TypeAdapter" and kind.__module__.startswith("pydantic."))


class Foreign:
    """A type that pydantic reads."""

    hashable = True  # if it is not, the set says so

    def __init__(self, hint: Any, at: str) -> None:
        with importing:
            import pydantic

        self._refusal = pydantic.ValidationError
        try:
            self._adapter = hint if isinstance(hint, pydantic.TypeAdapter) else pydantic.TypeAdapter(hint)
            self._schema = strict_form(self._adapter.json_schema())
        except pydantic.errors.PydanticUserError as error:
            raise ConfigurationError(f"{at}: pydantic makes no JSON Schema of it: {error.message}", field=at) from None
        self.kinds = _kinds(self._schema)
        self.what = " or ".join(SPOKEN[kind] for kind in SPOKEN if kind in self.kinds)

    def schema(self, defs: Defs) -> Schema:
        """Write the JSON Schema; pydantic's own definitions go to ``defs``."""
        return defs.adopt(self._schema)

    def decode(self, value: Any) -> Any:
        """Let pydantic read the value as JSON: there a date is a string, and nothing is coerced."""
        failure: ProtocolError
        try:
            return self._adapter.validate_json(_json.dumps(value), strict=True)
        except self._refusal as error:
            first = error.errors(include_url=False, include_input=False)[0]
            pointer = _pointer(first["loc"], value)
            kind = MissingFieldError if first["type"] == "missing" else InvalidShapeError
            failure = kind(first["msg"], pointer=pointer)
        raise failure


def _pointer(location: tuple[int | str, ...], value: Any) -> str:
    """Write pydantic's location as a pointer into the value: it names members of unions too, which are not in it."""
    pointer, last = "", len(location) - 1
    for i, step in enumerate(location):
        if isinstance(value, dict) and (step in value or i == last):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        pointer += f"/{escape(step)}"
    return pointer


def _kinds(schema: Schema) -> frozenset[str]:
    """Name the JSON types that a schema allows, all where it does not say."""
    reference = schema.get("$ref", "")
    if reference.startswith(DEFS):
        return _kinds({"$defs": schema["$defs"], **schema["$defs"][reference.removeprefix(DEFS)]})
    if "anyOf" in schema:
        return frozenset().union(*(_kinds({"$defs": schema.get("$defs"), **option}) for option in schema["anyOf"]))
    kind = schema.get("type", OBJECT if "properties" in schema else list(SPOKEN))
    kinds = frozenset([kind] if isinstance(kind, str) else kind)
    return kinds | {"integer"} if "number" in kinds else kinds
