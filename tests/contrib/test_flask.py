"""Flask: the extension, its command and responses, by Flask's own test client."""

from __future__ import annotations

import json

import pytest
import web_flask
from flask import Flask, request
from web_servers import asks, events_of, text_of

from omnillm import ClosedError, ConfigurationError
from omnillm.contrib.flask import OmniLLM, get_gateway, sse_response
from omnillm.contrib.sse import frame, frames_of
from omnillm.testing import LocalProvider, break_stream, fail

SECRET = "sk-of-the-house"


@pytest.fixture
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def app(provider, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("LLM_BASE_URL", f"{provider.base_url}/v1")
    app = web_flask.create_app()
    yield app
    web_flask.llm.close(app)


def test_a_gateway_belongs_to_its_app(app):
    """Each app has its own gateways; each is made once, and found in any context of its app."""
    other = web_flask.create_app()
    with app.app_context():
        mine = web_flask.llm.gateway
        assert mine is get_gateway() is web_flask.llm.get_gateway("default")
        assert web_flask.llm.get_gateway("narrow") is not mine
        assert mine.call("hello").text == "echo: hello"
    with app.test_request_context():
        assert get_gateway() is mine
    with other.app_context():
        theirs = get_gateway()
        assert theirs is not mine
    web_flask.llm.close(other)
    with pytest.raises(ClosedError):
        theirs.call("hello")
    assert mine.call("hello").text == "echo: hello"


def test_the_configuration_may_come_after_the_extension(provider):
    """``OmniLLM(app)`` reads nothing: the setting counts when a gateway is asked for."""
    app = Flask("later")
    llm = OmniLLM(app)
    with app.app_context():
        with pytest.raises(ConfigurationError, match="OMNILLM is not set"):
            _ = llm.gateway
        app.config["OMNILLM"] = {"default": {"model": "openai/m", "base_url": f"{provider.base_url}/v1", "keys": [SECRET]}}
        assert llm.gateway.call("hello").text == "echo: hello"
    llm.close(app)


def test_an_app_without_the_extension_is_told_so():
    """The error says what comes first."""
    with Flask("bare").app_context(), pytest.raises(ConfigurationError, match=r"OmniLLM\(app\), or init_app\(app\), comes first"):
        get_gateway()


def test_a_view_streams_to_the_client(app):
    """The response is an event stream that nobody keeps or collects, and tells the answer."""
    for path in ("/stream/", "/late/"):
        response = app.test_client().get(asks(path, "one two"))
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache, no-transform"
        assert response.headers["X-Accel-Buffering"] == "no"
        events = events_of(response.text)
        assert text_of(events) == "echo: one two"
        assert events[-1] == ("done", {"finish_reason": "stop"})


def is_free(app):
    with app.app_context():
        status = get_gateway().pool_status()[0]
        return status.tpm_inflight == 0


def test_closing_the_response_closes_the_upstream(app, provider):
    """As a server closes the response of a client that has gone; a response that is never read is closed, too."""
    provider.script(break_stream(5, how="hang"))
    response = app.test_client().get(asks("/stream/", "one two three"), buffered=False)
    assert next(iter(response.response)) == b": open\n\n"
    response.close()
    assert is_free(app)
    assert provider.wait_open_connections(0)
    app.test_client().head(asks("/stream/", "hello")).close()
    assert is_free(app)


def test_frames_of_the_callers_own_have_the_request(app):
    """What the caller's own code asks of the request, while the stream is told, is there; and the stream is closed behind it."""

    def own(event):
        for each in frames_of(event):
            if each.event == "done":
                yield frame("asked", q=request.args["q"])
            yield each

    @app.get("/own/")
    def view():
        return sse_response(web_flask.llm.gateway.stream(request.args["q"]), frames=own)

    events = events_of(app.test_client().get(asks("/own/", "hi")).text)
    assert [name for name, _ in events] == ["text", "text", "usage", "asked", "done"]
    assert events[-2] == ("asked", {"q": "hi"})
    app.test_client().head(asks("/own/", "hi")).close()
    assert is_free(app)


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [(fail(400), 422, "refused"), (fail(401), 502, "unavailable"), (fail(429, retry_after=70), 503, "busy")],
)
def test_an_error_before_the_stream_is_an_answer(app, provider, step, status, code):
    """What is raised in the view is told with its status, and with when to come back."""
    provider.script(step)
    response = app.test_client().get(asks("/stream/", "hello"))
    told = response.json["error"]
    assert (response.status_code, told["code"]) == (status, code)
    assert ("Retry-After" in response.headers) == ("retry_after" in told) == (code == "busy")


def test_the_command_tells_how_the_gateways_stand(app):
    """``flask omnillm status`` prints a table, or JSON; never a key."""
    with app.app_context():
        get_gateway().call("hello")
    runner = app.test_cli_runner()
    table = runner.invoke(args=["omnillm", "status"]).output
    assert [line.split()[0] for line in table.splitlines()[:3]] == ["gateway", "default", "narrow"]
    assert "1/10000" in table
    told = json.loads(runner.invoke(args=["omnillm", "status", "default", "--json"]).output)
    assert list(told) == ["default"]
    assert told["default"]["keys"][0]["rpm_used"] == 1
    assert SECRET not in table + json.dumps(told)


def test_the_command_says_what_is_wrong(app):
    """A wrong setting ends it with one sentence."""
    done = app.test_cli_runner().invoke(args=["omnillm", "status", "other"])
    assert done.exit_code == 1
    assert "no gateway is called 'other'" in done.output
