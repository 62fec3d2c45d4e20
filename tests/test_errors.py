"""The tree of errors: what each is, what it says, and that it crosses a process boundary whole."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import omnillm as o

TREE: dict[type[Exception], tuple[type[Exception], ...]] = {
    o.OmniLLMError: (Exception,),
    o.ConfigurationError: (o.OmniLLMError, ValueError),
    o.ProtocolError: (o.OmniLLMError, ValueError),
    o.InvalidJsonError: (o.ProtocolError,),
    o.MissingFieldError: (o.ProtocolError,),
    o.InvalidShapeError: (o.ProtocolError,),
    o.UnsupportedFeatureError: (o.ProtocolError,),
    o.EndpointMismatchError: (o.ProtocolError,),
    o.TransportRequiredError: (o.ProtocolError,),
    o.IncompleteStreamError: (o.ProtocolError,),
    o.GatewayError: (o.OmniLLMError,),
    o.AdmissionError: (o.GatewayError,),
    o.NoAvailableKeyError: (o.AdmissionError,),
    o.BudgetExceededError: (o.AdmissionError,),
    o.UnknownPriceError: (o.AdmissionError,),
    o.LossyRequestError: (o.AdmissionError,),
    o.StateUnavailableError: (o.AdmissionError,),
    o.ClosedError: (o.GatewayError,),
    o.CallCancelledError: (o.GatewayError,),
    o.DeadlineExceededError: (o.GatewayError, TimeoutError),
    o.TransportError: (o.GatewayError,),
    o.ConnectError: (o.TransportError, ConnectionError),
    o.TlsError: (o.TransportError,),
    o.ConnectionLostError: (o.TransportError, ConnectionError),
    o.MalformedResponseError: (o.TransportError,),
    o.StreamInterruptedError: (o.GatewayError,),
    o.ProviderError: (o.GatewayError,),
    o.RateLimitedError: (o.ProviderError,),
    o.QuotaExhaustedError: (o.ProviderError,),
    o.UnauthorizedError: (o.ProviderError,),
    o.PermissionDeniedError: (o.ProviderError,),
    o.BadRequestError: (o.ProviderError,),
    o.OverloadedError: (o.ProviderError,),
    o.ServerError: (o.ProviderError,),
}

ATTEMPT = o.AttemptRecord("open_ai_responses@api.openai.com", "m", "prod-1", "failed", 503, "OverloadedError", 0.5)
PARTIAL = o.LlmResponse((o.Message.assistant("Hel"),), o.TokenUsage(), "m", o.ProviderProtocol.OPENAI_RESPONSES)
OF_PROTOCOL: dict[str, Any] = {"pointer": "/input/0", "response": PARTIAL}
OF_GATEWAY: dict[str, Any] = {"sent": "maybe", "retry_after": 1.5, "attempts": (ATTEMPT,)}
OF_PROVIDER: dict[str, Any] = {
    **OF_GATEWAY,
    "protocol": o.ProviderProtocol.CLAUDE_MESSAGES,
    "status": 529,
    "code": "overloaded_error",
    "request_id": "req_1",
    "raw_body": {"error": {"type": "overloaded_error"}},
    "vendor_extensions": {"anthropic_messages": {"details": None}},
}
OWN: dict[type[Exception], dict[str, Any]] = {
    o.ConfigurationError: {"field": "model"},
    o.IncompleteStreamError: {"partial_response": PARTIAL},
    o.NoAvailableKeyError: {"reason": "window"},
    o.BudgetExceededError: {
        "scope": "tenant", "limit_usd": 5.0, "used_usd": 4.0, "reserved_usd": 0.5, "needed_usd": 1.0, "resets_at": 1.7e9,
    },
    o.UnknownPriceError: {"model": "m"},
    o.LossyRequestError: {"losses": (o.Loss("/capabilities/reasoning", "there is none"),)},
    o.DeadlineExceededError: {"phase": "first_byte"},
    o.ConnectionLostError: {"phase": "body"},
    o.MalformedResponseError: {"status": 302},
    o.StreamInterruptedError: {"partial_response": PARTIAL, "phase": "no_terminal"},
}  # fmt: skip
CLASSES = pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.__name__) for cls in TREE])


def parts_of(cls: type[Exception]) -> dict[str, Any]:
    """Give every part that an error of this class takes, with a value that is no default."""
    for base, parts in ((o.ProviderError, OF_PROVIDER), (o.GatewayError, OF_GATEWAY), (o.ProtocolError, OF_PROTOCOL)):
        if issubclass(cls, base):
            return {**parts, **OWN.get(cls, {})}
    return OWN.get(cls, {})


@CLASSES
def test_every_error_stands_where_the_tree_has_it(cls: type[Exception]) -> None:
    """Each class has exactly the bases of the tree, built-in ones included."""
    assert cls.__bases__ == TREE[cls]


def test_the_tree_is_whole() -> None:
    """Every public error is in the tree."""
    public = [getattr(o, name) for name in o.__all__]
    assert {cls for cls in public if isinstance(cls, type) and issubclass(cls, Exception)} == set(TREE)


@CLASSES
def test_every_error_says_when_it_is_raised(cls: type[Exception]) -> None:
    """The docstring of each class opens with the case it stands for."""
    assert (cls.__doc__ or "").startswith("Raised when ")


@CLASSES
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_its_parts(cls: type[Exception], protocol: int) -> None:
    """A worker's error arrives in the parent as it was raised."""
    parts = parts_of(cls)
    error = cls("what went wrong", **parts)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert (str(again), again.args) == ("what went wrong", ("what went wrong",))
    assert {name: getattr(again, name) for name in parts} == parts
    assert vars(again) == vars(error)


