"""What a tool gave, as the model is told it."""

from __future__ import annotations

import enum
import math
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.people._results import output_of
from omnillm.types.enums import MessageRole, ProviderProtocol
from omnillm.types.message import Message
from omnillm.types.parts import ImageBase64Part, TextPart, ToolResultPart
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage


class Colour(enum.Enum):
    RED = "red"


class Name(enum.StrEnum):
    ROME = "Rome"


@dataclass
class Stop:
    name: str
    on: date


@dataclass
class Trip:
    stops: tuple[Stop, ...]
    best: Colour | None = None


class Pydantic:
    def model_dump(self, *, mode: str) -> dict[str, str]:
        return {"mode": mode}


PICTURE = ImageBase64Part("aGk=", "image/png")
ANSWER = LlmResponse(
    (Message(MessageRole.ASSISTANT, "a nested answer"),), TokenUsage(), "m", ProviderProtocol.OPENAI_CHAT_COMPLETIONS
)


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ("text", "text"),
        ("", ""),
        (None, None),
        (7, 7),
        (True, True),
        ({"a": [1, None]}, {"a": [1, None]}),
        ({1: "one", Colour.RED: 2}, {"1": "one", "red": 2}),
        ((1, "two"), [1, "two"]),
        ((), []),
        ({3}, [3]),
        (Colour.RED, "red"),
        (Name.ROME, "Rome"),
        (Trip((Stop("Rome", date(2026, 5, 4)),), Colour.RED), {"stops": [{"name": "Rome", "on": "2026-05-04"}], "best": "red"}),
        (datetime(2026, 5, 4, 12, 30), "2026-05-04T12:30:00"),  # noqa: DTZ001  # as a tool may give it
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (TokenUsage(1, 2), TokenUsage(1, 2).to_dict()),
        (Pydantic(), {"mode": "json"}),
        (ANSWER, "a nested answer"),
        (PICTURE, (PICTURE,)),
        ([PICTURE, "beside it", {"a": 1}], (PICTURE, TextPart("beside it"), TextPart('{"a":1}'))),
    ],
)
def test_what_a_model_is_told(value: Any, output: Any) -> None:
    """Text and parts go as they are, the rest as plain JSON values."""
    given = output_of(value)
    assert given == output
    assert type(given) is type(output)
    assert ToolResultPart("c", given).output == output


@pytest.mark.parametrize("value", [object(), b"bytes", math.nan, [math.inf], {"a": object()}, ToolResultPart, (n for n in "ab")])
def test_what_has_no_form(value: Any) -> None:
    """What is no JSON is an error of the tool's, before it is sent."""
    with pytest.raises((TypeError, ValueError)):
        output_of(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_itself(value: Any) -> None:
    """A JSON value is told as it is."""
    assert output_of(value) == value
