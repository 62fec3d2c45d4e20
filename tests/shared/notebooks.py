"""Run a notebook in a kernel of its own, and give it with outputs that are the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

KEPT = {"text/plain", "text/html", "text/markdown"}


def executed(path: Path) -> Any:
    """Run all cells, anew, and give the notebook: without counts of time, bars, and what is shown of objects by default."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [_clean(output) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def _clean(output: Any) -> Any:
    output.get("metadata", {}).clear()
    if "data" in output:
        data = {kind: value for kind, value in output.data.items() if kind in KEPT}
        if len(data) > 1:
            data.pop("text/plain", None)
        output.data = data
    output.pop("transient", None)
    return output


if __name__ == "__main__":
    import sys

    nbformat.write(executed(Path(sys.argv[1])), sys.argv[1])
