"""``omnillm embed``."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from ..types.media import EmbeddingResponse
from ._calls import gateway_of
from ._streams import UsageError, read_text
from ._terminal import console, print_json, table

SHOWN = 4  # of a vector's numbers


def embed(options: argparse.Namespace) -> int:
    """Print a vector a line, or on a terminal what they look like; with ``--json`` the whole response."""
    texts: list[str] = options.texts or [line for line in read_text().splitlines() if line.strip()]
    if not texts or not all(text.strip() for text in texts):
        raise UsageError("text: expected one, got none", field="text")
    gateway, model = gateway_of(options)
    with gateway:
        response = gateway.embed(texts, model=model or None, dimensions=options.dimensions, timeout=options.timeout)
    screen = console()
    if options.json:
        print_json(_whole(response))
    elif screen is not None:
        head = ("text", "dimensions", "length", "begins")
        screen.print(table(head, [_row(text, vector) for text, vector in zip(texts, response.embeddings, strict=True)]))
    else:
        for vector in response.embeddings:
            print(json.dumps(vector))
    return 0


def _row(text: str, vector: tuple[float, ...]) -> tuple[str, ...]:
    begins = " ".join(f"{number:+.4f}" for number in vector[:SHOWN])
    return text, str(len(vector)), f"{math.hypot(*vector):.4f}", f"{begins} …" if len(vector) > SHOWN else begins


def _whole(response: EmbeddingResponse) -> dict[str, Any]:
    meta = {"cost_usd": response.cost_usd, "key_label": response.key_label, "latency": response.latency}
    return {**response.to_dict(), "meta": meta}
