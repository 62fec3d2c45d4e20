"""``manage.py omnillm_status``: how every key and budget of the gateways stands."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from .....errors import ConfigurationError, StateUnavailableError
from ...._status import as_json, as_text
from ...gateways import GATEWAYS, get_gateway


class Command(BaseCommand):  # type: ignore[misc]  # Django's stubs are not asked for
    """Print the table, or JSON."""

    help = (
        "Show how the keys and budgets of settings.OMNILLM stand: what this process knows, "
        "which is all there is where the gateway has a shared state."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: Any) -> None:
        """Take the aliases, and the form."""
        parser.add_argument("alias", nargs="*", help="the gateways to show; all where left out")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print it."""
        try:
            found = {alias: get_gateway(alias) for alias in options["alias"] or GATEWAYS.aliases()}
            told = as_json(found) if options["json"] else as_text(found)
        except (ImproperlyConfigured, ConfigurationError, StateUnavailableError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(told)
