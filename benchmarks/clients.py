"""Who is measured: the gateway, what people write by hand, the floors below it, and the peers that are installed."""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import requests
import urllib3

import omnillm as o

from .payloads import PROTOCOLS

NAMES = ("chat", "responses", "anthropic", "gemini")
MODELS = {"chat": "gpt-4o-mini", "responses": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6", "gemini": "gemini-2.5-flash"}
_PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
}
_KEY = "sk-benchmark-0123456789abcdef"
_HEADERS = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json", "Accept": "application/json"}
_NO_LIMIT = {"tpm_limit": 10**15, "rpm_limit": 10**12}


def request(name: str, messages: int = 4) -> o.LlmRequest:
    """Give the request that everybody sends."""
    said = "Show me how to combine a token bucket with a sliding window, with an estimate before the call and settlement after. "
    talk = [o.Message("assistant" if i % 2 else "user", f"{i}. {said}") for i in range(messages - 1)]
    generation = o.GenerationConfig(max_output_tokens=512, temperature=0.5)
    return o.LlmRequest(MODELS[name], (o.Message.system(f"Be brief. {said}"), *talk), generation=generation)


def payload(name: str, *, stream: bool = False) -> dict[str, Any]:
    """Give the same request as its provider is sent it."""
    return o.emit_request(PROTOCOLS[name], request(name), stream=True if stream else None)


def gateway(url: str, shape: str, name: str, *, keys: int = 3, state: o.StateStore | None = None) -> o.Gateway:
    """Make a gateway with windows on its keys and a budget, as a service has one; on a shared state where one is given."""
    endpoints = {
        "chat": o.ProviderEndpoint.openai_chat_completions,
        "responses": o.ProviderEndpoint.openai_responses,
        "anthropic": o.ProviderEndpoint.claude_messages,
        "gemini": o.ProviderEndpoint.gemini_generate_content,
    }
    builder = o.GatewayBuilder(endpoints[name](f"{url}/{shape}"))
    builder.add_keys(o.KeyConfig(f"{_KEY}-{i}", f"key-{i}", **_NO_LIMIT) for i in range(keys))
    builder.budget_limit_usd(1e6).max_workers(256)
    return (builder if state is None else builder.state(state)).build()


# --- calls ----------------------------------------------------------------------------------------------------------------------

Call = Callable[[], object]


def gateway_call(url: str, name: str, state: o.StateStore | None = None) -> Call:
    """Give a call through the gateway."""
    made, asked = gateway(url, "call", name, state=state), request(name)
    return lambda: made.call(asked)


def session_call(url: str, name: str) -> Call:
    """Give what people write: one session, ``post(…).json()``."""
    session, where, body = requests.Session(), f"{url}/call{_PATHS[name]}", payload(name)
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=256))
    return lambda: session.post(where, json=body, headers=_HEADERS).json()


def urllib3_call(url: str, name: str) -> Call:
    """Give the same by urllib3 alone."""
    manager, where, body = urllib3.PoolManager(maxsize=256), f"{url}/call{_PATHS[name]}", payload(name)
    return lambda: json.loads(manager.request("POST", where, body=json.dumps(body), headers=_HEADERS).data)


def socket_call(url: str, name: str) -> Call:
    """Give the same by a socket of each thread's, which reads what it knows to come."""
    port, body, kept = int(url.rpartition(":")[2]), payload(name), threading.local()
    top = "".join(f"{key}: {value}\r\n" for key, value in _HEADERS.items())

    def call() -> Any:
        connection = getattr(kept, "connection", None)
        if connection is None:
            connection = kept.connection = socket.create_connection(("127.0.0.1", port))
        data = json.dumps(body).encode()
        connection.sendall(f"POST /call{_PATHS[name]} HTTP/1.1\r\nContent-Length: {len(data)}\r\n{top}\r\n".encode() + data)
        seen = connection.recv(1 << 16)
        whole, _, rest = seen.partition(b"\r\n\r\n")
        left = int(whole.split(b"Content-Length: ", 1)[1].split(b"\r\n", 1)[0]) - len(rest)
        while left > 0:
            more = connection.recv(1 << 16)
            rest, left = rest + more, left - len(more)
        return json.loads(rest)

    return call


