"""Streams as server-sent events: what is told, when, and that nothing is left however the reader leaves."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import queue
import threading
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_servers import events_of, text_of

from omnillm import (
    Annotation,
    AnnotationAdded,
    BadRequestError,
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    Completed,
    ConfigurationError,
    Conversation,
    DeadlineExceededError,
    GatewayBuilder,
    KeyConfig,
    LlmResponse,
    LossyRequestError,
    Message,
    NoAvailableKeyError,
    OverloadedError,
    RateLimitedError,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    ServerError,
    SseDecoder,
    StateUnavailableError,
    StreamInterruptedError,
    TextDelta,
    TokenUsage,
    ToolCallPart,
    UnauthorizedError,
    UnsupportedFeatureError,
    UsageUpdated,
    encode_sse,
)
from omnillm.contrib._failures import failure_of
from omnillm.contrib.sse import SseBody, frame, frames_of
from omnillm.contrib.sse.asynchronous import AsyncSseBody
from omnillm.contrib.sse.body import HEARTBEAT, OPENING
from omnillm.contrib.sse.pull import AHEAD
from omnillm.testing import LocalProvider, answer, break_stream, delay, fail, hang

PATIENCE_S = 20.0
SECRET = "sk-of-the-house"


class Scripted:
    """A stream whose events a test hands out one by one; ``None`` ends it, and an exception is raised."""

    def __init__(self, *events):
        self.given = queue.SimpleQueue()
        self.closed = threading.Event()
        self.taken = 0
        for event in events:
            self.given.put(event)

    def __iter__(self):
        return self

    def __next__(self):
        event = self.given.get(timeout=PATIENCE_S)
        self.taken += 1
        if isinstance(event, BaseException):
            raise event
        if event is None or self.closed.is_set():
            raise StopIteration
        return event

    def close(self):
        self.closed.set()
        self.given.put(None)


@pytest.fixture
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def gateway(provider):
    builder = GatewayBuilder(provider.endpoint("chat_completions")).default_model("gpt-4.1-mini").budget_limit_usd(1)
    with builder.add_key(KeyConfig(SECRET, "k")).build() as gateway:
        yield gateway


def is_free(gateway):
    """Tell whether the gateway holds nothing, waiting a little for a thread that is about to end."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        snapshot = gateway._core.store.snapshot()
        held = (snapshot.held_requests, snapshot.held_tokens, sum(budget.reserved for budget in snapshot.budgets))
        if held == (0, 0, 0) and not gateway._core.reading and not pullers():
            return True
        time.sleep(0.005)
    return False


def pullers():
    return [thread for thread in threading.enumerate() if thread.name == "omnillm-sse"]


def read(body):
    """Give all that a body says."""
    return b"".join(body).decode()


async def aread(body):
    return b"".join([part async for part in body]).decode()


def read_either(kind, stream, **options):
    """Read a body to its end, as WSGI or as ASGI does."""
    return read(kind(stream, **options)) if kind is SseBody else asyncio.run(aread(kind(stream, **options)))


EITHER = pytest.mark.parametrize("kind", [SseBody, AsyncSseBody])

# --- frames -------------------------------------------------------------------------------------------------------------------

ANSWER = LlmResponse(
    output=(Message("assistant", [ToolCallPart("call_1", "weather", {"city": "Rom"}), ToolCallPart("call_2", "now", {})]),),
    usage=TokenUsage(7, 3),
    model="gpt-4.1-mini",
    provider_protocol="open_ai_chat_completions",
    finish_reason="tool_call",
)
CITED = Annotation("url_citation", "https://example.com", "A page", 3, 9, raw={"internal": 1})
TOLD = {
    "text": (TextDelta("Grüße\n"), [("text", {"text": "Grüße\n"})]),
    "no text": (TextDelta(""), []),
    "refusal": (RefusalDelta("No."), [("refusal", {"text": "No."})]),
    "citation": (
        AnnotationAdded(CITED),
        [("citation", {"url": "https://example.com", "title": "A page", "start": 3, "end": 9})],
    ),
    "start": (ResponseStarted("resp_1", "gpt-4.1-mini"), []),
    "reasoning": (ReasoningDelta("hm", signature="opaque"), []),
    "usage on the way": (UsageUpdated(TokenUsage(7, 1)), []),
    "end": (
        Completed(ANSWER),
        [
            ("tool_call", {"id": "call_1", "name": "weather", "arguments": {"city": "Rom"}}),
            ("tool_call", {"id": "call_2", "name": "now", "arguments": {}}),
            ("usage", {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}),
            ("done", {"finish_reason": "tool_call"}),
        ],
    ),
}


