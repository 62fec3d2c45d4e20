"""Tasks without a worker: what brings one back and when, what travels as JSON, whose gateway it has."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, signals
from celery.exceptions import Retry
from gateway_scripts import held
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import dumps, loads

import omnillm
from omnillm import errors
from omnillm.contrib.celery import OmniLLMTask, close_gateways, omnillm_task
from omnillm.contrib.celery.errors import travelling
from omnillm.contrib.celery.retries import countdown_of, wait_after
from omnillm.testing import LocalProvider, fail
from omnillm.types.parts import ToolCallPart
from omnillm.types.response import LlmResponse, ResponseMeta
from omnillm.types.usage import TokenUsage

SECRET = "sk-very-secret"
ALL_ERRORS = [own for own in vars(errors).values() if isinstance(own, type) and issubclass(own, errors.OmniLLMError)]


@pytest.fixture
def app(provider: LocalProvider) -> Iterator[Celery]:
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    app.conf.omnillm = {"default": {"model": "openai/gpt-4.1-mini", "base_url": f"{provider.base_url}/v1", "keys": [SECRET]}}
    yield app
    close_gateways()
    app.close()


# --- whether and when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (errors.NoAvailableKeyError("", reason="window", retry_after=7.0), 7.0),
        (errors.NoAvailableKeyError("", reason="cooling", retry_after=7.0), 7.0),
        (errors.NoAvailableKeyError("", reason="too_large"), None),
        (errors.NoAvailableKeyError("", reason="dead"), None),
        (errors.MissingKeyError("", field="OPENAI_API_KEY"), None),
        (errors.BudgetExceededError("", resets_at=1e9, retry_after=3600.0), 3600.0),
        (errors.BudgetExceededError("", scope="gateway"), None),
        (errors.UnknownPriceError("", model="m"), None),
        (errors.LossyRequestError(""), None),
        (errors.StateUnavailableError(""), 0.0),
        (errors.RateLimitedError("", status=429, retry_after=3.0), 3.0),
        (errors.RateLimitedError("", status=429), 0.0),
        (errors.QuotaExhaustedError("", status=429, retry_after=3.0), None),
        (errors.UnauthorizedError("", status=401), None),
        (errors.PermissionDeniedError("", status=403), None),
        (errors.BadRequestError("", status=400), None),
        (errors.BadRequestError("", status=409), 0.0),
        (errors.BadRequestError("", status=408, retry_after=1.0), 1.0),
        (errors.OverloadedError("", status=529, retry_after=9.0), 9.0),
        (errors.ServerError("", status=500), 0.0),
        (errors.ConnectError(""), 0.0),
        (errors.ConnectError("", final=True), None),
        (errors.TlsError(""), None),
        (errors.DeadlineExceededError("", phase="admission", sent="no"), 0.0),
        (errors.DeadlineExceededError("", phase="body", sent="yes"), None),
        (errors.CallCancelledError(""), None),
        (errors.ClosedError(""), None),
        (errors.ConfigurationError(""), None),
        (errors.InvalidShapeError("", pointer="/a"), None),
        (ValueError(""), None),
    ],
    ids=lambda it: f"{type(it).__name__}-{getattr(it, 'reason', getattr(it, 'status', ''))}" if isinstance(it, Exception) else "",
)
def test_what_brings_a_task_back(error: Exception, wait: float | None) -> None:
    """What time may mend, after what the error says; never what it cannot."""
    assert wait_after(error) == wait == wait_after(error, retry_unknown=False)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConnectionLostError("", sent="maybe"),
        errors.MalformedResponseError("", sent="yes"),
        errors.StreamInterruptedError("", sent="yes", phase="cut", partial_response="some"),
    ],
    ids=lambda it: type(it).__name__,
)
def test_what_may_have_been_paid_for_is_asked_about(error: Exception) -> None:
    """Where the first try may have reached the model, ``retry_unknown`` decides."""
    assert wait_after(error) == 0.0
    assert wait_after(error, retry_unknown=False) is None


@given(
    wait=st.floats(0, 1e9) | st.just(math.inf),
    retries=st.integers(0, 10**6),
    jitter=st.floats(0, 1, exclude_max=True),
    base=st.floats(0.01, 1e4),
    most=st.floats(0.1, 1e6),
)
def test_countdowns_are_bounded(wait: float, retries: int, jitter: float, base: float, most: float) -> None:
    """None is longer than the longest, none shorter than the wait where that leaves room for the jitter, none below zero."""
    countdown = countdown_of(wait, retries, jitter, base=base, most=most)
    assert 0 <= countdown <= most * (1 + 1e-9)
    assert countdown >= min(wait, most * 0.75) * (1 - 1e-9)


@pytest.mark.parametrize(
    ("wait", "retries", "jitter", "countdown"),
    [
        (5.0, 0, 0.0, 5.0),
        (5.0, 0, 0.5, 5.5),
        (5.0, 3, 0.5, 9.0),
        (0.0, 10, 0.5, 12.5),
        (1000.0, 0, 0.5, 99.5),
        (1000.0, 9, 0.0, 75.0),
    ],
)
def test_countdowns(wait: float, retries: int, jitter: float, countdown: float) -> None:
    """The wait, and a random share of a spread that doubles; of a wait that is too long a piece."""
    assert countdown_of(wait, retries, jitter, base=1.0, most=100.0) == countdown


outcomes: list[dict[str, Any]] = []  # what tasks asked Celery to do


class Asking(OmniLLMTask):
    """Write down what Celery is asked, which would run an eager task again at once."""

    abstract = True

    def retry(self, exc: Any = None, **options: Any) -> None:  # type: ignore[override]  # of what there is
        outcomes.append({"exc": exc, **options})
        raise Retry(exc=exc, when=options["countdown"])


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    outcomes.clear()


def test_a_task_asks_for_its_countdown(app: Celery) -> None:
    """The error's own wait, the injected random number, the task's own maximum."""

    @omnillm_task(app=app, base=Asking, jitter=staticmethod(lambda: 0.5), max_countdown=8.0)
    def raises(self: Any, error: Exception) -> None:
        raise error

    raises.apply((errors.RateLimitedError("slow down", status=429, retry_after=4.0),))
    raises.apply((errors.RateLimitedError("slow down", status=429, retry_after=100.0),), retries=4)
    assert [asked["countdown"] for asked in outcomes] == [4.5, 7.0]
    assert isinstance(outcomes[0]["exc"], errors.RateLimitedError)
    assert outcomes[0]["exc"].retry_after == 4.0


def test_what_its_retries_do_not_reach_is_not_waited_for(app: Celery) -> None:
    """A budget that resets after the last retry fails the task at once; without a maximum it is waited for."""
    spent = errors.BudgetExceededError("spent", resets_at=1e9, retry_after=3600.0)

    @omnillm_task(app=app, base=Asking, max_retries=5, max_countdown=600.0)
    def bounded(self: Any) -> None:
        raise spent

    @omnillm_task(app=app, base=Asking, max_retries=None, max_countdown=600.0)
    def endless(self: Any) -> None:
        raise spent

    failed = bounded.apply()
    assert isinstance(failed.result, errors.BudgetExceededError)
    assert outcomes == []
    assert endless.apply().state == "RETRY"
    assert bounded.apply(retries=6).state == "FAILURE"


def test_an_eager_task_is_tried_again_at_once(app: Celery, provider: LocalProvider) -> None:
    """Where Celery runs tasks in place, it comes back as often as it would, without the wait."""
    app.conf.omnillm["default"]["retry"] = {"max_attempts": 1}
    provider.script(fail(503, times=2))

    @omnillm_task(app=app)
    def ask(self: Any) -> str:
        return self.gateway.call(f"try {self.request.retries}").text

    assert ask.apply().get() == "echo: try 2"


def test_judging_otherwise(app: Celery) -> None:
    """A subclass has the last word."""

    class Stubborn(Asking):
        abstract = True

        def wait_after(self, error: Any) -> float | None:
            return 1.0

    @omnillm_task(app=app, base=Stubborn)
    def stubborn(self: Any) -> None:
        raise errors.BadRequestError("no", status=400)

    assert stubborn.apply().state == "RETRY"


def test_other_errors_are_celerys(app: Celery) -> None:
    """What is not omnillm's fails the task as it always does, and called as a function a task raises what comes up as it is."""

    @omnillm_task(app=app, base=Asking)
    def raises(self: Any, error: Exception) -> None:
        raise error

    assert isinstance(raises.apply((KeyError("k"),)).result, KeyError)
    refused = errors.RateLimitedError("slow down", retry_after=1.0)
    with pytest.raises(errors.RateLimitedError) as caught:
        raises(refused)
    assert caught.value is refused
    assert outcomes == []


