"""What a provider's own environment variables say: its key, and where the provider has one, its base URL."""

from __future__ import annotations

import os

from .._dataclass import dataclass
from .._secret import Secret
from ..errors import MissingKeyError
from ..providers.presets import Preset
from .values import DEFAULT_RPM, DEFAULT_TPM, KeyConfig

PLACEHOLDER = "no-key"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Be the source of what is shown to a server that asks for no key; it pickles, being no secret."""

    def __call__(self) -> str:
        """Give the text that stands in the header."""
        return PLACEHOLDER


def own_key(preset: Preset, otherwise: str, *, rpm_limit: int = DEFAULT_RPM, tpm_limit: int = DEFAULT_TPM) -> KeyConfig:
    """Give the key of the provider's first variable that is set; raises ``MissingKeyError`` naming them, and ``otherwise``.

    A server that needs none is shown the text ``no-key``.
    """
    for name in preset.key_variables:
        if os.environ.get(name):
            return KeyConfig.from_env(name, rpm_limit=rpm_limit, tpm_limit=tpm_limit)
    if not preset.needs_key:
        return KeyConfig(Secret.by_reference(Placeholder()), rpm_limit=rpm_limit, tpm_limit=tpm_limit)
    names = " or ".join(preset.key_variables)
    said = f"{preset.name} needs a key: set the environment variable {names}, or give {otherwise}"
    raise MissingKeyError(said, field=preset.key_variables[0])


def own_base(preset: Preset) -> str | None:
    """Give the base URL of the provider's own variable, where it has one and that is set."""
    variable = preset.base_variable
    value = os.environ.get(variable.name) if variable is not None else None
    return variable.base(value) if variable is not None and value else None
