"""In a real kernel: what cells show, streams that are drawn as they arrive, and cells that are interrupted."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

import nbformat
import own_process
from jupyter_client.manager import KernelManager
from notebooks import executed

from omnillm.config import KeyConfig
from omnillm.contrib.jupyter import show
from omnillm.errors import ConfigurationError, StreamInterruptedError
from omnillm.testing import LocalProvider, ScriptedServer, break_stream
from omnillm.testing.scripted import expect, hang, send, stall

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
CHUNK = 'data: {"choices": [{"index": 0, "delta": {"content": "begun <b>"}}]}\n\n'
STREAM = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{len(CHUNK):x}\r\n{CHUNK}\r\n"
SETUP = """
import os
from omnillm import GatewayBuilder, KeyConfig, ProviderEndpoint
from omnillm.contrib.jupyter import show

def gateway_to(url):
    endpoint = ProviderEndpoint.openai_compatible(f"{url}/v1")
    return GatewayBuilder(endpoint).default_model("m").add_key(KeyConfig("sk-CANARY-kernel", "only")).build()
"""
HELD = "print([(key.tpm_inflight, key.available) for key in gateway.pool_status()], gateway._core.allowance.in_flight)"


class Kernel:
    """A kernel in a process of its own."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.run(SETUP)

    def begin(self, code: str) -> str:
        return str(self.client.execute(code, store_history=False))

    def outputs(self, of: str) -> list[dict[str, Any]]:
        """Give what a cell put out, up to its end."""
        found: list[dict[str, Any]] = []
        while True:
            message = self.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") != of:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found
            found.append({"type": message["msg_type"], **message["content"]})

    def run(self, code: str) -> list[dict[str, Any]]:
        return self.outputs(self.begin(code))

    def printed(self, code: str) -> str:
        return text_of(self.run(code))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def text_of(outputs: list[dict[str, Any]]) -> str:
    return "".join(output["text"] for output in outputs if output["type"] == "stream")


def drawn(outputs: list[dict[str, Any]]) -> list[str]:
    kinds = ("display_data", "update_display_data")
    return [output["data"]["text/markdown"] for output in outputs if output["type"] in kinds]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(home / name))
        kernel = Kernel()
        yield kernel
        kernel.close()


def test_the_notebook_shows_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example runs in a kernel, and puts out what is stored in it; keys that took turns may have served otherwise."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    stored, now = nbformat.read(NOTEBOOK, as_version=4), executed(NOTEBOOK)
    for before, after in zip(stored.cells, now.cells, strict=True):
        masked = before.source == "gateway"
        now_shown = shown(after, masked=masked)
        assert shown(before, masked=masked) == now_shown, "python tests/shared/notebooks.py examples/notebook.ipynb"
    assert "<table>" in str(now.cells)
    assert "### Three cities" in str(now.cells)


def shown(cell: Any, *, masked: bool) -> str:
    """Give what a cell put out; keys are chosen at random."""
    outputs = [{**output, "execution_count": None} for output in cell.get("outputs", ())]
    text = re.sub(r"key (first|second)", "key one of two", json.dumps(outputs, sort_keys=True))
    return re.sub(r"\d+", "n", text) if masked else text


def test_the_notebook_holds_nothing_of_where_it_ran() -> None:
    """What is stored has no path, no address, no time and no key."""
    text = NOTEBOOK.read_text("utf-8")
    assert not re.search(r"/tmp|/home|127\.0\.0\.1|\d+ ?ms|Traceback|stderr", text)
    assert len(text) < 20_000


def test_a_stream_is_drawn_as_it_arrives(kernel: Kernel) -> None:
    """A stream is drawn several times in one place, and at last as its response; what a model says is no HTML."""
    with ScriptedServer([expect(), send(STREAM.encode()), stall()]) as server:
        cell = kernel.begin(f"gateway = gateway_to({server.base_url!r})\nshow(gateway.stream('hi'), every=0)")
        until(lambda: "begun" in str(peek(kernel, cell)))
        kernel.manager.interrupt_kernel()
        kernel.outputs(cell)
    with LocalProvider() as provider:
        outputs = kernel.run(
            f"gateway = gateway_to({provider.base_url!r})\nstream = gateway.stream('one <b>two</b> three')\nshow(stream, every=0)"
        )
    first, *updates = [output for output in outputs if "data" in output]
    assert first["type"] == "display_data"
    assert {update["type"] for update in updates} == {"update_display_data"}
    assert {update["transient"]["display_id"] for update in updates} == {first["transient"]["display_id"]}
    assert drawn(outputs)[-1].startswith("echo: one &lt;b>two&lt;/b> three\n\n`m · ")
    assert len(updates) >= 2


def peek(kernel: Kernel, cell: str) -> list[Any]:
    try:
        message = kernel.client.get_iopub_msg(timeout=0.1)
    except Empty:
        return []
    return [message["content"]]


def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end


@pytest.mark.parametrize("what", ["gateway.call('hi')", "show(gateway.stream('hi'))", "list(gateway.map(['a', 'b', 'c']))"])
def test_an_interrupted_cell_holds_nothing(kernel: Kernel, what: str) -> None:
    """A cell that hangs in a call, a stream or a map is interrupted: the keys are free, and the connections closed."""
    with ScriptedServer([expect(), hang()]) as server:
        cell = kernel.begin(f"gateway = gateway_to({server.base_url!r})\n{what}")
        until(lambda: server.requests)
        assert server.connections >= 1
        kernel.manager.interrupt_kernel()
        outputs = kernel.outputs(cell)
        assert [output["ename"] for output in outputs if output["type"] == "error"] == ["KeyboardInterrupt"]
        until(lambda: kernel.printed(HELD) == "[(0, True)] 0\n")
        assert "CANARY" not in str(outputs)
        assert "ok" in kernel.printed("gateway.close(); print('ok')")


