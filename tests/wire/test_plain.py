"""The short way of a message of one text is the general way, only shorter."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import omnillm as o
from omnillm.wire._plain import plain_text, read_plain, read_plain_block

ROLES = {"user": o.MessageRole.USER, "assistant": o.MessageRole.ASSISTANT}
PLAIN = o.Message.user("Hi")


def test_what_is_read_is_a_whole_message() -> None:
    """Every field of the message and of its part is there, with what the constructors give it."""
    for read in (
        read_plain({"role": "user", "content": "Hi"}, ROLES),
        read_plain_block({"role": "user", "x": [{"text": "Hi"}]}, "x", ROLES),
    ):
        assert read == PLAIN
        for made, usual in ((read, PLAIN), (read.parts[0], PLAIN.parts[0])):
            assert [getattr(made, field.name) for field in fields(made)] == [
                getattr(usual, field.name) for field in fields(usual)
            ]
        assert o.Message.from_json(read.to_json()) == PLAIN


def test_messages_share_nothing() -> None:
    """Each message that is read has extensions of its own, and so has its part."""
    one, other = (read_plain({"role": "user", "content": "Hi"}, ROLES) for _ in range(2))
    assert one is not None
    assert other is not None
    one.vendor_extensions["a"] = 1
    assert other == PLAIN


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "user",
        {},
        {"role": "user"},
        {"role": "user", "content": ""},
        {"role": "user", "content": None},
        {"role": "user", "content": ["Hi"]},
        {"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]},
        {"role": "user", "content": [{"text": ""}]},
        {"role": "user", "content": [{"text": 1}]},
        {"role": "user", "content": [{"text": "Hi", "type": "text"}]},
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "tool", "content": "Hi"},
        {"role": ["user"], "content": "Hi"},
        {"role": None, "content": [{"text": "Hi"}]},
        {"type": "user", "content": "Hi"},
    ],
)
def test_anything_else_is_left_to_the_general_way(value: Any) -> None:
    """A value that is not just a known role and a text that says something is not read."""
    assert read_plain(value, ROLES) is None
    assert read_plain_block(value, "content", ROLES) is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (PLAIN, "Hi"),
        (o.Message("tool", "Hi"), "Hi"),
        (o.Message.user(""), None),
        (o.Message("user", ()), None),
        (o.Message("user", ("Hi", "Hi")), None),
        (o.Message("user", o.RefusalPart("Hi")), None),
        (o.Message("user", o.TextPart("Hi", (o.Annotation("a"),))), None),
        (o.Message("user", o.TextPart("Hi", vendor_extensions={"a": 1})), None),
        (o.Message("user", "Hi", vendor_extensions={"a": 1}), None),
        (o.Message("user", "Hi", raw_message=o.RawMessage(o.ProviderProtocol.CLAUDE_MESSAGES, {})), None),
    ],
)
def test_a_plain_text_is_all_that_the_message_says(message: o.Message, text: str | None) -> None:
    """A message has a plain text where that is everything it holds."""
    assert plain_text(message) == text