@CLASSES
def test_every_error_copies(cls: type[Exception]) -> None:
    """A copy has the same text and parts."""
    error = cls("what went wrong", **parts_of(cls))
    assert vars(copy.copy(error)) == vars(error)
    assert str(copy.copy(error)) == "what went wrong"


@CLASSES
def test_every_part_has_a_default(cls: type[Exception]) -> None:
    """A message alone makes an error, and so does nothing at all."""
    assert str(cls("text")) == "text"
    assert str(cls()) == ""
    assert all(hasattr(cls(), name) for name in parts_of(cls))


@CLASSES
@pytest.mark.parametrize(("length", "shown"), [(499, 499), (500, 500), (501, 500), (10_000, 500)])
def test_the_text_is_cut_and_the_message_whole(cls: type[Exception], length: int, shown: int) -> None:
    """``str()`` gives at most 500 characters and marks the cut; ``message`` gives all."""
    error: Any = cls("x" * length)
    assert len(str(error)) == shown
    assert str(error).endswith("…") is (length > 500)
    assert error.message == "x" * length


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (o.NoAvailableKeyError(), "no"),
        (o.ConnectError(), "no"),
        (o.RateLimitedError(), "yes"),
        (o.ServerError(), "yes"),
        (o.ServerError(sent="maybe"), "maybe"),
        (o.ConnectionLostError(sent="maybe"), "maybe"),
    ],
)
def test_an_error_says_whether_the_request_was_sent(error: o.GatewayError, sent: str) -> None:
    """What was refused here was not sent, what a provider answered was."""
    assert error.sent == sent


def test_a_gateway_error_starts_without_hints() -> None:
    """Where nobody said when to come back and nothing was tried, there is nothing to read."""
    error = o.GatewayError("x")
    assert (error.retry_after, error.attempts) == (None, ())


def test_vendor_extensions_are_not_shared() -> None:
    """Two errors never share the dictionary of their extensions."""
    first, second = o.ProviderError(), o.ProviderError()
    first.vendor_extensions["a"] = 1
    assert second.vendor_extensions == {}


@pytest.mark.parametrize(("kind", "cls"), [(TimeoutError, o.DeadlineExceededError), (ConnectionError, o.ConnectError)])
def test_who_catches_the_builtin_error_catches_ours(kind: type[Exception], cls: type[Exception]) -> None:
    """Code that knows only Python's own errors still sees time-outs and lost connections."""
    with pytest.raises(kind, match="too late"):
        raise cls("too late")