@pytest.mark.parametrize("name", ["max_countdown", "retry_base"])
@pytest.mark.parametrize("wrong", [0, -1, math.inf, "long"])
def test_wrong_options_are_named(app: Celery, name: str, wrong: object) -> None:
    """A maximum that is none is told where the task is made."""
    with pytest.raises(errors.ConfigurationError, match=name):

        @omnillm_task(app=app, **{name: wrong})
        def task(self: Any) -> None: ...

        task.name  # noqa: B018  # shared tasks are made when they are first looked at


def test_a_failed_task_lets_go_of_its_streams(app: Celery, provider: LocalProvider) -> None:
    """A stream that stands in a frame of the error in whose handling a task failed is closed, though the error is kept."""

    def read(gateway: Any) -> None:
        stream = gateway.stream("one two three")
        next(stream)
        raise KeyError("in the midst of it")

    @omnillm_task(app=app)
    def reads(self: Any) -> None:
        try:
            read(self.gateway)
        except KeyError:
            raise ValueError("what the task makes of it")  # noqa: B904  # the error that it handled is its context

    failed = reads.apply()
    assert isinstance(failed.result.__context__, KeyError)
    assert held(reads.gateway) == (0, 0)
    assert provider.wait_open_connections(0)


# --- what travels -------------------------------------------------------------------------------------------------------------


