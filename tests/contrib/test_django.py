"""Django: settings, checks, the command and responses, by its own test clients."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from io import StringIO

import pytest
import web_django
from asgiref.sync import ThreadSensitiveContext
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, override_settings
from web_servers import asks, events_of, text_of

from omnillm import ClosedError, Gateway
from omnillm.contrib.django import close_gateways, get_gateway, sse_response
from omnillm.contrib.django.checks import check_gateways
from omnillm.testing import LocalProvider, break_stream, delay, fail

SECRET = "sk-of-the-house"


@pytest.fixture
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture(autouse=True)
def site(provider, monkeypatch):
    """The settings of the site, with the test's provider."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("LLM_BASE_URL", f"{provider.base_url}/v1")
    where = {**web_django.where(), "keys": web_django.KEYS}
    with override_settings(OMNILLM={"default": where, "narrow": {**where, "rpm_limit": 1}}):
        yield where


def streamed(response):
    """Read the body of a streaming response, and close it as a server does."""
    try:
        return b"".join(response.streaming_content).decode()
    finally:
        response.close()


# --- gateways -----------------------------------------------------------------------------------------------------------------


def test_a_gateway_is_made_once_of_the_settings(site):
    """``get_gateway`` gives the same gateway each time, and another for another alias."""
    assert get_gateway() is get_gateway("default")
    assert get_gateway("narrow") is not get_gateway()
    assert isinstance(get_gateway(), Gateway)
    assert get_gateway().call("hello").text == "echo: hello"


def test_overridden_settings_hold_and_are_undone(site):
    """In ``override_settings`` the gateway is that of the new settings, after it of the old; each is closed behind itself."""
    before = get_gateway()
    with override_settings(OMNILLM={"default": {**site, "rpm_limit": 7}}):
        within = get_gateway()
        assert within.pool_status()[0].rpm_limit == 7
        with pytest.raises(ClosedError):
            before.call("hello")
    with pytest.raises(ClosedError):
        within.call("hello")
    assert get_gateway().pool_status()[0].rpm_limit == 500
    with override_settings(DEBUG=True):
        assert get_gateway().call("hello").text == "echo: hello"


def test_closed_gateways_are_made_anew(site):
    """After ``close_gateways()`` the next one is new."""
    before = get_gateway()
    close_gateways()
    assert get_gateway() is not before


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "OMNILLM is not set"),
        ({"default": {"model": "openai/m", "keys": [SECRET], "retries": 3}}, r'OMNILLM\["default"\]: retries: unknown field'),
        ({"other": {}}, r"OMNILLM: no gateway is called 'default': expected one of other"),
    ],
)
def test_wrong_settings_are_improperly_configured(value, said):
    """Django's own error names the setting and the field."""
    with override_settings(OMNILLM=value), pytest.raises(ImproperlyConfigured, match=said) as raised:
        get_gateway()
    assert raised.value.__cause__ is None


def test_a_page_of_debugging_shows_no_key(site):
    """Django's own report of an error, settings and locals included, shows no key that stands in them."""
    with override_settings(DEBUG=True, OMNILLM={"default": {**site, "keys": [{"key": SECRET, "label": "x"}], "retries": 3}}):
        response = Client(raise_request_exception=False).get(asks("/stream/", "hi"))
    assert response.status_code == 500
    assert b"unknown field" in response.content
    assert SECRET.encode() not in response.content


# --- checks -------------------------------------------------------------------------------------------------------------------

