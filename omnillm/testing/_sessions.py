"""The local provider's sessions: OpenAI's Realtime and Gemini's Live, deterministic.

A turn is answered with ``echo: TEXT``, the text of all that was said since the last answer, a word a delta; audio is silence, as
long as what was spoken. A word is a token, as everywhere here, and a report counts the whole conversation so far as its prompt.
"""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

from .. import _json
from ..errors import InvalidShapeError, ProtocolError
from ..types.enums import ProviderProtocol
from ._http import Switch
from ._limits import HeaderRule, openai_headers, retry_after_header
from ._steps import BreakStream
from ._websocket import Peer, accepting

SILENCE = base64.b64encode(bytes(48)).decode("ascii")
INTERNAL_ERROR, INVALID_PAYLOAD = 1011, 1007
_OPENAI = re.compile(r"(?:/v1|/openai/v1)/realtime")
_LIVE = re.compile(
    r"/ws/google\.(?:ai\.generativelanguage\.v1(?:alpha|beta)?\.GenerativeService|cloud\.aiplatform\.v1(?:beta1)?\.LlmBidiService)"
    r"[./]BidiGenerateContent"
)
_WORDS = re.compile(r"\S+\s*")
Message = dict[str, Any]


class _RefusedError(Exception):
    """A message that the provider closes the session for."""


