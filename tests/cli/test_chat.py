"""``omnillm chat``: piped, and on a real terminal with and without the extra."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_fixtures import CANARY, Run

from omnillm import ProviderProtocol, Secret, parse_request
from omnillm.cli._answers import settled
from omnillm.cli._history import KEPT, History, without_keys
from omnillm.testing import LocalProvider, answer, fail

terminal = pytest.importorskip("terminal", reason="no terminals here")
MODEL = "openai/gpt-4.1-mini"
EXTRA = pytest.mark.parametrize("extra", [True, False], ids=["with-the-extra", "without"])


def said_in(message: Any) -> str:
    return "".join(part.text for part in message.parts)


# --- piped --------------------------------------------------------------------------------------------------------------------


def test_each_line_is_a_turn_that_remembers(run: Run, provider: LocalProvider) -> None:
    """Answers are on stdout, tokens and costs on stderr; what was said goes along; a backslash goes on in the next line."""
    done = run("chat", MODEL, "--instructions", "Be brief.", stdin="one\n\ntwo\\\nlines\n")
    assert (done.code, done.out) == (0, "echo: one\necho: two\nlines\n")
    first, second = done.err.splitlines()
    assert first.startswith("gpt-4.1-mini: ")
    assert "in all" in second
    assert "$0.0000" in second
    last = parse_request(ProviderProtocol.OPENAI_RESPONSES, provider.requests[-1].body)
    assert last.instructions == "Be brief."
    assert [said_in(message) for message in last.input] == ["one", "echo: one", "two\nlines"]


def test_json_is_a_line_for_each_turn(run: Run, provider: LocalProvider) -> None:
    """And nothing else is said."""
    done = run("chat", MODEL, "--json", stdin="one\n/usage\ntwo\n")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [line["text"] for line in told] == ["echo: one", "echo: two"]
    assert told[0]["usage"]["completion_tokens"] > 0
    assert told[0]["cost_usd"] > 0
    assert (done.code, done.err) == (0, "")


def test_another_provider_goes_on_with_what_was_said(run: Run, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """``/model`` takes what the command line takes; what the translation loses is named once; money adds up."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-CANARY-1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.base_url)
    done = run("chat", MODEL, stdin="one\n/model anthropic/claude-haiku-4-5\ntwo\nthree\n/model\n/usage\n")
    assert (done.code, done.out) == (0, "echo: one\necho: two\necho: three\n")
    assert [request.path for request in provider.requests] == ["/v1/responses", "/v1/messages", "/v1/messages"]
    said = [message["content"] for message in provider.requests[1].json["messages"]]
    assert len(said) == 3
    losses = [line for line in done.err.splitlines() if line.startswith("lost: ")]
    assert len(losses) == len(set(losses)) > 0
    assert "\nanthropic/claude-haiku-4-5\n" in done.err
    spent = done.err.rpartition("$")[2].strip()
    assert done.err.count(f"${spent}") >= 2


def test_a_configuration_has_models_of_its_own(run: Run, provider: LocalProvider, tmp_path: Path) -> None:
    """``/model`` is then one of that gateway, and ``-`` its own."""
    file = tmp_path / "omnillm.toml"
    file.write_text(f'model = "openai/own"\nbase_url = "{provider.base_url}/v1"\nkeys = ["${{OPENAI_API_KEY}}"]\n')
    assert run("chat", "-", "--config", str(file), stdin="a\n/model other/name\nb\n/model -\nc\n").code == 0
    assert [request.json["model"] for request in provider.requests] == ["own", "other/name", "own"]


def test_a_conversation_is_saved_and_resumed(run: Run, provider: LocalProvider, tmp_path: Path) -> None:
    """For its owner alone, with its settings and no key; another file is not overwritten."""
    file, other = tmp_path / "talk.json", tmp_path / "other"
    other.write_text("mine")
    assert run("chat", MODEL, "--temperature", "0.5", stdin=f"one\n/system Be brief.\n/save {file}\n").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert CANARY not in file.read_text()
    assert run("chat", "openai/other", "--resume", str(file), stdin=f"two\n/save\n/save {file}\n").code == 0
    last = parse_request(ProviderProtocol.OPENAI_RESPONSES, provider.requests[-1].body)
    assert (last.model, last.instructions, last.generation.temperature) == ("other", "Be brief.", 0.5)
    assert [said_in(message) for message in last.input] == ["one", "echo: one", "two"]
    assert len(json.loads(file.read_text())["request"]["input"]) == 4
    assert run("chat", MODEL, "--resume", str(file), "--instructions", "New.", stdin="/clear\nthree\n").code == 0
    last = parse_request(ProviderProtocol.OPENAI_RESPONSES, provider.requests[-1].body)
    assert (last.instructions, len(last.input)) == ("New.", 1)
    refused = run("chat", MODEL, stdin=f"/save {other}\n")
    assert (refused.code, refused.err) == (2, f"omnillm: /save: {other} is there already\n")
    assert other.read_text() == "mine"
    assert run("chat", MODEL, stdin="/save\n").err == "omnillm: /save: expected a FILE\n"


