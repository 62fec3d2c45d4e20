"""The configuration: its values, the one schema behind files, mappings and the environment, and their reader."""

from __future__ import annotations

from .values import (
    DEFAULT_RPM,
    DEFAULT_TPM,
    MAX_LABEL_CHARS,
    MAX_WORKERS,
    EnvironmentVariable,
    GatewayConfig,
    KeyConfig,
    PrimitiveConfig,
    RouteConfig,
    TransportConfig,
    checked_option,
    each,
)

__all__ = [
    "DEFAULT_RPM",
    "DEFAULT_TPM",
    "MAX_LABEL_CHARS",
    "MAX_WORKERS",
    "EnvironmentVariable",
    "GatewayConfig",
    "KeyConfig",
    "PrimitiveConfig",
    "RouteConfig",
    "TransportConfig",
    "checked_option",
    "each",
]