@pytest.mark.parametrize(("event", "told"), TOLD.values(), ids=TOLD)
def test_what_is_told_of_an_event(event, told):
    """Text, refusals and citations come as they are made; calls, usage and the reason at the end; the rest stays here."""
    assert [(frame.event, json.loads(frame.data)) for frame in frames_of(event)] == told


@given(st.lists(st.text(min_size=1), max_size=8))
def test_any_text_survives(texts):
    """Whatever characters a text has, a browser reads the same text again."""
    sent = b"".join(encode_sse(frame) for text in texts for frame in frames_of(TextDelta(text)))
    kept = [json.loads(frame.data)["text"] for frame in SseDecoder().feed(sent)]
    assert kept == [text.encode("utf-8", "replace").decode() for text in texts]


FAILURES = [
    (NoAvailableKeyError("k", reason="window", retry_after=3.2), ("busy", 503, 3.2)),
    (RateLimitedError("m", retry_after=1), ("busy", 503, 1)),
    (OverloadedError("m"), ("busy", 503, None)),
    (StateUnavailableError("m"), ("busy", 503, None)),
    (BudgetExceededError("m"), ("budget", 429, None)),
    (DeadlineExceededError("m"), ("timeout", 504, None)),
    (StreamInterruptedError("m"), ("interrupted", 502, None)),
    (ClosedError("m"), ("closed", 503, None)),
    (CallCancelledError("m"), ("closed", 503, None)),
    (BadRequestError("m"), ("refused", 422, None)),
    (LossyRequestError("m"), ("refused", 422, None)),
    (UnsupportedFeatureError("m"), ("refused", 422, None)),
    (UnauthorizedError("m"), ("unavailable", 502, None)),
    (ServerError("m", retry_after=math.inf), ("unavailable", 502, None)),
    (ConfigurationError("m"), ("internal", 500, None)),
    (KeyError("m"), ("internal", 500, None)),
]


@pytest.mark.parametrize(("error", "told"), FAILURES, ids=lambda value: type(value).__name__)
def test_what_the_public_is_told_of_an_error(error, told):
    """A code, a status, a sentence of ours and when to come back; nothing that stands in the error."""
    error.args = (f"org-4711 {SECRET}",)
    failure = failure_of(error)
    assert (failure.code, failure.status, failure.retry_after) == told
    assert "4711" not in json.dumps(failure.data)
    assert SECRET not in json.dumps(failure.data)
    assert failure.headers == ({} if told[2] is None else {"Retry-After": str(math.ceil(told[2]))})


# --- a whole stream -----------------------------------------------------------------------------------------------------------


@EITHER
@pytest.mark.parametrize("late", [False, True], ids=["open", "opened behind the headers"])
def test_a_stream_is_told_whole(gateway, kind, late):
    """A body begins with a comment, and tells each word, the usage and the end; then nothing is held."""
    stream = partial(gateway.stream, "one two three") if late else gateway.stream("one two three")
    said = read_either(kind, stream)
    assert said.encode().startswith(OPENING)
    events = events_of(said)
    assert text_of(events) == "echo: one two three"
    assert [name for name, _ in events[-2:]] == ["usage", "done"]
    assert is_free(gateway)


@EITHER
def test_words_come_as_they_are_made(kind):
    """What the model said is handed on at once, not when there is more."""
    stream = Scripted(TextDelta("one"))
    body = kind(stream)

    async def pulled():
        first = [await anext(body), await anext(body)]
        stream.given.put(TextDelta("two"))
        return [*first, await anext(body)]

    if kind is SseBody:
        said = [next(body), next(body)]
        stream.given.put(TextDelta("two"))
        said.append(next(body))
    else:
        said = asyncio.run(pulled())
    body.close()
    assert [part.decode() for part in said] == [
        OPENING.decode(),
        'event: text\ndata: {"text":"one"}\n\n',
        'event: text\ndata: {"text":"two"}\n\n',
    ]


@EITHER
def test_a_silent_model_is_covered_by_heartbeats(provider, gateway, kind):
    """While nothing comes, and while the stream is not even open, a comment is sent every so often."""
    provider.script(delay(0.3))
    said = read_either(kind, partial(gateway.stream, "hello"), heartbeat=0.05)
    before = said.split("event:")[0]
    assert before.count(HEARTBEAT.decode()) >= 2
    assert text_of(events_of(said)) == "echo: hello"


def test_what_is_not_told_counts_as_silence():
    """Events of which a browser is told nothing do not put a heartbeat off."""
    stream = Scripted(*[ReasoningDelta("hm")] * 3)
    body = SseBody(stream, heartbeat=0.02)
    assert [next(body), next(body), next(body)] == [OPENING, HEARTBEAT, HEARTBEAT]
    body.close()


