"""What a terminal is shown with the extra, and that a pipe, a narrow or a dumb terminal get the same lines as without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_fixtures import CANARY, Run

from omnillm import Completed
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider, answer

terminal = pytest.importorskip("terminal", reason="no terminals here")
LISTS = [("models", "openai/gpt-4.1*"), ("prices", "gpt-5.4"), ("providers", "open")]


def shown(*argv: str, extra: bool = True, **more: object) -> str:
    """Give what a command shows on a terminal, with its escapes."""
    with terminal.terminal(terminal.command(*argv, extra=extra), os.environ, **more) as it:
        assert it.left() == 0
    return str(it.shown)


def piped(*argv: str, extra: bool = True) -> str:
    """Give what a command writes into a pipe."""
    given = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(terminal.command(*argv, extra=extra), capture_output=True, text=True, timeout=60, check=True, env=given)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("argv", LISTS, ids=" ".join)
def test_a_list_is_a_table_on_a_terminal_and_lines_elsewhere(argv: tuple[str, ...]) -> None:
    """In a pipe, with the extra and without it, are the same lines."""
    lines = piped(*argv)
    assert "\x1b" not in lines
    assert lines == piped(*argv, extra=False)
    table = shown(*argv)
    assert "─" in table
    assert "\x1b[36m" in table
    assert max(map(len, terminal.ESCAPE.sub("", table).splitlines())) <= 100


def test_a_terminal_that_draws_no_table_gets_lines() -> None:
    """Without the extra, a dumb one and a narrow one alike; where no colour is wanted the table has none."""
    argv = ("providers", "open")
    assert shown(*argv, extra=False) == shown(*argv, TERM="dumb") == shown(*argv, columns=59) == piped(*argv)
    bare = shown(*argv, NO_COLOR="1")
    assert "─" in bare
    assert "[36m" not in bare


@pytest.mark.parametrize("argv", [("--help",), ("call", "--help")], ids=" ".join)
def test_help_is_coloured_on_a_terminal(argv: tuple[str, ...]) -> None:
    """And nowhere else: in a pipe it is the same with and without the extra."""
    plain = piped(*argv)
    assert plain == piped(*argv, extra=False) == shown(*argv, NO_COLOR="1")
    assert "\x1b[" not in plain
    coloured = shown(*argv)
    assert "\x1b[" in coloured
    assert "--help" in terminal.ESCAPE.sub("", coloured)


HOSTILE = "a\x1b[31mred\x9b2J\x1b]0;title\x07 word\x7f"


@pytest.mark.parametrize("argv", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", ["call", "stream"])
def test_a_model_does_not_steer_a_terminal(run: Run, provider: LocalProvider, command: str, argv: tuple[str, ...]) -> None:
    """An answer's control characters reach no terminal; what is piped is the answer, as text or as JSON."""
    provider.script(answer(HOSTILE), answer(HOSTILE))
    seen = shown(command, "openai/m", "say it", *argv)
    assert "word" in seen
    assert not any(control in seen for control in "\x1b\x9b\x07\x7f")
    out = run(command, "openai/m", "say it", *argv).out
    if not argv:
        assert out == f"{HOSTILE}\n"
    elif command == "call":
        assert json.loads(out)["meta"]["text"] == HOSTILE
    else:
        assert Completed.from_json(out.splitlines()[-1]).response.text == HOSTILE


# --- providers ----------------------------------------------------------------------------------------------------------------


def test_providers_say_what_is_set_and_never_what_it_holds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's variable and a base URL's, which may hold a secret too."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://user:{CANARY}@example.com")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    told = {row["provider"]: row for row in json.loads(run("providers", "--json").out)}
    assert list(told) == list(PRESETS)
    assert told["openai"]["key_variables"] == [{"name": "OPENAI_API_KEY", "set": True}]
    assert told["openai"]["base_url"] == "https://api.openai.com/v1"
    assert told["groq"]["key_variables"] == [{"name": "GROQ_API_KEY", "set": False}]
    assert told["azure"]["protocol"] == "open_ai_chat_completions"
    assert told["ollama"]["needs_key"] is False
    assert "embeddings" in told["gemini"]["endpoints"]
    lines = run("providers", "openai").out
    assert lines.startswith("openai: open_ai_responses at https://api.openai.com/v1; OPENAI_API_KEY set, OPENAI_BASE_URL set; ")
    assert CANARY not in lines + json.dumps(told)