def response(**more: Any) -> LlmResponse:
    call = ToolCallPart("c1", "tool", {"__type__": "uuid", "__value__": {"hex": "no such"}})
    return LlmResponse(
        (omnillm.Message("assistant", ["hello", call]),), TokenUsage(1, 2), "m", omnillm.ProviderProtocol.OPENAI_RESPONSES, **more
    )


def test_values_travel_by_celerys_json() -> None:
    """Requests and responses are the same on the other side, whatever words of a model's are in them."""
    request = omnillm.LlmRequest("m", [omnillm.Message.user('{"__type__": "bytes"}')], metadata={"a": "b"})
    there = loads(dumps({"request": request, "response": response(), "plain": [1, "two"]}))
    assert there == {"request": request, "response": response(), "plain": [1, "two"]}


def test_a_response_keeps_what_its_gateway_knows(app: Celery) -> None:
    """Cost, key label, attempts and times come along, exactly."""

    @omnillm_task(app=app)
    def ask(self: Any) -> Any:
        return self.gateway.call("hi")

    given = ask.apply().get()
    there = loads(dumps(given))
    assert there == given
    assert there.meta == given.meta != ResponseMeta()
    assert (there.cost.total_pico, there.key_label, there.attempts) == (given.cost.total_pico, given.key_label, given.attempts)


@pytest.mark.parametrize("told", ['["Gateway", "{}", null]', '["os", "{}", null]', '"x"', '["LlmRequest", "[]", null]'])
def test_only_values_are_read(told: str) -> None:
    """A message that names anything else is refused."""
    with pytest.raises(errors.ProtocolError):
        loads(f'{{"__type__": "omnillm", "__value__": {told}}}')


def test_a_private_value_says_so() -> None:
    """What has no public name does not travel."""

    class Own(LlmResponse):
        pass

    with pytest.raises(TypeError, match="Own"):
        dumps(Own((), TokenUsage(), "m", omnillm.ProviderProtocol.OPENAI_RESPONSES))


def full(kind: type[errors.OmniLLMError]) -> errors.OmniLLMError:
    """Give an error of that class with something in each of its parts."""
    error = kind("what happened")
    filled: dict[str, Any] = {
        "attempts": (errors.AttemptRecord("e", "m", "k", "failed", 500, "ServerError: x", 0.5, "yes"),),
        "losses": (omnillm.Loss("/a", "why"),),
        "protocol": omnillm.ProviderProtocol.CLAUDE_MESSAGES,
        "response": response(),
        "partial_response": response(),
        "retry_after": 1.5,
        "raw_body": {"__type__": "uuid", "__value__": {}},
        "vendor_extensions": {"a": [1]},
        "status": 500,
        "code": "a_code",
    }
    vars(error).update({name: part for name, part in filled.items() if name in vars(error)})
    return error


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_errors_travel_as_themselves(app: Celery, kind: type[errors.OmniLLMError], serializer: str) -> None:
    """Each class, through a result backend: whoever waits catches it by its name, with all of its parts."""
    error = full(kind)
    told = app.backend.prepare_exception(travelling(error), serializer=serializer)
    sent = loads(dumps(told)) if serializer == "json" else pickle.loads(pickle.dumps(told))
    there = app.backend.exception_to_python(sent)
    assert isinstance(there, kind)
    assert type(there).__name__ == kind.__name__
    assert vars(there) == vars(error)
    assert (str(there), repr(there)) == ("what happened", f"{kind.__name__}('what happened')")
    assert vars(pickle.loads(pickle.dumps(there))) == vars(error)