@EITHER
def test_frames_of_the_callers_own(gateway, kind):
    """``frames`` says what is told instead; it sees every event, the whole response too."""
    kept = []

    def frames(event):
        if isinstance(event, Completed):
            kept.append(event.response.text)
            yield frame("saved", n=1)
        elif isinstance(event, TextDelta):
            yield frame("word", w=event.delta)

    events = events_of(read_either(kind, gateway.stream("hi"), frames=frames))
    assert events == [("word", {"w": "echo:"}), ("word", {"w": " hi"}), ("saved", {"n": 1})]
    assert kept == ["echo: hi"]


@EITHER
def test_a_conversation_streams_too(gateway, kind):
    """The stream of a turn is told as that of a call, and the conversation has the turn then."""
    chat = Conversation(gateway)
    assert text_of(events_of(read_either(kind, chat.stream("hello")))) == "echo: hello"
    assert len(chat.items) == 2


# --- errors -------------------------------------------------------------------------------------------------------------------


@EITHER
@pytest.mark.parametrize("how", ["cut", "reset", "error_event", "no_terminal"])
def test_a_stream_that_breaks_off_ends_with_an_error(provider, gateway, kind, how):
    """Behind the words that came stands one event, whose code says that they are not all; nothing is held."""
    provider.script(break_stream(3, how=how))
    events = events_of(read_either(kind, gateway.stream("one two three four")))
    assert text_of(events).startswith("echo:")
    assert events[-1] == ("error", {"code": "interrupted", "message": "The answer broke off."})
    assert [name for name, _ in events].count("error") == 1
    assert is_free(gateway)


@EITHER
def test_what_cannot_be_opened_is_told_as_an_event(provider, gateway, kind, caplog):
    """The provider's own words, which may name accounts and keys, go neither to the browser nor to the log."""
    provider.script(fail(400, message=f"org-4711 {SECRET}"))
    said = read_either(kind, partial(gateway.stream, "hello"))
    assert events_of(said) == [("error", {"code": "refused", "message": "The model refuses the request."})]
    assert "BadRequestError" in caplog.text
    assert "4711" not in said + caplog.text
    assert is_free(gateway)


@EITHER
@pytest.mark.parametrize("fault", ["of frames", "of what opens"])
def test_a_fault_of_the_program_is_told_and_raised(gateway, kind, fault):
    """To the browser it is an event that tells nothing; behind that it is raised, for the server to log. The stream is closed."""

    def frames(event):
        raise KeyError(SECRET)

    body = kind(gateway.stream("hi"), frames=frames) if fault == "of frames" else kind(partial(gateway.call, "hi"))
    said = []

    async def pulled():
        async for part in body:
            said.append(part)

    expected = KeyError if fault == "of frames" else ConfigurationError
    with pytest.raises(expected):
        if kind is AsyncSseBody:
            asyncio.run(pulled())
        for part in body if kind is SseBody else ():
            said.append(part)
    assert events_of(b"".join(said).decode()) == [("error", {"code": "internal", "message": "Something went wrong."})]
    assert is_free(gateway)


WRONG = {
    "a text": ("hello", {}, "stream: expected a stream.*got str"),
    "nothing": (None, {}, "stream: expected a stream.*got NoneType"),
    "a list": ([TextDelta("a")], {}, "stream: expected a stream.*got list"),
    "no heartbeat": (Scripted(), {"heartbeat": 0}, "heartbeat: expected a positive number of seconds"),
    "a text for one": (Scripted(), {"heartbeat": "1"}, "heartbeat: expected seconds"),
}


@EITHER
@pytest.mark.parametrize(("stream", "options", "said"), WRONG.values(), ids=WRONG)
def test_what_is_no_stream_is_refused(kind, stream, options, said):
    """A wrong value is refused in the view, by a text that names it."""
    with pytest.raises(ConfigurationError, match=said):
        kind(stream, **options)


def test_an_endless_heartbeat_is_none():
    """``math.inf`` is taken."""
    body = SseBody(Scripted(TextDelta("a"), None), heartbeat=math.inf)
    assert text_of(events_of(read(body))) == "a"


# --- leaving ------------------------------------------------------------------------------------------------------------------

STEPS = {
    "hangs before its first byte": (hang(), True),
    "hangs, opened before": (break_stream(3, how="hang"), False),
    "hangs, opened behind the headers": (break_stream(3, how="hang"), True),
    "goes on": (answer("word " * 2000), False),
}


