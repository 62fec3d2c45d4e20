"""P30, in tracebacks: no local of a frame below the caller's shows the key, so no interrupt and no error takes it along."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from reporter import PACKAGE, forms_of, locals_of, texts_of, told

from omnillm import ConfigurationError, GatewayConfig, KeyConfig, Secret, connect
from omnillm.config import EnvironmentVariable, RouteConfig
from omnillm.gateway.gateway import Gateway
from omnillm.providers.auth import AuthScheme
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderProtocol

KEY = "sk-CANARY/0123+abcdef=789"
FORMS = forms_of(KEY)
BAD_KEY = f"{KEY}\n"
SOURCES = (PACKAGE, "/requests/", "/urllib3/", "/http/client.py")
CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
# Where a key is a plain text for a moment: the seal itself, and urllib3's parser of a URL with the key in its query.
AT_THE_SEAL = {"sealed", "_sealed_within", "_sealed", "_checked", "fault_of", "_try_parse", "<dictcomp>"}
PARSERS = ("url.py", "util.py")


def shows(texts: list[str]) -> bool:
    """Tell whether a text shows the key."""
    return any(form in text for text in texts for form in FORMS)


@contextmanager
def watching() -> Iterator[set[str]]:
    """Look at the locals of every frame of ours, and of the libraries below, before each of its lines; give where the key is."""
    found: set[str] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if not any(source in code.co_filename for source in SOURCES) or "/testing/" in code.co_filename:
            return None
        if event == "line" and code.co_name not in AT_THE_SEAL and not code.co_filename.endswith(PARSERS):
            found.update(
                f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}: {name}"
                for name, value in list(frame.f_locals.items())
                if shows(texts_of(value))
            )
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield found
    finally:
        sys.settrace(before)


def gateway_of(endpoint: ProviderEndpoint) -> Gateway:
    secret = Secret.by_reference(lambda: KEY)
    return Gateway(GatewayConfig(routes=(RouteConfig(endpoint, (KeyConfig(secret, "k1"),)),), default_model="m"))


@pytest.mark.parametrize(
    "auth", [AuthScheme.bearer(), AuthScheme.header("api-key"), AuthScheme.query("key")], ids=lambda a: a.kind
)
def test_p30_no_line_of_a_call_shows_the_key(auth: AuthScheme) -> None:
    """Wherever an interrupt ends a call or a stream, in our code or requests' or urllib3's, a report of the locals has no key."""
    with LocalProvider() as provider, watching() as found, gateway_of(provider.endpoint(CHAT).with_auth(auth)) as gateway:
        for _ in range(2):
            gateway.call("hi")
            list(gateway.stream("hi"))
    assert sorted(found) == [], "\n".join(sorted(found))


_TRIES: dict[str, Callable[[], Any]] = {
    "KeyConfig": lambda: KeyConfig(BAD_KEY, "k1"),
    "label": lambda: KeyConfig(KEY, 5),  # type: ignore[arg-type]  # the wrong value under test
    "limit": lambda: KeyConfig(KEY, tpm_limit=-1),
    "literal": lambda: Secret.literal(BAD_KEY),
    "Secret": lambda: Secret(BAD_KEY),
    "by_reference": lambda: Secret.by_reference(lambda: BAD_KEY),
    "variable": lambda: Secret.by_reference(EnvironmentVariable("OMNILLM_TEST_KEY")),
    "from_env": lambda: KeyConfig.from_env("OMNILLM_TEST_KEY"),
    "connect": lambda: connect("openai/gpt-4o", api_key=BAD_KEY),
    "connect, provider": lambda: connect("nobody/gpt-4o", api_key=KEY),
    "connect, option": lambda: connect("openai/gpt-4o", keys=[KEY], colour=1),  # type: ignore[call-arg]  # as above
    "connect, keys": lambda: connect("openai/gpt-4o", keys=[KEY, BAD_KEY]),
    "mapping": lambda: Gateway.from_config({"model": "nobody/x", "keys": [KEY]}),
    "mapping, key": lambda: Gateway.from_config({"model": "openai/x", "keys": [{"key": BAD_KEY}]}),
    "mapping, field": lambda: GatewayConfig.from_mapping({"gateways": {"a": {"model": "openai/x", "keys": [KEY], "color": 1}}}),
    "mapping, fallback": lambda: GatewayConfig.from_mapping(
        {"model": "openai/x", "keys": [KEY], "fallbacks": [{"model": "nobody/x", "keys": [{"key": KEY}]}]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _TRIES)
def test_p30_no_configuration_error_takes_the_key_along(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of what is wrong with a configuration, or with the key itself, shows no key in its text, chain or locals."""
    monkeypatch.setenv("OMNILLM_TEST_KEY", f"{KEY} ")
    with pytest.raises(ConfigurationError) as caught:
        _TRIES[name]()
    assert [where for where, text in locals_of(caught.value) if shows([text])] == []
    assert [text for text in told(caught.value) if shows([text])] == []
