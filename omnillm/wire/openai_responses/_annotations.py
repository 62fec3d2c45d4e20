"""Annotations of an output text: flat objects with offsets into that text, and the canonical citations.

Rules: the wire's own form is kept as ``raw`` and written back for as long as it says what the annotation says. A citation of
another wire is written where it has a URL or a file; it cites the whole text unless it says otherwise.
"""

from __future__ import annotations

from typing import Any

from ...types.parts import Annotation, TextPart
from .._fields import Emission
from ._own import Item

_KINDS = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})


def is_annotation(raw: object) -> bool:
    """Tell whether a value is an annotation of this wire."""
    if not isinstance(raw, dict):
        return False
    kind = raw.get("type")
    return isinstance(kind, str) and kind in _KINDS and not isinstance(raw.get(kind), dict)  # Chat Completions nests them


def read_annotation(raw: Item) -> Annotation:
    """Read one annotation of this wire."""
    return Annotation(
        raw["type"],
        url=_of(raw, "url", str),
        title=_of(raw, _title(raw), str),
        start=_of(raw, "start_index", int),
        end=_of(raw, "end_index", int),
        file_id=_of(raw, "file_id", str),
        raw=raw,
    )


def _title(raw: Item) -> str:
    return "filename" if "filename" in raw else "title"


def _of(raw: Item, name: str, kind: type) -> Any:
    value = raw.get(name)
    return value if type(value) is kind else None


def write_annotations(part: TextPart, emission: Emission, pointer: str) -> list[Item]:
    """Write a text's annotations; what has no form here is a loss."""
    out = []
    for i, annotation in enumerate(part.annotations):
        written = write_annotation(annotation, len(part.text))
        if written is None:
            emission.lose(f"{pointer}/annotations/{i}", "Responses cites by URL or by file only")
            continue
        out.append(written)
        if annotation.cited_text is not None and annotation.cited_text != written.get("cited_text"):
            emission.lose(f"{pointer}/annotations/{i}/cited_text", "Responses does not quote what it cites")
    return out


def write_annotation(annotation: Annotation, text_length: int) -> Item | None:
    """Write one annotation of a text of that length, or ``None`` where it has no form here."""
    if is_annotation(annotation.raw):
        return _own(annotation)
    if annotation.url is not None:
        return {
            "type": "url_citation",
            "url": annotation.url,
            "title": annotation.title or "",
            "start_index": annotation.start or 0,
            "end_index": text_length if annotation.end is None else annotation.end,
        }
    if annotation.file_id is not None:
        return {"type": "file_citation", "file_id": annotation.file_id, "filename": annotation.title or "", "index": 0}
    return None


def _own(annotation: Annotation) -> Item:
    raw: Item = annotation.raw
    before = read_annotation(raw)
    if before == annotation:
        return raw
    out = {**raw, "type": annotation.kind}
    for field, name in (
        ("url", "url"),
        ("title", _title(raw)),
        ("start", "start_index"),
        ("end", "end_index"),
        ("file_id", "file_id"),
    ):
        value = getattr(annotation, field)
        if value != getattr(before, field):
            out[name] = value
    return out
