"""The examples run as they are, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stores import kinds, url_of

from omnillm.testing import LocalProvider

ROOT = Path(__file__).parent.parent
SAID = {
    "basic_usage.py": ["question", "a: ", "b: ", "/12 requests", "spent $"],
    "streaming.py": ["count from one to five", "stop", "first words:", "in flight: 0"],
    "structured_output.py": ["Rome in a day on 01 May", "Walk(kind='walk', km=3.5)", "mismatch:", "/stops/0/km", "paid $", "[]"],
    "tools.py": ["['place']", '"degrees":22', "2750000", "2 calls, $", "KeyError: 'Atlantis'", "at /place/city"],
    "conversation.py": ["clock gave: 12:30 in UTC", "echo: Count to three", "8 items here, 10 in the copy", "What is my name?"],
    "batch_map.py": [
        "question 0 … echo: question 49",
        "BadRequestError - ",
        "LlmResponse - echo: b",
        "cancelled: ",
        "in flight: 0",
    ],
    "fallback.py": [
        "openai: gpt-4.1-mini 503",
        "claude: claude-haiku-4-5 200 ok",
        "another one answered first",
        "asked for gpt-4.1",
        "key: gpt-4.1-mini 200 ok",
    ],
    "embeddings.py": ["best: The red fox sleeps in the forest", "1000 embeddings in 3 requests", "spent $"],
    "audio.py": ["audio/wav: ", "('red', 0.5)", "00:00:00,000 --> ", "picture: PNG"],
    "azure.py": ["echo:| Count| to| five|", "$0.0000100", "content_filter: the prompt was filtered", "?api-version=2024-10-21"],
    "bedrock.py": ["echo:| Count| to| five|", "'account-b', 'api-key', 'api-key'", "Italian claude_messages", "-v1%3A0/converse"],
    "vertex.py": [
        "echo:| Count| to| five|",
        "Italian claude_messages",
        "claude-sonnet-4-5@20250929:rawPredict",
        "2 tokens for 3",
    ],
    "primitive.py": [
        "batch: succeeded",
        "answer: echo: two",
        "by the usage of the batch",
        "counted: {'input_tokens': ",
        "frames: response.created … response.completed",
        "listed: True False",
    ],
    "multi_endpoint_demo.py": [
        "open_ai_embeddings: POST /embeddings",
        "loses ['/encoding_format', '/user']",
        "bedrock: messages, embeddings, image_generations, rerank",
        "'<redacted:set-cookie>'",
    ],
    "realtime.py": [
        "echo: Count to three  (7 tokens)",
        "two turns cost $0.0001",
        "raw: 3 tokens",
        "broken off (cut), in flight: 0",
    ],
    "record_replay.py": ["2 exchanges, the key is in them: False", "played: echo:", "left over: 0", "/messages/0/content"],
    "transcoding.py": ['"input_schema"', "/generation/seed", '"tool_calls"'],
    "quickstart.py": ["echo: Say hello in French", "echo: Count to five", "spent $0.0000"],
    "shared_quota.py": [
        "16 calls, 10 answered, limit 10; all were sent: True",
        "shared: 10/10 requests; in flight: 0",
        "spent $0.0",
    ],
    "responses_live_demo.py": ["vision: m, ", "What is here?", "tool: weather({'city': 'Rome'})", "22 degrees and sunny"],
}


@pytest.fixture(scope="module")
def environment():
    """Where the variables that examples read lead to the local provider."""
    with LocalProvider() as provider:
        base = f"{provider.base_url}/v1"
        live = {
            "BASE_URL": base, "API_KEY": "sk-live", "VISION_MODEL": "m", "TOOL_MODEL": "m", "IMAGE_URL": "https://example.com/a.png",
            "VISION_PROMPT": "What is here?", "TOOL_PROMPT": 'call weather with {"city": "Rome"}',
        }  # fmt: skip
        live = {f"OMNILLM_RESPONSES_{name}": value for name, value in live.items()}
        yield {**os.environ, "OPENAI_API_KEY": "sk-example", "OPENAI_BASE_URL": base, "REDIS_URL": url_of(kinds()[0]), **live}


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-W", "error", *command]
    return subprocess.run(given, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False, env=env)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_the_example_runs_and_says_what_it_should(name, environment):
    """An example exits with 0, warns of nothing, and prints what it is about."""
    done = run(f"examples/{name}", env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in SAID[name]:
        assert words in done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"STREAM": "true"},
        {"PROTOCOL": "chat_completions", "AUTH_SCHEME": "header", "AUTH_NAME": "x-api-key"},
        {"PROTOCOL": "claude_messages", "EXTRA_HEADER_NAME": "x-team", "EXTRA_HEADER_VALUE": "search"},
    ],
)
def test_the_live_demo_speaks_as_it_is_told(variables, environment):
    """Streaming or not, over any protocol, with any way to show the key."""
    told = {f"OMNILLM_RESPONSES_{name}": value for name, value in variables.items()}
    done = run("examples/responses_live_demo.py", env={**environment, **told})
    assert (done.returncode, done.stderr) == (0, "")
    for words in SAID["responses_live_demo.py"]:
        assert words in done.stdout


def test_the_live_demo_says_which_variable_is_missing():
    """Before anything is sent, and the page of variables names each that it reads."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OMNILLM_")}
    done = run("examples/responses_live_demo.py", env=bare)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "set OMNILLM_RESPONSES_BASE_URL: see examples/.env.example\n"
    page = (ROOT / "examples" / ".env.example").read_text(encoding="utf-8")
    named = {line.partition("=")[0] for line in page.splitlines() if line and not line.startswith("#")}
    code = (ROOT / "examples" / "responses_live_demo.py").read_text(encoding="utf-8")
    read = {f"OMNILLM_RESPONSES_{part.partition(chr(34))[0]}" for part in code.split('setting("')[1:]}
    assert named == read


def test_the_demo_shows_every_step_on_one_screen():
    """The demo takes every step, prints at most forty lines, and shows no key."""
    done = run("-m", "omnillm", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) <= 40
    assert "NOT" not in done.stdout
    assert "sk-" not in done.stdout


def test_the_demo_can_fail():
    """A step that did not happen is named, and the exit code says so."""
    code = (
        "import omnillm.demo as demo, sys; tour = demo.Tour(); tour.show('a step', False, 'it did not'); "
        "sys.exit(0 if tour.missing == ['a step'] else 1)"
    )
    done = run("-c", code)
    assert done.returncode == 0
    assert "NOT  a step" in done.stdout
