"""Where a configuration comes from: a mapping, a TOML file, or the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..providers.presets import split_model
from .own import own_options
from .place import Place, Source
from .reading import read_config
from .schema import VARIABLES
from .values import GatewayConfig

_NUMBER = re.compile(r"[+-]?([0-9]+)(\.[0-9]+)?|inf")
_KEPT_WITH_A_FILE = ("OMNILLM_CONFIG", "OMNILLM_GATEWAY", "OMNILLM_API_KEY")  # a file may refer to the last


def from_mapping(value: object, name: str | None = None) -> GatewayConfig:
    """Read a mapping."""
    return read_config(value, Place(Source()), name)


def from_file(path: str | os.PathLike[str], name: str | None = None) -> GatewayConfig:
    """Read a TOML file."""
    value, at = load(path)
    return read_config(value, at, name)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Place]:
    """Read a TOML file as it is, and give the place that its errors name."""
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"config: expected a mapping or a path, got {type(path).__name__}", field="config")
    file = Path(path)
    at = Place(Source(file=str(file)))
    try:
        text = file.read_bytes().decode("utf-8")
        return tomllib.loads(text), at
    except FileNotFoundError:
        fault = "no such file"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        fault = f"not TOML: {str(error).splitlines()[0]:.120}"
    except UnicodeDecodeError:
        fault = "not TOML: not UTF-8"
    except RecursionError:
        fault = "not TOML that can be read: nested too deep"
    raise at.wrong(fault)  # here, where no exception is handled: the parser's may hold the document


def from_environment() -> GatewayConfig:
    """Read the variables of the schema."""
    given = {variable.name: os.environ[variable.name] for variable in VARIABLES if os.environ.get(variable.name)}
    if "OMNILLM_CONFIG" in given:
        for name in given:
            if name not in _KEPT_WITH_A_FILE:
                raise ConfigurationError(f"{name}: expected either this or OMNILLM_CONFIG, not both", field=name)
        return from_file(given["OMNILLM_CONFIG"], given.get("OMNILLM_GATEWAY"))
    if "OMNILLM_GATEWAY" in given:
        raise ConfigurationError("OMNILLM_GATEWAY: names a gateway of OMNILLM_CONFIG, which is not set", field="OMNILLM_GATEWAY")
    if "OMNILLM_MODEL" not in given:
        raise ConfigurationError(
            "OMNILLM_MODEL is not set: it should say provider/model, or OMNILLM_CONFIG should name a file", field="OMNILLM_MODEL"
        )
    at = Place(Source(variables={**{v.path: v.name for v in VARIABLES if v.path}, "keys[0].key": "OMNILLM_API_KEY"}))
    return read_config(_as_mapping(given), at)


def _as_mapping(given: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        v.path: _number(v.name, given[v.name]) if v.is_number else given[v.name] for v in VARIABLES if v.name in given
    }
    if "keys" in values:
        values["keys"] = ["${OMNILLM_API_KEY}"]
    if "timeouts.total" in values:
        values["timeouts"] = {"total": values.pop("timeouts.total")}
    with suppress(ConfigurationError):  # the reader says what is wrong with the model
        values |= own_options(split_model(values["model"])[0], values)
    return values


def _number(name: str, text: str) -> int | float:
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"{name}: expected a number, got {text!r:.80}", field=name)
    return int(text) if found[1] and not found[2] else float(text)
