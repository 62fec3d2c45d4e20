"""The app, for ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from .checks import check_gateways


class OmniLLMConfig(AppConfig):  # type: ignore[misc]  # Django's stubs are not asked for
    """Register the checks."""

    name = "omnillm.contrib.django"
    label = "omnillm"
    verbose_name = "omnillm"

    def ready(self) -> None:
        """Register the checks, once the settings are known."""
        register(check_gateways, "omnillm")
