"""Which wire this is, how it spells its names, and what it kept of a value.

Names are camelCase, and the API takes snake_case as well. An object is read under the camelCase names that this codec takes;
which of them came in snake_case is noted as the spelling of the value that the object became.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import InvalidShapeError
from ...types.enums import ProviderProtocol, WireFormat
from .. import _fields
from .._fields import SPELLING, Fields, Wire

WIRE = WireFormat.GEMINI_GENERATE_CONTENT
PROTOCOL = ProviderProtocol.GEMINI_GENERATE_CONTENT

# The names that the readers take; any other stays as it came.
_TAKEN = """
    allowedFunctionNames avgLogprobs blockReason boolValue cachedContentTokenCount candidatesTokenCount citationMetadata
    displayName endIndex fileData fileUri finishMessage finishReason frequencyPenalty functionCall functionCallingConfig
    functionDeclarations functionResponse generationConfig groundingChunkIndices groundingChunks groundingMetadata
    groundingSupports includeThoughts inlineData jsonPath logprobsResult maxOutputTokens mimeType modelVersion nullValue
    numberValue parametersJsonSchema partIndex partialArgs presencePenalty promptFeedback promptTokenCount responseId
    responseJsonSchema responseMimeType responseModalities responseSchema retrievedContext safetySettings startIndex
    stopSequences stringValue systemInstruction thinkingBudget thinkingConfig thinkingLevel thoughtSignature
    thoughtsTokenCount toolConfig toolUsePromptTokenCount topK topP totalTokenCount usageMetadata willContinue
"""
SNAKE = {name: re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name) for name in _TAKEN.split()}
_CAMEL = {snake: camel for camel, snake in SNAKE.items() if snake != camel}


def camel(name: str) -> str:
    """Write any name in camelCase."""
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


class _Opened(Fields):
    """An object under its camelCase names; what nobody took of it goes back to the name that it came with."""

    __slots__ = ("_came", "_kept")

    def __init__(self, value: Any, pointer: str, came: Mapping[str, str]) -> None:
        super().__init__(value, pointer)
        self._came = came  # the names in snake_case that fields came with
        self._kept: set[str] = set()

    def at(self, name: object) -> str:
        return super().at(self._came.get(name, name) if isinstance(name, str) else name)

    def keep(self, name: str, value: Any) -> None:
        super().keep(name, value)
        self._kept.add(name)

    def extensions(self, wire: Wire) -> dict[str, Any]:
        noted = self._rest.get(SPELLING, {})
        for name in noted.pop("snake", ()):
            if name in self._rest and name not in self._kept:
                self._rest[SNAKE[name]] = self._rest.pop(name)
            else:
                noted.setdefault("snake", []).append(name)
        if not noted:
            self._rest.pop(SPELLING, None)
        return super().extensions(wire)


def opened(value: Any, pointer: str = "") -> Fields:
    """Open an object under its camelCase names."""
    if type(value) is dict and SPELLING not in value and not _is_in_snake(value):
        return Fields(value, pointer)  # nearly all are
    if isinstance(value, dict) and SPELLING in value:
        raise InvalidShapeError(f"{SPELLING}: no name of this wire", pointer=f"{pointer}/{SPELLING}")
    if not isinstance(value, dict) or not _is_in_snake(value):
        return Fields(value, pointer)
    found = {snake: _CAMEL[snake] for snake in value if snake in _CAMEL and _CAMEL[snake] not in value}
    came = {camel: snake for snake, camel in found.items()}
    fields = _Opened({found.get(name, name): item for name, item in value.items()}, pointer, came)
    if found:
        fields.spell("snake", list(found.values()))
    return fields


def fields_of(value: Any, pointer: str = "") -> Mapping[str, Any]:
    """Give an object's fields under their camelCase names, for reading alone: it may be the object itself."""
    if isinstance(value, dict) and SPELLING not in value and not _is_in_snake(value):
        return value
    return opened(value, pointer).rest()


def _is_in_snake(value: dict[str, Any]) -> bool:
    try:
        return "_" in "".join(value)
    except TypeError:  # a name that is none: the caller's, JSON has no such
        return any("_" in name for name in value if type(name) is str)


def nested(fields: Fields, name: str) -> Fields:
    """Take an object within another's; how it spells its names is noted for both."""
    inner = opened(fields.take(name), fields.at(name))
    noted = inner.rest().pop(SPELLING, None)
    if noted:
        known = (fields.peek(SPELLING) or {}).get("snake", [])
        fields.spell("snake", [*known, *noted["snake"]])
    return inner


def plain(value: Any) -> Any:
    """Give an object of which nothing is taken under camelCase names: for looking, not for keeping."""
    rest = opened(value).rest() if isinstance(value, dict) else {}
    rest.pop(SPELLING, None)
    return rest


def kept(extensions: Mapping[str, Any], name: str) -> Any:
    """Give a field that parsing kept of this wire, or ``None``."""
    return _fields.kept(extensions, WIRE).get(name)


def spelling(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give how parsing saw the value spelled."""
    return _fields.spelling(extensions, WIRE)


def as_spelled(out: dict[str, Any], extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Give a written object under the names that the value's own object had."""
    return in_snake(out, spelling(extensions).get("snake", ()))


def in_snake(out: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Give an object with these names in snake_case."""
    if not names:
        return out
    found = {name: SNAKE.get(name, name) for name in names}
    return {found.get(name, name): item for name, item in out.items()}
