"""Embeddings as base64, decoded to numbers and written back.

OpenAI's base64 is of float32, little-endian. Others put doubles there (vLLM, for models of half precision) or signed bytes
(Perplexity), and their answers do not say so: float32 is believed unless it gives what no embedding holds.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any, Literal

from ...errors import InvalidShapeError
from ...types.retrieval import EmbeddingResponse, EmbeddingVector
from .._fields import Emission

Kind = Literal["f", "d", "b"]  # of struct
KINDS: tuple[Kind, ...] = ("f", "d", "b")

_LARGEST = 1e6
_SIZES = {"f": 4, "d": 8, "b": 1}


def numbers(value: list[Any], pointer: str) -> tuple[float, ...]:
    """Give the numbers of an array; raises ``InvalidShapeError`` where one is none."""
    if not {int, float}.issuperset(map(type, value)):
        place = next(i for i, item in enumerate(value) if type(item) not in (int, float))
        raise InvalidShapeError(f"expected a number, got {type(value[place]).__name__}", pointer=f"{pointer}/{place}")
    return tuple(value)


def decoded(text: str, pointer: str) -> tuple[tuple[float, ...], Kind]:
    """Give the numbers of a base64 text, and of which kind they are."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidShapeError("expected numbers, or base64 of them", pointer=pointer) from None
    singles = _unpacked(raw, "f")
    if singles is not None and _is_plausible(singles) and not _are_halves_of_doubles(singles):
        return singles, "f"
    doubles = _unpacked(raw, "d")
    if doubles is not None and _is_plausible(doubles):
        return doubles, "d"
    if singles is not None and sum(map(_is_small, singles)) * 10 > len(singles) * 9:
        raise InvalidShapeError("expected numbers, got float32 that are infinite or none", pointer=pointer)
    return struct.unpack(f"{len(raw)}b", raw), "b"


def in_order(response: EmbeddingResponse, emission: Emission) -> list[EmbeddingVector]:
    """Give the embeddings in the order of their inputs, for a format that has no indexes."""
    vectors = sorted(response.data, key=lambda vector: vector.index)
    for place, vector in enumerate(vectors):
        if vector.index != place:
            emission.lose(f"/data/{place}/index", f"an embedding's place is its index here: {vector.index} became {place}")
    return vectors


def encoded(values: tuple[float, ...], kind: Kind) -> str:
    """Give the base64 of numbers."""
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode("ascii")
    except (struct.error, OverflowError, TypeError):
        raise InvalidShapeError(f"the numbers do not fit into the base64 of {kind}", pointer="/embedding") from None


def _unpacked(raw: bytes, kind: Kind) -> tuple[float, ...] | None:
    count, rest = divmod(len(raw), _SIZES[kind])
    return None if rest else struct.unpack(f"<{count}{kind}", raw)


def _is_small(value: float) -> bool:
    return -_LARGEST < value < _LARGEST


def _is_plausible(values: tuple[float, ...]) -> bool:
    return all(map(_is_small, values)) and not any(map(math.isnan, values))


def _are_halves_of_doubles(values: tuple[float, ...]) -> bool:
    """Tell a double of half precision, whose low word is zero, from two float32."""
    return len(values) >= 8 and len(values) % 2 == 0 and not any(values[::2]) and any(values[1::2])
