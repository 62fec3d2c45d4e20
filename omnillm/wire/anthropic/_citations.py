"""Citations of a text block, read into annotations and written back.

A citation's own form rides in ``Annotation.raw``: the document's index and the encrypted index have no canonical place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.parts import Annotation


def is_citation(value: Any) -> bool:
    """Tell whether a value is a citation of this wire, of a kind known today or not."""
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    return isinstance(kind, str) and kind.endswith("_location")


def read_citation(raw: dict[str, Any]) -> Annotation:
    """Read a citation; offsets are kept only where they count characters, and then of the document."""
    names = _names(raw)
    return Annotation(
        raw["type"],
        url=_of(raw, names["url"], str),
        title=_of(raw, names["title"], str),
        start=_of(raw, names["start"], int),
        end=_of(raw, names["end"], int),
        cited_text=_of(raw, "cited_text", str),
        file_id=_of(raw, "file_id", str),
        raw=raw,
    )


def write_citation(annotation: Annotation) -> dict[str, Any] | None:
    """Write an annotation that came from this wire, edits included; ``None`` for any other: an index cannot be invented."""
    raw = annotation.raw
    if not is_citation(raw) or raw["type"] != annotation.kind:
        return None
    parsed = read_citation(raw)
    if parsed == annotation:
        return raw  # type: ignore[no-any-return]  # a mapping, checked above
    written = dict(raw)
    for field, name in _names(raw).items():
        value = getattr(annotation, field)
        if value != getattr(parsed, field):
            written[name] = value
    return written


def _names(raw: Mapping[str, Any]) -> dict[str, str]:
    """Give the wire's name of each field, which depends on the kind of citation."""
    return {
        "url": "url" if "url" in raw else "source",
        "title": "title" if "title" in raw else "document_title",
        "start": "start_char_index",
        "end": "end_char_index",
        "cited_text": "cited_text",
        "file_id": "file_id",
    }


def _of(raw: Mapping[str, Any], name: str, kind: type) -> Any:
    value = raw.get(name)
    return value if type(value) is kind else None
