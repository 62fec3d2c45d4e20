"""Conversations: what is remembered, what a failed turn leaves, copies, and their form at rest."""

from __future__ import annotations

import dataclasses
import gc
import json
import threading
from typing import Any

import pytest
from gateway_scripts import held, wait_until
from hypothesis import given
from strategies import requests

from omnillm import Conversation, ReasoningCapability, tool
from omnillm._cancel import CancellationToken
from omnillm.errors import (
    BadRequestError,
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidJsonError,
    InvalidShapeError,
    MissingFieldError,
    ProtocolError,
    StreamInterruptedError,
)
from omnillm.people.conversation import _Past
from omnillm.policy.pricing import PriceTable
from omnillm.testing import LocalProvider, answer, break_stream, fail, hang
from omnillm.types.enums import MessageRole, ProviderProtocol
from omnillm.types.events import Completed, LlmStreamEvent, TextDelta, ToolResultAdded
from omnillm.types.message import Message
from omnillm.types.parts import ImageUrlPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from omnillm.types.request import LlmRequest

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
SENT = [ProviderProtocol.OPENAI_RESPONSES, CHAT, CLAUDE, ProviderProtocol.GEMINI_GENERATE_CONTENT]
ROME = 'call weather with {"city": "Rome"}'
AT_ONCE = 1.0


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def texts(talk: Conversation) -> list[str]:
    return [item.plain_text() for item in talk.items if isinstance(item, Message)]


def sent_texts(provider: LocalProvider) -> list[Any]:
    return [message["content"] for message in provider.requests[-1].json["messages"]]


# --- saying ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("protocol", SENT)
def test_what_was_said_is_sent_along(provider: LocalProvider, build: Any, protocol: Any, streamed: bool) -> None:
    """Each turn goes out behind the turns before it, whichever way it is taken, and is remembered when it is through."""
    gateway = build(provider, protocol=protocol)
    talk = Conversation(gateway, instructions="Be brief.", max_output_tokens=50)
    for said in ("one", "two"):
        if streamed:
            with talk.stream(said) as stream:
                assert "".join(stream.text()) == f"echo: {said}"
            assert stream.response.text == f"echo: {said}"
        else:
            assert talk.say(said).text == f"echo: {said}"
    assert texts(talk) == ["one", "echo: one", "two", "echo: two"]
    assert "echo: one" in provider.requests[-1].body.decode()
    assert "Be brief." in provider.requests[-1].body.decode()
    assert talk.usage.prompt_tokens > 0
    assert talk.cost_usd == pytest.approx(gateway.budget_used_usd())
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize(
    ("what", "items"),
    [
        ("text", (Message.user("text"),)),
        (Message.system("rule"), (Message.system("rule"),)),
        (TextPart("part"), (Message(MessageRole.USER, (TextPart("part"),)),)),
        (["look:", ImageUrlPart("https://host/a.png")], (Message("user", ["look:", ImageUrlPart("https://host/a.png")]),)),
        ([Message.user("a"), Message.user("b")], (Message.user("a"), Message.user("b"))),
    ],
)
def test_what_may_be_said(provider: LocalProvider, build: Any, what: Any, items: Any) -> None:
    """A text, a part or parts are a message of the user's; messages and items are themselves."""
    talk = Conversation(build(provider))
    talk.say([Message.user("first"), what] if isinstance(what, Message) else what)
    assert talk.items[-1 - len(items) : -1] == items


@pytest.mark.parametrize("what", [7, None, {"role": "user"}, b"bytes", [Message.user("a"), "b"], [7]])
def test_what_may_not_be_said(provider: LocalProvider, build: Any, what: Any) -> None:
    """What is none of these is refused, and nothing is sent."""
    talk = Conversation(build(provider))
    with pytest.raises(ConfigurationError):
        talk.say(what)
    assert (provider.requests, talk.items) == ((), ())
    assert talk.say("and on").text == "echo: and on"


