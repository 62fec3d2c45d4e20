"""P34: a recording never holds a key, is its owner's alone, and is written nowhere but where it was said."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from gateway_scripts import streamed, whole
from hypothesis import given
from hypothesis import strategies as st
from reporter import forms_of

from omnillm import ConfigurationError, KeyConfig, ProviderEndpoint
from omnillm.providers.auth import AuthScheme
from omnillm.replay import sanitize_json_value
from omnillm.testing import ScriptedServer, record
from omnillm.testing.scripted import expect, repeat, respond
from omnillm.types.enums import ProviderProtocol

KEY = "sk-CANARY/0123+abcdef=789"
FORMS = forms_of(KEY)

texts = st.text(max_size=8)
spoiled = st.builds(lambda before, form, behind: f"{before} {form} {behind}", texts, st.sampled_from(FORMS), texts)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | spoiled,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | spoiled | st.just("api_key"), inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_p34_no_key_survives_in_any_value(value: Any) -> None:
    """However deep a key stands, in a name or a text, in whichever spelling, it is gone."""
    shown = repr(sanitize_json_value(value, secrets=(KEY,)))
    assert not [form for form in FORMS if form in shown]


@pytest.mark.parametrize(
    "auth", [AuthScheme.bearer(), AuthScheme.header("api-key"), AuthScheme.query("key")], ids=lambda auth: auth.kind
)
def test_p34_a_recording_holds_no_key(build: Any, tmp_path: Path, auth: AuthScheme) -> None:
    """Wherever it was shown and whatever echoed it: request, query, headers, cookies, bodies, streams."""
    answers = [whole(f"said {KEY}"), streamed("said ", KEY), b'{"error": {"message": "' + KEY.encode() + b'"}}']
    headers = {"Set-Cookie": f"a={KEY}", "X-Echo": KEY, "X-Request-Id": KEY}
    steps = [step for body in answers for step in (expect(), respond(200, headers, body))]
    with ScriptedServer([repeat(*steps)]) as server:
        endpoint = ProviderEndpoint("chat_completions", f"{server.base_url}/v1").with_auth(auth)
        gateway = build(endpoint, [KeyConfig(KEY, "k1")])
        path = tmp_path / "tapes" / "tape.json"
        with record(path, gateway):
            gateway.call(f"my key is {KEY}")
    text = path.read_text()
    assert '"exchanges"' in text
    assert not [form for form in FORMS if form in text]


def recorded(build: Any, path: Path) -> None:
    with ScriptedServer([repeat(expect(), respond(body=whole()))]) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")])
        with record(path, gateway):
            gateway.call("hi")


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_p34_a_recording_is_its_owners_alone(build: Any, tmp_path: Path) -> None:
    """Prompts and answers are nobody else's on a shared machine, whatever the umask."""
    before = os.umask(0)
    try:
        recorded(build, tmp_path / "tape.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "tape.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["tape.json"]


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_p34_no_link_that_was_laid_out_is_followed(build: Any, tmp_path: Path) -> None:
    """A file beside the recording, whose name was guessed, leads the writer to nobody else's file."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / f"tape.json.{os.getpid()}.part").symlink_to(victim)
    (shared / "tape.json").symlink_to(victim)
    recorded(build, shared / "tape.json")
    assert victim.read_text() == "mine"
    assert '"exchanges"' in (shared / "tape.json").read_text()


def test_p34_what_cannot_be_taken_out_is_not_written(build: Any, tmp_path: Path) -> None:
    """A key that a stream says in pieces is found before anything is written, and nothing is left behind."""
    with ScriptedServer(
        [repeat(expect(), respond(200, {"Content-Type": "text/event-stream"}, streamed(KEY[:9], KEY[9:])))]
    ) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")], protocol=ProviderProtocol.OPENAI_CHAT_COMPLETIONS)
        with pytest.raises(ConfigurationError, match="not written"), record(tmp_path / "tape.json", gateway):
            list(gateway.stream("hi"))
    assert list(tmp_path.iterdir()) == []