PRICED = {"model": "openai/gpt-4.1-mini", "budget_usd": 5}
CHECKS = {
    "all is well": ({"default": {**PRICED, "keys": ["${OPENAI_API_KEY}"]}}, []),
    "its own variable": ({"default": PRICED}, []),
    "not set": (None, [("omnillm.E001", "OMNILLM is not set")]),
    "no mapping": ("openai/m", [("omnillm.E001", "expected a mapping of aliases, got str")]),
    "a wrong value": (
        {"default": {**PRICED, "pool": {"selection": "best"}}},
        [("omnillm.E002", 'OMNILLM["default"]: pool.selection: expected')],
    ),
    "two wrong gateways": (
        {"default": {"model": 7}, "b": {"modle": "x"}},
        [("omnillm.E002", 'OMNILLM["default"]: model'), ("omnillm.E002", 'OMNILLM["b"]: modle')],
    ),
    "plain http": (
        {"default": {**PRICED, "base_url": "http://example.com/v1"}},
        [("omnillm.E002", "plain http to another host")],
    ),
    "a missing variable": (
        {"default": {**PRICED, "keys": [{"key": "${NOT_THERE}", "label": "a"}]}},
        [("omnillm.W001", 'OMNILLM["default"]: keys[0].key: the environment variable NOT_THERE is not set.')],
    ),
    "and something else": (
        {"default": {**PRICED, "keys": ["${NOT_THERE}"], "rpm_limit": 0}},
        [("omnillm.W001", "NOT_THERE"), ("omnillm.E002", "rpm_limit: expected an integer of at least 1")],
    ),
    "no variable of its own": (
        {"default": {"model": "groq/llama-3.1-8b-instant"}},
        [("omnillm.W001", "GROQ_API_KEY")],
    ),
    "a key that stands there": (
        {"default": {**PRICED, "keys": ["sk-literal"]}},
        [("omnillm.W002", 'OMNILLM["default"]: keys[0]: a key stands in the settings.')],
    ),
    "a fallback's": (
        {"default": {**PRICED, "fallbacks": [{"model": "groq/llama-3.1-8b-instant", "keys": [{"key": "gsk_literal"}]}]}},
        [("omnillm.W002", "fallbacks[0].keys[0].key")],
    ),
    "a key out of the environment": ({"default": {**PRICED, "keys": [SECRET]}}, []),
    "no price": (
        {"default": {"model": "openai/gpt-of-the-house", "budget_usd": 5}},
        [("omnillm.W003", "gpt-of-the-house has no price")],
    ),
    "no price, for nothing": (
        {"default": {"model": "openai/gpt-of-the-house", "budget_usd": 5, "pricing": {"unknown": "zero"}}},
        [],
    ),
    "no price, no budget": ({"default": {"model": "openai/gpt-of-the-house"}}, []),
    "no default": ({"cheap": PRICED}, [("omnillm.W004", 'OMNILLM has no gateway "default".')]),
    "a callable": ({"default": "mysite.llm.gateway"}, [("omnillm.I001", "is made by a callable")]),
}


