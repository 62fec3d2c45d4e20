"""Codecs are pure functions of what they are given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from whole_payloads import WHOLE, Whole

import omnillm as o

NAMED = [pytest.param(whole, id=name) for name, whole in WHOLE.items()]


@pytest.mark.parametrize("to", NAMED)
@pytest.mark.parametrize("whole", NAMED)
def test_p42_codecs_are_pure(whole: Whole, to: Whole) -> None:
    """Reading changes no payload, writing no value; done twice, the outcome is the same, and shares nothing that can change."""
    request, response = copy.deepcopy(whole.request), copy.deepcopy(whole.response)
    asked, answered = o.parse_request(whole.protocol, request), o.parse_response(whole.protocol, response)
    assert (request, response) == (whole.request, whole.response)
    before = copy.deepcopy((asked, answered))
    first = o.emit_request(to.protocol, asked), o.emit_response(to.protocol, answered)
    second = o.emit_request(to.protocol, asked), o.emit_response(to.protocol, answered)
    assert first == second
    assert (asked, answered) == before
    assert (o.parse_request(whole.protocol, request), o.parse_response(whole.protocol, response)) == before


@pytest.mark.parametrize("whole", NAMED)
def test_p42_codecs_keep_no_state(whole: Whole) -> None:
    """Streams that are read side by side give what each gives alone."""

    def read(parser: Any) -> list[Any]:
        return [event for frame in whole.stream for event in parser.feed(frame)] + parser.finish()

    alone = read(o.StreamParser(whole.protocol))
    one, other = o.StreamParser(whole.protocol), o.StreamParser(whole.protocol)
    pairs = [(one.feed(frame), other.feed(frame)) for frame in whole.stream]
    ends = one.finish(), other.finish()
    assert [event for pair in pairs for event in pair[0]] + ends[0] == alone
    assert [event for pair in pairs for event in pair[1]] + ends[1] == alone
