"""The command line, in this process: results on stdout, the rest on stderr, exit codes that scripts can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fixtures import CANARY, Run

from omnillm import ProviderProtocol, StreamEmitter, encode_sse, parse_request
from omnillm.config.reference import reference
from omnillm.providers.page import page
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider, fail
from omnillm.types.events import Completed, TextDelta
from omnillm.types.message import Message
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
COMMANDS = [
    "demo",
    "call",
    "stream",
    "chat",
    "embed",
    "transcode",
    "sanitize",
    "config",
    "providers",
    "prices",
    "models",
    "status",
]
COMMANDS += ["completion"]


# --- call and stream ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["call", "stream"])
def test_a_prompt_is_answered(run: Run, provider: LocalProvider, command: str) -> None:
    """As an argument, or piped in."""
    for given in (
        run(command, "openai/m", "hello there"),
        run(command, "openai/m", stdin="hello there"),
        run(command, "openai/m", "-", stdin="hello there"),
    ):
        assert (given.code, given.out, given.err) == (0, "echo: hello there\n", "")
    assert {request.json["model"] for request in provider.requests} == {"m"}


def test_what_is_asked_goes_along(run: Run, provider: LocalProvider) -> None:
    """Instructions, the cap of the output, the temperature; and where to."""
    with LocalProvider() as other:
        done = run(
            "call", "openai/m", "hello", "--instructions", "Be brief.", "--max-output-tokens", "9", "--temperature", "0.5",
            "--base-url", f"{other.base_url}/v1", "--timeout", "5",
        )  # fmt: skip
        assert done.code == 0
        request = parse_request(ProviderProtocol.OPENAI_RESPONSES, other.requests[0].body)
    assert provider.requests == ()
    assert (request.instructions, request.generation.max_output_tokens, request.generation.temperature) == ("Be brief.", 9, 0.5)


def test_json_is_the_whole_response(run: Run, provider: LocalProvider) -> None:
    """With what only a gateway knows; no key in it."""
    done = run("call", "openai/gpt-4.1-mini", "hello", "--json")
    value = json.loads(done.out)
    assert value["output"][0]["role"] == "assistant"
    assert (value["meta"]["text"], value["meta"]["key_label"]) == ("echo: hello", "key-1")
    assert value["meta"]["attempts"][0]["status"] == 200
    assert value["meta"]["cost_usd"] > 0
    assert CANARY not in done.out


def test_json_of_a_stream_is_an_event_a_line(run: Run, provider: LocalProvider) -> None:
    """The last one is the whole response."""
    lines = [json.loads(line) for line in run("stream", "openai/m", "one two", "--json").out.splitlines()]
    assert "".join(line["delta"] for line in lines if line["type"] == "text_delta") == "echo: one two"
    assert [line["type"] for line in lines][-1] == "completed"


def test_a_configuration_says_where_to(
    run: Run, provider: LocalProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, one of its gateways, its own model or another; ``-`` alone is the environment's."""
    file = tmp_path / "omnillm.toml"
    keys = 'keys = ["${OPENAI_API_KEY}"]'
    file.write_text(
        f'[gateways.a]\nmodel = "openai/own"\nbase_url = "{provider.base_url}/v1"\n{keys}\n[gateways.b]\nmodel = "x/y"\n'
    )
    assert run("call", "-", "hello", "--config", str(file), "--gateway", "a").code == 0
    assert run("call", "other/model", "hello", "--config", str(file), "--gateway", "a").code == 0
    monkeypatch.setenv("OMNILLM_MODEL", "openai/of-the-environment")
    assert run("call", "-", "hello").code == 0
    assert [request.json["model"] for request in provider.requests] == ["own", "other/model", "of-the-environment"]


# --- errors -------------------------------------------------------------------------------------------------------------------

WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("call", "opnai/m", "hi"), 1, "omnillm: provider: 'opnai' is unknown: did you mean 'openai'?"),
    (("call", "m", "hi"), 1, "omnillm: model: expected 'provider/model'"),
    (("call", "groq/m", "hi"), 1, "omnillm: groq needs a key: set the environment variable GROQ_API_KEY"),
    (("call", "-", "hi"), 1, "omnillm: OMNILLM_MODEL is not set"),
    (("call", "m", "hi", "--config", "nowhere.toml"), 1, "omnillm: nowhere.toml: no such file"),
    (("call", "openai/m", "hi", "--timeout", "0"), 1, "omnillm: timeout: expected a positive number"),
    (("call", "openai/m", "hi", "--gateway", "a"), 2, "omnillm: --gateway: names a gateway of --config, which is not given"),
    (("call", "m", "hi", "--config", "x", "--base-url", "https://x"), 2, "omnillm: --base-url: the file says where"),
    (("call", "openai/m", " "), 2, "omnillm: prompt: expected a text, got none"),
    (("call", "openai/m"), 2, "omnillm: prompt: expected a text, got none"),
    (("sanitize",), 1, "omnillm: not JSON"),
    (("sanitize", "--secret-env", "NOT_SET_HERE"), 1, "omnillm: environment variable NOT_SET_HERE is not set"),
    (("transcode", "--from", "chat_completions", "--to", "gemini_generate_content"), 1, "omnillm: not JSON"),
    (("config", "check", "nowhere.toml"), 1, "omnillm: nowhere.toml: no such file"),
]


