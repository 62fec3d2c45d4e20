"""Unions: which member a JSON value is must be plain from its JSON type, a literal's values or one field; never tried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigurationError
from ._shapes import INTEGER, Anything, Choice, Described, Number, Record, Shape, Tagged, Union


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