def peer_calls(url: str) -> dict[str, Call]:
    """Give the calls of the peers that are installed."""
    found: dict[str, Call] = {}
    body = payload("chat")
    options = {"model": body["model"], "messages": body["messages"], "temperature": 0.5, "max_tokens": 512}
    openai, anthropic, litellm = map(_installed, ("openai", "anthropic", "litellm"))
    if openai is not None:
        client = openai.OpenAI(api_key=_KEY, base_url=f"{url}/call")
        found["openai SDK"] = lambda: client.chat.completions.create(**options)
    if anthropic is not None:
        other, asked = anthropic.Anthropic(api_key=_KEY, base_url=f"{url}/call"), payload("anthropic")
        asked.pop("temperature", None)
        found["anthropic SDK"] = lambda: other.messages.create(**asked)
    if litellm is not None:
        found["LiteLLM"] = lambda: litellm.completion(api_key=_KEY, api_base=f"{url}/call", **options)
    return found


def peer_router(url: str, host: str, port: int, *, keys: int = 3) -> Call | None:
    """Give a call through LiteLLM's Router, which keeps its keys' usage in the same Redis; nothing where it is not installed."""
    litellm = _installed("litellm")
    if litellm is None:
        return None
    body = payload("chat")
    asked = {"messages": body["messages"], "temperature": 0.5, "max_tokens": 512}
    place = {"model": f"openai/{body['model']}", "api_base": f"{url}/call", "tpm": 10**12, "rpm": 10**9}
    models = [{"model_name": "m", "litellm_params": {**place, "api_key": f"{_KEY}-{i}"}} for i in range(keys)]
    router = litellm.Router(models, redis_host=host, redis_port=port, routing_strategy="usage-based-routing-v2")
    return lambda: router.completion(model="m", **asked)


def peer_streams(url: str, shape: str) -> dict[str, Call]:
    """Give the streams of the peers that are installed, read to their end."""
    found: dict[str, Call] = {}
    body = payload("chat")
    options = {"model": body["model"], "messages": body["messages"], "temperature": 0.5, "max_tokens": 512, "stream": True}
    openai, litellm = map(_installed, ("openai", "litellm"))
    if openai is not None:
        client = openai.OpenAI(api_key=_KEY, base_url=f"{url}/{shape}")
        found["openai SDK, chat"] = lambda: deque(client.chat.completions.create(**options), maxlen=0)
    if litellm is not None:
        litellm.REPEATED_STREAMING_CHUNK_LIMIT = 10**9  # all our deltas are alike, which it takes for a fault
        found["LiteLLM, chat"] = lambda: deque(litellm.completion(api_key=_KEY, api_base=f"{url}/{shape}", **options), maxlen=0)
    return found


def _installed(name: str) -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks the network for its prices first
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --- streams --------------------------------------------------------------------------------------------------------------------


def gateway_stream(url: str, shape: str, name: str) -> Call:
    """Give a stream through the gateway, read to its end, and its accumulated answer."""
    made, asked = gateway(url, shape, name), request(name)

    def read() -> o.LlmResponse:
        stream = made.stream(asked)
        for _ in stream:
            pass
        return stream.response

    return read


def session_stream(url: str, shape: str, name: str) -> Call:
    """Give what people write: ``iter_lines()`` and ``json.loads``."""
    session, where, body = requests.Session(), f"{url}/{shape}{_PATHS[name]}", payload(name, stream=True)

    def read() -> None:
        for _ in session_events(session, where, body):
            pass

    return read


def session_events(session: requests.Session, where: str, body: dict[str, Any]) -> Iterator[Any]:
    """Give the events of a stream as people read them."""
    with session.post(where, json=body, headers=_HEADERS, stream=True) as answer:
        for line in answer.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                yield json.loads(line[6:])


def socket_stream(url: str, shape: str, name: str) -> Call:
    """Give the floor: a raw socket, chunks taken apart by hand, ``json.loads`` of each event."""
    port, body = int(url.rpartition(":")[2]), json.dumps(payload(name, stream=True)).encode()
    top = "".join(f"{key}: {value}\r\n" for key, value in _HEADERS.items())
    asked = f"POST /{shape}{_PATHS[name]} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{top}\r\n".encode() + body

    def read() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as lines:
            connection.sendall(asked)
            for line in lines:
                if line.startswith(b"data: ") and line[6:12] != b"[DONE]":
                    json.loads(line[6:])
                elif line == b"0\r\n":
                    return

    return read
