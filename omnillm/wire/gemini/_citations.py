"""Citations: what a candidate says of its sources, hung on its texts as annotations.

Contract: the candidate's metadata stay whole beside the message; annotations are read from them and are written from
nothing else. Annotations of other wires become ``citationMetadata``, which cites by URL.
Rules: offsets count the bytes of UTF-8 here, of the whole answer in ``citationMetadata`` and of one part in
``groundingMetadata``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

from ...types.parts import Annotation, MessagePart, TextPart
from ...types.response import LlmResponse
from .._fields import Emission
from ._own import plain

_KIND = "url_citation"
_SOURCES = ("web", "retrievedContext", "maps", "image")


class _Places:
    """Tell the characters of a text by their offsets in bytes, and back."""

    __slots__ = ("_ends", "size")

    def __init__(self, text: str) -> None:
        plain_ascii = text.isascii()
        self._ends = range(1, len(text) + 1) if plain_ascii else [*accumulate(map(_width, text))]
        self.size = self._ends[-1] if self._ends else 0

    def character(self, offset: Any) -> int | None:
        """Give the character at an offset of bytes, ``None`` where there is no such offset."""
        if type(offset) is not int or not 0 <= offset <= self.size:
            return None
        return bisect_right(self._ends, offset)

    def byte(self, place: int) -> int:
        """Give the offset of a character."""
        return 0 if place <= 0 or not self._ends else self._ends[min(place, len(self._ends)) - 1]


def _width(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def with_citations(parts: tuple[MessagePart, ...], candidate: Mapping[str, Any]) -> tuple[MessagePart, ...]:
    """Hang a candidate's citations on the parts that they cite."""
    found: dict[int, list[Annotation]] = {}
    for i, annotation in [*_grounded(parts, candidate.get("groundingMetadata")), *_cited(parts, candidate)]:
        found.setdefault(i, []).append(annotation)
    if not found:
        return parts
    return tuple(
        replace(part, annotations=tuple(found[i])) if isinstance(part, TextPart) and i in found else part
        for i, part in enumerate(parts)
    )


def _grounded(parts: tuple[MessagePart, ...], metadata: Any) -> Iterator[tuple[int, Annotation]]:
    grounding = plain(metadata)
    chunks, supports = grounding.get("groundingChunks"), grounding.get("groundingSupports")
    first = next((i for i, part in enumerate(parts) if isinstance(part, TextPart)), 0)
    known: dict[int, _Places] = {}
    for support in map(plain, supports if isinstance(supports, list) and isinstance(chunks, list) else ()):
        segment, indices = plain(support.get("segment")), support.get("groundingChunkIndices")
        place = segment.get("partIndex", first)
        part = parts[place] if type(place) is int and 0 <= place < len(parts) else None
        if not isinstance(part, TextPart) or not isinstance(indices, list):
            continue
        if place not in known:
            known[place] = _Places(part.text)
        start, end = (known[place].character(offset) for offset in (segment.get("startIndex", 0), segment.get("endIndex")))
        for index in indices:
            chunk = plain(chunks[index]) if type(index) is int and 0 <= index < len(chunks) else {}
            source = next((plain(chunk[name]) for name in _SOURCES if isinstance(chunk.get(name), dict)), None)
            if source is not None:
                raw = {"groundingSupport": support, "groundingChunk": chunk}
                yield place, _annotation(source, start, end, raw)


def _cited(parts: tuple[MessagePart, ...], candidate: Mapping[str, Any]) -> Iterator[tuple[int, Annotation]]:
    citations = plain(candidate.get("citationMetadata")).get("citations")
    texts = [i for i, part in enumerate(parts) if isinstance(part, TextPart)] if isinstance(citations, list) else []
    if not citations or not texts:
        return
    known = [_Places(part.text) for part in parts if isinstance(part, TextPart)]
    ends = [*accumulate(places.size for places in known)]
    for citation in map(plain, citations):
        start, end = citation.get("startIndex", 0), citation.get("endIndex")
        at = bisect_right(ends, start) if type(start) is int else 0
        if at == len(ends):  # beyond them all
            at = 0
        before = ends[at] - known[at].size
        span = [known[at].character(offset - before if type(offset) is int else None) for offset in (start, end)]
        yield texts[at], _annotation(citation, span[0], span[1], {"citation": citation})


def _annotation(source: Mapping[str, Any], start: int | None, end: int | None, raw: Any) -> Annotation:
    texts = {name: value for name, value in source.items() if isinstance(value, str)}
    return Annotation(
        _KIND,
        url=texts.get("uri"),
        title=texts.get("title"),
        start=start,
        end=end,
        cited_text=texts.get("text"),
        raw=raw,
    )


def _is_own(annotation: Annotation) -> bool:
    raw = annotation.raw
    return isinstance(raw, Mapping) and ("groundingSupport" in raw or "citation" in raw)


def write_citations(response: LlmResponse, emission: Emission) -> list[dict[str, Any]]:
    """Write the annotations of an answer that no metadata of this wire hold."""
    out: list[dict[str, Any]] = []
    offset = 0
    for i, item in enumerate(response.output):
        for j, part in enumerate(getattr(item, "parts", ())):
            if not isinstance(part, TextPart):
                continue
            places = _Places(part.text) if part.annotations else None
            for k, annotation in enumerate(part.annotations):
                if _is_own(annotation) or places is None:
                    continue
                if annotation.url is None:
                    emission.lose(f"/output/{i}/parts/{j}/annotations/{k}", "an answer cites by URL here")
                    continue
                out.append(_citation(annotation, places, offset))
                if annotation.cited_text is not None:
                    emission.lose(
                        f"/output/{i}/parts/{j}/annotations/{k}/cited_text", "an answer does not quote its sources here"
                    )
            offset += _width(part.text) if places is None else places.size
    return out


def _citation(annotation: Annotation, places: _Places, offset: int) -> dict[str, Any]:
    start, end = places.byte(annotation.start or 0), places.byte(annotation.end) if annotation.end else places.size
    out: dict[str, Any] = {"startIndex": offset + start, "endIndex": offset + end, "uri": annotation.url}
    if annotation.title is not None:
        out["title"] = annotation.title
    return out
