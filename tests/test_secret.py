"""A key shows itself nowhere: not in text, JSON, pickles, logs or errors."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from omnillm import ConfigurationError, GatewayConfig, KeyConfig, ProviderEndpoint, Secret
from omnillm._secret import MAX_KEY_CHARS, Sealed, mask, scrub
from omnillm.config import RouteConfig

CANARY = "sk-CANARY-0123456789"
VARIABLE = "OMNILLM_TEST_KEY"


def config(*keys: KeyConfig) -> GatewayConfig:
    return GatewayConfig(routes=(RouteConfig(ProviderEndpoint.openai_responses(), keys),))


def holders() -> dict[str, Any]:
    key = KeyConfig(CANARY, "prod-1")
    return {
        "Secret": Secret.literal(CANARY),
        "KeyConfig": key,
        "RouteConfig": config(key).routes[0],
        "GatewayConfig": config(key),
    }


def pickled(value: Any) -> str:
    try:
        return repr(pickle.dumps(value))
    except ConfigurationError as error:
        return "".join(traceback.format_exception(error))


def jsoned(value: Any) -> str:
    with pytest.raises(TypeError) as caught:
        json.dumps(value)
    return str(caught.value) + json.dumps(value, default=str)


def logged(value: Any) -> str:
    record = logging.LogRecord("omnillm", logging.ERROR, "f", 1, "%s %r %s", (value, value, [value]), None)
    return logging.Formatter().format(record)


def raised(value: Any) -> str:
    try:
        raise ValueError(value) from KeyError(value)
    except ValueError as error:
        return "".join(traceback.format_exception(error))


WAYS: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "f-string": lambda value: f"{value} {value!r} {value!s:>40}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031 - the way under test
    "in a list": lambda value: str([value, {"key": value}]),
    "pprint": pprint.pformat,
    "asdict": lambda value: repr(dataclasses.asdict(value)) if dataclasses.is_dataclass(value) else "",
    "astuple": lambda value: repr(dataclasses.astuple(value)) if dataclasses.is_dataclass(value) else "",
    "pickle": pickled,
    "json": jsoned,
    "logging": logged,
    "exception": raised,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("holder", holders())
def test_the_key_is_never_shown(holder: str, way: str) -> None:
    """Whichever way a value that holds a key is turned into text, the key is not in it."""
    assert "CANARY" not in WAYS[way](holders()[holder])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_literal_refuses_to_pickle_by_its_label(protocol: int) -> None:
    """The error of a key that does not pickle names the key and says what to do instead."""
    for value in (KeyConfig(CANARY, "prod-1"), config(KeyConfig(CANARY, "prod-1")), Secret.literal(CANARY, label="prod-1")):
        with pytest.raises(ConfigurationError, match=r"key 'prod-1' .* KeyConfig\.from_env"):
            pickle.dumps(value, protocol)


def test_a_key_that_got_its_label_by_place_refuses_by_that_label() -> None:
    """A key without a label is named as the gateway names it."""
    with pytest.raises(ConfigurationError, match="key 'key-2'"):
        pickle.dumps(config(KeyConfig(CANARY, "key-1"), KeyConfig("sk-other")).routes[0].keys[1])


def test_a_label_given_to_a_ready_secret_names_it() -> None:
    """The label of the key's configuration is the one in errors."""
    with pytest.raises(ConfigurationError, match="key 'prod-2'"):
        pickle.dumps(KeyConfig(Secret.literal(CANARY), "prod-2"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_from_the_environment_pickles_as_the_variables_name(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What crosses the process boundary is the name; the other side reads its own environment."""
    monkeypatch.setenv(VARIABLE, CANARY)
    sent = config(KeyConfig.from_env(VARIABLE, "prod-1", tpm_limit=7, rpm_limit=3))
    data = pickle.dumps(sent, protocol)
    assert CANARY.encode() not in data
    assert VARIABLE.encode() in data
    assert pickle.loads(data) == sent
    monkeypatch.setenv(VARIABLE, "sk-rotated")
    assert pickle.loads(data).routes[0].keys[0].key.reveal() == "sk-rotated"


def test_a_pickled_key_needs_its_variable_on_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without the variable is told its name."""
    monkeypatch.setenv(VARIABLE, CANARY)
    data = pickle.dumps(KeyConfig.from_env(VARIABLE))
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        pickle.loads(data)


def test_a_key_from_the_environment_shows_the_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key came from is no secret."""
    monkeypatch.setenv(VARIABLE, CANARY)
    assert VARIABLE in repr(KeyConfig.from_env(VARIABLE).key)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or empty variable is an error that names it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigurationError, match=VARIABLE) as caught:
        KeyConfig.from_env(VARIABLE)
    assert caught.value.field == VARIABLE


REFUSED: dict[str, Any] = {
    "a newline at the end": f"{CANARY}\n",
    "a carriage return inside": f"{CANARY}\r\nx-evil: 1",
    "a NUL": f"{CANARY}\x00",
    "a blank at the end": f"{CANARY} ",
    "a blank inside": f"{CANARY} {CANARY}",
    "a tab": f"\t{CANARY}",
    "a curly quote": f"“{CANARY}”",
    "no ASCII": f"{CANARY}ä",
    "a lone surrogate": f"{CANARY}\ud800",
    "DEL": f"{CANARY}\x7f",
    "nothing": "",
    "10 kB": CANARY * 512,
    "bytes": CANARY.encode(),
    "none": None,
    "a number": 12345,
    "a list": [CANARY],
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("label", [None, "prod-1"])
def test_a_malformed_key_is_refused_without_being_quoted(value: Any, label: str | None) -> None:
    """What no header can carry is refused when configured, by its label, in words that do not hold it."""
    for make in (lambda: KeyConfig(value, label), lambda: Secret.literal(value, label=label)):
        with pytest.raises(ConfigurationError) as caught:
            make()
        told = "".join(traceback.format_exception_only(caught.value))
        assert caught.value.field == "key"
        assert "CANARY" not in told
        assert "12345" not in told
        assert label is None or label in told
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


@pytest.mark.parametrize("value", ["k", "!~", "a" * MAX_KEY_CHARS, "AIza-_.:/+=", CANARY])
def test_any_other_key_is_taken_as_it_is(value: str) -> None:
    """A key is opaque: every visible ASCII character may stand in it."""
    assert Secret.literal(value).reveal() == value


def test_a_secret_is_compared_and_copied_as_a_value() -> None:
    """Two secrets of one key are equal, a copy is the same, and no secret equals its text."""
    secret = Secret.literal(CANARY)
    assert secret == Secret.literal(CANARY, label="other")
    assert hash(secret) == hash(Secret.literal(CANARY))
    assert secret != Secret.literal("sk-other")
    assert secret != CANARY
    assert copy.copy(secret) == copy.deepcopy(secret) == secret
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    ("text", "keys", "scrubbed"),
    [
        ("nothing here", [CANARY], "nothing here"),
        (f"Incorrect API key: {CANARY}.", [CANARY], "Incorrect API key: <redacted>."),
        (f"{CANARY}{CANARY}", [CANARY], "<redacted><redacted>"),
        ("sk-1 sk-12", ["sk-1", "sk-12"], "<redacted> <redacted>"),
        ("sk-12 sk-1", ["sk-12", "sk-1"], "<redacted> <redacted>"),
        ("GET /v1?key=a%2Fb%3D%3D", ["a/b=="], "GET /v1?key=<redacted>"),
        ("a/b==", ["a/b=="], "<redacted>"),
        ("", [CANARY], ""),
        ("text", [], "text"),
    ],
)
def test_scrubbing_takes_every_key_out_of_a_text(text: str, keys: list[str], scrubbed: str) -> None:
    """No key and no rest of one is left, plain or as it stands in a URL."""
    assert scrub(text, [Secret.literal(key) for key in keys]) == scrubbed


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("got 'sk-abc.D_1-2'", "got '<redacted>'"),
        ("gsk_x and AIzaSy and xai-1", "<redacted> and <redacted> and <redacted>"),
        ("task-1, risk-2, a flask", "task-1, risk-2, a flask"),
    ],
)
def test_what_looks_like_a_key_is_masked(text: str, masked: str) -> None:
    """In errors that quote what stood in the wrong place."""
    assert mask(text) == masked


def test_a_text_with_a_secret_does_not_pickle() -> None:
    """What is about to be sent, a recording's requests too, is copied as it is and pickled by nobody."""
    text = Sealed("Bearer sk-1")
    assert copy.copy(text) is text
    assert copy.deepcopy({"authorization": text})["authorization"] is text
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps([text], protocol)