@pytest.mark.parametrize(("argv", "code", "said"), WRONG, ids=[" ".join(argv)[:50] for argv, _, _ in WRONG])
def test_an_error_is_one_line(
    run: Run, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], code: int, said: str
) -> None:
    """On stderr, without a traceback, and an exit code; as JSON where that was asked for."""
    for row in PRESETS.values():
        for name in row.key_variables:
            if name != "OPENAI_API_KEY":
                monkeypatch.delenv(name, raising=False)
    done = run(*argv)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(said)
    assert done.err.count("\n") == 1
    error = json.loads(run(*argv, "--json").err)["error"]
    assert f"omnillm: {error['message']}\n" == done.err
    assert error["type"].endswith("Error")
    assert provider.requests == ()


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("fly",),
        ("call",),
        ("transcode",),
        ("transcode", "--from", "x", "--to", "y"),
        ("config",),
        ("call", "a/b", "c", "--timeout", "soon"),
        ("transcode", "--from", "responses", "--to", "responses", "--stream", "--response"),
    ],
)
def test_wrong_usage_exits_with_two(run: Run, argv: tuple[str, ...]) -> None:
    """And says how it is used."""
    done = run(*argv)
    assert done.code == 2
    assert done.err.startswith("usage: omnillm")


def test_an_unknown_format_is_answered_with_those_there_are(run: Run) -> None:
    """Formats go by their own names and by their protocols'."""
    said = run("transcode", "--from", "anthropc", "--to", "responses").err
    assert "argument --from: unknown format 'anthropc': expected one of open_ai_responses" in said.replace("\n", " ")


def test_a_failed_call_is_one_line(run: Run, provider: LocalProvider) -> None:
    """Whatever the provider said, in one line and without the key."""
    provider.script(fail(400, message=f"no such\n  thing as {CANARY}"))
    done = run("call", "openai/m", "hi")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "no such thing as <redacted>" in done.err


def test_an_error_of_no_kind_of_ours_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its class, as a person would ask for that next."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(json, "dumps", broken)
    done = run("sanitize", stdin="{}")
    assert (done.code, done.err) == (1, "omnillm: ZeroDivisionError: division by zero\n")


# --- transcode ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"), [("chat_completions", "anthropic_messages"), ("open_ai_chat_completions", "claude_messages")]
)
def test_a_request_is_rewritten(run: Run, source: str, target: str) -> None:
    """The result on stdout; nothing is lost, nothing is said."""
    for strict in ((), ("--strict",)):
        done = run("transcode", "--from", source, "--to", target, *strict, stdin=json.dumps(CHAT))
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["messages"] == CHAT["messages"]


def test_losses_are_named_and_strict_exits_with_three(run: Run) -> None:
    """The result is there all the same."""
    argv, lossy = ("transcode", "--from", "chat_completions", "--to", "anthropic_messages"), json.dumps({**CHAT, "seed": 7})
    loose, strict = run(*argv, stdin=lossy), run(*argv, "--strict", stdin=lossy)
    assert (loose.code, strict.code) == (0, 3)
    assert loose.out == strict.out
    assert loose.err == strict.err
    assert loose.err.startswith("lost: /generation/seed: ")
    report = json.loads(run(*argv, "--json", "--strict", stdin=lossy).out)
    assert (report["bridged"], report["lossy"], report["losses"][0]["pointer"]) == (True, True, "/generation/seed")
    assert report["value"] == json.loads(loose.out)


def answer() -> LlmResponse:
    return LlmResponse(
        (Message.assistant("Ciao"),), TokenUsage(3, 1), "m", ProviderProtocol.OPENAI_CHAT_COMPLETIONS, finish_reason="stop"
    )  # type: ignore[arg-type]


