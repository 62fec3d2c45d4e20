"""What a host's requests have otherwise than their protocol's: path, query, fields of the body, headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..errors import ConfigurationError

_PATH = re.compile(r"(?=.*\{(?:path|model)\})(?:/|\{path\})(?:[!$&-;=@A-Z_a-z~%]|\{path\}|\{model\})*")
_QUERY = re.compile(r"(?:[!$&-;=@A-Z_a-z~%][!$&-;=@A-Z_a-z~%?]*)?")

EVENT_STREAM = "text/event-stream"
AMAZON_EVENT_STREAM = "application/vnd.amazon.eventstream"
STREAM_TYPES = (EVENT_STREAM, AMAZON_EVENT_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Wrap a protocol's requests for a host.

    In ``path``, and ``stream_path`` where a stream has another, ``{path}`` stands for the protocol's own path and ``{model}``
    for the model, quoted; ``query`` is added to every URL. Of the body, ``without`` names what is left out and ``fields`` is
    laid over the rest; ``without_headers`` names the protocol's own headers that are not sent. ``stream_type`` is what a stream
    is asked for as.
    """

    path: str = "{path}"
    stream_path: str | None = None
    query: str = ""
    without: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    without_headers: tuple[str, ...] = ()
    stream_type: str = EVENT_STREAM

    def __post_init__(self) -> None:
        for name, value in (("path", self.path), ("stream_path", self.stream_path)):
            if value is not None and not (isinstance(value, str) and _PATH.fullmatch(value)):
                raise _wrong(name, "a path of visible ASCII characters with {path} or {model} in it, beginning with / or {path}")
        if not isinstance(self.query, str) or not _QUERY.fullmatch(self.query):
            raise _wrong("query", "a query as 'api-version=v1', without its question mark")
        for name in ("without", "without_headers"):
            given = getattr(self, name)
            if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
                raise _wrong(name, "a list of names")
            object.__setattr__(self, name, tuple(given))
        if not isinstance(self.fields, Mapping) or not all(isinstance(name, str) for name in self.fields):
            raise _wrong("fields", "values by name")
        if self.stream_type not in (EVENT_STREAM, AMAZON_EVENT_STREAM):
            raise _wrong("stream_type", f"{EVENT_STREAM!r} or {AMAZON_EVENT_STREAM!r}")

    def addressed(self, path: str, model: str, *, streamed: bool) -> str:
        """Give the path below the base; raises ``ConfigurationError`` for a model that would lead out of it."""
        template = self.stream_path if streamed and self.stream_path is not None else self.path
        if template != "{path}":
            path = template.replace("{path}", path).replace("{model}", quote(model, safe="@", errors="replace"))
        if "/." in path and not {".", ".."}.isdisjoint(path.partition("?")[0].split("/")):
            raise ConfigurationError("model: a segment of dots would lead to another path", field="model")
        return path

    def filled(self, body: dict[str, Any]) -> dict[str, Any]:
        """Give the body as it is sent."""
        if not (self.without or self.fields):
            return body
        return {**{name: value for name, value in body.items() if name not in self.without}, **self.fields}

    def headed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Give the protocol's headers as they are sent."""
        return {name: value for name, value in headers.items() if name not in self.without_headers}

    def queried(self, url: str) -> str:
        """Give the URL with the query."""
        return f"{url}{'&' if '?' in url else '?'}{self.query}" if self.query else url


def _wrong(name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: expected {expected}", field=name)


PLAIN = Envelope()
