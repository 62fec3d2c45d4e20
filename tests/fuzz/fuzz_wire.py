"""Fuzz the codecs with atheris: ``pip install atheris``, then ``python tests/fuzz/fuzz_wire.py chat -max_total_time=300``.

The first argument is a format of ``whole_payloads.WHOLE``, the others are libFuzzer's. An input damages a whole payload in some
places, or is the text itself; what must hold is in ``damage``. A crasher is kept as a case of ``tests/wire/test_hostile.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "shared"), str(Path(__file__).parents[2])]

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: nothing to do")

with atheris.instrument_imports(include=["omnillm"]):
    from damage import drop, places, put, try_error, try_request, try_response, try_stream
    from whole_payloads import WHOLE, Whole

    import omnillm as o
    from omnillm.wire import codec

    for row in WHOLE.values():
        codec(row.protocol)

_STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1 << 70, 0.5, -1e308, "", "x", "text", "\ud800", "data:;base64,", "{", "[1]", [], [[]], {}),
    *([None], ["x"], [{}], [1], {"type": "text"}, {"type": 1}, {"": None}, {"text": 1}, {"a": {"b": []}}, [{"type": []}]),
)


def _words(value: Any) -> list[Any]:
    """Give every value inside a value: what stands in one place is tried in others."""
    found = [value]
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            found += _words(inner)
    return found


def _damaged(whole: Any, data: atheris.FuzzedDataProvider) -> Any:
    for _ in range(data.ConsumeIntInRange(1, 4)):
        path = data.PickValueInList(list(places(whole)))
        what = data.ConsumeIntInRange(0, 3)
        if what == 0 and path:
            whole = drop(whole, path)
            continue
        found = data.PickValueInList(list(_STRANGE) if what < 3 else _words(whole))
        whole = put(whole, path, found)
    return whole


def _one_input(whole: Whole, data: atheris.FuzzedDataProvider) -> None:
    surface = data.ConsumeIntInRange(0, 4)
    if surface == 0:
        try_request(whole, _damaged(whole.request, data))
    elif surface == 1:
        try_response(whole, _damaged(whole.response, data))
    elif surface == 2:
        frames = _damaged([list(frame) for frame in whole.frames], data)
        pairs = [frame for frame in frames if isinstance(frame, list) and len(frame) == 2] if isinstance(frames, list) else []
        made = [o.SseFrame(event if isinstance(event, str) else None, json.dumps(body)) for event, body in pairs]
        try_stream(whole, made)
    elif surface == 3:
        try_error(whole, data.PickValueInList([None, 400, 429, 500]), _damaged(whole.error, data))
    else:
        text = data.ConsumeUnicode(data.remaining_bytes())
        try_request(whole, text)
        try_response(whole, text)
        try_stream(whole, [o.SseFrame(None, text)])
        try_error(whole, 400, text)


def main() -> None:
    """Fuzz one format until libFuzzer stops."""
    if len(sys.argv) < 2 or sys.argv[1] not in WHOLE:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(WHOLE)} [libFuzzer options]")
    whole = WHOLE[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: _one_input(whole, atheris.FuzzedDataProvider(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
