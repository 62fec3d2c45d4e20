"""The command line: ``omnillm demo | call | stream | transcode | sanitize | config | prices | models | status``: ``docs/cli.md``.

Results go to stdout, everything else to stderr; an error is one line there, and an exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from ._parser import build_parser

FAILED, MISUSED, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141


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
        return _complain(error, as_json=options.json)
    return code


def _complain(error: Exception, *, as_json: bool) -> int:
    from .._secret import mask
    from ..errors import OmniLLMError
    from ._streams import UsageError

    name = type(error).__name__
    said = mask("".join(letter if letter.isprintable() else " " for letter in str(error)))  # no escapes to the terminal either
    said = " ".join(said.split())
    if as_json:
        line = json.dumps({"error": {"type": name, "message": said}}, ensure_ascii=False)
    else:
        line = f"omnillm: {said}" if isinstance(error, OmniLLMError) and said else f"omnillm: {name}: {said}"
    print(line, file=sys.stderr)
    return MISUSED if isinstance(error, UsageError) else FAILED
