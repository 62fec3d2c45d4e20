"""Schemas of structured output in the part of JSON Schema that an API takes.

Contract: ``fitted`` changes what an answer must be in nothing that the API would have kept to. A keyword that the API refuses is
said in words, in the description, as the vendors' own SDKs do; the reader of the answer holds it against the whole schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from .. import _json
from ..types.capabilities import StructuredOutputConfig

Schema = dict[str, Any]

_STRUCTURE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs"}
    | {"definitions", "description", "title"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_NUMBERS = frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


class Dialect(NamedTuple):
    """What an API takes: ``keywords`` beside the structure, ``formats`` of strings, and the greatest ``minItems``.

    Where it ``closes`` objects, one with properties must say that it has no others.
    """

    keywords: frozenset[str]
    formats: frozenset[str]
    most_items: float
    closes: bool = False

    def takes(self, name: str, value: Any) -> bool:
        """Tell whether the API takes a keyword with that value."""
        if name == "format":
            return value in self.formats
        if name == "minItems":
            return isinstance(value, int) and value <= self.most_items
        return name in _STRUCTURE or name in self.keywords


# OpenAI, "Structured model outputs", supported properties (2025-11).
OPENAI = Dialect(_NUMBERS | {"pattern", "minItems", "maxItems"}, _FORMATS, float("inf"))
# Anthropic, "Structured outputs", JSON Schema limitations (2025-11): no bounds, no lengths, minItems of 0 or 1 alone,
# and "additionalProperties must be set to false for objects".
ANTHROPIC = Dialect(frozenset({"minItems"}), _FORMATS | {"uri"}, 1, closes=True)

# Google, "GenerationConfig.responseJsonSchema", supported properties (2025-11).
GEMINI = Dialect(frozenset({"prefixItems", "minItems", "maxItems", "minimum", "maximum", "oneOf"}), _FORMATS, float("inf"))


def fitted(config: StructuredOutputConfig, dialect: Dialect) -> StructuredOutputConfig:
    """Give the format with a schema in the dialect."""
    schema = _fit(config.schema, dialect)
    return config if schema == config.schema else replace(config, schema=schema)


def _fit(schema: Any, dialect: Dialect) -> Any:
    if not isinstance(schema, dict):
        return schema
    schema = _plain(schema, dialect)
    out: Schema = {}
    words: Schema = {}
    for name, value in schema.items():
        if dialect.takes(name, value):
            out[name] = _within(name, value, dialect)
        else:
            words[name] = value
    if words and "$ref" not in out:
        said = ", ".join(f"{name}: {_json.dumps(value)}" for name, value in words.items())
        out["description"] = f"{out['description']}\n\n{{{said}}}" if isinstance(out.get("description"), str) else f"{{{said}}}"
    return out


def _plain(schema: Mapping[str, Any], dialect: Dialect) -> Schema:
    """Say with ``enum``, ``anyOf`` and ``items`` what ``const``, ``oneOf`` and ``prefixItems`` say more exactly."""
    out = dict(schema)
    if dialect.closes and "properties" in out:
        out.setdefault("additionalProperties", False)
    if "const" in out:
        out["enum"] = [out.pop("const")]
    if "oneOf" in out and "anyOf" not in out:
        out["anyOf"] = out.pop("oneOf")
    places = out.get("prefixItems")
    if "prefixItems" not in dialect.keywords and isinstance(places, list) and places and not isinstance(out.get("items"), dict):
        del out["prefixItems"]
        options = [option for i, option in enumerate(places) if option not in places[:i]]
        out["items"] = options[0] if len(options) == 1 else {"anyOf": options}
        out["description"] = " ".join(filter(None, [schema.get("description"), f"Its items, in order: {_json.dumps(places)}"]))
    return out


def _within(name: str, value: Any, dialect: Dialect) -> Any:
    walk = _WITHIN.get(name)
    return value if walk is None else walk(value, dialect)


def _one(value: Any, dialect: Dialect) -> Any:
    return _fit(value, dialect)


def _listed(value: Any, dialect: Dialect) -> Any:
    return [_fit(inner, dialect) for inner in value] if isinstance(value, list) else value


def _named(value: Any, dialect: Dialect) -> Any:
    return {name: _fit(inner, dialect) for name, inner in value.items()} if isinstance(value, dict) else value


_WITHIN: dict[str, Callable[[Any, Dialect], Any]] = {
    "items": _one,
    "additionalProperties": _one,
    "anyOf": _listed,
    "prefixItems": _listed,
    "allOf": _listed,
    "properties": _named,
    "$defs": _named,
    "definitions": _named,
}


def for_strict_openai(config: StructuredOutputConfig) -> StructuredOutputConfig:
    """Fit a format to OpenAI's strict mode; without it every keyword is taken."""
    return fitted(config, OPENAI) if config.strict else config


def for_anthropic(config: StructuredOutputConfig) -> StructuredOutputConfig:
    """Fit a format to Anthropic's structured outputs, which those of Bedrock are alike."""
    return fitted(config, ANTHROPIC)


def for_gemini(config: StructuredOutputConfig) -> StructuredOutputConfig:
    """Fit a format to Gemini's ``responseJsonSchema``."""
    return fitted(config, GEMINI)
