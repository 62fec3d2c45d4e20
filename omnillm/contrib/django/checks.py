"""System checks of ``settings.OMNILLM``: what is wrong is told before the first call, and nothing is sent to find it.

``omnillm.E001``: the setting is no mapping of aliases. ``E002``: a gateway's setting is wrong. ``W001``: a key's variable is not
set. ``W002``: a key itself stands in the settings. ``W003``: a model has no price though there is a budget. ``W004``: there is no
gateway ``default``. ``I001``: a callable that gives a gateway is not run by checks, and so not checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core import checks

from ...config import GatewayConfig
from ...errors import ConfigurationError, MissingKeyError
from ...gateway.gateway import Gateway
from ...providers.served_by import served_by
from .._gateways import DEFAULT, SETTING, aliases, made, spelled

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STAND_IN = "stands-in-for-a-key"  # so that the rest is checked where a variable is not set


def check_gateways(**_: Any) -> list[checks.CheckMessage]:
    """Check every gateway of the settings."""
    try:
        found = aliases(getattr(settings, SETTING, None))
    except ConfigurationError as error:
        return [checks.Error(error.message, id="omnillm.E001")]
    messages = [message for alias, value in found.items() for message in _check(alias, value)]
    if DEFAULT not in found:
        hint = f'Add {SETTING}["{DEFAULT}"], or name an alias in every get_gateway(…).'
        messages.append(checks.Warning(f'{SETTING} has no gateway "{DEFAULT}".', hint=hint, id="omnillm.W004"))
    return messages


def _check(alias: str, value: Any) -> Iterator[checks.CheckMessage]:
    where = spelled(alias)
    if isinstance(value, Gateway):
        return
    if callable(value) or (isinstance(value, str) and "/" not in value):
        yield checks.Info(f"{where} is made by a callable, which is not run to be checked.", id="omnillm.I001")
        return
    keys = list(_keys(value))
    for path, text in keys:
        yield from _check_key(f"{where}: {path}", text)
    try:
        gateway = made(_with_keys(value), alias)
    except MissingKeyError as error:
        yield checks.Warning(error.message, hint="Every call will fail until it is set.", id="omnillm.W001")
    except ConfigurationError as error:
        yield checks.Error(error.message, id="omnillm.E002")
    else:
        with gateway:
            yield from _check_prices(where, gateway._core.config)


# --- keys ---------------------------------------------------------------------------------------------------------------------


def _keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give the keys that stand in a setting as texts, with where they stand."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            at = f"{path}.{name}" if path else str(name)
            if name == "key" and isinstance(inner, str):
                yield at, inner
            elif name == "keys" and isinstance(inner, list | tuple):
                yield from _listed(inner, at)
            else:
                yield from _keys(inner, at)
    elif isinstance(value, list | tuple):
        for n, item in enumerate(value):
            yield from _keys(item, f"{path}[{n}]")


def _listed(keys: list[Any] | tuple[Any, ...], path: str) -> Iterator[tuple[str, str]]:
    for n, key in enumerate(keys):
        at = f"{path}[{n}]"
        if isinstance(key, str):
            yield at, key
        else:
            yield from _keys(key, at)


def _check_key(where: str, text: str) -> Iterator[checks.CheckMessage]:
    reference = _REFERENCE.fullmatch(text)
    if reference is None:
        if "${" not in text and text not in os.environ.values():
            hint = "Write ${VARIABLE}, and keep the key in that variable: settings are printed, copied and committed."
            yield checks.Warning(f"{where}: a key stands in the settings.", hint=hint, id="omnillm.W002")
    elif not os.environ.get(reference[1]):
        hint = "Every call will fail until it is set."
        yield checks.Warning(f"{where}: the environment variable {reference[1]} is not set.", hint=hint, id="omnillm.W001")


def _with_keys(value: Any) -> Any:
    """Give the setting with a text in the place of every key whose variable is not set."""
    if isinstance(value, str):
        reference = _REFERENCE.fullmatch(value)
        return _STAND_IN if reference is not None and not os.environ.get(reference[1]) else value
    if type(value) in (list, tuple):
        return [_with_keys(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _with_keys(inner) for name, inner in value.items()}
    return value


# --- prices -------------------------------------------------------------------------------------------------------------------


def _check_prices(where: str, config: GatewayConfig) -> Iterator[checks.CheckMessage]:
    if not config.budgets or config.default_model is None or config.pricing.unknown != "error":
        return
    for route in config.routes:
        model = route.model_map.get(config.default_model, config.default_model)
        provider, region = served_by(route.endpoint)
        if config.pricing.price(model, provider, region=region) is None:
            hint = 'Give it one by pricing={"overrides": {…}}, or take it for free by pricing={"unknown": "zero"}.'
            yield checks.Warning(f"{where}: {model} has no price, and there is a budget.", hint=hint, id="omnillm.W003")
