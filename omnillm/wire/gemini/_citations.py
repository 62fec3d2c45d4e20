"""Citations: what a candidate says of its sources, hung on its texts as annotations.

Contract: the candidate's metadata stay whole beside the message; annotations are read from them and are written from
nothing else. Annotations of other wires become ``citationMetadata``, which cites by URL.
Rules: offsets count the bytes of UTF-8 here, of the whole answer in ``citationMetadata`` and of one part in
``groundingMetadata``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...types.parts import Annotation, MessagePart, TextPart
from ...types.response import LlmResponse
from .._fields import Emission
from ._own import plain

_KIND = "url_citation"
_SOURCES = ("web", "retrievedContext", "maps", "image")


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
    for support in map(plain, supports if isinstance(supports, list) and isinstance(chunks, list) else ()):
        segment, indices = plain(support.get("segment")), support.get("groundingChunkIndices")
        place = segment.get("partIndex", first)
        part = parts[place] if type(place) is int and 0 <= place < len(parts) else None
        if not isinstance(part, TextPart) or not isinstance(indices, list):
            continue
        data = part.text.encode("utf-8", "surrogatepass")
        start, end = _character(data, segment.get("startIndex", 0)), _character(data, segment.get("endIndex"))
        for index in indices:
            chunk = plain(chunks[index]) if type(index) is int and 0 <= index < len(chunks) else {}
            source = next((plain(chunk[name]) for name in _SOURCES if isinstance(chunk.get(name), dict)), None)
            if source is not None:
                raw = {"groundingSupport": support, "groundingChunk": chunk}
                yield place, _annotation(source, start, end, raw)


def _cited(parts: tuple[MessagePart, ...], candidate: Mapping[str, Any]) -> Iterator[tuple[int, Annotation]]:
    citations = plain(candidate.get("citationMetadata")).get("citations")
    texts = [(i, part.text.encode("utf-8", "surrogatepass")) for i, part in enumerate(parts) if isinstance(part, TextPart)]
    for citation in map(plain, citations if isinstance(citations, list) and texts else ()):
        start, end = citation.get("startIndex", 0), citation.get("endIndex")
        place, data, before = _text_at(texts, start)
        span = [_character(data, offset - before if type(offset) is int else None) for offset in (start, end)]
        yield place, _annotation(citation, span[0], span[1], {"citation": citation})


def _text_at(texts: list[tuple[int, bytes]], offset: Any) -> tuple[int, bytes, int]:
    """Give the text in which an offset into all of them lies, and how many bytes are before it."""
    before = 0
    for place, data in texts:
        if type(offset) is int and offset < before + len(data):
            return place, data, before
        before += len(data)
    return *texts[0], 0


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


def _character(data: bytes, offset: Any) -> int | None:
    """Give the character at an offset of bytes."""
    if type(offset) is not int or not 0 <= offset <= len(data):
        return None
    return len(data[:offset].decode("utf-8", "ignore"))


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
            for k, annotation in enumerate(part.annotations):
                if _is_own(annotation):
                    continue
                if annotation.url is None:
                    emission.lose(f"/output/{i}/parts/{j}/annotations/{k}", "an answer cites by URL here")
                    continue
                out.append(_citation(annotation, part.text, offset))
                if annotation.cited_text is not None:
                    emission.lose(
                        f"/output/{i}/parts/{j}/annotations/{k}/cited_text", "an answer does not quote its sources here"
                    )
            offset += len(part.text.encode("utf-8", "surrogatepass"))
    return out


def _citation(annotation: Annotation, text: str, offset: int) -> dict[str, Any]:
    size = [
        len(text[: max(0, place)].encode("utf-8", "surrogatepass"))
        for place in (annotation.start or 0, annotation.end or len(text))
    ]
    out: dict[str, Any] = {"startIndex": offset + size[0], "endIndex": offset + size[1], "uri": annotation.url}
    if annotation.title is not None:
        out["title"] = annotation.title
    return out
