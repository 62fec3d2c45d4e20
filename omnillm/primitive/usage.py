"""What a native answer says of its usage, as it says it and as it is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..types._model import Model
from ..types.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class PrimitiveBillableUnit(Model):
    """Count what is billed otherwise than by tokens: ``("images", 2, "image")``."""

    name: str
    amount: float
    unit: str


@dataclass(frozen=True, slots=True)
class PrimitiveUsageTelemetry(Model):
    """Hold the usage that an answer reports: ``raw_usage`` as it stands there, ``token_usage`` where it counts tokens."""

    raw_usage: Any
    token_usage: TokenUsage | None = None
    billable_units: tuple[PrimitiveBillableUnit, ...] = ()
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
