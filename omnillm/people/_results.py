"""What a tool gave, as a model is told it: text as it is, message parts as they are, anything else as JSON."""

from __future__ import annotations

import dataclasses
import decimal
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from enum import Enum
from typing import Any

from .. import _json
from ..types._model import Model
from ..types.parts import AudioPart, FilePart, ImageBase64Part, ImageUrlPart, JsonPart, TextPart
from ..types.response import LlmResponse

_CONTENT = (TextPart, ImageUrlPart, ImageBase64Part, AudioPart, FilePart, JsonPart)


def output_of(value: Any) -> Any:
    """Give the output of a ``ToolResultPart``; ``None`` is JSON's ``null``. Raises ``TypeError`` for what has no form in JSON."""
    if type(value) is str:
        return value
    if isinstance(value, LlmResponse):
        return value.text
    if isinstance(value, _CONTENT):
        return (value,)
    if isinstance(value, list | tuple) and any(isinstance(part, _CONTENT) for part in value):
        return tuple(part if isinstance(part, _CONTENT) else TextPart(_text_of(part)) for part in value)
    plain = _plain(value)
    _json.dumps(plain)  # what is not finite, or too deep, is refused here, as the tool's fault
    return plain


def _text_of(value: Any) -> str:
    output = output_of(value)
    return output if isinstance(output, str) else _json.dumps(output)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {name if type(name) is str else str(_plain(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [_plain(inner) for inner in value]
    if isinstance(value, Model):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _written(value)


def _written(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return str(value)
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)  # of a class of its own
    if hasattr(value, "model_dump"):  # pydantic's
        return value.model_dump(mode="json")
    raise TypeError(f"the tool gave {type(value).__name__}, which has no form in JSON")
