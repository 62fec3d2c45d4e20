"""What a notebook shows: tables in HTML and in Markdown, and answers in Markdown that can be nothing else.

A model's words are an attacker's where its prompt held some. In HTML they are escaped. In Markdown, which renderers read in ways
of their own, they keep their headings, lists and code, and lose what loads or runs something: HTML, pictures, and links that
lead elsewhere than to the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .report import ConversionReport
    from .response import LlmResponse
    from .usage import TokenUsage

Row = Sequence[Any]

MAX_CHARS = 200_000  # of an answer; a page with more is slow to look at
JOINER = "\u2060"  # a word joiner: seen by no reader, and no part of any syntax
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=\((?!\s*(?:https?://|mailto:|#))|\s*:)")  # a target, or a definition of one
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS = re.compile(r"`+")
_LANGUAGE = re.compile(r"[^\w+#.-].*")  # what is behind the first word, and what no language is called
_LINE_END = re.compile(r"\r\n|\n|\r")  # the renderers' own: not those of str.splitlines
_PIPES = str.maketrans({"|": "\\|"})


def markdown_of(response: LlmResponse) -> str:
    """Show an answer: its text, the tools it calls, and what it took."""
    parts = [harmless(response.content_text.rstrip())]
    if response.refusal is not None:
        parts += ["**Refused:**", harmless(response.refusal)]  # a paragraph of its own: a block of code begins a line
    calls = [(call.name, call.arguments_text()) for call in response.tool_calls]
    if calls:
        parts.append(markdown_table(("tool", "arguments"), calls))
    losses = response.request_losses
    if losses:
        parts.append(markdown_table(("lost", "why"), [(loss.pointer, loss.reason) for loss in losses]))
    parts.append(f"`{_LINE_END.sub(' ', ' · '.join(footer(response)).replace('`', ' '))}`")
    return "\n\n".join(part for part in parts if part)


def footer(response: LlmResponse) -> Iterator[str]:
    """Say what an answer took: nothing that differs from one run to the next."""
    yield response.model
    usage = response.usage
    yield f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens{' (estimated)' if usage.estimated else ''}"
    if response.cost_usd is not None:
        yield dollars(response.cost_usd)
    if response.finish_reason is not None:
        yield str(response.finish_reason)
    if response.key_label is not None:
        yield f"key {response.key_label}"


def usage_rows(usage: TokenUsage) -> list[Row]:
    """Give a usage's counts, those that were reported."""
    cache = usage.prompt_cache
    rows: list[Row] = [("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens), ("total", usage.total())]
    found = {
        "reasoning": usage.reasoning_tokens,
        "cached": None if cache is None else cache.cached_input_tokens,
        "read from the cache": None if cache is None else cache.cache_read_input_tokens,
        "written to the cache": None if cache is None else cache.cache_creation_input_tokens,
    }
    rows += [(name, count) for name, count in found.items() if count is not None]
    return [*rows, ("counted by", "our estimate" if usage.estimated else "the provider")]


def loss_rows(report: ConversionReport[Any]) -> list[Row]:
    """Give a report's losses, or that there is none."""
    return [(loss.pointer, loss.reason) for loss in report.losses] or [("", "nothing was lost")]


def html_table(head: Row, rows: Iterable[Row]) -> str:
    """Write a table in HTML."""
    lines = [f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows]
    names = "".join(f'<th style="text-align:left">{escape(str(name))}</th>' for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def markdown_table(head: Row, rows: Iterable[Row]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)


def shown(value: object) -> str:
    """Write a value for a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def dollars(amount: float) -> str:
    """Write an amount so that the digits that count are seen."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.6f}"


def harmless(text: str) -> str:
    """Give Markdown without HTML, pictures and links that lead elsewhere than to the web.

    Blocks of code are written anew, at the margin and with a fence that nothing in them closes: so whatever a renderer makes of
    the rest, it finds them where they are, and what is in no block has been looked at.
    """
    lines = _LINE_END.split(text[:MAX_CHARS])
    if len(text) > MAX_CHARS:
        lines.append("…")
    return "\n".join(_lines(lines))


def _lines(lines: list[str]) -> Iterator[str]:
    block: list[str] | None = None
    fence = language = ""
    for line in lines:
        mark = _FENCE.fullmatch(line)
        if block is None:
            if mark is None:
                yield _line(line)
            elif mark[1][0] == "`" and "`" in mark[2]:  # a fence to some renderers, and none to others
                yield _line(line.replace("```", f"`{JOINER}``"))
            else:
                block, fence, language = [], mark[1], _LANGUAGE.sub("", mark[2].strip())
        elif mark is not None and mark[1].startswith(fence) and not mark[2].strip():
            yield from _block(block, language)
            block = None
        else:
            block.append(line)
    if block is not None:
        yield from _block(block, language)


def _block(lines: list[str], language: str) -> Iterator[str]:
    longest = max((len(run) for line in lines for run in _TICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + language
    yield from lines
    yield fence


def _line(line: str) -> str:
    line = _LINK.sub("]" + JOINER, line.replace("![", f"!{JOINER}["))
    return _TAG.sub("<" + JOINER if "`" in line else "&lt;", line)


def _markdown_cell(cell: object) -> str:
    """Write a cell on one line: there no fence begins a block, and so nothing is spared as code."""
    return _line(_LINE_END.sub(" ", shown(cell)[:MAX_CHARS])).translate(_PIPES)


def _cell(cell: object) -> str:
    right = ' style="text-align:right"' if isinstance(cell, int) and not isinstance(cell, bool) else ' style="text-align:left"'
    return f"<td{right}>{escape(shown(cell))}</td>"
