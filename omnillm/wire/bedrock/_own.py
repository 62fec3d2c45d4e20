"""Which wire this is, and what it kept of a value and how it spelled it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types.enums import ProviderProtocol, WireFormat
from .. import _fields

WIRE = WireFormat.BEDROCK_CONVERSE
PROTOCOL = ProviderProtocol.BEDROCK_CONVERSE

Block = dict[str, Any]


def kept(extensions: Mapping[str, Any], name: str) -> Any:
    """Give a field that parsing kept of this wire, or ``None``."""
    return _fields.kept(extensions, WIRE).get(name) if extensions else None


def spelled(extensions: Mapping[str, Any], name: str) -> Any:
    """Give how parsing saw a field spelled, or ``None`` where that was the usual way."""
    return _fields.spelling(extensions, WIRE).get(name) if extensions else None
