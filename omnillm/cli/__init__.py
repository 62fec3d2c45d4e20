"""The command line, ``omnillm COMMAND``: ``docs/cli.md``.

Results go to stdout, everything else to stderr; an error is one line there, and an exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ._parser import build_parser

INTERRUPTED, PIPE_CLOSED = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; wrong usage leaves by ``SystemExit(2)``, as argparse does."""
    options = build_parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # what is still buffered has nowhere to go, and the interpreter would complain of it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001  # the boundary to a person
        from ._complaint import complain

        return complain(error, as_json=options.json)
    return code
