"""A client of the standard library for the tests of the local provider."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from omnillm.testing import FakeClock, LocalProvider
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import Completed, LlmStreamEvent
from omnillm.types.response import LlmResponse
from omnillm.wire import SseDecoder, StreamParser, parse_response

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
PATHS = {CHAT: "/v1/chat/completions", CLAUDE: "/v1/messages"}


@dataclass
class Reply:
    """A reply as it came; ``answer`` reads it as whole or as a stream, by its content type."""

    protocol: ProviderProtocol
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def frames(self) -> list[str]:
        decoder = SseDecoder()
        return [frame.data for frame in [*decoder.feed(self.body), *decoder.finish()]]

    @property
    def events(self) -> list[LlmStreamEvent]:
        decoder, parser = SseDecoder(), StreamParser(self.protocol)
        frames = [*decoder.feed(self.body), *decoder.finish()]
        return [event for frame in frames for event in parser.feed(frame)] + parser.finish()

    @property
    def answer(self) -> LlmResponse:
        assert self.status == 200, self.body
        if self.headers["content-type"] == "application/json":
            return parse_response(self.protocol, self.body)
        last = self.events[-1]
        assert isinstance(last, Completed)
        return last.response


class Client:
    """Ask a provider over real HTTP."""

    paths = PATHS

    def connect(self, provider: LocalProvider) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)

    def body(self, protocol: ProviderProtocol, text: str = "Say hello", **fields: Any) -> dict[str, Any]:
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
        return body if protocol is CHAT else {"max_tokens": 1000, **body}

    def send(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: Any,
        *,
        key: str = "good",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, {"authorization": f"Bearer {key}"} if headers is None else headers)
        response = connection.getresponse()
        protocol = CLAUDE if path.startswith(PATHS[CLAUDE]) else CHAT
        return Reply(protocol, response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def post(
        self, provider: LocalProvider, protocol: ProviderProtocol, text: str = "Say hello", *, key: str = "good", **fields: Any
    ) -> Reply:
        with closing(self.connect(provider)) as connection:
            return self.send(connection, PATHS[protocol], self.body(protocol, text, **fields), key=key)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic=1_000, auto_advance=True)


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[LocalProvider]:
    with LocalProvider(
        clock=clock,
        keys=["good", "other", "small", "dead"],
        dead_keys=["dead"],
        forbidden=[("good", "secret-model")],
        rpm={"small": 2},
    ) as it:
        yield it
