"""The fields of forms to upload: settings as texts, with brackets for what is nested, as OpenAI's own SDK names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import _json
from ..errors import InvalidJsonError
from ..types.transport import MultipartBody, MultipartField, MultipartFile, MultipartText

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")


def text_fields(settings: Mapping[str, Any]) -> Iterator[MultipartField]:
    """Give settings as fields: ``name``, ``name[]`` for each of a list, ``name[key]`` for each of an object."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from text_fields({f"{name}[{key}]": inner for key, inner in value.items()})
        elif isinstance(value, list | tuple):
            yield from (MultipartField(f"{name}[]", MultipartText(_written(item))) for item in value)
        elif value is not None:
            yield MultipartField(name, MultipartText(_written(value)))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else _json.dumps(value)


def settings_of(body: MultipartBody) -> tuple[dict[str, Any], list[tuple[str, MultipartFile]]]:
    """Give the settings of a form, as texts, and its files with their names."""
    settings: dict[str, Any] = {}
    files: list[tuple[str, MultipartFile]] = []
    for field in body.fields:
        if isinstance(field.value, MultipartFile):
            files.append((field.name, field.value))
            continue
        nested = _BRACKETS.fullmatch(field.name)
        name, key = (field.name, None) if nested is None else (nested[1], nested[2])
        found = settings.get(name)
        if key == "" and isinstance(found, list | None):
            settings[name] = [*(found or []), field.value.text]
        elif key and isinstance(found, dict | None):
            settings[name] = {**(found or {}), key: field.value.text}
        else:
            settings[field.name] = field.value.text
    return settings, files


def as_number(settings: dict[str, Any], name: str) -> None:
    """Read a setting as the number that it is, where writing that gives the same text."""
    value = settings.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            number = _json.loads(value)
        except InvalidJsonError:
            return
        if _json.dumps(number) == value:
            settings[name] = number
