"""The page on notebooks is true: its blocks are a notebook that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

import nbformat
from notebooks import executed

from omnillm.testing import LocalProvider

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)\n^```", (ROOT / "docs" / "jupyter.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_notebook_of_the_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of the page, cell by cell, run in a kernel and show what the page says."""
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block) for block in BLOCKS]), path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-CANARY-page-2")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with LocalProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.base_url}/v1")
        cells = [str(cell.outputs) for cell in executed(path).cells]
    shown = dict(zip([block.split("\n")[0][:14] for block in BLOCKS], cells, strict=True))
    assert "echo: Say hello in French" in shown['gateway.call("']
    assert "echo: Three cities" in shown["stream = gatew"]
    assert "<table>" in shown["stream.respons"]
    assert "echo: three" in shown["for answer in "]
    assert "<table>" in shown["gateway"]
    assert "echo: Say hello in German" in shown["%%llm --output"]
    assert "CANARY" not in str(cells)