def test_a_provider_that_is_none_is_said(run: Run) -> None:
    """With exit code 1."""
    done = run("providers", "nobody")
    assert (done.code, done.out, done.err) == (1, "", "omnillm: no provider fits 'nobody'\n")


# --- embed --------------------------------------------------------------------------------------------------------------------


def test_texts_are_embedded(run: Run, provider: LocalProvider) -> None:
    """As arguments, wherever the options stand, or as lines of stdin; a vector a line, or the response."""
    model, length = "openai/text-embedding-3-small", ("--dimensions", "3")
    given = [run("embed", model, "a", "b", *length), run("embed", model, *length, "a", "b")]
    given.append(run("embed", model, *length, stdin="a\n\nb\n"))
    assert {(done.code, done.out, done.err) for done in given} == {(0, given[0].out, "")}
    assert [len(json.loads(line)) for line in given[0].out.splitlines()] == [3, 3]
    told = json.loads(run("embed", model, "a", "--json").out)
    assert (told["data"][0]["index"], told["model"]) == (0, "text-embedding-3-small")
    assert told["meta"]["cost_usd"] > 0
    assert run("embed", model).err == "omnillm: text: expected one, got none\n"
    assert run("embed", model, " ").code == 2


def test_vectors_are_a_table_on_a_terminal(provider: LocalProvider) -> None:
    """Which shows how they begin."""
    assert "dimensions" in shown("embed", "openai/text-embedding-3-small", "[b]a text", "--dimensions", "8", **dict(os.environ))
    assert "[b]a text" in shown("embed", "openai/text-embedding-3-small", "[b]a text", **dict(os.environ))


# --- completion ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completion of bash, in a file."""
    file = tmp_path_factory.mktemp("completion") / "omnillm.bash"
    file.write_text(piped("completion", "bash"))
    return file


def completed(script: Path, tmp_path: Path, *words: str) -> list[str]:
    """Ask bash what it would complete the last of the words to."""
    ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); f=$(complete -p omnillm); f=${f##*-F }; "${f%% *}"; '
    ask += 'printf "%s\\n" "${COMPREPLY[@]}"'
    argv = ["bash", "-c", ask, str(script), "omnillm", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path)
    return done.stdout.split()


def test_bash_completes_commands_options_and_files(script: Path, tmp_path: Path) -> None:
    """By a script that bash takes; made of the parser, so that nothing is written down twice."""
    (tmp_path / "omnillm.toml").touch()
    subprocess.run(["bash", "-n", str(script)], timeout=30, check=True)
    assert completed(script, tmp_path, "ch") == ["chat"]
    assert set(completed(script, tmp_path, "pr")) == {"prices", "providers"}
    assert completed(script, tmp_path, "chat", "--no-h") == ["--no-history"]
    assert completed(script, tmp_path, "config", "ch") == ["check"]
    assert completed(script, tmp_path, "completion", "z") == ["zsh"]
    assert "omnillm.toml" in completed(script, tmp_path, "config", "check", "omnillm.t")


def test_other_shells_have_a_completion_too(run: Run) -> None:
    """As text, or as JSON."""
    for shell, begins in (("zsh", "#compdef omnillm"), ("tcsh", "# AUTOMATICALLY")):
        assert run("completion", shell).out.startswith(begins)
        assert json.loads(run("completion", shell, "--json").out)["script"].startswith(begins)


def test_completion_says_what_it_needs() -> None:
    """In one line."""
    argv = terminal.command("completion", "bash", extra=False)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "omnillm: completion needs shtab: pip install 'omnillm[cli]'\n"


def test_typing_loads_nothing_of_the_extra() -> None:
    """A command that is piped, or asked for JSON, does not pay for tables."""
    code = "import sys; from omnillm.cli import main; main(['providers', '--json']); "
    code += "print({'rich', 'rich_argparse', 'shtab', 'prompt_toolkit'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "set()\n"
