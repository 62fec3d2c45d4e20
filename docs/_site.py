"""What makes a site of these pages, beside ``mkdocs.yml``: the pages that stand outside this folder, and no way to another host.

The pages link to each other and to the sources as they do in the repository. Of the site, README, SECURITY and CHANGELOG are
pages too; a link to any other file outside is shown as its text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FROM_OUTSIDE = {"README.md": "index.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}
FRAMEWORKS = "In frameworks"
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)((?:#[^)\s]*)?)\)")
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//""", re.IGNORECASE
)


def on_config(config: Any) -> Any:
    """Put every page into the navigation: what ``mkdocs.yml`` does not name stands at the end of the frameworks."""
    text = str(config["nav"])
    rest = [page.name for page in sorted((ROOT / "docs").glob("*.md")) if f"'{page.name}'" not in text]
    next(section[FRAMEWORKS] for section in config["nav"] if FRAMEWORKS in section).extend(rest)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand outside, and the reference of the integrations that there are."""
    contrib = sorted(path.stem for path in (ROOT / "omnillm" / "contrib").iterdir() if not path.name.startswith("_"))
    integrations = "\n\n".join(["# Integrations", *(f"::: omnillm.contrib.{name}" for name in contrib)])
    files.append(File.generated(config, "reference/contrib.md", content=integrations))
    for name, page in FROM_OUTSIDE.items():
        text = (ROOT / name).read_text("utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(lambda link: _led(link, ROOT, Path()), text)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead the links of a page that lead outside."""
    if page.file.src_uri in FROM_OUTSIDE.values():
        return markdown
    here = ROOT / "docs" / Path(page.file.src_uri).parent
    return _LINK.sub(lambda link: _led(link, here, Path(page.file.src_uri).parent), markdown)


def _led(link: re.Match[str], here: Path, below: Path) -> str:
    """Give a link as the site has it: to a page, or, where there is none, its text."""
    text, target, anchor = link.groups()
    if "://" in target or target.startswith("mailto:"):
        return link[0]
    up = "../" * len(below.parts)
    path = (here / target).resolve()
    if path.is_relative_to(ROOT / "docs") and not path.is_dir():
        return f"[{text}]({up}{path.relative_to(ROOT / 'docs').as_posix()}{anchor})"
    outside = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    return f"[{text}]({up}{FROM_OUTSIDE[outside]}{anchor})" if outside in FROM_OUTSIDE else text


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that loads anything from another host: it must work offline, and tell nobody who reads it."""
    found = _LOADED.search(output)
    if found is not None:
        raise PluginError(f"{page.file.src_uri}: loads from another host: {found[0]}")
    return output
