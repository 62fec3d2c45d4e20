"""A proxy as a user would write it: requests of one protocol come in, are put to a provider of another, and are answered."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, Self

from omnillm.testing import LocalProvider
from omnillm.testing._eventstream import encode_event
from omnillm.testing._http import HttpReply, HttpRequest, HttpServer
from omnillm.testing._routes import find_route
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import LlmRequest
from omnillm.wire import (
    SseDecoder,
    StreamTranscoder,
    codec,
    encode_sse,
    parse_request,
    transcode_error,
    transcode_request,
    transcode_response,
)

_BEDROCK = ProviderProtocol.BEDROCK_CONVERSE
_STREAM_IN_URL = frozenset({ProviderProtocol.GEMINI_GENERATE_CONTENT, _BEDROCK})


class Shim:
    """Serve ``served`` by what ``provider`` answers in the protocol ``asked``; ``base_url`` is the root of all paths."""

    def __init__(self, provider: LocalProvider, served: ProviderProtocol, asked: ProviderProtocol) -> None:
        self._provider, self._served, self._asked = provider, served, asked
        self._server = HttpServer(self._answer)
        self.base_url = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _answer(self, http: HttpRequest) -> HttpReply:
        body, streams = self._read(http)
        payload = transcode_request(self._served, self._asked, body)
        request = self._request(payload, streams)
        try:
            upstream = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            with error:
                refusal = transcode_error(self._asked, self._served, error.status, error.read())
            return HttpReply(error.status, {"content-type": "application/json"}, refusal)
        if streams:
            kind = "application/vnd.amazon.eventstream" if self._served is _BEDROCK else "text/event-stream"
            return HttpReply(200, {"content-type": kind}, self._stream(upstream))
        with upstream:
            answer = transcode_response(self._asked, self._served, upstream.read())
        return HttpReply(200, {"content-type": "application/json"}, answer)

    def _read(self, http: HttpRequest) -> tuple[dict[str, Any], bool]:
        """Give the body with the model that the URL may have said, and whether the answer is to be streamed."""
        path = http.target.partition("?")[0]
        route = find_route(path)
        assert route is not None, http.target
        assert route.protocol is self._served
        known = route.read(http.body, http.headers.get("content-type", ""), path)
        assert isinstance(known, LlmRequest)
        return {**json.loads(http.body), "model": known.model}, bool(known.stream)

    def _request(self, payload: dict[str, Any], streams: bool) -> urllib.request.Request:
        rules = codec(self._asked)
        if streams and self._asked not in _STREAM_IN_URL:
            payload = rules.ask_for_usage({**payload, "stream": True})
        path = rules.path(parse_request(self._asked, payload), streams)
        url = self._provider.endpoint(self._asked).base_url + path
        body = json.dumps(rules.prepare_body(payload)).encode()
        return urllib.request.Request(url, body, {"authorization": "Bearer good", "content-type": "application/json"})

    def _stream(self, upstream: HTTPResponse) -> Iterator[bytes]:
        encode = encode_event if self._served is _BEDROCK else encode_sse
        decoder, transcoder = SseDecoder(), StreamTranscoder(self._asked, self._served)
        with upstream:
            for chunk in iter(lambda: upstream.read1(), b""):
                yield from (encode(out) for frame in decoder.feed(chunk) for out in transcoder.feed(frame))
        yield from (encode(out) for frame in decoder.finish() for out in transcoder.feed(frame))
        yield from map(encode, transcoder.finish())
