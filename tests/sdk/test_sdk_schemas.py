"""The schemas that types make, before the vendors' own tools: nothing is left for them to change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import typed_answers as t

from omnillm.people.structured import target_of
from omnillm.types.request import LlmRequest
from omnillm.wire._formats import for_anthropic, for_strict_openai

pytestmark = pytest.mark.sdk
TYPES: list[Any] = [t.Stop, t.Node, t.Add, t.Film, list[t.Point], t.Square | t.Circle, t.Colour, tuple[int, int], int | None]


def fitted(hint: Any, fit: Any) -> dict[str, Any]:
    target = target_of(hint)
    config = target.asked_in(target.asked_of(LlmRequest("m", "hi")), fit).capabilities.structured_output
    assert config is not None
    assert config.strict
    return copy.deepcopy(config.schema)


@pytest.mark.parametrize("hint", TYPES, ids=str)
def test_a_schema_is_what_the_openai_sdk_calls_strict(hint: Any) -> None:
    """The SDK's own tool for making a schema strict gives ours back."""
    pydantic = pytest.importorskip("openai.lib._pydantic")
    schema = fitted(hint, for_strict_openai)
    assert pydantic._ensure_strict_json_schema(copy.deepcopy(schema), path=(), root=schema) == schema


@pytest.mark.parametrize("hint", TYPES, ids=str)
def test_a_schema_is_what_the_anthropic_sdk_sends(hint: Any) -> None:
    """The SDK's own tool for fitting a schema gives ours back, but for the type beside an ``enum``, which it leaves out."""
    anthropic = pytest.importorskip("anthropic")
    schema = fitted(hint, for_anthropic)
    assert anthropic.transform_schema(copy.deepcopy(schema)) == untyped(schema)


def untyped(schema: Any) -> Any:
    """Give a schema without the type of what is enumerated."""
    if isinstance(schema, list):
        return [untyped(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: untyped(inner) for name, inner in schema.items() if name != "type" or "enum" not in schema}
