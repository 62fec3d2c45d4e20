"""What a session costs that did not end well, or reports nothing: never less than was reported or declared."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_fixtures import Build
from gateway_scripts import held
from websocket_server import Peer, serving

import omnillm as o
from omnillm.primitive import PrimitiveProviderEndpoint

MODEL = "gpt-realtime"
PRICES = o.PriceTable({MODEL: {"input": 1_000_000, "output": 1_000_000}})  # a dollar a token
LONG = {"type": "session.update", "session": {"instructions": "Be brief. " * 40, "max_output_tokens": 50}}  # weighs 100 tokens
DONE = {"type": "response.done", "response": {"usage": {"input_tokens": 80, "output_tokens": 5, "total_tokens": 85}}}


def session_request(body: Any = None, **more: Any) -> o.PrimitiveRequest:
    return o.PrimitiveRequest.json("open_ai", "realtime", "open_ai_realtime", MODEL, body or LONG, **more)


def at(build: Build, base: str, **steps: Any) -> o.Gateway:
    steps.setdefault("pricing", PRICES)
    return build(o.ProviderEndpoint.openai_responses(f"{base}/v1"), budget_limit_usd=10_000, **steps)


@pytest.mark.parametrize(("code", "kind"), [(1008, o.BadRequestError), (1011, o.ServerError), (3000, o.UnauthorizedError)])
def test_a_turn_below_the_estimate_is_charged_however_the_session_fails(build: Build, code: int, kind: type[Exception]) -> None:
    """What was reported is charged though it is less than what was said first had been taken for."""

    def talk(peer: Peer) -> None:
        next(iter(peer))
        peer.send(DONE)
        peer.close(code, "over")

    with serving(talk) as served:
        gateway = at(build, served.base_url)
        with pytest.raises(kind), gateway.primitive_realtime(session_request()) as session:
            list(session)
    assert (gateway.budget_used_usd(), held(gateway)) == (85, (0, 0))
    assert session.response.usage is not None
    assert (session.response.cost_usd, session.response.usage.token_usage.total()) == (85, 85)
    assert [record.outcome for record in session.response.attempts] == ["failed"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_session_that_says_its_cost_is_charged_that(build: Build, fails: bool) -> None:
    """Whatever the turns report, and however it ends."""

    def talk(peer: Peer) -> None:
        next(iter(peer))
        peer.send(DONE)
        peer.close(1011 if fails else 1000, "over")

    with serving(talk) as served:
        gateway = at(build, served.base_url)
        session = gateway.primitive_realtime(session_request(cost_usd=7))
        if fails:
            with pytest.raises(o.ServerError):
                list(session)
        else:
            list(session)
            assert session.response.cost_usd == 7
    assert (gateway.budget_used_usd(), held(gateway)) == (7, (0, 0))


def test_a_session_that_nobody_can_read_is_charged_what_was_reserved(build: Build) -> None:
    """In a format of the caller's own no message is known to report a usage."""

    def talk(peer: Peer) -> None:
        next(iter(peer))
        peer.send({"anything": "at all"})
        peer.close(1000, "")

    with serving(talk) as served:
        own = PrimitiveProviderEndpoint.custom(f"{served.base_url}/api")
        claude = o.ProviderEndpoint.claude_messages(f"{served.base_url}/v1")
        gateway = build(claude, pricing=PRICES, budget_limit_usd=10_000, primitive_endpoint=own)
        request = o.PrimitiveRequest.json("open_ai", "realtime", "custom_http", MODEL, LONG).with_path("/talk")
        session = gateway.primitive_realtime(request)
        list(session)
    assert gateway.budget_used_usd() == session.response.cost_usd == 150
    assert held(gateway) == (0, 0)


def test_a_transcript_of_what_was_heard_is_no_answer(build: Build) -> None:
    """It is charged by the provider apart, and begins no turn."""

    def talk(peer: Peer) -> None:
        next(iter(peer))
        peer.send(DONE)
        peer.send({"type": "conversation.item.input_audio_transcription.delta", "delta": "how are you"})
        list(peer)

    with serving(talk) as served:
        gateway = at(build, served.base_url)
        with gateway.primitive_realtime(session_request()) as session:
            for event in session:
                if event.type == "web_socket_message" and "transcription" in event.json()["type"]:
                    break
    assert session.response.cost_usd == gateway.budget_used_usd() == 85


def test_a_usage_that_is_none_ends_no_session(build: Build) -> None:
    """A report that cannot be read is a message as any other."""
    broken = {"type": "response.done", "response": {"usage": {"input_tokens": "many", "output_tokens": -1}}}

    def talk(peer: Peer) -> None:
        next(iter(peer))
        peer.send(broken)
        peer.send(DONE)
        peer.close(1000, "")

    with serving(talk) as served:
        gateway = at(build, served.base_url)
        session = gateway.primitive_realtime(session_request())
        assert "completed" in [event.type for event in session]
    assert gateway.budget_used_usd() == 85
