"""The README and the pages of docs/ are true: their code runs, their commands parse, their links lead somewhere.

Every block of Python is run, those of a page in order and in one namespace, with the local provider in the place of the real
ones. A block that cannot be run says so above it, where readers see it (``*Not run: the reason.*``), and there are few of them.
"""

from __future__ import annotations

import gc
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES, ROOT, Block, blocks, commands

import omnillm
from omnillm import testing
from omnillm.cli import main
from omnillm.cli._parser import build_parser
from omnillm.config import GatewayConfig
from omnillm.config.schema import VARIABLES
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider

# a page whose code needs more than a block at a time; and one for each framework, inside of which tests/contrib runs its recipes
ELSEWHERE = {"adding-a-wire-format.md": "wire"}
ELSEWHERE |= {f"{path.stem}.md": "contrib" for path in (ROOT / "omnillm" / "contrib").iterdir() if not path.name.startswith("_")}
NOT_RUN_AT_MOST = 6
ENDPOINTS = {
    "ProviderEndpoint.openai_chat_completions()": "the_local_one.endpoint('chat_completions')",
    "ProviderEndpoint.claude_messages()": "the_local_one.endpoint('claude_messages')",
}
HERE = [page for page in PAGES if page.name not in ELSEWHERE]


def each_page(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(ROOT).as_posix())


NAMED = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
NEEDS_A_FILE = {"--config", "--resume", "check", "update"}
NEEDS_NO_KEY = {"models", "prices", "providers", "config", "completion", "demo"}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalProvider]:
    """A provider where OpenAI's and Anthropic's variables lead, in a folder of the test's own."""
    for name in (variable.name for variable in VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with LocalProvider() as it:
        for name, path in (("OPENAI", "/v1"), ("ANTHROPIC", "")):
            monkeypatch.setenv(f"{name}_API_KEY", f"sk-of-{name.lower()}")
            monkeypatch.setenv(f"{name}_BASE_URL", it.base_url + path)
        yield it


@each_page([page for page in HERE if blocks(page, "python", "py")])
def test_every_python_block_runs_as_written(page: Path, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, in one namespace; an error shows the page's line."""
    scope: dict[str, Any] = {"__name__": "page", "provider": provider, "the_local_one": provider}
    opened: dict[int, omnillm.Gateway] = {}
    try:
        for block in blocks(page, "python", "py"):
            if block.not_run is not None:
                continue
            for name in re.findall(r'from_env\("(\w+)"', block.code):
                monkeypatch.setenv(name, f"sk-of-{name.lower()}")
            exec(_led_here(block).compiled(), scope)
            opened |= {id(value): value for value in scope.values() if isinstance(value, omnillm.Gateway)}
    finally:
        for gateway in opened.values():
            gateway.close()
        gc.collect()


def _led_here(block: Block) -> Block:
    code = block.code
    for real, local in ENDPOINTS.items():
        code = code.replace(real, local)
    return Block(block.page, block.line, block.language, code, None)


def test_few_blocks_are_not_run() -> None:
    """Each says why; the pages that are run elsewhere have a test that reads them."""
    marked = [block for page in HERE for block in blocks(page, "python", "py", "bash", "toml", "json") if block.not_run]
    assert len(marked) <= NOT_RUN_AT_MOST
    assert all(len(block.not_run or "") > 10 for block in marked)
    for name, folder in ELSEWHERE.items():
        if (ROOT / "docs" / name).exists():
            tests = [test.read_text("utf-8") for test in (ROOT / "tests" / folder).glob("test_*.py")]
            assert any(name in text or (f'"{name[:-3]}"' in text and '.md"' in text) for text in tests), name


SHELL = [(block, argv, alone) for page in PAGES for block in blocks(page, "bash", "sh") for argv, alone in commands(block)]


@pytest.mark.parametrize(
    ("block", "argv", "alone"), SHELL, ids=[f"{b.page.name}:{b.line}-{' '.join(argv)[:40]}" for b, argv, _ in SHELL]
)
def test_every_command_is_one(
    block: Block, argv: list[str], alone: bool, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line parses; what stands alone and needs no key but OpenAI's or Anthropic's is run."""
    options = build_parser().parse_args(argv)
    model = str(getattr(options, "model", ""))
    needs_no_key = options.command in NEEDS_NO_KEY or model.startswith(("openai/", "anthropic/"))
    if alone and block.not_run is None and needs_no_key and not NEEDS_A_FILE & set(argv):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped in\n"), encoding="utf-8"))
        assert main(argv) == 0


@each_page([page for page in PAGES if blocks(page, "toml", "json")])
def test_every_configuration_is_read(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A block of TOML is a configuration, of which every gateway is made; one of JSON is JSON."""
    for row in PRESETS.values():
        for name in row.key_variables:
            monkeypatch.setenv(name, "sk-of-the-page")
    for block in blocks(page, "toml"):
        for name in re.findall(r"\$\{(\w+)\}", block.code):
            monkeypatch.setenv(name, "sk-of-the-page")
        file = tmp_path / "omnillm.toml"
        file.write_text(block.code, "utf-8")
        names = re.findall(r"^\[gateways\.(\w+)\]", block.code, re.MULTILINE)
        for gateway in names or [None]:
            assert GatewayConfig.from_file(file, name=gateway).routes
    for block in blocks(page, "json"):
        json.loads(block.code)


@each_page(PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file or folder that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_names_the_two_commands() -> None:
    """The commands that set everything up stand in the README as they are run."""
    text = PAGES[0].read_text(encoding="utf-8")
    assert "python -m pip install . && python -m omnillm demo" in text
    assert "python -m pip install tox && python -m tox" in text


def test_the_reference_has_every_public_name() -> None:
    """Once: those of the package and those of ``omnillm.testing``; the integrations are added when the site is made."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    named = sorted(name for page in pages for name in NAMED.findall(page.read_text("utf-8")))
    public = [f"omnillm.{name}" for name in omnillm.__all__] + [f"omnillm.testing.{name}" for name in testing.__all__]
    assert named == sorted(public)


def test_the_navigation_leads_somewhere() -> None:
    """Every page that it names is there, once."""
    listed = re.findall(r"[\w/-]+\.md$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]]
    assert set(listed) <= {*pages, "index.md", "security.md", "changelog.md", "reference/contrib.md"}
    assert len(listed) == len(set(listed))
