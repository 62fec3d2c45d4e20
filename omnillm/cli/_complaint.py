"""How an error is told: one line on stderr, without a key and without what would steer a terminal."""

from __future__ import annotations

import json
import sys

from .._secret import mask
from ..errors import OmniLLMError
from ._streams import UsageError

FAILED, MISUSED = 1, 2


def complain(error: Exception, *, as_json: bool) -> int:
    """Tell it, and give the exit code that it means."""
    name = type(error).__name__
    said = mask("".join(letter if letter.isprintable() else " " for letter in str(error)))
    said = " ".join(said.split())
    if as_json:
        line = json.dumps({"error": {"type": name, "message": said}}, ensure_ascii=False)
    else:
        line = f"omnillm: {said}" if isinstance(error, OmniLLMError) and said else f"omnillm: {name}: {said}"
    print(line, file=sys.stderr)
    return MISUSED if isinstance(error, UsageError) else FAILED
