"""The recipes of the pages on Django and Flask, as they are written: their files, their commands, real servers."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from web_servers import PATIENCE_S, ROOT, events_of, text_of

from omnillm.contrib._gateways import Gateways
from omnillm.testing import LocalProvider, fail

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"^(At the end of )?\*\*`([\w/.]+)`\*\*:\n\n```py\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Recipe:
    """A page's recipe in a folder: its files, its commands, and the provider in the place of the real one."""

    def __init__(self, name, folder, provider):
        self.text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        self.folder = folder
        self.commands = [line for block in SHELL.findall(self.text) for line in block.splitlines()]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
            "OPENAI_BASE_URL": f"{provider.base_url}/v1",
            "OPENAI_API_KEY": "sk-of-the-page",
            "PYTHONWARNINGS": "error",
        }

    def write(self):
        """Write the files."""
        for at_end, path, code in FILE.findall(self.text):
            file = self.folder / path
            before = file.read_text(encoding="utf-8") if at_end else ""
            file.write_text(before + code, encoding="utf-8")

    def command(self, start):
        """Give the command that starts like that, for this interpreter."""
        found = next(line for line in self.commands if line.startswith(start))
        program, *rest = found.split()
        known = {"python": [], "gunicorn": ["-m", "gunicorn"], "flask": ["-m", "flask"], "django-admin": ["-m", "django"]}
        return [sys.executable, *known[program], *rest]

    def run(self, start):
        """Run a command of the page; give what it printed."""
        command = self.command(start)
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "sk-of-the-page" not in done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def served(self):
        """Run the page's server; give its port."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            command = [*self.command("gunicorn"), "--bind", f"fd://{listener.fileno()}", "--log-level", "warning"]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, pass_fds=[listener.fileno()], start_new_session=True
            )
            try:
                yield listener.getsockname()[1]
            finally:
                process.terminate()
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise


@pytest.fixture
def provider():
    with LocalProvider() as provider:
        yield provider


def ask(port, method, path, fields=None, headers=None):
    """Make a request as the page's script does; give the answer and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        told = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        connection.request(method, path, urlencode(fields or {}), told)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def is_the_page(body):
    """See that the script came as it was meant, its own escapes included."""
    assert "<title>Chat</title>" in body
    assert r'(rest + part).split("\n\n")' in body
    assert r"/^event: (.*)\ndata: (.*)$/" in body


def told(port, path, provider, headers=None):
    """Ask the page's server for an answer, and for one that the provider refuses."""
    response, body = ask(port, "POST", path, {"q": "one two"}, headers)
    assert response.status == 200, body
    events = events_of(body)
    assert text_of(events) == "echo: one two"
    assert events[-1] == ("done", {"finish_reason": "stop"})
    provider.script(fail(400))
    response, body = ask(port, "POST", path, {"q": "one two"}, headers)
    assert (response.status, '"code"' in body) == (422, True)


def test_the_recipe_of_django_runs_as_written(tmp_path, provider):
    """A project with the page's files passes its checks, tells its status, and serves the chat."""
    recipe = Recipe("django", tmp_path, provider)
    recipe.run("django-admin")
    recipe.write()
    assert "no issues" in recipe.run("python manage.py check")
    assert "prod" in recipe.run("python manage.py omnillm_status")
    with recipe.served() as port:
        response, body = ask(port, "GET", "/")
        is_the_page(body)
        cookie = response.headers["Set-Cookie"].split(";")[0]
        token = cookie.removeprefix("csrftoken=")
        told(port, "/chat/", provider, {"Cookie": cookie, "X-CSRFToken": token})


def test_the_recipe_of_flask_runs_as_written(tmp_path, provider):
    """An app of the page's file tells its status and serves the chat."""
    recipe = Recipe("flask", tmp_path, provider)
    recipe.write()
    assert "prod" in recipe.run("flask omnillm status")
    with recipe.served() as port:
        is_the_page(ask(port, "GET", "/")[1])
        told(port, "/chat", provider)


@pytest.mark.parametrize("page", ["django", "flask"])
def test_every_block_of_the_page_compiles(page):
    """What is no file of the recipe is Python, too."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for code in re.findall(r"^( *)```py\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        lines = [line.removeprefix(code[0]) for line in code[1].splitlines()]
        compile("\n".join(lines), page, "exec")


def test_the_gateway_with_a_shared_state_is_one(monkeypatch):
    """The page's callable gives a gateway, as a setting that is its path would; no server is asked for that."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-page")
    text = (DOCS / "django.md").read_text(encoding="utf-8")
    scope = {}
    exec(re.search(r"```py\n(from omnillm import GatewayBuilder.*?)^```", text, re.DOTALL | re.MULTILINE)[1], scope)
    with Gateways(lambda: {"default": scope["gateway"]}).get() as gateway:
        assert type(gateway._core.store).__name__ == "RedisState"
