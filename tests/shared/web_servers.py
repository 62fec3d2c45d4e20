"""Real servers of the tests' sites, each in processes of its own on a loopback port, and clients that speak HTTP to them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import omnillm

ROOT = Path(omnillm.__file__).parent.parent
SHARED = Path(__file__).parent
PATIENCE_S = 60.0  # a busy machine takes long to begin
WORKERS = 2
TWO = ("--workers", str(WORKERS))
KINDS = {
    "sync": ("--worker-class", "sync", *TWO),
    "gthread": ("--worker-class", "gthread", "--threads", "8", *TWO),
    "gevent": ("--worker-class", "gevent", *TWO),
    "sync, preloaded": ("--worker-class", "sync", *TWO, "--preload"),
    "gthread, preloaded": ("--worker-class", "gthread", "--threads", "8", *TWO, "--preload"),
    "gevent, preloaded": ("--worker-class", "gevent", *TWO, "--preload"),
    "gevent, patched, preloaded": ("--worker-class", "gevent", *TWO, "--preload", "--config", str(SHARED / "web_gunicorn.py")),
}


class Site:
    """A server that is running: its port, its process, and what the provider behind it was asked."""

    def __init__(self, port, process, provider, workers):
        self.port = port
        self.process = process
        self.provider = provider
        self.workers = workers

    def open(self, path):
        """Send a request, and give the connection with its answer, whose body is not read yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def get(self, path):
        """Give the status, the headers and the body of an answer."""
        connection, response = self.open(path)
        try:
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def statuses(self):
        """Give what each process holds, by its id; asks until every process has answered."""
        found = {}
        until = time.monotonic() + PATIENCE_S
        while len(found) < self.workers and time.monotonic() < until:
            with ThreadPoolExecutor(4) as pool:
                for _, _, body in pool.map(self.get, ["/status/"] * 4):
                    told = json.loads(body)
                    found[told["pid"]] = told
        return found

    def wait_free(self, is_free):
        """Wait until no process holds anything; give what is held at last."""
        until = time.monotonic() + PATIENCE_S
        while True:
            found = self.statuses()
            if (len(found) == self.workers and all(map(is_free, found.values()))) or time.monotonic() > until:
                return found
            time.sleep(0.05)


@contextmanager
def gunicorn(app, provider, kind, **variables):
    """Serve an app by gunicorn."""
    command = [sys.executable, "-m", "gunicorn", *KINDS[kind], "--log-level", "warning", "--graceful-timeout", "5"]
    with _served(lambda fd: [*command, "--bind", f"fd://{fd}", app], provider, WORKERS, variables) as site:
        yield site


@contextmanager
def uvicorn(app, provider, **variables):
    """Serve an app by uvicorn."""
    command = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    with _served(lambda fd: [*command, "--fd", str(fd), app], provider, 1, variables) as site:
        yield site


@contextmanager
def _served(command, provider, workers, variables):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(SHARED)]),
        "LLM_BASE_URL": f"{provider.base_url}/v1",
        "OPENAI_API_KEY": "sk-of-the-site",
        "HEARTBEAT": "0.1",
        **variables,
    }
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)  # who comes before the server is up waits here
        process = subprocess.Popen(
            command(listener.fileno()),
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield Site(listener.getsockname()[1], process, provider, workers)
        finally:
            said = _ended(process)
            print(said)  # with a failure, pytest shows it
    assert process.returncode in (0, -signal.SIGTERM), said
    assert "Traceback" not in said, said


def _ended(process):
    process.terminate()
    try:
        return process.communicate(timeout=PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "Traceback: the server did not end"


def at_once(work, items):
    """Do the work for each item, all in threads that begin together; give the results in order."""
    items = list(items)
    barrier = threading.Barrier(len(items))

    def begin(item):
        barrier.wait(PATIENCE_S)
        return work(item)

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(begin, items))


def events_of(text):
    """Read server-sent events as a browser does: pairs of a name and its data; comments are none."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def text_of(events):
    """Give the text of events."""
    return "".join(data["text"] for name, data in events if name == "text")


def asks(path, text):
    """Give the path with a question."""
    return f"{path}?q={quote(text)}"
