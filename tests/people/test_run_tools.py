"""The loop of calls and tools: what the model is told, in which order, and everything that ends it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from gateway_fixtures import MODEL
from gateway_scripts import held, wait_until

from omnillm import ReasoningCapability, tool
from omnillm._cancel import CancellationToken
from omnillm.errors import (
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidJsonError,
)
from omnillm.policy.pricing import PriceTable
from omnillm.testing import FakeClock, LocalProvider, answer, delay, fail, hang
from omnillm.types.capabilities import CapabilitySet, ToolChoice, ToolDefinition
from omnillm.types.enums import FinishReason, MessageRole, ProviderProtocol
from omnillm.types.message import Message
from omnillm.types.parts import ImageBase64Part, TextPart, ToolCallPart
from omnillm.types.request import LlmRequest
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
SENT = [ProviderProtocol.OPENAI_RESPONSES, CHAT, CLAUDE, ProviderProtocol.GEMINI_GENERATE_CONTENT]
AT_ONCE = 1.0
ROME = 'call weather with {"city": "Rome"}'


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calling(*calls: tuple[str, Any], text: str = "", **fields: Any) -> LlmResponse:
    """Give an answer that calls tools, in Chat's form."""
    parts = [ToolCallPart(f"c{n}", name, arguments) for n, (name, arguments) in enumerate(calls)]
    said = [TextPart(text)] if text else []
    message = Message(MessageRole.ASSISTANT, (*said, *parts))
    return LlmResponse((message,), TokenUsage(10, 5, 15), MODEL, CHAT, **{"finish_reason": FinishReason.TOOL_CALL, **fields})


def told(provider: LocalProvider, request: int = -1) -> list[Any]:
    """Give the results that a Chat request told the model."""
    return [message["content"] for message in provider.requests[request].json["messages"] if message["role"] == "tool"]


