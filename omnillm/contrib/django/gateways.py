"""The gateways of ``settings.OMNILLM``: one of each alias for a process, closed at its exit, and where a test overrides them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from ...errors import ConfigurationError
from ...gateway.gateway import Gateway
from .._gateways import DEFAULT, SETTING, Gateways

GATEWAYS = Gateways(lambda: getattr(settings, SETTING, None))


def get_gateway(alias: str = DEFAULT) -> Gateway:
    """Give the gateway of ``settings.OMNILLM[alias]``, made when first asked for, the same one in the whole process.

    A fork needs nothing: in a child the gateway begins anew. Raises ``ImproperlyConfigured`` naming the setting.
    """
    try:
        return GATEWAYS.get(alias)
    except ConfigurationError as error:
        raise ImproperlyConfigured(error.message) from None


def close_gateways() -> None:
    """Close the gateways that were made, as at exit; what is asked for next is made anew."""
    GATEWAYS.close()


def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        GATEWAYS.close()


setting_changed.connect(_forget, dispatch_uid="omnillm.contrib.django")
