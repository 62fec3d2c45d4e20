"""Annotations of a reply: ``{"type": T, T: {…}}`` with offsets into the message's text, and the canonical citations.

Rules: the wire's own form is kept as ``raw`` and written back for as long as it says what the annotation says. Citations of other
wires are written in replies where they have a URL; they cite the text that they hang on. A request has no place for them.
"""

from __future__ import annotations

from typing import Any

from ...types.parts import Annotation, TextPart
from .._fields import Emission
from ._content import Placed

_CITATION = "url_citation"


def read_annotations(given: Any) -> tuple[Annotation, ...] | None:
    """Read annotations of the wire's form; ``None`` where one is of another form."""
    if not isinstance(given, list) or not all(map(_is_own, given)):
        return None
    return tuple(map(read_annotation, given))


def _is_own(raw: Any) -> bool:
    if not isinstance(raw, dict):
        return False
    kind = raw.get("type")
    return isinstance(kind, str) and isinstance(raw.get(kind), dict)


def read_annotation(raw: dict[str, Any]) -> Annotation:
    """Read one annotation of the wire's form."""
    kind = raw["type"]
    said = raw[kind]
    return Annotation(
        kind,
        url=_text(said.get("url")),
        title=_text(said.get("title")),
        start=_offset(said.get("start_index")),
        end=_offset(said.get("end_index")),
        cited_text=_text(said.get("content")),
        file_id=_text(said.get("file_id")),
        raw=raw,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _offset(value: Any) -> int | None:
    return value if type(value) is int else None


def write_annotations(placed: list[Placed], emission: Emission, *, reply: bool) -> list[Any]:
    """Write the annotations of the text parts."""
    out = []
    offset = 0
    for part, at in placed:
        if not isinstance(part, TextPart):
            continue
        for i, annotation in enumerate(part.annotations):
            if _is_own(annotation.raw):
                out.append(_own(annotation))
            elif not reply:
                emission.lose(f"{at}/annotations", "a request of Chat Completions holds no citations")
                break
            elif annotation.url is None:
                emission.lose(f"{at}/annotations/{i}", "Chat Completions cites by URL only")
            else:
                out.append(_written(annotation, offset, offset + len(part.text)))
                if annotation.cited_text:
                    emission.lose(f"{at}/annotations/{i}/cited_text", "Chat Completions does not quote what it cites")
        offset += len(part.text)
    return out


def _own(annotation: Annotation) -> Any:
    raw = annotation.raw
    if read_annotation(raw) == annotation:
        return raw
    said = dict(raw[raw["type"]])
    for name, value in (
        ("url", annotation.url),
        ("title", annotation.title),
        ("start_index", annotation.start),
        ("end_index", annotation.end),
        ("content", annotation.cited_text),
        ("file_id", annotation.file_id),
    ):
        if value is not None:
            said[name] = value
        else:
            said.pop(name, None)
    return {**raw, "type": annotation.kind, annotation.kind: said}


def _written(annotation: Annotation, start: int, end: int) -> dict[str, Any]:
    citation = {
        "start_index": start + (annotation.start or 0),
        "end_index": end if annotation.end is None else start + annotation.end,
        "url": annotation.url,
        "title": annotation.title or "",
    }
    return {"type": _CITATION, _CITATION: citation}


def cited(annotation: Annotation, text_length: int) -> Any:
    """Write one annotation of a stream, or ``None`` where it has no form here."""
    if _is_own(annotation.raw):
        return _own(annotation)
    return None if annotation.url is None else _written(annotation, 0, text_length)
