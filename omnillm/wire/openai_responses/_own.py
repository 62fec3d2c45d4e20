"""Which wire this is, and what it kept of a value and how it spelled it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.enums import ProviderProtocol, WireFormat
from .. import _fields

WIRE = WireFormat.OPENAI_RESPONSES
PROTOCOL = ProviderProtocol.OPENAI_RESPONSES

Item = dict[str, Any]


def kept(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the fields that parsing kept of this wire."""
    return _fields.kept(extensions, WIRE)


def spelled(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give how parsing saw fields spelled that were not so in the usual way."""
    return _fields.spelling(extensions, WIRE)


def type_of(item: object) -> str:
    """Give the type of an item or part; empty where it has none."""
    kind = item.get("type") if isinstance(item, Mapping) else None
    return kind if isinstance(kind, str) else ""
