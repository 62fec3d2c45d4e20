"""What a conversion lost: named, never silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from .._late import importing
from ._model import Model
from .enums import EndpointKind, WireFormat

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loss(Model):
    """Name one field that a conversion dropped or degraded.

    ``pointer`` is a JSON Pointer (RFC 6901) into the canonical value whose last name is that field (a vendor field under its
    wire's name); ``reason`` is a sentence.
    """

    pointer: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConversionReport(Generic[T]):
    """Give a converted value and an account of the conversion.

    ``bridged``: the source and the target format differ; for parsing or emitting alone, the wire is not the canonical's own.
    ``lossy``: something was lost, and ``losses`` names it.
    """

    value: T
    canonical_endpoint: EndpointKind
    wire_format: WireFormat
    bridged: bool
    lossy: bool = False
    losses: tuple[Loss, ...] = ()

    def __post_init__(self) -> None:
        if self.losses and not self.lossy:
            object.__setattr__(self, "lossy", True)

    @property
    def loss_reasons(self) -> tuple[str, ...]:
        """Give the sentences alone."""
        return tuple(loss.reason for loss in self.losses)

    def _repr_html_(self) -> str:
        with importing:
            from ._display import html_table, loss_rows

        return html_table(("lost", "why"), loss_rows(self))

    def _repr_markdown_(self) -> str:
        with importing:
            from ._display import loss_rows, markdown_table

        return markdown_table(("lost", "why"), loss_rows(self))
