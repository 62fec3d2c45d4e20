"""``omnillm prices`` and ``omnillm models``."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _json
from ..errors import ConfigurationError, UnknownPriceError
from ..policy.catalogue import ModelInfo, models
from ..policy.price import PICO_PER_USD, RATES, TOKEN_RATES, ModelPrice
from ..policy.pricing import PriceTable
from ..policy.snapshot import read_snapshot, tiers_of
from ._streams import UsageError
from ._terminal import console, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

CONNECT_SECONDS, DOWNLOAD_SECONDS = 10.0, 60.0
LARGEST_LIST = 32 << 20


def prices(options: argparse.Namespace) -> int:
    """Show what a model costs, or write a new list."""
    return update(options) if options.model == "update" else _show_price(options)


def _show_price(options: argparse.Namespace) -> int:
    table = PriceTable() if options.file is None else PriceTable.from_file(options.file)
    at = None if options.at is None else _day(options.at)
    price = table.find(options.model, options.provider, tier=options.tier, region=options.region, at=at)
    if price is None:
        raise UnknownPriceError(f"no price is known for {options.model!r:.200}", model=options.model)
    listed = table.listed(options.model, options.provider, region=options.region)
    told: dict[str, Any] = {"model": options.model, "usd": _in_usd(price)}
    if listed is not None:
        row = listed.row
        told |= {"provider": listed.provider, "listed_as": listed.model, "tiers": tiers_of(row)}
        told |= {name: row[name] for name in ("source", "as_of") if name in row}
        if "disputed" in row:
            told["disputed"] = sorted(row["disputed"])
    if options.json:
        print_json(told, indent=2)
    else:
        _print_price(told)
    return 0


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at: expected a date as 2026-11-27, got {text!r:.40}") from None


def _in_usd(price: ModelPrice) -> dict[str, Any]:
    """Give the rates that the price names: per million tokens, and per one of the rest."""
    told: dict[str, Any] = {}
    for name in RATES:
        rate = getattr(price, name)
        if rate is not None:
            told[name] = rate / (10**6 if name in TOKEN_RATES else PICO_PER_USD)
    if price.long is not None:
        told |= {"long_above": price.long_above, "long": _in_usd(price.long)}
    return told


def _print_price(told: dict[str, Any]) -> None:
    where = f"{told['provider']}/{told['listed_as']}" if "provider" in told else told["model"]
    title = f"{where}, in USD per million tokens, or per one of what else is counted:"
    screen = console()
    if screen is None:
        print(title)
        _print_rates(told["usd"])
    else:
        screen.print(_rate_table(told["usd"], title))
    if told.get("tiers"):
        print(f"tiers with prices of their own: {', '.join(told['tiers'])}")
    if "source" in told:
        print(f"from {told['source']}, as of {told['as_of']}")
    if "disputed" in told:
        print(f"the sources disagree on: {', '.join(told['disputed'])}")


def _print_rates(rates: dict[str, Any]) -> None:
    for name, rate in rates.items():
        if name not in ("long", "long_above"):
            print(f"  {name:18} {rate:.10g}")
    if "long" in rates:
        print(f"  prompts of more than {rates['long_above']} tokens:")
        _print_rates(rates["long"])


def _rate_table(rates: dict[str, Any], title: str) -> Table:
    """Make a table of the rates, with a column more where long prompts have rates of their own."""
    long: dict[str, Any] = rates.get("long", {})
    names = [name for name in {**rates, **long} if name not in ("long", "long_above")]
    head = ("", "USD", *([f"prompts of more than {rates['long_above']} tokens"] if long else []))
    rows = [(name, *(f"{side[name]:.10g}" if name in side else "" for side in (rates, long)[: len(head) - 1])) for name in names]
    return table(head, rows, title=title)


# --- a new list ---------------------------------------------------------------------------------------------------------------


def update(options: argparse.Namespace) -> int:
    """Write a price list to a file, checked: from where it was said, or made of the two packages that have the figures."""
    if options.to is None:
        raise UsageError("prices update: expected --to FILE")
    data = _made() if options.source is None else _loads(_fetched(options.source))
    snapshot = read_snapshot(data, options.source or "the list")
    rows = {provider: len(models) for provider, models in snapshot.providers.items()}
    target = Path(options.to)
    part = target.with_name(target.name + ".part")
    part.write_text(json.dumps(data, indent=1, sort_keys=True), "utf-8")
    part.replace(target)  # nobody reads half a list
    told = {"file": str(target), "as_of": snapshot.as_of, "models": sum(rows.values()), "providers": rows}
    print(
        json.dumps(told)
        if options.json
        else f"{target}: {told['models']} models of {len(rows)} providers, as of {snapshot.as_of}"
    )
    return 0


def _made() -> dict[str, Any]:
    try:
        from ..data.generate import disagreements, generate

        data, _ = generate(None, None, dt.datetime.now(dt.UTC).date().isoformat())
    except ImportError as error:
        need = "a list is made of genai-prices and litellm: install both, or give --from"
        raise ConfigurationError(f"prices update: {error}: {need}", field="from") from None
    print(f"{sum(1 for _ in disagreements(data))} rates are disputed between the sources, and marked so", file=sys.stderr)
    return data


def _fetched(source: str) -> bytes:
    if not source.startswith(("https://", "http://")):
        return Path(source).read_bytes()
    from .._clock import SYSTEM_CLOCK, Deadline
    from ..providers.endpoint import check_url
    from ..transport.http import HttpRequest, HttpTransport

    check_url(source, query=True)
    transport = HttpTransport(trust_proxy_env=True)
    try:
        deadline = Deadline(SYSTEM_CLOCK.monotonic() + DOWNLOAD_SECONDS, SYSTEM_CLOCK)
        answer = transport.send(
            HttpRequest("GET", source, {"Accept": "application/json"}, b""),
            deadline=deadline,
            connect=CONNECT_SECONDS,
            first_byte=DOWNLOAD_SECONDS,
        )
        if answer.status != 200:
            raise ConfigurationError(f"{source}: answered {answer.status}", field="from")
        read = bytearray()
        for chunk in answer.chunks():
            read += chunk
            if len(read) > LARGEST_LIST:
                raise ConfigurationError(f"{source}: more than {LARGEST_LIST >> 20} MiB is no price list", field="from")
        return bytes(read)
    finally:
        transport.close()


def _loads(raw: bytes) -> Any:
    import gzip

    return _json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)


# --- the catalogue ------------------------------------------------------------------------------------------------------------


def list_models(options: argparse.Namespace) -> int:
    """List the models that fit a pattern: what they take, how much, and until when."""
    found = sorted(models(options.pattern), key=lambda info: (info.provider, info.model))
    if options.json:
        print_json([dataclasses.asdict(info) for info in found], indent=2)
    elif found and (screen := console()) is not None:
        screen.print(table(("model", "kind", "context", "output", "abilities", "retired"), map(_cells, found)))
    else:
        for info in found:
            print(_line(info))
    if not found:
        print(f"omnillm: no model fits {options.pattern!r:.80}", file=sys.stderr)
    return 0 if found else 1


def _line(info: ModelInfo) -> str:
    said = [info.kind, f"{'+'.join(info.input_modalities)} -> {'+'.join(info.output_modalities)}"]
    if info.context_window is not None:
        said.append(f"context {info.context_window}")
    if info.max_output_tokens is not None:
        said.append(f"output {info.max_output_tokens}")
    said += _abilities(info)
    if info.deprecated_on is not None:
        said.append(f"retired {_retired(info)}")
    return f"{info.provider}/{info.model}: {', '.join(said)}"


def _abilities(info: ModelInfo) -> list[str]:
    said = [name.replace("_", " ") for name in ("tools", "structured_output", "reasoning") if getattr(info, name)]
    if info.reasoning_efforts:
        said.append(f"efforts {'/'.join(info.reasoning_efforts)}")
    return [*said, "no temperature"] if info.sampling is False else said


def _retired(info: ModelInfo) -> str:
    then = "" if info.successor is None else f", then {info.successor}"
    return "" if info.deprecated_on is None else f"{info.deprecated_on}{then}"


def _cells(info: ModelInfo) -> tuple[str, ...]:
    window, output = ("" if size is None else str(size) for size in (info.context_window, info.max_output_tokens))
    kind = f"{info.kind}\n{'+'.join(info.input_modalities)} -> {'+'.join(info.output_modalities)}"
    return f"{info.provider}/{info.model}", kind, window, output, ", ".join(_abilities(info)), _retired(info)