@pytest.mark.parametrize(("value", "told"), CHECKS.values(), ids=CHECKS)
def test_checks(provider, monkeypatch, value, told):
    """Each fault has its id and names its place; nothing is sent, and no key is shown."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with override_settings(OMNILLM=value):
        messages = check_gateways()
    assert [message.id for message in messages] == [id for id, _ in told]
    for message, (_, text) in zip(messages, told, strict=True):
        assert text in message.msg
        assert "literal" not in f"{message.msg} {message.hint}"
    assert provider.requests == ()


def test_checks_run_with_djangos_own(site):
    """``manage.py check`` has them."""
    call_command("check")
    with override_settings(OMNILLM={"default": {"model": 7}}), pytest.raises(SystemCheckError, match=r"omnillm\.E002"):
        call_command("check")


# --- the command --------------------------------------------------------------------------------------------------------------


def status(*arguments):
    out = StringIO()
    call_command("omnillm_status", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_a_table(site):
    """Keys by their labels, windows and money of every gateway; never a key."""
    get_gateway().call("hello")
    lines = status().splitlines()
    assert lines[0].split() == ["gateway", "pool", "key", "requests", "tokens", "in", "flight", "state"]
    rows = {line.split()[0]: line.split() for line in lines[1:3]}
    assert rows["default"][2:4] == ["key-1", "1/500"]
    assert rows["narrow"][2:4] == ["key-1", "0/1"]
    assert any(line.split()[:2] == ["default", "gateway"] and "$5" in line.split() for line in lines)
    assert SECRET not in status()


def test_the_command_prints_json(site):
    """The same as JSON, of the gateways that are asked for."""
    get_gateway().call("hello")
    told = json.loads(status("default", "--json"))
    assert list(told) == ["default"]
    assert told["default"]["keys"][0]["rpm_used"] == 1
    assert told["default"]["used_usd"] > 0
    assert told["default"]["remaining_usd"] == 5 - told["default"]["used_usd"]
    assert [budget["limit_usd"] for budget in told["default"]["budgets"]] == [5]


@pytest.mark.parametrize(
    ("value", "arguments", "said"),
    [
        ({"default": {"modle": "x"}}, [], r'OMNILLM\["default"\]: modle: unknown field'),
        ({"default": PRICED}, ["other"], "no gateway is called 'other'"),
        (None, [], "OMNILLM is not set"),
    ],
)
def test_the_command_says_what_is_wrong(value, arguments, said):
    """A wrong setting ends it with one sentence."""
    with override_settings(OMNILLM=value), pytest.raises(CommandError, match=said):
        status(*arguments)


# --- responses ----------------------------------------------------------------------------------------------------------------


def test_a_view_streams_to_the_client(site):
    """The response is an event stream that nobody keeps or collects, and tells the answer."""
    response = Client().get(asks("/stream/", "one two"))
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert not response.is_async
    events = events_of(streamed(response))
    assert text_of(events) == "echo: one two"
    assert events[-1] == ("done", {"finish_reason": "stop"})


@pytest.mark.parametrize("path", ["/stream/", "/late/", "/alate/"])
def test_a_view_streams_under_asgi(site, path):
    """Views of either kind give an asynchronous body there, which Django does not collect."""

    async def ask():
        async with ThreadSensitiveContext():  # as Django's own handler does
            response = await AsyncClient().get(asks(path, "one two"))
            assert response.is_async
            said = b"".join([part async for part in response.streaming_content])
            response.close()
            return said.decode()

    assert text_of(events_of(asyncio.run(ask()))) == "echo: one two"


def test_compression_does_not_hold_events_back(site, provider):
    """With Django's compressing middleware the events come as they are made, and uncompressed."""
    with override_settings(MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"]):
        response = Client(headers={"accept-encoding": "gzip"}).get(asks("/stream/", "one two"))
        assert response.headers["Content-Encoding"] == "identity"
        assert text_of(events_of(streamed(response))) == "echo: one two"


def test_a_head_request_leaves_nothing_held(site):
    """A response whose body is never read closes its stream."""
    Client().head(asks("/stream/", "hello")).close()
    assert get_gateway().pool_status()[0].tpm_inflight == 0


def test_closing_the_response_closes_the_upstream(site, provider):
    """As a server closes the response of a client that has gone."""
    provider.script(break_stream(5, how="hang"))
    response = Client().get(asks("/stream/", "one two three"))
    parts = iter(response.streaming_content)
    assert next(parts) == b": open\n\n"
    response.close()
    assert get_gateway().pool_status()[0].tpm_inflight == 0
    assert provider.wait_open_connections(0)


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [(fail(400), 422, "refused"), (fail(401), 502, "unavailable"), (fail(429, retry_after=70), 503, "busy")],
)
def test_an_error_before_the_stream_is_an_answer(site, provider, step, status, code):
    """What is raised in the view is told with its status, and with when to come back."""
    provider.script(step)
    response = Client().get(asks("/stream/", "hello"))
    told = response.json()["error"]
    assert (response.status_code, told["code"]) == (status, code)
    assert ("Retry-After" in response.headers) == ("retry_after" in told) == (code == "busy")


def test_the_body_is_of_the_requests_kind(site, provider):
    """A synchronous view under ASGI is given an asynchronous body, for the server is what iterates."""
    provider.script(delay(0.05))
    opens = partial(get_gateway().stream, "hello")
    assert not sse_response(RequestFactory().get("/"), opens).is_async
    assert sse_response(AsyncRequestFactory().get("/"), opens).is_async
