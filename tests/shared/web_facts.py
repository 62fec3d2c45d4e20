"""What holds for a site on any server: the facts that the tests of Django's and of Flask's share."""

from __future__ import annotations

import json
from collections import Counter

from web_servers import asks, at_once, events_of, text_of
from web_status import NARROW_RPM, is_free

from omnillm.testing import break_stream

CLIENTS = 8


def all_are_answered(site):
    """Calls and streams of many clients at once are each answered, and leave nothing held."""

    def ask(n):
        status, headers, body = site.get(asks("/stream/" if n % 2 else "/call/", f"number {n}"))
        assert status == 200, body
        if n % 2:
            assert headers["Content-Type"] == "text/event-stream"
            assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-cache, no-transform", "no")
            events = events_of(body)
            assert [name for name, _ in events[-2:]] == ["usage", "done"]
            return text_of(events)
        return json.loads(body)["text"]

    assert at_once(ask, range(CLIENTS)) == [f"echo: number {n}" for n in range(CLIENTS)]
    left = site.wait_free(is_free)
    assert all(map(is_free, left.values())), left


def each_process_keeps_its_limit(site):
    """Every process lets its own limit through and no more; the rest is told when to come back."""
    before = len(site.provider.requests)
    answers = at_once(lambda n: site.get(asks("/call/", f"{n}") + "&alias=narrow"), range(CLIENTS))
    served = Counter(json.loads(body)["pid"] for status, _, body in answers if status == 200)
    refused = Counter(int(headers["X-Pid"]) for status, headers, body in answers if status == 503)
    assert served.total() + refused.total() == CLIENTS
    assert refused, "more was asked than all processes may do together"
    asked = served + refused
    assert {pid: served[pid] for pid in asked} == {pid: min(NARROW_RPM, asked[pid]) for pid in asked}
    assert len(site.provider.requests) - before == served.total()
    assert all(int(headers["Retry-After"]) > 0 for status, headers, _ in answers if status == 503)


def leavers_leave_nothing(site, path="/late/", *, heartbeats=True):
    """A client that goes away while the model is silent closes the upstream; key, money and thread are free soon after."""
    site.provider.script(break_stream(5, how="hang", times=site.workers))
    opened = at_once(lambda n: site.open(asks(path, "one two three")), range(site.workers))
    for connection, response in opened:
        said = b""
        while (heartbeats and b": silent" not in said) or b"event: text" not in said:
            said += response.read1()
        response.close()
        connection.close()
    left = site.wait_free(is_free)
    assert all(map(is_free, left.values())), left


def a_broken_stream_is_told(site, path="/late/"):
    """What breaks in mid-stream ends the response with an event that tells the kind of the error alone."""
    site.provider.script(break_stream(5, how="error_event"))
    _, _, body = site.get(asks(path, "one two three"))
    events = events_of(body)
    assert events[-1] == ("error", {"code": "interrupted", "message": "The answer broke off."})
    assert "sk-" not in body
