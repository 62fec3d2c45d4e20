"""Citations of a text, read into annotations and written back.

A citation's own form rides in ``Annotation.raw``: the document's index and the kind of its place have no canonical home.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.parts import Annotation

_FIELDS = frozenset({"title", "source", "sourceContent", "location"})


def is_citation(value: Any) -> bool:
    """Tell whether a value is a citation of this wire; those of others name a type."""
    return isinstance(value, Mapping) and not _FIELDS.isdisjoint(value) and "type" not in value


def read_citation(raw: dict[str, Any]) -> Annotation:
    """Read a citation; offsets are kept only where they count characters, and then of the document."""
    kind, place = _place(raw)
    url = place.get("url") if kind == "web" else raw.get("source")
    in_text = kind == "documentChar"
    return Annotation(
        kind,
        url=_of(url, str),
        title=_of(raw.get("title"), str),
        start=_of(place.get("start"), int) if in_text else None,
        end=_of(place.get("end"), int) if in_text else None,
        cited_text=_cited(raw.get("sourceContent")),
        raw=raw,
    )


def write_citation(annotation: Annotation) -> dict[str, Any] | None:
    """Write an annotation that came from this wire, edits included; ``None`` for any other: an index cannot be invented."""
    raw = annotation.raw
    if not is_citation(raw):
        return None
    parsed = read_citation(raw)
    if parsed == annotation:
        return raw  # type: ignore[no-any-return]  # a mapping, checked above
    if parsed.kind != annotation.kind:
        return None
    written, (kind, place) = dict(raw), _place(raw)
    if annotation.title != parsed.title:
        written["title"] = annotation.title
    if annotation.cited_text != parsed.cited_text:
        written["sourceContent"] = [{"text": annotation.cited_text}]
    moved = {name: getattr(annotation, name) for name in ("url", "start", "end") if _differs(annotation, parsed, name)}
    if "url" in moved and kind != "web":
        written["source"] = moved.pop("url")
    if moved and kind in ("web", "documentChar"):
        written["location"] = {kind: {**place, **moved}}
    return written


def _differs(one: Annotation, other: Annotation, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _place(raw: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Give the kind of a citation's place and the place."""
    location = raw.get("location")
    if isinstance(location, Mapping):
        for kind, place in location.items():
            if isinstance(place, Mapping):
                return str(kind), place
    return "citation", {}


def _cited(content: Any) -> str | None:
    if not isinstance(content, list):
        return None
    texts = [item.get("text") for item in content if isinstance(item, Mapping)]
    return "".join(text for text in texts if isinstance(text, str))


def _of(value: Any, kind: type) -> Any:
    return value if type(value) is kind else None
