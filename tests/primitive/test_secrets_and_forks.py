"""What holds of every call holds of native ones: no key is shown, and a child of a fork begins anew."""

from __future__ import annotations

import json
import os
import pickle
import traceback
from typing import Any

import pytest
from gateway_fixtures import Build

from omnillm.config import KeyConfig
from omnillm.errors import OmniLLMError
from omnillm.policy.retry import RetryPolicy
from omnillm.primitive import PrimitiveAsyncJobOperation, PrimitiveAsyncJobRequest, PrimitiveProviderEndpoint, PrimitiveRequest
from omnillm.testing import LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, reset, respond, sse

CANARY = "sk-CANARY/0123+abc="
SAID = json.dumps({"error": {"message": f"bad key {CANARY}", "type": CANARY, "code": CANARY, "param": CANARY}}).encode()
READ = PrimitiveRequest.get("open_ai", "files", "open_ai_files", path="/files/f")
ASK = PrimitiveRequest.json("open_ai", "responses", "open_ai_responses", None, {"model": "m", "input": "x", "stream": True})
ECHOES: dict[str, tuple[Any, PrimitiveRequest]] = {
    "a refusal": (respond(400, body=SAID), READ),
    "a dead key": (respond(401, body=SAID), READ),
    "a failure": (respond(500, body=SAID), READ),
    "with status 200": (respond(200, body=SAID), ASK),
    "no JSON": (respond(200, {"Content-Type": "application/json"}, CANARY.encode()), READ),
    "a page": (respond(200, {"Content-Type": "text/html"}, f"<p>{CANARY}".encode()), READ),
    "a redirect": (respond(302, {"Location": f"https://x.example/?key={CANARY}"}), READ),
    "lost": (reset(), READ),
    "an event": (sse(b"event: error\ndata: " + SAID + b"\n\n"), ASK.with_stream("sse")),
    "a broken stream": (sse(f"data: {{{CANARY}\n\n".encode()), ASK.with_stream("sse")),
}


@pytest.mark.shows_keys  # what a provider streamed is given as it came; the rest is looked at below
@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_is_echoed_is_shown_nowhere(build: Build, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by the error, nor by its traceback, its pickle, the gateway or the log."""
    step, request = ECHOES[name]
    with ScriptedServer([expect(), step]) as server:
        endpoint = PrimitiveProviderEndpoint.openai(f"{server.base_url}/v1")
        keys = [KeyConfig("sk-other", "k1")]
        gateway = build(
            server, keys, primitive_endpoint=(endpoint, [KeyConfig(CANARY, "native")]), retry=RetryPolicy(max_attempts=1)
        )
        with pytest.raises(OmniLLMError) as caught:
            if request.stream == "sse":
                for event in gateway.primitive_stream(request):
                    assert event.type == "sse_frame"
                raise AssertionError("the stream came to its end")
            gateway.primitive_call(request)
    error = caught.value
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(gateway), repr(gateway._core.native)]
    shown += [repr(record) for record in getattr(error, "attempts", ())]
    shown += [repr(pickle.dumps(error)), repr(vars(error)), caplog.text, repr(request), repr(endpoint)]
    assert [text for text in shown if "CANARY" in text] == []


def test_a_child_of_a_fork_makes_native_calls_of_its_own(provider: LocalProvider, build: Build) -> None:
    """With sockets of its own; what is open in the parent is left alone."""
    endpoint = PrimitiveProviderEndpoint.openai(f"{provider.base_url}/v1")
    gateway = build(provider, primitive_endpoint=(endpoint, [KeyConfig("sk-n", "native")]))
    models = PrimitiveRequest.get("open_ai", "models", "open_ai_models")
    stream = gateway.primitive_stream(ASK.with_stream("sse"))
    next(stream)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if gateway.primitive_call(models).key_label == "native" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [event.type for event in stream][-1] == "completed"


def test_a_job_carries_no_key(provider: LocalProvider, build: Build) -> None:
    """What is kept of a job names the key's label, and nothing else of it."""
    endpoint = PrimitiveProviderEndpoint.anthropic(f"{provider.base_url}/v1")
    gateway = build(provider, primitive_endpoint=(endpoint, [KeyConfig(CANARY, "native")]))
    params = {"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "x"}]}
    body = {"requests": [{"custom_id": "a", "params": params}]}
    request = PrimitiveRequest.json("anthropic", "batches", "anthropic_message_batches", None, body)
    job = gateway.primitive_async_job(PrimitiveAsyncJobRequest(PrimitiveAsyncJobOperation.CREATE, request))
    assert job.meta.key_label == "native"
    assert "CANARY" not in repr(job) + job.to_json()