def test_a_response_is_rewritten(run: Run) -> None:
    """With ``--response``."""
    body = {
        "id": "c", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ciao"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }  # fmt: skip
    done = run("transcode", "--response", "--from", "chat_completions", "--to", "gemini_generate_content", stdin=json.dumps(body))
    assert json.loads(done.out)["candidates"][0]["content"]["parts"] == [{"text": "Ciao"}]


def streamed() -> bytes:
    emitter = StreamEmitter(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)
    frames = [frame for event in (TextDelta("Ci"), TextDelta("ao"), Completed(answer())) for frame in emitter.feed(event)]
    return b"".join(encode_sse(frame) for frame in (*frames, *emitter.finish()))


def test_a_stream_is_rewritten_event_by_event(run: Run) -> None:
    """As an event stream, or with ``--json`` a frame a line; one that breaks off is an error after what there was."""
    argv = ("transcode", "--stream", "--from", "chat_completions", "--to", "anthropic_messages")
    done = run(*argv, stdin=streamed())
    assert done.code == 0
    assert done.out.startswith("event: message_start\ndata: {")
    assert '"text":"Ci"' in done.out
    assert done.out.rstrip().endswith('data: {"type":"message_stop"}')
    frames = [json.loads(line) for line in run(*argv, "--json", stdin=streamed()).out.splitlines()]
    assert [frame["event"] for frame in frames][-1] == "message_stop"
    broken = run(*argv, stdin=streamed()[:-40].rpartition(b"data")[0].rpartition(b"data")[0])
    assert broken.code == 1
    assert '"text":"Ci"' in broken.out
    assert broken.err.startswith("omnillm: ")


# --- sanitize -----------------------------------------------------------------------------------------------------------------


def test_a_value_is_sanitised(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any JSON value; and what a variable holds is taken out wherever it stands."""
    done = run("sanitize", stdin='{"api_key": "x", "a": ["b"]}')
    assert (done.code, json.loads(done.out)) == (0, {"api_key": "<redacted:api_key>", "a": ["b"]})
    monkeypatch.setenv("MY_SECRET", "hunter-two-2")
    done = run("sanitize", "--json", "--secret-env", "MY_SECRET", stdin='["so hunter-two-2 it is"]')
    assert json.loads(done.out) == ["so <redacted:key> it is"]


def test_a_fixture_is_sanitised_by_its_parts(run: Run) -> None:
    """Headers by the list, the path by its query; a recording of several too."""
    fixture = {
        "wire_format": "open_ai_responses",
        "request": {"method": "POST", "path": "/responses?ak=x", "headers": {"x-team": "y"}},
        "response": {"status": 200},
    }
    clean = json.loads(run("sanitize", stdin=json.dumps(fixture)).out)
    assert clean["request"]["path"] == "/responses?ak=<redacted:ak>"
    assert clean["request"]["headers"] == {"x-team": "<redacted:x-team>"}
    recording = {"version": 1, "exchanges": [fixture]}
    assert json.loads(run("sanitize", stdin=json.dumps(recording)).out) == {"version": 1, "exchanges": [clean]}


# --- config -------------------------------------------------------------------------------------------------------------------


def test_a_file_is_checked_gateway_by_gateway(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each, without a secret; what is wrong on stderr."""
    monkeypatch.setenv("KEY_A", CANARY)
    file = tmp_path / "omnillm.toml"
    good = '[gateways.a]\nmodel = "openai/m"\nbudget_usd = 2.5\n'
    good += 'keys = [{ key = "${KEY_A}", label = "one" }]\nfallbacks = ["ollama/n"]\n'
    file.write_text(good)
    done = run("config", "check", str(file))
    said = (
        "a: m at open_ai_responses@api.openai.com then open_ai_chat_completions@localhost:11434; keys one, key-2; budget $2.5\n"
    )
    assert (done.code, done.out, done.err) == (0, said, "")
    file.write_text(good + '[gateways.b]\nmodel = "openai/m"\nbudget_us = 2\n')
    done = run("config", "check", str(file))
    assert (done.code, done.out) == (1, said)
    assert done.err == f"omnillm: {file}: gateways.b.budget_us: unknown field: did you mean 'budget_usd'?\n"
    told = json.loads(run("config", "check", str(file), "--json").out)
    assert [(line["gateway"], line["ok"]) for line in told] == [("a", True), ("b", False)]
    assert CANARY not in json.dumps(told)


def test_a_file_with_one_gateway_is_checked(run: Run, tmp_path: Path) -> None:
    """At the top of the file it has no name; an empty table of gateways is nothing good."""
    file = tmp_path / "omnillm.toml"
    file.write_text('provider = "ollama"\n')
    done = run("config", "check", str(file))
    assert done.out == "(the file): any model at open_ai_chat_completions@localhost:11434; keys key-1; budget none\n"
    file.write_text("[gateways]\n")
    assert run("config", "check", str(file)).err == f"omnillm: {file}: gateways: is empty\n"


def test_the_pages_are_printed(run: Run) -> None:
    """As they are in the documentation."""
    for command, text in (("docs", reference()), ("providers", page())):
        assert run("config", command).out == text
        assert json.loads(run("config", command, "--json").out) == {"markdown": text}


# --- help ---------------------------------------------------------------------------------------------------------------------


def test_every_command_has_help_and_json(run: Run) -> None:
    """The exit codes are in it, and the page of the commands names every option."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    pages = [("config", "check"), ("config", "docs"), ("config", "providers")]
    for argv in [*((name,) for name in COMMANDS if name != "config"), *pages]:
        done = run(*argv, "--help")
        assert done.code == 0
        assert "--json" in done.out
        assert "3 lossy" in done.out
        options = {word.strip("[],") for word in done.out.split() if word.strip("[],").startswith("--")}
        assert [option for option in options - {"--help"} if option not in page] == []
    assert all(f"omnillm {command}" in page for command in COMMANDS)


def test_the_version_is_printed(run: Run) -> None:
    """As ``omnillm 0.1.0``."""
    import omnillm

    assert run("--version").out == f"omnillm {omnillm.__version__}\n"
