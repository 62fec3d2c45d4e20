"""How the work of the Gemini codec grows with what it is given: counted in lines that run, never timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from gemini_content import P, answer, body, called, gave, model, user

import omnillm as o


def lines(function: Callable[[], object]) -> int:
    """Count the lines of Python that run on the way."""
    seen = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal seen
        seen += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return seen


def pairs(size: int) -> dict[str, Any]:
    """Give calls without ids, and their results in the opposite order."""
    names = [f"f{i}" for i in range(size)]
    return body(model(*map(called, names)), user(*(gave({}, name) for name in reversed(names))))


def cited(size: int) -> dict[str, Any]:
    """Give an answer of many texts, each of them cited."""
    citations = [{"startIndex": i * 4, "endIndex": i * 4 + 4, "uri": "https://e.com"} for i in range(size)]
    return answer(*[{"text": "\u00e9\u00e9"}] * size, candidate={"citationMetadata": {"citations": citations}})


@pytest.mark.parametrize(("read", "payload"), [(o.parse_request, pairs), (o.parse_response, cited)])
def test_work_grows_with_the_payload(read: Callable[[Any, Any], Any], payload: Callable[[int], Any]) -> None:
    """Ten times as many calls or citations cost about ten times the work."""
    small, large = payload(30), payload(300)
    assert lines(lambda: read(P, large)) <= 12 * lines(lambda: read(P, small))


def test_every_result_finds_its_call() -> None:
    """Results are paired by the name of the function, in the order of its calls."""
    request = o.parse_request(P, body(model(called("f"), called("g"), called("f")), user(gave({}, "g"), gave({}), gave({}))))
    results = [part for item in request.input for part in getattr(item, "parts", ()) if isinstance(part, o.ToolResultPart)]
    assert [result.call_id for result in results] == ["call_1", "call_0", "call_2"]


def test_a_citation_counts_bytes_and_an_annotation_characters() -> None:
    """Each citation is hung on the text in which it begins, at the characters that it covers."""
    request = o.parse_response(P, cited(3)).messages[0]
    spans = [[(note.start, note.end) for note in part.annotations] for part in request.parts if isinstance(part, o.TextPart)]
    assert spans == [[(0, 2)]] * 3