def test_settings_of_the_conversation_and_of_a_turn(provider: LocalProvider, build: Any) -> None:
    """What is laid over a turn holds for it alone; a wrong name is refused where it is given."""
    talk = Conversation(build(provider), temperature=0.5, model="first")
    talk.say("a", temperature=0.1, model="second", instructions="Shout.")
    talk.say("b")
    sent = [(each.json["model"], each.json["temperature"], len(each.json["messages"])) for each in provider.requests]
    assert sent == [("second", 0.1, 2), ("first", 0.5, 3)]
    for wrong in (lambda: Conversation(talk._gateway, tempurature=1), lambda: talk.say("c", tempurature=1)):
        with pytest.raises(ConfigurationError, match="temperature"):
            wrong()
    with pytest.raises(ConfigurationError, match="tools"):
        Conversation(talk._gateway, tools=[7])


def test_an_answer_into_a_type(provider: LocalProvider, build: Any) -> None:
    """A turn may ask for structured output; one that does not fit is a failed turn, streamed or not."""
    talk = Conversation(build(provider))
    provider.script(answer("[1, 2]"), answer("[1, 2]"), answer("none"), answer("none"))
    wrapped = {"type": "array", "items": {"type": "integer"}}
    with pytest.raises(ProtocolError):
        talk.say("a", into=wrapped)  # it goes out as a field of an object
    with pytest.raises(ProtocolError):
        list(talk.stream("a", into=wrapped))
    with pytest.raises(InvalidJsonError):
        talk.say("a", into={"type": "object"})
    with talk.stream("a", into={"type": "object"}) as stream:
        events = []
        with pytest.raises(InvalidJsonError):
            events += iter(stream)
    assert talk.items == ()
    assert talk.say("b", into={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}).parsed == {"n": 0}
    assert len(talk.items) == 2


# --- tools ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", SENT)
def test_tools_leave_all_their_items(provider: LocalProvider, build: Any, protocol: Any) -> None:
    """``say`` and ``stream`` run tools, and calls, results and answer are remembered in their order."""
    gateway = build(provider, protocol=protocol)
    talk, other = Conversation(gateway, tools=[weather]), Conversation(gateway, tools=weather)
    assert talk.say(ROME).text == "weather gave: sunny in Rome"
    with other.stream(ROME) as stream:
        events: list[LlmStreamEvent] = list(stream)
    for items in (talk.items, other.items):
        parts = [part for item in items for part in (item.parts if isinstance(item, Message) else (item,))]
        assert [type(part) for part in parts] == [TextPart, ToolCallPart, ToolResultPart, TextPart]
    assert [event.result.output for event in events if isinstance(event, ToolResultAdded)] == ["sunny in Rome"]
    assert [i for i, event in enumerate(events) if isinstance(event, Completed)] == [len(events) - 1]
    assert "".join(event.delta for event in events if isinstance(event, TextDelta)) == stream.response.text

    assert talk.usage.total() == other.usage.total() > stream.response.usage.total()
    assert len(stream.response.attempts) == 2
    assert talk.say("thanks").text == "echo: thanks"


def test_signatures_are_kept(provider: LocalProvider, build: Any) -> None:
    """Reasoning is remembered as it came and sent back unchanged, after the conversation was saved and loaded too."""
    gateway = build(provider, protocol=CLAUDE)
    talk = Conversation(gateway, reasoning=ReasoningCapability(budget_tokens=2_000), max_output_tokens=3_000)
    talk.say("one")
    loaded = Conversation.from_json(talk.to_json(), gateway)
    signed = [
        p.signature for item in loaded.items if isinstance(item, Message) for p in item.parts if isinstance(p, ReasoningPart)
    ]
    assert len(signed) == 1
    loaded.say("two")
    blocks = provider.requests[-1].json["messages"][1]["content"]
    assert [block["signature"] for block in blocks if block["type"] == "thinking"] == signed