def test_an_interrupted_stream_keeps_what_came(kernel: Kernel) -> None:
    """Where a cell is interrupted while a stream is drawn, what came stays in it, and the stream is closed."""
    with ScriptedServer([expect(), send(STREAM.encode()), stall()]) as server:
        cell = kernel.begin(f"gateway = gateway_to({server.base_url!r})\nstream = gateway.stream('hi')\nshow(stream, every=0)")
        found: list[Any] = []
        until(lambda: found.extend(peek(kernel, cell)) or "begun" in str(found))
        kernel.manager.interrupt_kernel()
        outputs = kernel.outputs(cell)
        assert drawn(outputs)[-1] == "begun &lt;b>"
        assert outputs[-1]["ename"] == "KeyboardInterrupt"
        assert kernel.printed(HELD) == "[(0, True)] 0\n"
        assert kernel.printed("print(stream)") == "<GatewayStream 'm' over>\n"


def test_the_magic(kernel: Kernel) -> None:
    """With the extension a cell is a prompt, its response may be kept, and a wrong name is said in a line."""
    with LocalProvider() as provider:
        kernel.run(f"%load_ext omnillm.contrib.jupyter\nmine = gateway_to({provider.base_url!r})")
        outputs = kernel.run("%%llm mine --output answer --model other\nSay hello\nin French")
        assert drawn(outputs)[-1].startswith("echo: Say hello\nin French\n\n`other · ")
        assert kernel.printed("print(answer.model, answer.text)") == "other echo: Say hello\nin French\n"
        (table,) = [output["data"]["text/html"] for output in kernel.run("mine.pool_status()") if "data" in output]
        assert table.startswith("<table>")
        assert "only" in table
        assert not [output for output in kernel.run("[1, 2]") if "text/html" in output.get("data", ())]
    wrong = kernel.run("%%llm nothing\nhi")
    assert "nothing is no gateway" in str(wrong)
    assert "Traceback" not in str(wrong)


def test_the_bar_of_map(kernel: Kernel) -> None:
    """A map's progress is shown in a notebook, too; without ipywidgets as text."""
    with LocalProvider() as provider:
        outputs = kernel.run(
            f"gateway = gateway_to({provider.base_url!r})\nprint(len(list(gateway.map(['a'] * 3, progress=True))))"
        )
    said = text_of(outputs)
    assert "3\n" in said
    assert "3/3" in str(outputs)
    assert "Warning" not in said


COLD = """
import sys, omnillm
from omnillm.testing import LocalProvider
with LocalProvider() as p, omnillm.GatewayBuilder(p.endpoint("chat_completions")).default_model("m").add_key(
    omnillm.KeyConfig("sk-1")
).build() as gateway:
    gateway.call("hi")
loaded = [name for name in sys.modules if name.partition(".")[0] in ("IPython", "opentelemetry")]
print(loaded, [name for name in sys.modules if name.endswith("_display") or name.startswith("omnillm.contrib")])
"""


def test_the_cold_start_is_as_it_was() -> None:
    """Whoever imports the package and calls loads neither IPython nor OpenTelemetry nor what draws."""
    assert own_process.run(COLD, prelude="") == "[] []\n"


# --- without a kernel -----------------------------------------------------------------------------------------------------------


def test_without_a_notebook_the_text_is_printed(provider: LocalProvider, build: Any) -> None:
    """In a terminal, or a script, a stream's text is written as it comes; so are texts of any kind."""
    gateway = build(provider)
    out = io.StringIO()
    with redirect_stdout(out):
        show(gateway.stream("one two"))
        show(gateway.stream("three").text())
        show(["a", "b"])
    assert out.getvalue() == "echo: one two\necho: three\nab\n"


def test_a_stream_that_breaks_off(provider: LocalProvider, build: Any) -> None:
    """What came is shown, and the error is raised."""
    provider.script(break_stream(4))
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(StreamInterruptedError):
        show(build(provider).stream("one two three four five"))
    assert out.getvalue().startswith("echo")


def test_what_cannot_be_drawn_is_closed(provider: LocalProvider, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the screen is there, the stream is closed all the same; a wrong option is refused before."""
    gateway = build(provider, [KeyConfig("sk-1", "k1")])
    stream = gateway.stream("hi")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(AttributeError):
        show(stream)
    assert gateway.pool_status()[0].tpm_inflight == 0
    with pytest.raises(ConfigurationError, match="every"):
        show([], every=-1)


def test_a_text_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a notebook a stream is printed, but for its control characters."""
    show(["a \x1b[31mred", "\x9b2J word"])
    assert capsys.readouterr().out == "a [31mred2J word\n"


def test_a_gateway_shows_its_keys_and_budgets(provider: LocalProvider, build: Any) -> None:
    """Keys, models with limits of their own and budgets are tables, in HTML and in Markdown; no key is shown."""
    gateway = build(provider, [KeyConfig("sk-CANARY-1", "<b>first</b>")], budget_limit_usd=5000)
    gateway.call("hi")
    html, markdown = gateway._repr_html_(), gateway._repr_markdown_()
    assert html.count("<table>") == 2
    assert "&lt;b&gt;first&lt;/b&gt;" in html
    assert "| gateway | $" in markdown
    assert "CANARY" not in html + markdown
    gateway.close()
    assert gateway._repr_html_() == html
