"""The places at which a call may wait, each with a call that does, for whoever ends it there: cancel, close, Ctrl-C."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gateway_fixtures import endpoint_of
from gateway_scripts import chunk, data, open_stream, whole

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import GatewayError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import PoolConfig
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Step, expect, hang, respond, send, stall
from omnillm.types.hooks import RetryScheduled
from omnillm.types.request import LlmRequest

PATIENCE = 60.0
PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()
LARGE = "x" * (16 << 20)
ONE_A_TOKEN = PriceTable({"m": {"input": 1_000_000, "output": 1_000_000}})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"


@dataclass
class Waiting:
    """A call that is about to wait: what makes it, how to know that it is there, and what it costs to end it there."""

    gateway: Gateway
    call: Callable[[CancellationToken], object]
    is_there: Callable[[], object]
    charged: int

    @property
    def used(self) -> float:
        """Give what was charged since."""
        return self.gateway.budget_used_usd()


Place = Callable[[ExitStack], Waiting]


def _waiting(
    stack: ExitStack, target: Any, charged: int, is_there: Callable[[Gateway], object], prompt: str = "hi", **steps: Any
) -> Waiting:
    builder = GatewayBuilder(endpoint_of(target)).default_model("m").pricing(ONE_A_TOKEN)
    builder.add_key(KeyConfig("sk-1", "k1", rpm_limit=steps.pop("rpm_limit", 100), tpm_limit=10**8))
    builder.timeouts(connect=PATIENCE, first_byte=PATIENCE, idle=PATIENCE, total=PATIENCE)
    for name, value in steps.items():
        getattr(builder, name)(value)
    gateway = stack.enter_context(builder.build())
    return Waiting(gateway, lambda token: gateway.call(prompt, cancel=token), lambda: is_there(gateway), charged)


def _queues(gateway: Gateway) -> object:
    return gateway._core.routes[0].pool._waiting


def _has_socket(gateway: Gateway) -> bool:
    return any(exchange.socket is not None for exchange in list(gateway._core.transport._running.values()))


def _sends(gateway: Gateway) -> bool:
    return any(exchange.phase == "first_byte" for exchange in list(gateway._core.transport._running.values()))


def _server(stack: ExitStack, *steps: Step, scheme: str = "http") -> ScriptedServer:
    return stack.enter_context(ScriptedServer(list(steps), scheme=scheme))


def for_a_key(stack: ExitStack) -> Waiting:
    """Wait for the only key, whose breaker is open."""
    pool = PoolConfig(acquire_timeout=PATIENCE, circuit_breaker_threshold=1, circuit_breaker_cooldown=PATIENCE)
    server = _server(stack, expect(), respond(503, {}, b"{}"), stall())
    waiting = _waiting(stack, server, 0, _queues, pool_config=pool, retry=RetryPolicy(max_attempts=1))
    try:
        waiting.gateway.call("hi")
    except GatewayError:
        return waiting
    raise AssertionError("the breaker is closed")


def for_a_window(stack: ExitStack) -> Waiting:
    """Wait for the next minute of a key."""
    server = _server(stack, expect(), respond(body=whole()), stall())
    waiting = _waiting(stack, server, 8, _queues, pool_config=PoolConfig(acquire_timeout=PATIENCE), rpm_limit=1)
    waiting.gateway.call("hi")
    return waiting


def in_back_off(stack: ExitStack) -> Waiting:
    """Wait before the next attempt."""
    here = threading.Event()
    server = _server(stack, expect(), respond(503, {"Retry-After": "25"}, b"{}"), stall())
    return _waiting(
        stack,
        server,
        0,
        lambda _: here.is_set(),
        on_event=lambda event: here.set() if isinstance(event, RetryScheduled) else None,
    )


def to_connect(stack: ExitStack) -> Waiting:
    """Wait for a connection to a port that answers no SYN."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(2):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    target = ProviderEndpoint("openai_chat_completions", "http://{}:{}".format(*listener.getsockname()))
    return _waiting(stack, target, 0, _has_socket)


def _marked(stack: ExitStack, charged: int, *steps: Step, rest: Step | None = None, scheme: str = "http") -> Waiting:
    here = threading.Event()
    server = _server(stack, *steps, lambda _: here.set(), rest or stall(), scheme=scheme)
    return _waiting(stack, server, charged, lambda _: here.is_set())


def to_shake_hands(stack: ExitStack) -> Waiting:
    """Wait for the other half of a TLS handshake."""
    return _marked(stack, 0, lambda peer: peer.receive(), scheme="https")


def to_send(stack: ExitStack) -> Waiting:
    """Wait for a server that reads nothing."""
    return _waiting(stack, _server(stack, hang()), LlmRequest("m", LARGE).estimated_prompt_tokens(), _sends, LARGE)


def for_the_answer(stack: ExitStack) -> Waiting:
    """Wait for the head of the answer."""
    return _marked(stack, PROMPT, expect())


def for_the_body(stack: ExitStack) -> Waiting:
    """Wait for the rest of the body."""
    return _marked(stack, PROMPT, expect(), send(HEAD))


def for_a_stream(stack: ExitStack) -> Waiting:
    """Wait for the status of a stream."""
    waiting = _marked(stack, PROMPT, expect())
    waiting.call = lambda token: waiting.gateway.stream("hi", cancel=token)
    return waiting


def for_an_event(stack: ExitStack) -> Waiting:
    """Wait for the second event of a stream."""
    here = threading.Event()
    server = _server(stack, expect(), open_stream(data(chunk("abcd"))), stall())
    waiting = _waiting(stack, server, PROMPT + 1, lambda _: here.is_set())

    def read(token: CancellationToken) -> None:
        for _ in waiting.gateway.stream("hi", cancel=token).text():
            here.set()

    waiting.call = read
    return waiting


PLACES: dict[str, Place] = {
    "key": for_a_key,
    "window": for_a_window,
    "back-off": in_back_off,
    "connection": to_connect,
    "handshake": to_shake_hands,
    "sending": to_send,
    "answer": for_the_answer,
    "body": for_the_body,
    "stream": for_a_stream,
    "event": for_an_event,
}
