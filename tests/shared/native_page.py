"""Print the primitive registry into ``docs/primitive.md``: ``python tests/shared/native_page.py`` writes it."""

from __future__ import annotations

from pathlib import Path

from omnillm.primitive import PrimitiveEndpointSupport, PrimitiveProviderDescriptor, embedded_primitive_provider_registry

PAGE = Path(__file__).parents[2] / "docs" / "primitive.md"
BEGIN, END = "<!-- the registry: python tests/shared/native_page.py -->", "<!-- the end of the registry -->"
HEADS = ("provider", "endpoint", "level", "formats", "answers", "budget class", "notes")


def table() -> str:
    """Give the table, a line for each row."""
    rows = [(provider, row) for provider in embedded_primitive_provider_registry().providers for row in provider.endpoints]
    return "\n".join([_line(HEADS), _line(("---",) * len(HEADS)), *(_line(_cells(*row)) for row in rows)])


def page() -> str:
    """Give the page as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


def _cells(provider: PrimitiveProviderDescriptor, row: PrimitiveEndpointSupport) -> tuple[str, ...]:
    formats, modes = (", ".join(f"`{value.value}`" for value in values) for values in (row.wire_formats, row.stream_modes))
    kind = f"`{provider.kind.value}`"
    return (kind, f"`{row.endpoint.value}`", row.level.value, formats, modes, f"`{row.budget_class.value}`", "; ".join(row.notes))


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