@pytest.mark.parametrize(
    ("stdin", "code", "said"),
    [
        ("/hlp\n", 2, "omnillm: /hlp: unknown: did you mean 'help'?; a text that begins so is typed with //\n"),
        ("/model opnai/m\n", 1, "omnillm: provider: 'opnai' is unknown"),
        (b"\xff\n", 1, "omnillm: stdin: expected UTF-8\n"),
    ],
)
def test_an_error_in_a_pipe_ends_the_command(run: Run, provider: LocalProvider, stdin: str, code: int, said: str) -> None:
    """In one line, with an exit code; the lines behind it are not sent."""
    done = run("chat", MODEL, stdin=stdin + (b"more\n" if isinstance(stdin, bytes) else "more\n"))
    assert (done.code, done.out, provider.requests) == (code, "", ())
    assert done.err.startswith(said)


def test_a_failed_turn_in_a_pipe_ends_the_command(run: Run, provider: LocalProvider) -> None:
    """With what was answered before it."""
    provider.script(answer("first"), fail(400, message=f"no {CANARY}"))
    done = run("chat", MODEL, stdin="one\ntwo\nthree\n")
    assert (done.code, done.out, len(provider.requests)) == (1, "first\n", 2)
    assert "omnillm: " in done.err
    assert CANARY not in done.err


def test_slashes_that_are_no_command_are_said(run: Run, provider: LocalProvider) -> None:
    """By two of them; ``/quit`` leaves, and nothing behind it is sent."""
    done = run("chat", MODEL, stdin="//etc/hosts\n/help\n/quit\nmore\n")
    assert (done.code, done.out) == (0, "echo: /etc/hosts\n")
    assert "/save [FILE]" in done.err


# --- on a terminal ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow() -> Iterator[LocalProvider]:
    """A provider whose answers take their time."""
    with LocalProvider(event_interval=0.005) as it:
        yield it


