"""The pytest plugin: recordings of tests, made and played, in a pytest of their own."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnillm import _pytest_plugin
from omnillm.testing import LocalProvider

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from omnillm import GatewayBuilder, KeyConfig, ProviderEndpoint

WHERE = ProviderEndpoint.openai_chat_completions({base!r})

@pytest.fixture
def gateway(omnillm_replay):
    with GatewayBuilder(WHERE).default_model("m").add_key(KeyConfig("sk-CANARY-0123456789")).build() as gateway:
        yield omnillm_replay(gateway)

@pytest.mark.parametrize("word", ["one", "two/three", "four"])
def test_words(gateway, word):
    assert gateway.call(word).text == f"echo: {{word}}"
    assert "".join(gateway.stream(word).text()) == f"echo: {{word}}"

@pytest.mark.omnillm_replay(path="own.json", match_on=["path"], secrets=["sesame"])
def test_own(gateway):
    assert gateway.call("say {said}").text == "echo: say {heard}"

def test_two(gateway, omnillm_replay):
    with GatewayBuilder(WHERE).default_model("m").add_key(KeyConfig("other")).build() as other:
        omnillm_replay(other, name="other")
        assert other.call("b").text == "echo: b"
    assert gateway.call("a").text == "echo: a"

def test_that_failed(gateway):
    assert gateway.call("hello").text == "good bye"

@pytest.mark.omnillm_replay(secret="x")
def test_a_marker_of_another_name(gateway):
    pass

def test_one_recording_for_two(gateway, omnillm_replay):
    omnillm_replay(gateway)
"""
RECORDED = {
    "own.json",
    "recordings/test_it/test_words-one.json",
    "recordings/test_it/test_words-two-three.json",
    "recordings/test_it/test_words-four.json",
    "recordings/test_it/test_two.json",
    "recordings/test_it/test_two-other.json",
}


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    plugin = _pytest_plugin.__name__
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", "-p", plugin, *options)


def test_a_suite_is_recorded_and_played_offline(
    pytester: pytest.Pytester, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test that passes has a recording, without the key; what no longer matches, or is not there, is said."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    where = {"base": f"{provider.base_url}/v1"}
    pytester.makepyfile(test_it=TESTS.format(**where, said="sesame", heard="sesame"))
    recorded = run(pytester, "--omnillm-record")
    recorded.assert_outcomes(passed=5, failed=2, errors=1)
    recorded.stdout.fnmatch_lines_random(["*takes match_on, path, secrets, by name*", "*give the other one a name*"])
    files = {str(path.relative_to(pytester.path)): path for path in pytester.path.rglob("*.json")}
    assert set(files) == RECORDED
    assert all("CANARY" not in path.read_text() for path in files.values())

    asked = len(provider.requests)
    provider.close()
    pytester.makepyfile(test_it=TESTS.format(**where, said="another thing", heard="<redacted:key>"))
    edited, broken = (files[f"recordings/test_it/test_words-{name}.json"] for name in ("two-three", "four"))
    value = json.loads(edited.read_text())
    value["exchanges"][0]["request"]["body"]["value"]["messages"][0]["content"] = "two"
    edited.write_text(json.dumps(value))
    broken.write_text("[]")
    played = run(pytester, "-k", "not another and not for_two")
    played.assert_outcomes(passed=3, failed=1, errors=3, deselected=2)  # of the edited one, the test and its end
    played.stdout.fnmatch_lines_random(
        [
            "*was not recorded with this body: the next one differs at /messages/0/content*",
            "*test_words-four.json: expected a recording of version 1*",
            "*no recording *test_that_failed.json: make it with pytest --omnillm-record*",
        ]
    )
    assert len(provider.requests) == asked


CROWDED = """
import pytest
from omnillm import GatewayBuilder, KeyConfig, ProviderEndpoint

WHERE = ProviderEndpoint.openai_chat_completions({base!r})

@pytest.fixture
def gateway(omnillm_replay):
    with GatewayBuilder(WHERE).default_model("m").add_key(KeyConfig("sk-1")).build() as gateway:
        yield omnillm_replay(gateway)

@pytest.mark.omnillm_replay(path="own.json")
@pytest.mark.parametrize("word", ["one", "two"])
def test_shared(gateway, word):
    assert gateway.call(word).text == f"echo: {{word}}"

@pytest.mark.parametrize("word", ["a/b", "a:b"])
def test_alike(gateway, word):
    assert gateway.call(word).text == f"echo: {{word}}"
"""


def test_no_recording_is_written_over_anothers(
    pytester: pytest.Pytester, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tests with one path are told so while they record, be it given or made of names that are alike as a file's."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_it=CROWDED.format(base=f"{provider.base_url}/v1"))
    recorded = run(pytester, "--omnillm-record")
    recorded.assert_outcomes(passed=2, errors=2)
    recorded.stdout.fnmatch_lines(["*own.json is the recording of test_it.py::test_shared?one?*"])
    provider.close()
    run(pytester, "-k", "one or a/b").assert_outcomes(passed=2, deselected=2)


def test_the_plugin_is_found_by_pytest() -> None:
    """By its entry point."""
    packaged = configparser.ConfigParser()
    packaged.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    assert packaged["options.entry_points"]["pytest11"].strip() == f"omnillm = {_pytest_plugin.__name__}"
