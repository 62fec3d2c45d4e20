"""What a provider reports of a call is believed as far as it can be, and charged however the stream is left."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from gateway_scripts import chunk, data, key_of, open_stream, whole

from omnillm.errors import MalformedResponseError, StreamInterruptedError
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, reset, respond, stall
from omnillm.types.events import UsageUpdated
from omnillm.types.request import GenerationConfig, LlmRequest

REPORTED = {"prompt_tokens": 700, "completion_tokens": 70, "total_tokens": 770}
REQUEST = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=100))


@pytest.mark.parametrize("way", ["close", "cut", "lost"])
def test_what_was_reported_is_paid_for(build: Any, way: str) -> None:
    """A stream that ends early, in whatever way, costs what its usage said so far, where that is more than was estimated."""
    ending = reset() if way == "cut" else stall()
    with ScriptedServer([expect(), open_stream(data(chunk("a"), chunk(usage=REPORTED))), ending]) as server:
        gateway = build(server, budget_limit_usd=1e6, retry=RetryPolicy(max_attempts=1))
        stream = gateway.stream(REQUEST)
        while not isinstance(next(stream), UsageUpdated):
            pass
        if way == "close":
            stream.close()
        elif way == "cut":
            with pytest.raises(StreamInterruptedError):
                list(stream)
        else:
            del stream
            gc.collect()
        assert (key_of(gateway).tpm_used, gateway.budget_used_usd()) == (770, 770)


@pytest.mark.parametrize(
    "usage",
    [
        "much",
        7,
        [1],
        {"prompt_tokens": 10**30, "completion_tokens": 1, "total_tokens": 10**30},
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 10**12},
    ],
)
def test_what_cannot_be_is_estimated(build: Any, usage: Any) -> None:
    """A usage of another type, and one beyond all measure, do not cost the answer: it is given, with an estimate."""
    with ScriptedServer([expect(), respond(body=whole(usage=usage))]) as server:
        gateway = build(server, budget_limit_usd=1e6)
        response = gateway.call(REQUEST)
        prompt = REQUEST.estimated_prompt_tokens()
        found = response.usage
        assert (response.text, found.estimated, found.prompt_tokens, found.completion_tokens) == ("hello", True, prompt, 2)
        assert (key_of(gateway).tpm_used, gateway.budget_used_usd()) == (prompt + 2, prompt + 2)


def test_what_half_is_reported_is_completed(build: Any) -> None:
    """A count that is missing is estimated, the one that is there is kept."""
    with ScriptedServer([expect(), respond(body=whole(usage={"prompt_tokens": 9}))]) as server:
        usage = build(server).call(REQUEST).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated) == (9, 2, True)


@pytest.mark.parametrize("total", [0, 3, 20])
def test_the_window_takes_the_larger_count(build: Any, total: int) -> None:
    """A total below its parts does not empty the window."""
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": total}
    with ScriptedServer([expect(), respond(body=whole(usage=usage))]) as server:
        gateway = build(server)
        gateway.call(REQUEST)
        assert key_of(gateway).tpm_used == max(8, total)


def test_output_is_estimated_by_its_bytes(build: Any) -> None:
    """Four bytes are a token, of the answer as of the prompt: whole, to a stream's end, and where it is left."""
    text = "你好世界" * 10  # 120 bytes
    body = json.loads(whole(text))
    del body["usage"]
    streamed = data(chunk(text), chunk(finish="stop"), "[DONE]")
    scripts = [[expect(), respond(body=json.dumps(body).encode())]]
    scripts += [[expect(), open_stream(streamed), stall()], [expect(), open_stream(data(chunk(text))), stall()]]
    with ScriptedServer(*scripts) as server:
        gateway = build(server)
        assert gateway.call(REQUEST).usage.completion_tokens == 30
        with gateway.stream(REQUEST) as stream:
            list(stream)
        assert stream.response.usage.completion_tokens == 30
        before = gateway.budget_used_usd()
        with gateway.stream(REQUEST) as stream:
            while "你" not in getattr(next(stream), "delta", ""):
                pass
        assert gateway.budget_used_usd() - before == REQUEST.estimated_prompt_tokens() + 30


def test_an_answer_that_is_none_has_its_status(build: Any) -> None:
    """The record of a malformed answer has the status that was read, and an empty body is called so."""
    empty = pytest.raises(MalformedResponseError, match="204 with an empty body")
    with ScriptedServer([expect(), respond(204, body=b"")]) as server, empty as caught:
        build(server, retry=RetryPolicy(max_attempts=1)).call(REQUEST)
    assert [record.status for record in caught.value.attempts] == [204]
