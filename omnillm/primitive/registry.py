"""Which provider offers which native calls, as data: ``support.json``, of which every claim is held against a call by tests."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..types._model import Model
from ..types.enums import SupportLevel
from ..types.primitive import (
    PrimitiveBudgetClass,
    PrimitiveEndpointKind,
    PrimitiveProviderKind,
    PrimitiveStreamMode,
    ProviderPrimitiveWireFormat,
)

if TYPE_CHECKING:
    from .request import PrimitiveRequest

_DATA = Path(__file__).with_name("support.json")


@dataclass(frozen=True, slots=True)
class PrimitiveEndpointSupport(Model):
    """Say how far an endpoint's native calls are supported: in which formats, coming how, and how they are budgeted."""

    endpoint: PrimitiveEndpointKind
    level: SupportLevel
    wire_formats: tuple[ProviderPrimitiveWireFormat, ...] = ()
    stream_modes: tuple[PrimitiveStreamMode, ...] = ()
    budget_class: PrimitiveBudgetClass = PrimitiveBudgetClass.UNKNOWN
    notes: tuple[str, ...] = ()

    @property
    def is_enabled(self) -> bool:
        """Tell whether it can be called."""
        return self.level is not SupportLevel.PLANNED and bool(self.wire_formats)

    def supports_wire_format(
        self, wire_format: ProviderPrimitiveWireFormat | str, stream_mode: PrimitiveStreamMode | str = PrimitiveStreamMode.NONE
    ) -> bool:
        """Tell whether it can be called in this format, the answer coming in this way."""
        return self.is_enabled and wire_format in self.wire_formats and stream_mode in self.stream_modes


@dataclass(frozen=True, slots=True)
class PrimitiveProviderDescriptor(Model):
    """Describe a provider; a kind of endpoint may have several rows, where its formats come in different ways."""

    kind: PrimitiveProviderKind
    default_base_url: str | None = None
    endpoints: tuple[PrimitiveEndpointSupport, ...] = ()
    notes: tuple[str, ...] = ()

    def supports_endpoint(self, endpoint: PrimitiveEndpointKind | str) -> bool:
        """Tell whether the endpoint can be called."""
        return any(row.endpoint == endpoint and row.is_enabled for row in self.endpoints)

    def supports_wire_format(
        self, wire_format: ProviderPrimitiveWireFormat | str, stream_mode: PrimitiveStreamMode | str = PrimitiveStreamMode.NONE
    ) -> bool:
        """Tell whether any endpoint can be called in this format, the answer coming in this way."""
        return any(row.supports_wire_format(wire_format, stream_mode) for row in self.endpoints)

    def support(
        self, endpoint: PrimitiveEndpointKind, wire_format: ProviderPrimitiveWireFormat, stream_mode: PrimitiveStreamMode
    ) -> PrimitiveEndpointSupport | None:
        """Give the row by which such a call is supported, ``None`` where none is."""
        rows = (row for row in self.endpoints if row.endpoint == endpoint)
        return next((row for row in rows if row.supports_wire_format(wire_format, stream_mode)), None)


@dataclass(frozen=True, slots=True)
class PrimitiveProviderRegistry(Model):
    """Hold what is known of providers' native calls."""

    providers: tuple[PrimitiveProviderDescriptor, ...] = field(default=())

    def provider(self, kind: PrimitiveProviderKind | str) -> PrimitiveProviderDescriptor | None:
        """Give a provider, ``None`` where it is not listed."""
        return next((provider for provider in self.providers if provider.kind == kind), None)

    def supports_endpoint(self, kind: PrimitiveProviderKind | str, endpoint: PrimitiveEndpointKind | str) -> bool:
        """Tell whether the provider's endpoint can be called."""
        found = self.provider(kind)
        return found is not None and found.supports_endpoint(endpoint)

    def supports_wire_format(
        self,
        kind: PrimitiveProviderKind | str,
        wire_format: ProviderPrimitiveWireFormat | str,
        stream_mode: PrimitiveStreamMode | str = PrimitiveStreamMode.NONE,
    ) -> bool:
        """Tell whether any endpoint of the provider can be called in this format, the answer coming in this way."""
        found = self.provider(kind)
        return found is not None and found.supports_wire_format(wire_format, stream_mode)

    def support(self, request: PrimitiveRequest) -> PrimitiveEndpointSupport | None:
        """Give the row by which a request is supported, ``None`` where none is."""
        found = self.provider(request.provider)
        return None if found is None else found.support(request.endpoint, request.wire_format, request.stream)

    def supports_request(self, request: PrimitiveRequest) -> bool:
        """Tell whether a request can be made: its endpoint, in its format, the answer coming in its way."""
        return self.support(request) is not None


@functools.cache
def embedded_primitive_provider_registry() -> PrimitiveProviderRegistry:
    """Give the registry that comes with the package."""
    return PrimitiveProviderRegistry.from_json(_DATA.read_bytes())


@functools.cache
def budget_class_of(endpoint: PrimitiveEndpointKind, wire_format: ProviderPrimitiveWireFormat) -> PrimitiveBudgetClass:
    """Give how calls of an endpoint in a format are budgeted, whoever's they are; ``UNKNOWN`` where no row says it."""
    rows = (row for provider in embedded_primitive_provider_registry().providers for row in provider.endpoints)
    found = (row.budget_class for row in rows if row.endpoint is endpoint and wire_format in row.wire_formats)
    return next(found, PrimitiveBudgetClass.UNKNOWN)
