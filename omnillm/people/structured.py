"""Structured output: what ``into=`` asks a model for, and the answer read as it.

A target is made once per type. It holds the schema in its general form and in that of each protocol it was sent to; the answer is
checked here whatever a provider promised. Text around the JSON, a Markdown fence included, is not cut away: an answer that was
asked for as JSON and is not JSON is an error, for what would be guessed at is not what the model said.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .. import _json
from ..errors import ConfigurationError, InvalidJsonError, InvalidShapeError, ProtocolError
from ..types._model import copy_json
from ..types.capabilities import StructuredOutputConfig
from ..types.enums import FinishReason
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ._check_schema import Checker
from ._hints import spoken
from ._shapes import Schema
from ._strict import is_strict
from .decode import decoder_of
from .schema import schema_of

WRAPPED = "value"
MAX_NAME = 64

Fit = Callable[[StructuredOutputConfig], StructuredOutputConfig]


class Target:
    """What an answer is read into: its schema goes out as ``config``, the answer comes back through ``read``.

    A schema whose root is no object goes out as the one field of an object, for every strict mode demands one.
    """

    __slots__ = ("_decode", "_fitted", "_wrapped", "config", "name")

    def __init__(self, name: str, schema: Schema, decode: Callable[[Any], Any]) -> None:
        self.name = name
        self._decode = decode
        self._wrapped = not _is_object(schema)
        whole = _wrap(schema) if self._wrapped else schema
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:MAX_NAME] or "answer"
        self.config = StructuredOutputConfig(whole, plain, strict=is_strict(whole))
        self._fitted: dict[Fit, StructuredOutputConfig] = {}

    def asked_of(self, request: LlmRequest) -> LlmRequest:
        """Give the request that asks for the target; raises ``ConfigurationError`` where it asks for another already."""
        if request.capabilities.structured_output is not None:
            raise ConfigurationError("into: the request has a structured_output already: give one of the two", field="into")
        return _with_format(request, self.config)

    def asked_in(self, request: LlmRequest, fit: Fit) -> LlmRequest:
        """Give the request with the format that ``fit`` makes for one protocol, once."""
        found = self._fitted.get(fit)
        if found is None:
            found = self._fitted[fit] = fit(self.config)
        return request if found is self.config else _with_format(request, found)

    def read(self, response: LlmResponse) -> Any:
        """Give the value that the answer is, or ``None`` where it calls tools instead.

        Raises ``InvalidJsonError``, ``MissingFieldError`` or ``InvalidShapeError``, with the ``response``, for a refusal, an
        answer that was cut, one that is no JSON, and one that does not fit.
        """
        text = response.text
        if response.tool_calls and not text.strip():
            return None
        error = self._unread(response, text)
        if error is None:
            try:
                return self._value(_json.loads(text))
            except InvalidJsonError as refusal:
                fence = ": it stands in a Markdown fence" if text.lstrip().startswith("```") else ""
                error = InvalidJsonError(f"the answer is not JSON{fence}: {refusal.message.removeprefix('not JSON: ')}")
            except RecursionError:
                error = InvalidShapeError(f"the answer is no {self.name}: nested too deep to be read here")
            except ProtocolError as refusal:
                place = f" at {refusal.pointer}" if refusal.pointer else ""
                error = type(refusal)(f"the answer is no {self.name}{place}: {refusal.message}", pointer=refusal.pointer)
                error.__cause__ = refusal.__cause__
        error.response = response
        raise error

    def fill(self, response: LlmResponse) -> LlmResponse:
        """Give the response with its ``parsed``; it is not handed over yet, and changed where it is."""
        object.__setattr__(response, "meta", dataclasses.replace(response.meta, parsed=self.read(response)))
        return response

    def _value(self, value: Any) -> Any:
        if not self._wrapped:
            return self._decode(value)
        if not isinstance(value, dict) or value.keys() != {WRAPPED}:
            raise InvalidShapeError(f"expected an object with the one field {WRAPPED!r}", pointer="")
        try:
            return self._decode(value[WRAPPED])
        except ProtocolError as error:
            error.pointer = f"/{WRAPPED}{error.pointer}"
            raise

    @staticmethod
    def _unread(response: LlmResponse, text: str) -> ProtocolError | None:
        """Give the error of an answer that is not worth reading."""
        if response.refusal is not None:
            return InvalidShapeError(f"the model refused: {response.refusal}")
        if response.finish_reason is FinishReason.CONTENT_FILTER:
            return InvalidShapeError("the answer was stopped by the provider's content filter")
        if response.finish_reason is FinishReason.LENGTH:
            return InvalidJsonError("the answer was cut at its output limit: raise max_output_tokens")
        return None if text.strip() else InvalidJsonError("the answer is empty")


def _with_format(request: LlmRequest, config: StructuredOutputConfig) -> LlmRequest:
    return dataclasses.replace(request, capabilities=dataclasses.replace(request.capabilities, structured_output=config))


def target_of(into: Any) -> Target:
    """Give the target of a type or of a JSON Schema; raises ``ConfigurationError`` for what is neither."""
    if isinstance(into, Target):
        return into
    if isinstance(into, Mapping):
        return _schema_target(into)
    if isinstance(into, StructuredOutputConfig):
        raise ConfigurationError("into: expected a type or a JSON Schema: give a config as structured_output=", field="into")
    try:
        hash(into)
    except TypeError:
        return _made(into)
    return _type_target(into)


@lru_cache(maxsize=256)
def _type_target(into: Any) -> Target:
    return _made(into)


def _made(into: Any) -> Target:
    try:
        return Target(spoken(into), schema_of(into), decoder_of(into))
    except ConfigurationError as error:
        raise ConfigurationError(f"into: {error.message}", field="into") from error.__cause__


def _schema_target(into: Mapping[str, Any]) -> Target:
    schema = copy_json(into)
    try:
        _json.dumps(schema)
    except InvalidJsonError as error:
        raise ConfigurationError(f"into: expected a JSON Schema: {error.message}", field="into") from None
    title = schema.get("title")
    checker = Checker(schema)

    def decode(value: Any) -> Any:
        checker.check(value)
        return value

    return Target(title if isinstance(title, str) and title else "answer", schema, decode)


def _is_object(schema: Schema) -> bool:
    if schema.get("type") == "object" or "properties" in schema:
        return True
    return not schema.keys() & {"type", "anyOf", "oneOf", "allOf", "enum", "const", "items", "$ref"} and bool(schema)


def _wrap(schema: Schema) -> Schema:
    """Put a schema into an object, with its definitions where references find them."""
    kept = {name: _moved(value) for name, value in schema.items() if name in _DEFINITIONS}
    inner = {name: _moved(value) for name, value in schema.items() if name not in (*_DEFINITIONS, "$schema")}
    return {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED], "additionalProperties": False, **kept}


_DEFINITIONS = ("$defs", "definitions")


def _moved(value: Any) -> Any:
    """Give a part of a schema with the references to what is no definition led to where that is now."""
    if isinstance(value, list):
        return [_moved(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith("#") and not reference.startswith(("#/$defs/", "#/definitions/")):
        return {**value, "$ref": f"#/properties/{WRAPPED}{reference[1:]}"}
    return {name: _moved(inner) for name, inner in value.items()}