@dataclass(slots=True)
class _Talk:
    """Hold what was said, and number what is made."""

    model: str
    number: int
    heard: list[str] = field(default_factory=list)
    tokens: int = 0
    made: int = 0

    def answer(self, scripted: str | None) -> str:
        said = " ".join(self.heard)
        self.tokens += len(said.split())
        self.heard.clear()
        return f"echo: {said}" if scripted is None else scripted

    def named(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_{self.number}_{self.made}"

    def counts(self, answer: str) -> tuple[int, int]:
        prompt, output = self.tokens, len(answer.split())
        self.tokens += output
        return prompt, output


# --- OpenAI's -----------------------------------------------------------------------------------------------------------------


def _openai(talk: _Talk, message: Message | None, scripted: str | None) -> Iterator[Message]:
    """Answer an event; ``None`` is the beginning."""
    kind = "" if message is None else message.get("type")
    session = {"object": "realtime.session", "id": f"sess_{talk.number}", "model": talk.model}
    if message is None:
        yield _event(talk, "session.created", session=session)
    elif kind == "session.update":
        yield _event(talk, "session.updated", session={**session, **message.get("session", {})})
    elif kind == "conversation.item.create":
        item = {**message.get("item", {}), "id": talk.named("item"), "status": "completed"}
        talk.heard += _texts(item)
        yield _event(talk, "conversation.item.added", item=item)
        yield _event(talk, "conversation.item.done", item=item)
    elif kind == "input_audio_buffer.append":
        talk.heard.append("audio")
    elif kind in ("input_audio_buffer.commit", "input_audio_buffer.clear"):
        if kind.endswith("clear"):
            talk.heard.clear()
        yield _event(talk, "input_audio_buffer.cleared" if kind.endswith("clear") else "input_audio_buffer.committed")
    elif kind == "response.create":
        yield from _openai_turn(talk, message.get("response", {}), scripted)
    else:
        error = {"type": "invalid_request_error", "code": "invalid_value", "message": f"Invalid value: {kind!r:.80}"}
        yield _event(talk, "error", error=error)


def _openai_turn(talk: _Talk, asked: Message, scripted: str | None) -> Iterator[Message]:
    text = talk.answer(scripted)
    ids = {"response_id": talk.named("resp"), "item_id": talk.named("item"), "output_index": 0, "content_index": 0}
    response: Message = {"object": "realtime.response", "id": ids["response_id"], "status": "in_progress", "usage": None}
    item: Message = {"id": ids["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    spoken = "audio" in asked.get("output_modalities", ())
    name = "output_audio_transcript" if spoken else "output_text"
    yield _event(talk, "response.created", response=response)
    yield _event(talk, "response.output_item.added", response_id=ids["response_id"], output_index=0, item=item)
    for word in _WORDS.findall(text):
        if spoken:
            yield _event(talk, "response.output_audio.delta", **ids, delta=SILENCE)
        yield _event(talk, f"response.{name}.delta", **ids, delta=word)
    yield _event(talk, f"response.{name}.done", **ids, **{"transcript" if spoken else "text": text})
    part = {"type": "output_audio", "transcript": text} if spoken else {"type": "output_text", "text": text}
    whole = {**item, "status": "completed", "content": [part]}
    yield _event(talk, "response.output_item.done", response_id=ids["response_id"], output_index=0, item=whole)
    prompt, output = talk.counts(text)
    usage = {
        "total_tokens": prompt + output,
        "input_tokens": prompt,
        "output_tokens": output,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": 0, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 0 if spoken else output, "audio_tokens": output if spoken else 0},
    }
    yield _event(talk, "response.done", response={**response, "status": "completed", "output": [whole], "usage": usage})


def _event(talk: _Talk, kind: str, **fields: Any) -> Message:
    return {"type": kind, "event_id": talk.named("event"), **fields}


def _texts(item: Mapping[str, Any]) -> list[str]:
    """Give what an item says: its texts, the output of a function, and that there is audio."""
    if item.get("type") == "function_call_output":
        return [str(item.get("output"))]
    parts = item.get("content")
    return [str(part.get("text") or part.get("transcript") or "audio") for part in (parts if isinstance(parts, list) else ())]


# --- Gemini's -----------------------------------------------------------------------------------------------------------------


def _gemini(talk: _Talk, message: Message | None, scripted: str | None) -> Iterator[Message]:
    """Answer a message; the first one must set the session up."""
    if message is None:
        return
    setup = message.get("setup")
    if not talk.made:
        if not isinstance(setup, dict) or not isinstance(setup.get("model"), str):
            raise _RefusedError("Request must begin with setup, which names the model")
        talk.model = setup["model"].rpartition("/")[2]
        yield {"setupComplete": {"sessionId": talk.named("session")}}
        return
    content = message.get("clientContent", message.get("client_content"))
    live = message.get("realtimeInput", message.get("realtime_input"))
    results = message.get("toolResponse", message.get("tool_response"))
    if isinstance(content, dict):
        parts = [part for turn in content.get("turns", ()) for part in turn.get("parts", ())]
        talk.heard += [str(part["text"]) for part in parts if "text" in part]
        complete = content.get("turnComplete", content.get("turn_complete", False))
    elif isinstance(live, dict):
        talk.heard += [live["text"]] if "text" in live else ["audio"] if "audio" in live else []
        complete = "text" in live or live.get("audioStreamEnd") is True
    elif isinstance(results, dict):
        talk.heard += [_json.dumps(result.get("response")) for result in results.get("functionResponses", ())]
        complete = True
    else:
        raise _RefusedError(f"Invalid JSON payload received. Unknown name {next(iter(message), '')!r:.80}")
    if complete:
        yield from _gemini_turn(talk, scripted)


def _gemini_turn(talk: _Talk, scripted: str | None) -> Iterator[Message]:
    text = talk.answer(scripted)
    for word in _WORDS.findall(text):
        yield {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": word}]}}}
    yield {"serverContent": {"generationComplete": True}}
    prompt, output = talk.counts(text)
    told = {"promptTokenCount": prompt, "responseTokenCount": output, "totalTokenCount": prompt + output}
    details = {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]}
    yield {"serverContent": {"turnComplete": True}, "usageMetadata": {**told, **details}}


# --- both ---------------------------------------------------------------------------------------------------------------------

Voice = Callable[[_Talk, Message | None, str | None], Iterator[Message]]


@dataclass(frozen=True, slots=True)
class Opening:
    """Be a request for a session: the model that its query names, and the headers that accept it."""

    model: str
    accepted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """Serve one kind of session."""

    paths: re.Pattern[str]
    voice: Voice
    protocol: ProviderProtocol
    limit_headers: HeaderRule
    id_header: str = "x-request-id"
    method: str = "GET"

    def lacks(self, _path: str, _query: Mapping[str, Any], _body: Any) -> str | None:
        """Say what is missing from a request: nothing that opening it does not tell."""
        return None

    def open(self, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> Opening:
        """Read a request for a session; raises ``ProtocolError`` where it is none."""
        accepted = accepting(headers)
        if accepted is None:
            raise InvalidShapeError("expected the handshake of a WebSocket")
        return Opening(query.get("model", [""])[0], accepted)

    def switch(
        self, opening: Opening, number: int, headers: Mapping[str, str], *, scripted: str | None, broken: BreakStream | None
    ) -> Switch:
        """Accept a session, and talk in it."""

        def talk(sock: socket.socket, reader: BufferedReader) -> None:
            self.talk(Peer(sock, reader), opening.model, number, scripted=scripted, broken=broken)

        return Switch({**opening.accepted, **headers}, talk)

    def talk(self, peer: Peer, model: str, number: int, *, scripted: str | None, broken: BreakStream | None) -> None:
        """Talk until the client leaves, or the script says to break off."""
        talk, left = _Talk(model, number), None if broken is None else broken.after_events
        try:
            for message in self._answers(peer, talk, scripted):
                if left == 0 and broken is not None:
                    _break_off(peer, broken)
                    return
                peer.send(message)
                left = None if left is None else left - 1
        except _RefusedError as error:
            peer.close(INVALID_PAYLOAD, str(error))

    def _answers(self, peer: Peer, talk: _Talk, scripted: str | None) -> Iterator[Message]:
        yield from self.voice(talk, None, scripted)
        for received in peer:
            try:
                message = _json.loads(received)
            except ProtocolError as error:
                raise _RefusedError(error.message) from None
            if not isinstance(message, dict):
                raise _RefusedError("expected an object")
            yield from self.voice(talk, message, scripted)


def _break_off(peer: Peer, broken: BreakStream) -> None:
    if broken.how == "error_event":
        peer.close(INTERNAL_ERROR, "scripted failure of a session")
    elif broken.how == "no_terminal":
        peer.close()
    elif broken.how == "hang":
        peer.hang()
    else:
        peer.cut(reset=broken.how == "reset")


SESSIONS = (
    Session(_OPENAI, _openai, ProviderProtocol.OPENAI_RESPONSES, openai_headers),
    Session(_LIVE, _gemini, ProviderProtocol.GEMINI_GENERATE_CONTENT, retry_after_header),
)


def find_session(path: str) -> Session | None:
    """Give the session that is served at a path."""
    return next((session for session in SESSIONS if session.paths.fullmatch(path)), None)
