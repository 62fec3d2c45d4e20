"""The fixtures of the command line."""

from cli_fixtures import provider, run

__all__ = ["provider", "run"]