def test_calls_that_are_left_open(provider: LocalProvider, build: Any) -> None:
    """Where ``max_turns`` leaves calls unanswered, the next turn has to answer them."""
    talk = Conversation(build(provider), tools=[weather])
    response = talk.say(ROME, max_turns=1)
    with pytest.raises(ConfigurationError, match=r"calls of weather wait: say\(\[ToolResultPart"):
        talk.say("and?")
    results = [ToolResultPart(call.call_id, weather.run(call.arguments)) for call in response.tool_calls]
    assert talk.say(results).text == "weather gave: sunny in Rome"
    assert len(provider.requests) == 2


def test_tools_of_one_turn(provider: LocalProvider, build: Any) -> None:
    """A turn may have other tools, or none."""
    talk = Conversation(build(provider), tools=[weather])
    assert talk.say(ROME, tools=()).text == f"echo: {ROME}"
    assert "tools" not in provider.requests[-1].json
    assert talk.say(ROME).text == "weather gave: sunny in Rome"


# --- turns that fail ------------------------------------------------------------------------------------------------------------


def test_a_failed_turn_leaves_the_history(provider: LocalProvider, build: Any) -> None:
    """An error, in the first call or behind a tool's, leaves items and totals as they were, and the conversation goes on."""
    gateway = build(provider)
    talk = Conversation(gateway, tools=[weather])
    talk.say("hi")
    before = (talk.items, talk.usage, talk.cost_usd)
    provider.script(fail(400))
    with pytest.raises(BadRequestError):
        talk.say("no")
    provider.script(fail(400))
    with pytest.raises(BadRequestError):
        talk.stream("no")
    for ask in (talk.say, lambda what: list(talk.stream(what))):

        def spoil(city: str) -> str:
            """Spoil the next call."""
            provider.script(fail(400))
            return city

        talk._tools = (tool(name="weather")(spoil),)
        with pytest.raises(BadRequestError) as caught:
            ask(ROME)
        assert [record.outcome for record in caught.value.attempts] == ["ok", "failed"]
    assert (talk.items, talk.usage, talk.cost_usd) == before
    assert talk.say("still here").text == "echo: still here"
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("leave", ["close", "with", "break", "text", "cycle", "error"])
def test_a_stream_that_is_left_early(provider: LocalProvider, build: Any, leave: str) -> None:
    """Its turn is not remembered, what was received is paid for, nothing is held, and the next turn may begin."""
    gateway = build(provider)
    talk = Conversation(gateway)
    provider.script(break_stream(4, how="reset" if leave == "error" else "hang"))
    stream = talk.stream("one two three four")
    next(stream)
    if leave == "close":
        stream.close()
    elif leave == "with":
        with stream:
            pass
    elif leave == "text":
        said = stream.text()
        next(said)
        said.close()
    elif leave == "error":
        with pytest.raises(StreamInterruptedError):
            list(stream)
    elif leave == "cycle":
        ring: list[Any] = [stream]
        ring.append(ring)
        del ring
    if leave in ("cycle", "break"):
        del stream
        gc.collect()
    else:
        with pytest.raises(ClosedError):
            next(stream)
        with pytest.raises(ClosedError):
            _ = stream.response
    assert talk.items == ()
    assert talk.say("next").text == "echo: next"
    wait_until(lambda: held(gateway) == (0, 0))
    assert provider.wait_open_connections(1)


def test_a_stream_that_was_read_is_over(provider: LocalProvider, build: Any) -> None:
    """Behind the last event there is nothing, closed or not."""
    talk = Conversation(build(provider))
    stream = talk.stream("hi")
    assert isinstance(list(stream)[-1], Completed)
    assert list(stream) == []
    stream.close()
    assert list(stream) == []
    assert repr(stream) == "<ConversationStream over>"
    assert len(talk.items) == 2


def test_cancel_and_deadline_of_a_turn(provider: LocalProvider, build: Any) -> None:
    """Both end a turn of either kind, which is then forgotten."""
    gateway, token = build(provider), CancellationToken()
    talk = Conversation(gateway)
    provider.script(hang(times=4))
    for ask in (talk.say, talk.stream):
        with pytest.raises(DeadlineExceededError):
            ask("a", timeout=0.1)
    token.cancel()
    for ask in (talk.say, talk.stream):
        with pytest.raises(CallCancelledError):
            ask("a", cancel=token)
    assert (talk.items, held(gateway)) == ((), (0, 0))


