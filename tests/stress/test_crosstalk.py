"""An answer reaches its own request alone, whatever shares the connections."""

from __future__ import annotations

import threading

import pytest
from gateway_fixtures import MODEL, endpoint_of
from gateway_scripts import whole
from interrupts import scaled

from omnillm.config import KeyConfig
from omnillm.errors import OmniLLMError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider, ScriptedServer, break_stream, fail
from omnillm.testing.scripted import expect, respond, send

pytestmark = pytest.mark.stress
THREADS, HUGE = 50, 10**9


def test_p24_an_answer_reaches_only_its_own_request() -> None:
    """Fifty threads with words of their own, among failures, calls that are left and connections that break, get theirs."""
    wrong: list[object] = []
    with LocalProvider() as provider:
        for _ in range(scaled(10)):
            provider.script(fail(500, times=3), break_stream(2, how="reset", times=3), break_stream(1, how="cut", times=3))
        builder = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).retry(RetryPolicy(base=0.001))
        builder.pool_config(PoolConfig(circuit_breaker_threshold=HUGE))
        with builder.add_key(KeyConfig("sk-1", rpm_limit=HUGE, tpm_limit=HUGE)).build() as gateway:

            def talk(number: int) -> None:
                for turn in range(scaled(6)):
                    text = f"nonce {number} {turn}"
                    try:
                        said = gateway.call(text).text if turn % 3 else "".join(gateway.stream(text).text())
                        gateway.stream(text).close()
                    except OmniLLMError:
                        continue
                    except BaseException as error:
                        wrong.append(error)
                        return
                    if said != f"echo: {text}":
                        wrong.append((text, said))

            threads = [threading.Thread(target=talk, args=(number,)) for number in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
            assert wrong == []
            assert gateway._core.store.snapshot().held_requests == 0


def test_p24_interim_answers_and_unasked_bytes_are_nobodys() -> None:
    """A 103 before the answer is skipped, and an answer that nobody asked for goes with its connection."""
    early = send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    answer = lambda text: respond(200, {"Content-Type": "application/json"}, whole(text))  # noqa: E731
    sent = threading.Event()  # what comes after the next request was sent is taken for its answer: nobody can tell
    unasked = [answer("nobody's"), lambda _: sent.set()]
    scripts = [[expect(), early, answer("first"), expect(), answer("second"), *unasked], [expect(), answer("third")]]
    with ScriptedServer(*scripts) as server:
        builder = GatewayBuilder(endpoint_of(server)).default_model(MODEL).add_key(KeyConfig("sk-1"))
        with builder.build() as gateway:
            assert [gateway.call("hi").text for _ in range(2)] == ["first", "second"]
            assert sent.wait(5)
            assert gateway.call("hi").text == "third"