@pytest.fixture
def environment(slow: LocalProvider, tmp_path: Path) -> dict[str, str]:
    """An environment that leads there, with a place for what is kept."""
    own = {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": f"{slow.base_url}/v1", "XDG_STATE_HOME": str(tmp_path)}
    return {**os.environ, **own}


def history_of(folder: Path) -> Path:
    return folder / "omnillm" / "chat-history"


@EXTRA
def test_a_person_talks_stops_an_answer_and_leaves(
    slow: LocalProvider, environment: dict[str, str], tmp_path: Path, extra: bool
) -> None:
    """Ctrl-C ends an answer and not the session, at the prompt a line; an error is one line; Ctrl-D leaves; a key is not kept."""
    slow.script(answer("**fine**"), answer("go " * 2000), fail(400, message="no such thing"), answer("again"))
    with terminal.terminal(terminal.command("chat", MODEL, extra=extra), environment) as person:
        person.until("/help says what else may be typed")
        person.until(">")
        person.type(f"my key is {CANARY}\r")
        person.until("fine" if extra else "**fine**")
        person.until("tokens, $0.0")
        person.until(">")
        person.type("long\r")
        person.until("go go go")
        person.type(terminal.CTRL_C)
        person.until("stopped: this turn is not kept")
        person.until(">")
        person.type("half a line")
        person.until("half a line")
        person.type(terminal.CTRL_C)
        person.until(">")
        person.type("wrong\r")
        person.until("omnillm: ")
        person.until("no such thing")
        person.until(">")
        person.type("more\r")
        person.until("again")
        person.until(">")
        person.type(terminal.CTRL_D)
        assert person.left() == 0
    last = parse_request(ProviderProtocol.OPENAI_RESPONSES, slow.requests[-1].body)
    assert [said_in(message) for message in last.input] == [f"my key is {CANARY}", "**fine**", "more"]
    assert History(history_of(tmp_path)).load() == ["my key is <redacted>", "long", "wrong", "more"]
    assert stat.S_IMODE(history_of(tmp_path).stat().st_mode) == 0o600


@EXTRA
def test_what_was_typed_comes_back_and_may_be_turned_off(
    slow: LocalProvider, environment: dict[str, str], tmp_path: Path, extra: bool
) -> None:
    """The arrow gives the line of the last session; with ``--no-history`` nothing is read or written."""
    history_of(tmp_path).parent.mkdir()
    history_of(tmp_path).write_text('"from before"\n{"half of"')
    history_of(tmp_path).chmod(0o644)
    up = "\x1b[A"
    for options, sent in (((), "from before"), (("--no-history",), "x")):
        with terminal.terminal(terminal.command("chat", MODEL, *options, extra=extra), environment) as person:
            person.until(">")
            person.type(f"{up}\r" if not options else f"{up}x\r")
            person.until("tokens, $0.0")
            person.until(">")
            person.type("/quit\r")
            assert person.left() == 0
        assert slow.requests[-1].json["input"] == [{"role": "user", "content": sent}]
    assert History(history_of(tmp_path)).load() == ["from before", "from before", "/quit"]
    assert stat.S_IMODE(history_of(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize(("more", "escapes"), [({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, False)], ids=str)
def test_a_terminal_is_respected(slow: LocalProvider, environment: dict[str, str], more: dict[str, str], escapes: bool) -> None:
    """No colour where none is wanted; a dumb terminal gets lines alone; what a model says steers none."""
    slow.script(answer("a \x1b[31mred\x1b]0;title\x07 *word*"))
    with terminal.terminal(terminal.command("chat", MODEL), environment, **more) as person:
        person.until(">")
        person.type("hi\r")
        person.until("tokens, $0.0")
        person.until(">")
        person.type(terminal.CTRL_D)
        assert person.left() == 0
    assert "\x1b[31m" not in person.shown
    assert "\x1b]0;" not in person.shown
    assert ("\x1b[" in person.shown) is escapes


# --- what is kept, and what is drawn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("my key is hunter-two-2, see", "my key is <redacted>, see"),
        ("sk-proj-abc", "<redacted>"),
        ("use AKIAIOSFODNN7EXAMPLE0", "use <redacted>"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "<redacted>"),
        ("ghp_0123456789abcdefABCDEF", "<redacted>"),
        ("/model anthropic/claude-haiku-4-5-20251001", "/model anthropic/claude-haiku-4-5-20251001"),
        ("what is in /usr/lib/python3/dist-packages/foo/bar", "what is in /usr/lib/python3/dist-packages/foo/bar"),
        ("Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffahrtsgesellschaft"),
    ],
)
def test_what_looks_like_a_key_is_not_kept(text: str, kept: str) -> None:
    """Nor what is one; words, models and paths are."""
    assert without_keys(text, [Secret.literal("hunter-two-2")]) == kept


def test_a_history_stays_short(tmp_path: Path) -> None:
    """A file that has grown is cut when it is read; its mode is kept."""
    history = History(tmp_path / "deep" / "history")
    assert history.load() == []
    for n in range(2 * KEPT + 1):
        history.add(f"line {n}", [])
    assert history.load()[-1] == f"line {2 * KEPT}"
    assert (tmp_path / "deep" / "history").read_text().count("\n") == KEPT
    assert stat.S_IMODE((tmp_path / "deep" / "history").stat().st_mode) == 0o600
    assert History(None).load() == []


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("one\n\ntwo", "two"),
        ("one\ntwo", "one\ntwo"),
        ("one\n\n", "one\n\n"),
        ("- a\n\n  b\n\nc", "c"),
        ("- a\n\n  b", "- a\n\n  b"),
        ("```\na\n\nb", "```\na\n\nb"),
        ("```\na\n\nb\n```\n\nc\n\nd", "d"),
        ("````\n```\n\nb\n````\n\nc", "c"),
        ("", ""),
    ],
)
def test_a_block_is_drawn_once_it_is_whole(text: str, rest: str) -> None:
    """Behind a blank line that is in no code and in no list."""
    assert text[settled(text) :] == rest


def test_a_link_that_waits_where_a_file_is_written_is_not_followed(run: Run, provider: LocalProvider, tmp_path: Path) -> None:
    """In a folder that others may write to, what is saved goes into the file that was named, and into no other."""
    (victim := tmp_path / "victim").write_text("mine")
    (tmp_path / "talk.json.part").symlink_to(victim)
    assert run("chat", MODEL, stdin=f"hello\n/save {tmp_path / 'talk.json'}\n").code == 0
    assert victim.read_text() == "mine"
    assert "hello" in (tmp_path / "talk.json").read_text()


def test_a_saved_file_that_is_none_is_refused(run: Run, provider: LocalProvider, tmp_path: Path) -> None:
    """With one line, and nothing is sent."""
    file = tmp_path / "talk.json"
    file.write_text("{}")
    done = run("chat", MODEL, "--resume", str(file), stdin="hi\n")
    assert (done.code, done.err, provider.requests) == (1, "omnillm: a conversation needs 'version'\n", ())