# --- one turn at a time ---------------------------------------------------------------------------------------------------------


def test_turns_are_not_interleaved(provider: LocalProvider, build: Any) -> None:
    """A turn within a turn, or beside a stream that is not over, is refused, before anything is sent."""
    gateway = build(provider)
    talk = Conversation(gateway)
    provider.script(break_stream(3, how="hang"))
    with talk.stream("one two three"):
        for ask in (talk.say, talk.stream):
            with pytest.raises(ConfigurationError, match="one turn at a time"):
                ask("b")
        assert talk.fork().say("c").text == "echo: c"
    assert len(provider.requests) == 2
    provider.script(hang())
    token = CancellationToken()
    caught: list[BaseException] = []

    def say() -> None:
        try:
            talk.say("d", cancel=token)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=say)
    thread.start()
    assert provider.wait_requests(3)
    with pytest.raises(ConfigurationError, match="one turn at a time"):
        talk.say("e")
    token.cancel()
    thread.join(AT_ONCE)
    assert [type(error) for error in caught] == [CallCancelledError]
    assert talk.say("f").text == "echo: f"


def test_a_tool_does_not_speak_in_its_own_turn(provider: LocalProvider, build: Any) -> None:
    """A tool that says something in the conversation it serves is told that it cannot; a fork it may use."""
    talk = Conversation(build(provider))

    def inner() -> str:
        """Speak."""
        return talk.say("inner").text

    def aside() -> str:
        """Speak aside."""
        return talk.fork().say("aside").text

    response = talk.say("call inner and call aside", tools=[inner, aside])
    assert "inner failed" in response.text or "ConfigurationError: a conversation takes one turn" in response.text
    assert "aside gave: echo: aside" in response.text


def test_a_stream_closed_while_its_tools_run(provider: LocalProvider, build: Any) -> None:
    """Another thread may leave a stream: its reader is told, and the turn is forgotten."""
    began, go = threading.Event(), threading.Event()

    def linger() -> None:
        """Linger."""
        began.set()
        go.wait(5)

    talk = Conversation(build(provider), tools=[linger])
    stream = talk.stream("call linger")
    caught: list[BaseException] = []

    def read() -> None:
        try:
            list(stream)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert began.wait(5)
    stream.close()
    go.set()
    thread.join(AT_ONCE)
    assert [type(error) for error in caught] == [ClosedError]
    assert (talk.items, len(provider.requests)) == ((), 1)


# --- copies, and at rest --------------------------------------------------------------------------------------------------------


def test_a_fork_goes_its_own_way(provider: LocalProvider, build: Any) -> None:
    """A copy has what was said, settings, tools and totals; what either says later is its own."""
    talk = Conversation(build(provider), tools=[weather], instructions="Be brief.")
    talk.say("one")
    copy = talk.fork()
    assert (copy.items, copy.usage, copy.cost_usd) == (talk.items, talk.usage, talk.cost_usd)
    assert copy.say(ROME).text == "weather gave: sunny in Rome"
    talk.say("two")
    assert texts(talk) == ["one", "echo: one", "two", "echo: two"]
    assert texts(copy)[:3] == ["one", "echo: one", ROME]
    assert repr(talk) == "<Conversation of 4 items>"


@pytest.mark.parametrize("protocol", SENT)
def test_saved_and_loaded(provider: LocalProvider, build: Any, protocol: Any) -> None:
    """What is loaded is what was saved: items, settings, totals; it goes on as the other would have."""
    gateway = build(provider, protocol=protocol)
    talk = Conversation(gateway, tools=[weather], instructions="Be brief.", temperature=0.5)
    talk.say(ROME)
    text = talk.to_json()
    loaded = Conversation.from_json(text, gateway, [weather])
    assert (loaded.items, loaded.usage, loaded.cost_usd, loaded.to_json()) == (talk.items, talk.usage, talk.cost_usd, text)
    assert json.loads(text) == talk.to_dict()
    loaded = Conversation.from_dict(loaded.to_dict(), gateway, [weather])
    for each in (talk, loaded):
        assert each.say(ROME).text == "weather gave: sunny in Rome"
    assert provider.requests[-2].json == provider.requests[-4].json  # the ids of what followed count on
    assert "sk-1" not in text
    assert provider.base_url not in text


