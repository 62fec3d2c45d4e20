"""The README and the guides are true: their code runs, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnillm.testing import LocalProvider

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
INSIDE = {path.stem for path in (ROOT / "omnillm" / "contrib").iterdir()}  # tests/contrib runs their pages, in their frameworks
CODE = [
    (f"{page.name}-{n}", code)
    for page in PAGES
    if page.stem not in INSIDE
    for n, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]
ENDPOINTS = {
    "ProviderEndpoint.openai_chat_completions()": "provider.endpoint('chat_completions')",
    "ProviderEndpoint.claude_messages()": "provider.endpoint('claude_messages')",
}


@pytest.mark.parametrize("code", [code for _, code in CODE], ids=[name for name, _ in CODE])
def test_every_python_block_runs_as_written(code, monkeypatch, capsys, tmp_path):
    """A block of a page runs, with the local provider in the place of the real ones."""
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r'from_env\("(\w+)"', code):
        monkeypatch.setenv(name, f"sk-of-{name.lower()}")
    for real, local in ENDPOINTS.items():
        code = code.replace(real, local)
    with LocalProvider() as provider:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.base_url}/v1")  # where connect("openai/…") leads
        scope = {"__name__": "readme", "provider": provider}
        try:
            exec(compile(code, "block", "exec", dont_inherit=True), scope)
        finally:
            if "gateway" in scope:
                scope["gateway"].close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """A relative link names a file or folder that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_names_the_two_commands():
    """The commands that set everything up stand in the README as they are run."""
    text = PAGES[0].read_text(encoding="utf-8")
    assert "python -m pip install . && python -m omnillm demo" in text
    assert "python -m pip install tox && python -m tox" in text
