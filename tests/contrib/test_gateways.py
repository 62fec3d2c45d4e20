"""The gateways of a framework's settings: what a setting may be, one of each for a process, forks, exits."""

from __future__ import annotations

import threading

import pytest
from own_process import FORK, run

from omnillm import ClosedError, ConfigurationError, Gateway, GatewayConfig
from omnillm.contrib._gateways import Gateways
from omnillm.testing import LocalProvider

SECRET = "sk-of-the-house"


@pytest.fixture
def provider():
    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def mapping(provider):
    return {"model": "openai/gpt-4.1-mini", "base_url": f"{provider.base_url}/v1", "keys": [SECRET]}


def given_config():
    return GatewayConfig.from_mapping({"model": "openai/gpt-4.1-mini", "keys": [SECRET]})


def given_gateway():
    return Gateway(given_config())


SETTINGS = {
    "a mapping": {"model": "openai/gpt-4.1-mini", "keys": [SECRET]},
    "a model": "openai/gpt-4.1-mini",
    "a configuration": given_config(),
    "a callable of a configuration": given_config,
    "a callable of a gateway": given_gateway,
    "a path": "settings_of_a_site.config",
}


@pytest.mark.parametrize("value", SETTINGS.values(), ids=SETTINGS)
def test_what_a_setting_may_be(value, monkeypatch, tmp_path):
    """A mapping, a model, a configuration, or what gives one, by itself or by its path: each is a gateway."""
    (tmp_path / "settings_of_a_site.py").write_text(f"def config():\n    return {SETTINGS['a mapping']!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    gateways = Gateways(lambda: {"default": value})
    gateway = gateways.get()
    assert isinstance(gateway, Gateway)
    assert gateway._core.config.default_model == "gpt-4.1-mini"
    gateways.close()
    with pytest.raises(ClosedError):
        gateway.call("hello")


def test_a_gateway_that_was_lent_is_not_closed(provider, mapping):
    """What others made is theirs to close."""
    with Gateway.from_config(mapping) as gateway:
        gateways = Gateways(lambda: {"default": gateway})
        assert gateways.get() is gateway
        gateways.close()
        assert gateway.call("hello").text == "echo: hello"


WRONG = {
    "not set": (None, r"OMNILLM is not set: expected a mapping of aliases"),
    "no mapping": ([], r"OMNILLM: expected a mapping of aliases, got list"),
    "no names": ({1: {}}, r"OMNILLM: expected aliases, got int"),
    "another alias": ({"defualt": {}}, r"OMNILLM: no gateway is called 'default': did you mean 'defualt'\?"),
    "a wrong field": ({"default": {"modle": "x"}}, r'OMNILLM\["default"\]: modle: unknown field: did you mean \'model\'\?'),
    "a wrong value": (
        {"default": {"model": "openai/m", "keys": [SECRET], "rpm_limit": "x"}},
        r'OMNILLM\["default"\]: rpm_limit: expected an integer',
    ),
    "no key": ({"default": {"model": "openai/m"}}, r'OMNILLM\["default"\]: keys: openai needs a key.*OPENAI_API_KEY'),
    "no variable": (
        {"default": {"model": "openai/m", "keys": ["${NOBODY_SETS_THIS}"]}},
        r'OMNILLM\["default"\]: keys\[0\].key: environment variable NOBODY_SETS_THIS is not set',
    ),
    "plain http": (
        {"default": {"model": "openai/m", "keys": [SECRET], "base_url": "http://example.com"}},
        r'OMNILLM\["default"\]: base_url: plain http',
    ),
    "a path to nowhere": ({"default": "mysite.llm.gateway"}, r'OMNILLM\["default"\]: .* leads nowhere: ModuleNotFoundError'),
    "a key for a path": ({"default": SECRET}, r'OMNILLM\["default"\]: (?!.*house).* leads nowhere'),
    "a number": ({"default": 7}, r'OMNILLM\["default"\]: expected a mapping.*got int'),
}


@pytest.mark.parametrize(("settings", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named(settings, said, monkeypatch):
    """The error names the setting, the alias and the field, and shows no key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=said) as raised:
        Gateways(lambda: settings).get()
    assert SECRET not in str(raised.value)


def test_threads_that_ask_at_once_get_one_gateway(mapping):
    """However many threads ask first, one gateway is made."""
    gateways = Gateways(lambda: {"default": mapping})
    barrier, found = threading.Barrier(8), []

    def ask():
        barrier.wait()
        found.append(gateways.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    gateways.close()


def test_closing_forgets(mapping):
    """After ``close()`` the next that is asked for is made anew."""
    gateways = Gateways(lambda: {"default": mapping})
    first = gateways.get()
    gateways.close()
    assert gateways.get() is not first
    gateways.close()


def test_a_gateway_outlives_a_fork_and_ends_with_its_process():
    """The same object serves parent and child, each with windows of its own; a thread that was making one holds up no child."""
    said = run(
        """
        import atexit
        from omnillm.contrib._gateways import Gateways
        from omnillm.testing import LocalProvider
        provider = LocalProvider()
        where = {"model": "openai/m", "base_url": provider.base_url + "/v1", "keys": ["sk-a"], "rpm_limit": 2}
        hold, held = threading.Event(), threading.Event()

        def slow():
            held.set()
            hold.wait()
            return where

        gateways = Gateways(lambda: {"default": where, "slow": slow})
        gateway = gateways.get()
        gateway.call("parent")

        def child():
            assert gateways.get() is gateway
            assert gateway.call("child").text == "echo: child"
            hold.set()
            assert gateways.get("slow").call("child").text == "echo: child"

        making = threading.Thread(target=gateways.get, args=("slow",))
        making.start()
        held.wait()
        in_child(child)
        hold.set()
        making.join()
        assert gateway.pool_status()[0].rpm_used == 1
        faulthandler.cancel_dump_traceback_later()
        """,
        prelude=FORK + "import atexit\natexit.register(lambda: print(repr(gateway)))\n",
    )
    assert said.splitlines()[-1].endswith("closed>")


def test_the_package_itself_imports_no_framework():
    """What is shared by Django and Flask runs without either."""
    run(
        """
        import sys
        import omnillm.contrib._gateways, omnillm.contrib._status, omnillm.contrib.sse, omnillm.contrib.sse.asynchronous
        assert not {"django", "flask", "click", "werkzeug"} & set(sys.modules)
        """,
        prelude="",
    )