@given(request=requests)
def test_any_history_is_kept_exactly(request: LlmRequest) -> None:
    """Whatever items and settings there are, they are the same after saving and loading."""
    talk = Conversation.__new__(Conversation)
    items = request.normalized_input()
    talk._start(None, dataclasses.replace(request, input=(), messages=()), (), _Past(items))
    text = talk.to_json()
    loaded = Conversation.from_json(text, None)
    assert (loaded.items, loaded._base, loaded.to_json()) == (talk.items, talk._base, text)


def test_the_text_has_its_name(provider: LocalProvider, build: Any) -> None:
    """What is said may be given as ``text``, and is called so where it is refused."""
    talk = Conversation(build(provider))
    assert talk.say(text="one").text == "echo: one"
    assert "".join(talk.stream(text="two").text()) == "echo: two"
    with pytest.raises(ConfigurationError, match=r"^text: expected a text, "):
        talk.say(text=None)


@pytest.mark.parametrize("given", [None, "openai/gpt-4.1-mini"])
def test_a_conversation_needs_a_gateway(given: Any) -> None:
    """What is none is refused by its name when the conversation is made."""
    with pytest.raises(ConfigurationError, match=r"^gateway: expected a Gateway, got "):
        Conversation(given)


def test_unknown_prices_stay_unknown(provider: LocalProvider, build: Any) -> None:
    """Where one turn has no price, there is no sum, at rest neither."""
    gateway = build(provider, pricing=PriceTable())
    talk = Conversation(gateway, model="unheard-of")
    talk.say("hi")
    assert talk.cost_usd is None
    assert Conversation.from_json(talk.to_json(), gateway).cost_usd is None


@pytest.mark.parametrize(
    ("change", "kind", "pointer"),
    [
        ({"version": 2}, InvalidShapeError, "/version"),
        ({"request": 7}, InvalidShapeError, ""),
        ({"cost": {"input_pico": 1}}, MissingFieldError, "/cost/cached_input_pico"),
        ({"cost": 7}, InvalidShapeError, "/cost"),
        ({"more": 1}, InvalidShapeError, "/more"),
        ({"usage": None}, InvalidShapeError, ""),
    ],
)
def test_what_cannot_be_loaded(provider: LocalProvider, build: Any, change: Any, kind: Any, pointer: str) -> None:
    """What is no saved conversation is a ``ProtocolError`` that says where."""
    gateway = build(provider)
    data = json.loads(Conversation(gateway).to_json())
    with pytest.raises(kind) as caught:
        Conversation.from_json(json.dumps(data | change), gateway)
    assert caught.value.pointer == pointer
    for name in data:
        with pytest.raises(MissingFieldError):
            Conversation.from_json(json.dumps({key: value for key, value in data.items() if key != name}), gateway)
    for text in ("[]", "", "{"):
        with pytest.raises(ProtocolError):
            Conversation.from_json(text, gateway)
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a": deep}
    data["request"]["vendor_extensions"] = deep
    with pytest.raises(ProtocolError):
        Conversation.from_dict(data, gateway)


def test_a_cost_is_made_of_integers(provider: LocalProvider, build: Any) -> None:
    """Money at rest is pico-dollars, exact."""
    gateway = build(provider)
    data = json.loads(Conversation(gateway).to_json())
    data["cost"]["output_pico"] = 1.5
    with pytest.raises(InvalidShapeError) as caught:
        Conversation.from_json(json.dumps(data), gateway)
    assert caught.value.pointer == "/cost/output_pico"
