"""The extension: the gateways of an app, one of each alias for a process."""

from __future__ import annotations

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from ...errors import ConfigurationError, StateUnavailableError
from ...gateway.gateway import Gateway
from .._gateways import DEFAULT, SETTING, Gateways
from .._status import as_json, as_text

_NAME = "omnillm"


class OmniLLM:
    """Give an app the gateways of its ``OMNILLM``: aliases with mappings, as ``{"default": {"model": "openai/gpt-4.1-mini"}}``.

    A gateway is made when first asked for, and is the same in the whole process; a fork needs nothing. ``OmniLLM(app)``, or
    ``init_app(app)`` for any number of apps, each with its own gateways.
    """

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give the app its gateways; its ``OMNILLM`` may be set later, before the first of them is asked for."""
        config = app.config
        app.extensions[_NAME] = Gateways(lambda: config.get(SETTING))
        app.cli.add_command(_commands())

    @property
    def gateway(self) -> Gateway:
        """Give the gateway ``default`` of the current app."""
        return get_gateway()

    def get_gateway(self, alias: str = DEFAULT) -> Gateway:
        """Give the gateway of that alias of the current app; raises ``ConfigurationError`` naming the setting."""
        return get_gateway(alias)

    def close(self, app: Flask) -> None:
        """Close the gateways that the app has, as at exit; what is asked for next is made anew."""
        _gateways_of(app).close()


def get_gateway(alias: str = DEFAULT) -> Gateway:
    """Give the gateway of that alias of the current app; raises ``ConfigurationError`` naming the setting."""
    return _gateways_of(current_app).get(alias)


def _gateways_of(app: Flask) -> Gateways:
    found = app.extensions.get(_NAME)
    if not isinstance(found, Gateways):
        raise ConfigurationError("the app has no gateways: OmniLLM(app), or init_app(app), comes first", field=SETTING)
    return found


def _commands() -> AppGroup:
    group = AppGroup(_NAME, help="The gateways to language models.")

    @group.command("status", help="Show how the keys and budgets stand.")  # type: ignore[untyped-decorator]
    @click.argument("alias", nargs=-1)  # type: ignore[untyped-decorator]
    @click.option("--json", "is_json", is_flag=True, help="Print JSON.")  # type: ignore[untyped-decorator]
    def status(alias: tuple[str, ...], is_json: bool) -> None:
        gateways = _gateways_of(current_app)
        try:
            found = {name: gateways.get(name) for name in alias or gateways.aliases()}
            click.echo(as_json(found) if is_json else as_text(found))
        except (ConfigurationError, StateUnavailableError) as error:
            raise click.ClickException(str(error)) from error

    return group
