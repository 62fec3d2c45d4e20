"""Django on real servers: gunicorn with each kind of worker, before and after a fork, and uvicorn; concurrent HTTP clients."""

from __future__ import annotations

import pytest
import web_facts
from web_servers import KINDS, gunicorn, uvicorn

from omnillm.testing import LocalProvider


@pytest.fixture(scope="module", params=[*(kind for kind in KINDS if kind != "gevent, preloaded"), "uvicorn"])
def site(request):
    """A Django site on a server."""
    with LocalProvider() as provider:
        if request.param == "uvicorn":
            served = uvicorn("web_django:asgi", provider)
        else:
            served = gunicorn("web_django:application", provider, request.param)
        with served as site:
            yield site


def test_all_are_answered(site):
    """Calls and streams of many clients at once are each answered, and leave nothing held."""
    web_facts.all_are_answered(site)


def test_each_process_keeps_its_limit(site):
    """Every process lets its own limit through and no more; the rest is told when to come back."""
    web_facts.each_process_keeps_its_limit(site)


def test_clients_that_leave_in_mid_stream_leave_nothing_held(site):
    """A client that goes away while the model is silent closes the upstream; key, money and thread are free soon after."""
    web_facts.leavers_leave_nothing(site)


def test_a_broken_stream_is_told(site):
    """What breaks in mid-stream ends the response with an event that tells the kind of the error alone."""
    web_facts.a_broken_stream_is_told(site)


def test_under_asgi_a_client_that_leaves_is_noticed_at_once():
    """No heartbeat is waited for: the server tells of a client that has gone."""
    with LocalProvider() as provider, uvicorn("web_django:asgi", provider, HEARTBEAT="600") as site:
        for path in ("/late/", "/alate/", "/stream/"):
            web_facts.leavers_leave_nothing(site, path, heartbeats=False)