def in_thread(step: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


# --- the turns ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("protocol", SENT)
def test_tools_are_run_until_there_is_an_answer(provider: LocalProvider, build: Any, protocol: Any, parallel: bool) -> None:
    """The calls of a turn are run, their results sent behind them in their order, and the answer comes back."""
    gateway = build(provider, protocol=protocol)
    response = gateway.run_tools(f'{ROME} and call add with {{"a": 2, "b": 3}}', [add, weather], parallel=parallel)
    assert response.text == "weather gave: sunny in Rome; add gave: 5"
    assert len(provider.requests) == 2
    assert held(gateway) == (0, 0)


def test_no_call_is_one_turn(provider: LocalProvider, build: Any) -> None:
    """A model that calls nothing has answered; no thread was made."""
    gateway = build(provider)
    assert gateway.run_tools("hi", weather).text == "echo: hi"
    assert gateway.run_tools("hi", []).text == "echo: hi"
    assert (len(provider.requests), gateway._core._workers) == (2, {})


def test_plain_functions_are_tools(provider: LocalProvider, build: Any) -> None:
    """A typed function needs no mark."""

    def lower(text: str) -> str:
        """Write it small."""
        return text.lower()

    assert build(provider).run_tools('call lower with {"text": "ABC"}', [lower]).text == "lower gave: abc"


def test_the_request_stays_as_it_was(provider: LocalProvider, build: Any) -> None:
    """Settings, tools of its own and the overlay go out with every turn, a request's ``messages`` too."""
    own = ToolDefinition("own", {"type": "object"})
    request = LlmRequest(
        MODEL, messages=[Message.system("Be brief."), Message.user(ROME)], capabilities=CapabilitySet(tools=[own])
    )
    build(provider).run_tools(request, [weather], temperature=0.5)
    for sent in provider.requests:
        body = sent.json
        assert (body["temperature"], body["messages"][0]["content"]) == (0.5, "Be brief.")
        assert [each["function"]["name"] for each in body["tools"]] == ["own", "weather"]
    assert request.input == ()


def test_a_tool_stands_in_the_place_of_its_definition(provider: LocalProvider, build: Any) -> None:
    """A request that offers a tool of that name already offers it once."""
    request = LlmRequest(MODEL, ROME, capabilities=CapabilitySet(tools=[weather.definition]))
    assert build(provider).run_tools(request, [weather]).text == "weather gave: sunny in Rome"
    assert [len(sent.json["tools"]) for sent in provider.requests] == [1, 1]


def test_signatures_ride_along(provider: LocalProvider, build: Any) -> None:
    """Reasoning goes back as it came, in its place, before the call it led to."""
    gateway = build(provider, protocol=CLAUDE)
    gateway.run_tools(ROME, [weather], reasoning=ReasoningCapability(budget_tokens=2_000), max_output_tokens=3_000)
    said = provider.requests[1].json["messages"][1]["content"]
    assert [block["type"] for block in said] == ["thinking", "tool_use"]
    assert said[0]["signature"]


def test_meta_adds_the_turns_up(provider: LocalProvider, build: Any, events: Any) -> None:
    """Attempts, cost and time are those of the whole loop, usage is of the last turn; each turn is an ordinary call."""
    gateway = build(provider)
    provider.script(answer(calling(("add", {"a": 1, "b": 2}))), fail(500))
    response = gateway.run_tools("hi", [add])
    assert [record.outcome for record in response.attempts] == ["ok", "failed", "ok"]
    last = response.usage.prompt_tokens + response.usage.completion_tokens
    assert response.cost_usd == pytest.approx(15 + last)
    assert response.cost.usd == response.cost_usd
    assert gateway.budget_used_usd() >= response.cost_usd
    assert response.latency > 0
    assert sum(type(event).__name__ == "CallEnded" for event in events) == 2


def test_a_cost_that_is_not_known_stays_so(provider: LocalProvider, build: Any) -> None:
    """Without a price there is no sum."""
    response = build(provider, pricing=PriceTable()).run_tools("call add with {}", [add], model="unheard-of")
    assert (response.cost, response.cost_usd) == (None, None)


# --- what the model is told -----------------------------------------------------------------------------------------------------


def broken(city: str) -> str:
    """Fail."""
    raise LookupError(f"no station in {city}")


def silent(city: str) -> None:
    """Fail without a word."""
    raise KeyError


def strange(city: str) -> Any:
    """Give what has no form."""
    return object()


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("broken", {"city": "Rome"}, "LookupError: no station in Rome"),
        ("silent", {"city": "Rome"}, "KeyError"),
        ("strange", {"city": "Rome"}, "TypeError: the tool gave object, which has no form in JSON"),
        ("nowhere", {}, "there is no tool 'nowhere': there is broken, silent, strange"),
        ("broken", '{"city": "Ro', "the arguments are no JSON object"),
        ("broken", ["Rome"], "the arguments do not fit at /: expected an object, got an array"),
        ("broken", {"city": 7}, "the arguments do not fit at /city: expected a string, got 7"),
        ("broken", {}, "the arguments do not fit at /city: broken needs 'city'"),
    ],
)
def test_what_goes_wrong_is_told(provider: LocalProvider, build: Any, name: str, arguments: Any, words: str) -> None:
    """A tool's exception, by class and message, and calls that cannot be run are results for the model, and no more than that."""
    provider.script(answer(calling((name, arguments))), answer("I see."))
    assert build(provider).run_tools("hi", [broken, silent, strange]).text == "I see."
    assert told(provider) == [words]


def test_an_error_is_marked(provider: LocalProvider, build: Any) -> None:
    """Where the protocol can say it, the result is an error."""
    response = build(provider, protocol=CLAUDE).run_tools('call broken with {"city": "Rome"}', [broken])
    assert response.text == "broken failed: LookupError: no station in Rome"


def test_an_endless_message_is_cut(provider: LocalProvider, build: Any) -> None:
    """An exception's text is a prompt, which is paid for."""

    def shout() -> None:
        """Shout."""
        raise ValueError("x" * 10**6)

    build(provider).run_tools("call shout", [shout])
    assert len(told(provider)[0]) < 2_100