@EITHER
@pytest.mark.parametrize(("step", "late"), STEPS.values(), ids=STEPS)
def test_leaving_closes_the_upstream_at_once(provider, gateway, kind, step, late):
    """Whoever closes the body, wherever the model is, has closed the upstream's connection and freed key, money and thread."""
    provider.script(step)
    body = kind(partial(gateway.stream, "hello") if late else gateway.stream("hello"), heartbeat=0.05)

    async def begin():
        for _ in range(3):
            await anext(body)
        await body.aclose()

    if kind is SseBody:
        for _ in range(3):
            next(body)
        body.close()
    else:
        asyncio.run(begin())
    assert is_free(gateway)  # long before the model is idle for too long
    assert provider.wait_open_connections(0)
    body.close()


def test_a_body_that_was_never_read_is_closed(gateway):
    """A response that is thrown away unread, as to HEAD, leaves its stream closed, and had no thread."""
    body = SseBody(gateway.stream("hello"))
    body.close()
    assert list(body) == []
    assert is_free(gateway)
    lost = SseBody(gateway.stream("hello"))
    del lost
    gc.collect()
    gateway._core.mend()
    assert is_free(gateway)


def test_a_body_that_is_lost_ends_its_thread(provider, gateway):
    """Who drops a body without closing it has ended what was opened for it."""
    provider.script(break_stream(3, how="hang"))
    body = SseBody(partial(gateway.stream, "hello"), heartbeat=0.05)
    for _ in range(3):
        next(body)
    del body
    gc.collect()
    assert is_free(gateway)


def test_a_cancelled_task_has_left(provider, gateway):
    """A task that is cancelled while it waits for the model, as when a client disconnects, leaves nothing held."""
    provider.script(break_stream(3, how="hang"))

    async def begin():
        body = AsyncSseBody(partial(gateway.stream, "hello"))
        reading = asyncio.create_task(aread(body))
        while not provider.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(begin())
    assert is_free(gateway)


def test_a_slow_reader_holds_the_stream_up():
    """The thread is so many events ahead of the reader and no more, and ends when it leaves."""
    stream = Scripted(*[TextDelta("a")] * (3 * AHEAD))
    body = SseBody(stream)
    next(body)
    until = time.monotonic() + PATIENCE_S
    while stream.taken <= AHEAD and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.05)
    assert stream.taken == AHEAD + 1
    body.close()
    assert stream.closed.is_set()
    pullers()[0].join(PATIENCE_S)
    assert pullers() == []


def test_closing_from_another_thread_ends_the_reader(provider, gateway):
    """A reader that waits for a silent model is told that it is over."""
    provider.script(break_stream(3, how="hang"))
    body = SseBody(gateway.stream("hello"))
    said = []
    reader = threading.Thread(target=lambda: said.extend(body))
    reader.start()
    while len(said) < 2:
        time.sleep(0.005)
    body.close()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert is_free(gateway)


def test_the_loop_goes_on_while_a_body_waits(provider, gateway):
    """Many bodies in one event loop wait for their models at once, and keep nothing else waiting."""
    provider.script(*[delay(0.3)] * 10)

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        said = await asyncio.gather(*(aread(AsyncSseBody(partial(gateway.stream, f"{n}"))) for n in range(10)))
        ticking.cancel()
        return ticks, [text_of(events_of(each)) for each in said]

    ticks, said = asyncio.run(main())
    assert said == [f"echo: {n}" for n in range(10)]
    assert ticks > 3


def test_a_fault_of_frames_settles_beside_the_loop():
    """To close a stream may be a round trip to a shared state: where the caller's frames fail, no event loop waits for it."""
    closed_by = []

    class Closing(Scripted):
        def close(self):
            closed_by.append(threading.get_ident())
            super().close()

    def frames(event):
        raise KeyError(event.delta)

    async def read():
        body = AsyncSseBody(Closing(TextDelta("a")), frames=frames)
        with pytest.raises(KeyError):
            async for _ in body:
                pass
        return threading.get_ident()

    assert asyncio.run(read()) not in closed_by
    assert closed_by


def test_the_context_of_the_view_is_that_of_the_stream(provider):
    """Hooks that the stream's events call find the context variables of who made the body."""
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []
    builder = GatewayBuilder(provider.endpoint("chat_completions")).default_model("gpt-4.1-mini")
    with builder.add_key(KeyConfig(SECRET, "k")).on_event(lambda event: seen.append(tenant.get())).build() as gateway:
        tenant.set("acme")
        body = SseBody(partial(gateway.stream, "hello"))
        read(body)
    assert set(seen) == {"acme"}