def test_what_has_no_json_form_stays_behind() -> None:
    """A value of a user's own keeps nothing else of an error from travelling; a user's own class travels as Celery has it."""
    error = errors.InvalidShapeError("no", pointer="/a", response=object())
    error.mine = {1, 2}  # type: ignore[attr-defined]  # as a program may
    there = travelling(error)
    assert vars(there) == {"pointer": "/a", "response": None, "beyond": False}

    class Own(errors.GatewayError):
        """A user's."""

    own = Own("mine")
    assert travelling(own) is own


def test_no_key_travels(app: Celery, provider: LocalProvider) -> None:
    """A provider that echoes the key gets it neither into the result nor into the traceback."""
    provider.script(fail(400, message=f"bad request with {SECRET}"))

    @omnillm_task(app=app)
    def ask(self: Any) -> Any:
        return self.gateway.call("hi")

    failed = ask.apply()
    told = json.dumps(app.backend.prepare_exception(failed.result, serializer="json")) + failed.traceback + repr(failed.result)
    assert "bad request" in told
    assert SECRET not in told


# --- the gateway --------------------------------------------------------------------------------------------------------------


def test_the_gateway_is_made_once_and_closed_with_the_process(app: Celery, provider: LocalProvider) -> None:
    """All tasks of an application share it; the signal of the process's end closes it."""

    @omnillm_task(app=app)
    def first(self: Any) -> Any: ...

    @app.task(base=OmniLLMTask, bind=True)
    def second(self: Any) -> Any: ...

    gateway = first.gateway
    assert gateway is second.gateway
    assert gateway.call("hi").text == "echo: hi"
    signals.worker_process_shutdown.send(sender=None, pid=1, exitcode=0)
    with pytest.raises(errors.ClosedError):
        gateway.call("hi")
    assert first.gateway is not gateway


def test_aliases_and_wrong_settings(app: Celery, provider: LocalProvider) -> None:
    """A task picks its gateway by alias; what is wrong with the setting is named."""

    @omnillm_task(app=app, gateway_alias="other")
    def other(self: Any) -> Any: ...

    with pytest.raises(errors.ConfigurationError, match="'other'"):
        _ = other.gateway
    app.conf.omnillm = {"other": lambda: omnillm.connect("openai/m", api_key=SECRET, base_url=f"{provider.base_url}/v1")}
    assert other.gateway.call("hi").text == "echo: hi"


def test_settings_of_a_namespace(provider: LocalProvider) -> None:
    """In Django's settings it stands as ``CELERY_OMNILLM``."""
    app = Celery("django", broker="memory://")
    mine = {"default": {"model": "openai/m", "base_url": f"{provider.base_url}/v1", "keys": [SECRET]}}
    app.config_from_object({"CELERY_OMNILLM": mine}, namespace="CELERY")

    @omnillm_task(app=app)
    def ask(self: Any) -> str:
        return self.gateway.call("hi").text

    assert ask() == "echo: hi"
    close_gateways()
    app.close()


def test_without_a_setting_the_environment_describes_it(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OMNILLM_MODEL`` and what stands with it."""
    monkeypatch.setenv("OMNILLM_MODEL", "openai/gpt-4.1-mini")
    monkeypatch.setenv("OMNILLM_API_KEY", SECRET)
    monkeypatch.setenv("OMNILLM_BASE_URL", f"{provider.base_url}/v1")
    app = Celery("bare", broker="memory://")

    @omnillm_task(app=app)
    def ask(self: Any) -> str:
        return self.gateway.call("hi").text

    assert ask() == "echo: hi"
    close_gateways()
    app.close()


def test_idempotency_keys(app: Celery) -> None:
    """A task's work has its id, the same at each try, and its parts keys of their own; a plain call has a new one each time."""

    @omnillm_task(app=app)
    def names(self: Any) -> list[str]:
        return [self.idempotency_key(), self.idempotency_key("part")]

    assert names.apply(task_id="the-id").get() == names.apply(task_id="the-id", retries=3).get() == ["the-id", "the-id:part"]
    assert names()[0] != names()[0]