def test_parts_are_results(provider: LocalProvider, build: Any) -> None:
    """A tool may show a picture."""

    def look() -> tuple[Any, ...]:
        """Look."""
        return TextPart("seen:"), ImageBase64Part("aGk=", "image/png")

    build(provider, protocol=CLAUDE).run_tools("call look", [look])
    content = provider.requests[1].json["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in content] == ["text", "image"]


# --- at once --------------------------------------------------------------------------------------------------------------------


def test_calls_of_one_turn_run_at_once(provider: LocalProvider, build: Any) -> None:
    """Three calls meet each other; their results are in the order of the calls though the last one ends first."""
    meet = threading.Barrier(3)
    done = [threading.Event() for _ in range(4)]
    done[3].set()

    def wait(n: int) -> int:
        """Wait for the others."""
        meet.wait(5)
        assert done[n + 1].wait(5)
        done[n].set()
        return n

    provider.script(answer(calling(*(("wait", {"n": n}) for n in range(3)))))
    gateway = build(provider)
    gateway.run_tools("hi", [wait])
    assert told(provider) == ["0", "1", "2"]


def test_one_after_the_other_on_this_thread(provider: LocalProvider, build: Any) -> None:
    """``parallel=False`` runs tools in their order on the caller's thread: what is bound to a thread stays there."""
    seen = []

    def note(n: int) -> None:
        """Note it."""
        seen.append((n, threading.current_thread()))

    provider.script(answer(calling(*(("note", {"n": n}) for n in range(3)))))
    gateway = build(provider)
    gateway.run_tools("hi", [note], parallel=False)
    assert seen == [(n, threading.current_thread()) for n in range(3)]
    assert gateway._core._workers == {}


WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


def test_tools_run_in_the_callers_context(provider: LocalProvider, build: Any) -> None:
    """Context variables are carried over to the threads."""

    def who() -> str:
        """Tell who."""
        return WHO.get()

    WHO.set("me")
    assert build(provider).run_tools("call who and call who", [who]).text == "who gave: me; who gave: me"


def test_a_tool_may_use_the_gateway(provider: LocalProvider, build: Any) -> None:
    """Loops within tools of loops end, though one worker is all there is; a response is told by its text."""
    gateway = build(provider, max_workers=1)

    def ask(depth: int) -> LlmResponse:
        """Ask."""
        wanted = "" if not depth else f' call ask with {{"depth": {depth - 1}}} and call ask with {{"depth": 0}}'
        return gateway.run_tools(f"deeper{wanted}", [ask])

    response = gateway.run_tools('call ask with {"depth": 3}', [ask], timeout=20)
    assert response.text.count("echo: deeper") == 4
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_ends_the_loop(provider: LocalProvider, build: Any, error: Any, parallel: bool) -> None:
    """An interrupt in a tool is not told to the model: it is raised, without waiting for the other tools."""
    go = threading.Event()

    def stop() -> None:
        """Stop."""
        raise error

    def linger() -> None:
        """Linger."""
        go.wait(10)

    gateway = build(provider)
    names = ["linger", "stop"] if parallel else ["stop", "linger"]
    provider.script(answer(calling(*((name, {}) for name in names))))
    with pytest.raises(error):
        gateway.run_tools("hi", [stop, linger], parallel=parallel)
    go.set()
    assert (len(provider.requests), held(gateway)) == (1, (0, 0))


# --- where it stops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_turns", [1, 3])
def test_so_many_turns_and_no_more(provider: LocalProvider, build: Any, max_turns: int) -> None:
    """After ``max_turns`` calls the last response is given, its calls unanswered and not run."""
    ran = []

    def again() -> None:
        """Go on."""
        ran.append(1)

    provider.script(answer(calling(("again", {})), times=9))
    response = build(provider).run_tools("hi", [again], max_turns=max_turns)
    assert [call.name for call in response.tool_calls] == ["again"]
    assert (len(provider.requests), len(ran), len(response.attempts)) == (max_turns, max_turns - 1, max_turns)


@pytest.mark.parametrize("choice", [ToolChoice.required(), ToolChoice.named("weather")])
def test_a_demand_for_a_tool_holds_once(provider: LocalProvider, build: Any, choice: ToolChoice) -> None:
    """What demands a tool demands it of the first turn; then the model may answer."""
    response = build(provider).run_tools("hi", [weather], tool_choice=choice)
    assert response.text.startswith("weather gave: sunny")
    assert [sent.json["tool_choice"] for sent in provider.requests][1:] == ["auto"]


def test_a_tool_of_the_callers_is_the_callers_to_run(provider: LocalProvider, build: Any) -> None:
    """A call of a tool that is only a definition ends the loop, and none of that turn's tools is run."""
    ran = []

    def note() -> None:
        """Note it."""
        ran.append(1)

    remote = ToolDefinition("remote", {"type": "object", "properties": {}})
    gateway = build(provider)
    response = gateway.run_tools("call note and call remote", [note, remote])
    assert [call.name for call in response.tool_calls] == ["note", "remote"]
    request = LlmRequest(MODEL, "call remote", capabilities=CapabilitySet(tools=[remote]))
    assert [call.name for call in gateway.run_tools(request, [note]).tool_calls] == ["remote"]
    assert (ran, len(provider.requests)) == ([], 2)


def test_a_paused_turn_goes_on(provider: LocalProvider, build: Any) -> None:
    """Where the provider paused its own long work, what it said is sent back, and it goes on."""
    half = LlmResponse(
        (Message.assistant("half"),), TokenUsage(1, 1, 2), MODEL, CLAUDE, FinishReason.OTHER, raw_finish_reason="pause_turn"
    )
    provider.script(answer(half), answer("whole"))
    assert build(provider, protocol=CLAUDE).run_tools("hi", [weather]).text == "whole"
    assert provider.requests[1].json["messages"][-1] == {"role": "assistant", "content": "half"}


@dataclass
class Forecast:
    city: str
    degrees: int


def test_into_reads_the_last_answer(provider: LocalProvider, build: Any) -> None:
    """Structured output is asked for in every turn and read of the answer; what is said beside calls is not the answer."""
    calls = calling(("weather", {"city": "Rome"}), text="Let me see.")
    provider.script(answer(calls), answer('{"city": "Rome", "degrees": 22}'), answer(calls), answer("warm"))
    gateway = build(provider)
    assert gateway.run_tools("hi", [weather], into=Forecast).parsed == Forecast("Rome", 22)
    with pytest.raises(InvalidJsonError) as caught:
        gateway.run_tools("hi", [weather], into=Forecast)
    assert caught.value.response.text == "warm"


# --- time, cancellation, money --------------------------------------------------------------------------------------------------


class Stuck:
    """A tool that does not end until it is let go."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Wait."""
        self.began.set()
        self.go.wait(10)


@pytest.fixture
def stuck() -> Any:
    it = Stuck()
    yield it
    it.go.set()


def test_one_deadline_over_the_whole_loop(provider: LocalProvider, build: Any, stuck: Stuck) -> None:
    """A tool that overruns it ends the loop, and is left to finish; the error says where, and what was tried before."""
    gateway = build(provider)
    with pytest.raises(DeadlineExceededError, match=r"the tool wait was not done: the timeout of 0.2 s") as caught:
        gateway.run_tools("call wait", [stuck.wait], timeout=0.2)
    assert (caught.value.phase, caught.value.sent, len(caught.value.attempts)) == ("tools", "yes", 1)
    assert held(gateway) == (0, 0)
    assert len(provider.requests) == 1


def test_calls_share_the_deadline(provider: LocalProvider, build: Any) -> None:
    """A later call has what the turns before left of the time."""
    provider.script(answer(calling(("weather", {"city": "Rome"}))), hang())
    gateway = build(provider)
    with pytest.raises(DeadlineExceededError) as caught:
        gateway.run_tools("hi", [weather], timeout=0.3)
    assert (caught.value.phase, [record.outcome for record in caught.value.attempts]) == ("first_byte", ["ok", "failed"])
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize("parallel", [True, False])
def test_time_that_passes_within_a_tool(provider: LocalProvider, build: Any, parallel: bool) -> None:
    """The gateway's clock counts: after a tool that took too long there is no other call."""
    clock = FakeClock()

    def sleep() -> None:
        """Sleep."""
        clock.advance(60)

    with pytest.raises(DeadlineExceededError) as caught:
        build(provider, clock=clock).run_tools("call sleep", [sleep], timeout=30, parallel=parallel)
    assert caught.value.phase == "tools"
    assert len(provider.requests) == 1


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("where", ["tool", "call"])
def test_cancel_and_close_end_it_at_once(provider: LocalProvider, build: Any, stuck: Stuck, where: str, how: str) -> None:
    """Wherever the loop is, a token and the gateway's end are the loop's end."""
    gateway, token = build(provider), CancellationToken()
    provider.script(answer(calling(("wait", {}))), hang())
    if where == "call":
        stuck.go.set()
    thread, caught = in_thread(lambda: gateway.run_tools("hi", [stuck.wait], cancel=token))
    assert stuck.began.wait(5) if where == "tool" else provider.wait_requests(2)
    token.cancel() if how == "cancel" else gateway.close()
    thread.join(AT_ONCE)
    assert not thread.is_alive()
    assert [type(error) for error in caught] == [CallCancelledError if how == "cancel" else ClosedError]
    assert [record.outcome for record in caught[0].attempts][:1] == ["ok"]
    assert caught[0].sent == "yes"
    wait_until(lambda: gateway._core.store.snapshot().held_requests == 0)


def test_tools_that_wait_for_a_worker_are_not_begun(provider: LocalProvider, build: Any, stuck: Stuck) -> None:
    """What had no thread yet when the loop ended is not run later."""
    ran = []

    def note() -> None:
        """Note it."""
        ran.append(1)

    gateway = build(provider, max_workers=1)
    provider.script(answer(calling(("wait", {}), ("note", {}))))
    with pytest.raises(DeadlineExceededError):
        gateway.run_tools("hi", [stuck.wait, note], timeout=0.2)
    stuck.go.set()
    assert gateway.submit("hi").result(5).text == "echo: hi"
    assert ran == []


def test_the_budget_covers_every_turn(provider: LocalProvider, build: Any) -> None:
    """A budget that is spent ends the loop before the turn that it cannot hold; what was tried before is told."""
    gateway = build(provider, budget_limit_usd=60.0)
    provider.script(answer(calling(("weather", {"city": "Rome"})), times=9))
    with pytest.raises(BudgetExceededError) as caught:
        gateway.run_tools("hi", [weather], max_output_tokens=10)
    assert len(caught.value.attempts) == len(provider.requests)
    assert 0 < len(provider.requests) < 8
    assert caught.value.sent == "no"
    assert held(gateway) == (0, 0)
    assert gateway._core.store.snapshot().budgets[0].reserved == 0


def test_a_callers_thread_is_enough(provider: LocalProvider, build: Any) -> None:
    """Loops of many threads do not disturb each other."""
    provider.script(delay(0.01, times=20))
    gateway, said = build(provider, 4, max_workers=3), {}

    def ask(n: int) -> None:
        said[n] = gateway.run_tools(f'call add with {{"a": {n}, "b": 1}} and call add with {{"a": {n}, "b": 2}}', [add]).text

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {n: f"add gave: {n + 1}; add gave: {n + 2}" for n in range(12)}
    assert held(gateway) == (0, 0)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_turns": 0}, "max_turns"),
        ({"max_turns": True}, "max_turns"),
        ({"timeout": 0}, "timeout"),
        ({"cancel": "now"}, "cancel"),
        ({"tenant": 7}, "tenant"),
        ({"tools": [7]}, "tools"),
        ({"tempurature": 1}, "tempurature"),
    ],
)
def test_what_is_refused(provider: LocalProvider, build: Any, options: Any, field: str) -> None:
    """A wrong value is told by its name, and nothing is sent."""
    with pytest.raises(ConfigurationError) as caught:
        build(provider).run_tools("hi", **{"tools": [weather], **options})
    assert caught.value.field == field
    assert provider.requests == ()
