"""``omnillm completion``."""

from __future__ import annotations

import argparse
import json

from ..errors import ConfigurationError
from ._parser import build_parser


def completion(options: argparse.Namespace) -> int:
    """Print what a shell completes commands and options by, made of the parser itself."""
    try:
        import shtab
    except ImportError:
        need = "completion needs shtab: pip install 'omnillm[cli]'"
        raise ConfigurationError(need, field="shell") from None
    script = shtab.complete(build_parser(), shell=options.shell)
    print(json.dumps({"script": script}) if options.json else script)
    return 0
