"""Which provider offers what, as data: ``support.json``, of which every claim is held against a call by the tests."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ..errors import InvalidShapeError
from ..types._model import Decoder, Encoder, Model, tuple_of
from ..types.enums import EndpointKind, HostFormat, ProviderKind, SupportLevel, WireFormat

_HOST_FORMATS = frozenset(HostFormat)
_DATA = Path(__file__).with_name("support.json")


class _Formats:
    """The form of formats at rest: their names, those of hosts among them."""

    @staticmethod
    def codec() -> tuple[Encoder, Decoder]:
        """Give the encoder and the decoder."""
        return tuple_of(str, _one_format)


def _one_format(value: object) -> WireFormat | HostFormat:
    if isinstance(value, str) and value in _HOST_FORMATS:
        return HostFormat(value)
    try:
        return WireFormat(str(value))
    except ValueError:
        raise InvalidShapeError(f"expected a wire format, got {value!r:.80}") from None


@dataclass(frozen=True, slots=True)
class EndpointSupport(Model):
    """Say how far an endpoint of a provider is supported, and in which wire formats; what is planned cannot be called yet."""

    endpoint: EndpointKind
    level: SupportLevel
    wire_formats: Annotated[tuple[WireFormat | HostFormat, ...], _Formats] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_enabled(self) -> bool:
        """Tell whether it can be called."""
        return self.level is not SupportLevel.PLANNED and bool(self.wire_formats)

    def supports_wire_format(self, wire_format: WireFormat | HostFormat | str) -> bool:
        """Tell whether it can be called in this format."""
        return self.is_enabled and wire_format in self.wire_formats


@dataclass(frozen=True, slots=True)
class ProviderDescriptor(Model):
    """Describe a provider; ``default_base_url`` is ``None`` where the base is made of a resource, a region or a host."""

    kind: ProviderKind
    display_name: str
    default_base_url: str | None = None
    endpoints: tuple[EndpointSupport, ...] = ()
    notes: tuple[str, ...] = ()

    def endpoint(self, endpoint: EndpointKind | str) -> EndpointSupport | None:
        """Give what is said of an endpoint, ``None`` where nothing is."""
        return next((support for support in self.endpoints if support.endpoint == endpoint), None)

    def supports_endpoint(self, endpoint: EndpointKind | str) -> bool:
        """Tell whether the endpoint can be called."""
        found = self.endpoint(endpoint)
        return found is not None and found.is_enabled

    def supports_wire_format(self, wire_format: WireFormat | HostFormat | str) -> bool:
        """Tell whether any endpoint can be called in this format."""
        return any(support.supports_wire_format(wire_format) for support in self.endpoints)


@dataclass(frozen=True, slots=True)
class ProviderRegistry(Model):
    """Hold what is known of providers."""

    providers: tuple[ProviderDescriptor, ...] = field(default=())

    def provider(self, kind: ProviderKind | str) -> ProviderDescriptor | None:
        """Give a provider, ``None`` where it is not listed."""
        return next((provider for provider in self.providers if provider.kind == kind), None)

    def supports_endpoint(self, kind: ProviderKind | str, endpoint: EndpointKind | str) -> bool:
        """Tell whether the provider's endpoint can be called."""
        found = self.provider(kind)
        return found is not None and found.supports_endpoint(endpoint)

    def supports_wire_format(self, kind: ProviderKind | str, wire_format: WireFormat | HostFormat | str) -> bool:
        """Tell whether any endpoint of the provider can be called in this format."""
        found = self.provider(kind)
        return found is not None and found.supports_wire_format(wire_format)


@functools.cache
def embedded_provider_registry() -> ProviderRegistry:
    """Give the registry that comes with the package."""
    return ProviderRegistry.from_json(_DATA.read_bytes())
