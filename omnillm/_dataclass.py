"""Frozen, slotted dataclasses, made and filled faster than the standard module does it.

Purpose: a hundred classes are defined on the way to a first answer, and dozens of values are made on every call. The standard
module compiles six functions for each class, most of what importing the package takes, and its constructors write every field
by ``object.__setattr__``. Here one function is compiled, which writes straight into the slots; the others are made of closures.
Contract: what a class says and does is what ``dataclasses.dataclass(frozen=True, slots=True)`` would have made of it: fields,
constructor, comparison, hash, repr, pickling, ``replace``, ``match``. Any other form, and a subclass of a dataclass, is the
standard module's own.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, **options):
        """Make a class a dataclass; takes what ``dataclasses.dataclass`` takes."""

        def make(cls):
            fast = options.get("frozen") and options.get("slots") and options.keys() <= {"frozen", "slots", "eq", "kw_only"}
            if not fast or any(hasattr(base, "__dataclass_fields__") for base in cls.__mro__[1:]):
                return dataclasses.dataclass(**options)(cls)
            return _made(cls, eq=options.get("eq", True), kw_only=options.get("kw_only", False))

        return make if cls is None else make(cls)


def _made(cls: type, *, eq: bool, kw_only: bool) -> type:
    own = set(vars(cls))
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    made.__dataclass_params__ = dataclasses._DataclassParams(  # type: ignore[attr-defined]  # what a subclass looks at
        **{**{name: getattr(made.__dataclass_params__, name) for name in made.__dataclass_params__.__slots__}, **_TOLD, "eq": eq}
    )
    fields = dataclasses.fields(made)
    made.__setattr__, made.__delattr__ = _guards(made, frozenset(field.name for field in fields))
    given: dict[str, Any] = {"__init__": _constructor(made, fields), "__repr__": _repr}
    given |= {"__getstate__": _state, "__setstate__": _set_state}
    if eq:
        compared = [field.name for field in fields if field.compare]
        hashed = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
        given["__eq__"] = _comparison(_values_of(compared))
        if vars(cls).get("__hash__") is None:  # none of its own; what ``__eq__`` of its own leaves there is no word about it
            own.discard("__hash__")
            given["__hash__"] = _hash(_values_of(hashed))
    for name, function in given.items():
        if name not in own:
            setattr(made, name, function)
    return made  # type: ignore[no-any-return]  # a class, as it was


_TOLD = {"init": True, "repr": True, "frozen": True}


class _FactoryMark:
    """Stand for a value that a factory will make, as in the standard module's signatures."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _FactoryMark()


def _constructor(made: type, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    """Compile ``__init__``: each field goes into its slot by the slot's own setter."""
    names: dict[str, Any] = {"_FACTORY": _FACTORY}
    plain: list[str] = []
    keyword: list[str] = []
    body: list[str] = []
    for field in fields:
        name, value = field.name, field.name
        names[f"_set_{name}"] = vars(made)[name].__set__
        parameter = name
        if field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            parameter, value = f"{name}=_FACTORY", f"_make_{name}() if {name} is _FACTORY else {name}"
        elif field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        (keyword if field.kw_only else plain).append(parameter)
        body.append(f" _set_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        body.append(" self.__post_init__()")
    parameters = ", ".join(["self", *plain, *(["*", *keyword] if keyword else [])])
    exec(f"def __init__({parameters}):\n" + "\n".join(body or [" pass"]), names)  # noqa: S102  # of names that the class gave
    function: Callable[..., None] = names["__init__"]
    function.__qualname__ = f"{made.__qualname__}.__init__"
    function.__module__ = made.__module__
    function.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return function


def _guards(made: Any, names: frozenset[str]) -> tuple[Callable[..., None], Callable[..., None]]:
    """Give what refuses to set and to delete the class's fields."""

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807  # becomes the method
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(made, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807  # becomes the method
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(made, self).__delattr__(name)

    return __setattr__, __delattr__


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    get = attrgetter(names[0])
    return lambda value: (get(value),)


def _comparison(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, Any], Any]:
    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807  # becomes the method
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: N807  # becomes the method
        return hash(values(self))

    return __hash__


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=False):
        object.__setattr__(self, field.name, value)
