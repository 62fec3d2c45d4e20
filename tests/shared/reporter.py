"""What a reporter of errors sends away: all that can be read of an error, its chain and the locals of the frames below ours."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import FrameType
from typing import Any

import omnillm

PACKAGE = omnillm.__path__[0]
MAX_DEPTH = 5
_PLAIN = (str, bytes, bytearray, memoryview)
_LINKED = ("doc", "object", "request", "response")  # attributes by which others' errors are known to keep what was sent


def chain_of(error: BaseException) -> list[BaseException]:
    """Give an error and all that hang on it by cause, context or group."""
    seen: list[BaseException] = []
    ahead = [error]
    while ahead:
        one = ahead.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        ahead += [linked for linked in (one.__cause__, one.__context__, *getattr(one, "exceptions", ())) if linked is not None]
    return seen


def told(error: BaseException) -> Iterator[str]:
    """Give everything an error shows: texts, reprs, attributes and its pickle, of itself and its whole chain."""
    for one in chain_of(error):
        yield from (str(one), repr(one), repr(one.args), "".join(traceback.format_exception_only(one)))
        yield from texts_of(vars(one) if hasattr(one, "__dict__") else {})
        yield repr({name: getattr(one, name) for name in _LINKED if hasattr(one, name)})
        yield pickled(one)


def locals_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Give the locals of every frame from ours downwards, with where they stand, as Sentry and ``capture_locals`` read them."""
    for one in chain_of(error):
        trace, within = one.__traceback__, False
        while trace is not None:
            frame = trace.tb_frame
            within = within or is_ours(frame)
            if within:
                where = f"{frame.f_code.co_filename}:{trace.tb_lineno} {frame.f_code.co_name}"
                for name, value in frame.f_locals.items():
                    for text in texts_of(value):
                        yield f"{where}: {name}", text
            trace = trace.tb_next


def is_ours(frame: FrameType) -> bool:
    """Tell whether a frame is the library's."""
    return frame.f_code.co_filename.startswith(PACKAGE)


def texts_of(value: Any, depth: int = 0) -> list[str]:
    """Give the texts of a value: containers are walked into, whatever their repr says; the rest is its repr.

    Of what is half made, and cannot be read, there is nothing: a reporter shows nothing of it either.
    """
    try:
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return [text for pair in list(value.items()) for item in pair for text in texts_of(item, depth + 1)]
        if depth < MAX_DEPTH and isinstance(value, Sequence | AbstractSet) and not isinstance(value, _PLAIN):
            return [text for item in list(value) for text in texts_of(item, depth + 1)]
        return [repr(value)]
    except Exception:
        return []


def pickled(value: Any) -> str:
    """Give a pickle as text, nothing where there is none."""
    try:
        return pickle.dumps(value).decode("latin-1")
    except Exception:  # what does not pickle leaks nothing by it
        return ""


def forms_of(key: str) -> tuple[str, ...]:
    """Give the spellings in which a key may be shown."""
    import base64
    import json
    from urllib.parse import quote, quote_plus

    return tuple(
        dict.fromkeys((key, quote(key, safe="", errors="replace"), quote_plus(key, errors="replace"), json.dumps(key)[1:-1],
                       key.replace("/", "\\/"), base64.b64encode(key.encode("utf-8", "replace")).decode().rstrip("=")))
    )  # fmt: skip
