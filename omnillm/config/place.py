"""Where a value stands in a configuration: every error names the file, the table and the field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._names import nearest
from .._secret import mask
from ..errors import ConfigurationError, MissingKeyError

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Say where a configuration was read: a ``file``, or the environment, whose ``variables`` stand for paths."""

    file: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def spell(self, path: str) -> str:
        """Name the place of that path."""
        return self.variables.get(path) or ": ".join(part for part in (self.file, path) if part)


@dataclass(frozen=True, slots=True)
class Place:
    """Be a place in a configuration, by its path: ``gateways.default.keys[0]``."""

    source: Source
    path: str = ""

    def field(self, name: object) -> Place:
        """Give the place of a table's field."""
        text = str(name)
        spelled = text if _BARE.fullmatch(text) else f'"{text:.80}"'
        return Place(self.source, f"{self.path}.{spelled}" if self.path else spelled)

    def item(self, index: int) -> Place:
        """Give the place of a list's item."""
        return Place(self.source, f"{self.path}[{index}]")

    def wrong(self, what: str) -> ConfigurationError:
        """Give the error that says what is wrong here."""
        where = self.source.spell(self.path)
        return ConfigurationError(mask(f"{where}: {what}" if where else what), field=mask(self.path) or None)

    def unknown(self, name: object, known: Iterable[str]) -> ConfigurationError:
        """Give the error for a field that is none, with the nearest that is."""
        return self.field(name).wrong(f"unknown field: {nearest(name, known)}")

    def unknown_name(self, name: object, known: Iterable[str | None]) -> ConfigurationError:
        """Give the error for a name of which there is none here, with the nearest that there is."""
        return self.wrong(f"none is called {name!r:.80}: {nearest(name, [str(each) for each in known])}")

    def table(self, value: Any) -> Mapping[str, Any]:
        """Give the value, a table with names; raises ``ConfigurationError`` for what is none."""
        if not isinstance(value, Mapping):
            raise self.wrong(f"expected a table, got {_kind(value)}")
        for name in value:
            if not isinstance(name, str):
                raise self.wrong(f"expected names, got {type(name).__name__}")
        return value

    def list(self, value: Any) -> Iterable[Any]:
        """Give the value, a list; raises ``ConfigurationError`` for what is none."""
        if not isinstance(value, list | tuple):
            raise self.wrong(f"expected a list, got {_kind(value)}")
        return value

    @contextmanager
    def naming(self, *fields: str, own: str | None = None) -> Iterator[None]:
        """Say of an error from within where it stands: at the field that it names, where that is one of these.

        ``own`` is what the value itself calls what stands here.
        """
        try:
            yield
        except ConfigurationError as error:
            said, name = error.message, error.field
            at = self
            if name is not None and name == own:
                said = said.removeprefix(f"{name}: ")
            elif name in fields:
                at, said = self.field(name), said.removeprefix(f"{name}: ")
            placed = at.wrong(said)
            if isinstance(error, MissingKeyError):
                raise MissingKeyError(placed.message, field=error.field) from None
            raise placed from None


def _kind(value: object) -> str:
    return "str" if isinstance(value, str) else type(value).__name__  # a sealed one too
