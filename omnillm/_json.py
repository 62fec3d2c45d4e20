"""JSON with bounds: the one seam through which the library reads and writes it.

The standard module accepts ``NaN`` and lone surrogates, recurses without a bound and raises four kinds of errors; here there is
one error, ``InvalidJsonError``, and everything that passes can be written again as UTF-8.

Where orjson is installed it reads and writes what it does just as the standard module does; everything else, errors too, is the
standard module's to say: what is here decides which is which. (Written, ``1e+16`` may be spelled ``1e16``.)
"""

from __future__ import annotations

import contextlib
import importlib
import json
import marshal
import re
from typing import Any, NoReturn

from .errors import InvalidJsonError

# Now, not on first use: a thread that imports while another forks leaves the child an import that never ends.
_orjson: Any = None
with contextlib.suppress(ImportError):
    _orjson = importlib.import_module("orjson")

MAX_BYTES = 32 << 20
MAX_DEPTH = 100
MAX_VALUES = 1_000_000

_BLANK = " \t\n\r"
_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJsonError(f"{name} is no JSON value", beyond=True)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in _INFINITE:
        raise InvalidJsonError("a number beyond the range of a double", beyond=True)
    return value


_INFINITE = frozenset((float("inf"), float("-inf")))
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_decode, _decode_raw = _decoder.decode, _decoder.raw_decode
_decode_finite = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode

# Beyond the range of a double is only what has an exponent of three digits, or more than 200 digits in a row.
_LONG_NUMBER = b"0" * 19  # from so many digits on orjson may read an integer as a float
_FLAT = bytes.maketrans(b"123456789+E[", b"0000000000e{")
_LARGE_EXPONENT, _MANY_DIGITS = b"0e000", b"0" * 200
_MANY_FLOATS, _HEAD = 64, 4096  # so many at the beginning promise more than the check costs
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def loads(data: bytes | bytearray | str, *, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES) -> Any:
    """Read one JSON value from a text or UTF-8 bytes; invalid bytes and lone surrogates become U+FFFD.

    Raises ``InvalidJsonError`` for what is not JSON and for what is beyond the bounds: 32 MiB, a depth of 100, a million
    values, 4 300 digits.
    """
    if len(data) > max_bytes:
        raise InvalidJsonError(f"longer than {max_bytes} bytes", beyond=True)
    if _orjson is not None:
        value = _read_fast(data, max_values)
        if value is not _UNREAD:
            return value
    text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
    text = text.removeprefix("\ufeff").strip(_BLANK)
    value = _read_short(text) if len(text) <= _HEAD else _UNREAD
    if value is _UNREAD:
        value, refused = _read(text)
        if refused is not None:
            raise refused  # here, where no exception is handled: the standard module's holds the whole document
    if len(text) > 2 * MAX_DEPTH and _may_exceed(text):  # each level has two brackets
        check_bounds(value, max_values)
    if ("\\" in text and "\\u" in text) or (isinstance(data, str) and not text.isascii() and not _is_well_formed(text)):
        value = _without_surrogates(value)
    return value


_UNREAD: Any = object()


def _read_fast(data: bytes | bytearray | str, max_values: int) -> Any:
    """Read what orjson reads like the standard module: no error, no lone surrogate, no bad UTF-8, no long number."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        value = _orjson.loads(raw)
    except ValueError:
        return _UNREAD
    flat = raw.translate(_FLAT)  # one pass, in which digits look alike and so do brackets: then each bound is one search
    if _LONG_NUMBER in flat:
        return _UNREAD
    if flat.count(b"{") > MAX_DEPTH or (len(raw) > MAX_VALUES and raw.count(b",") >= MAX_VALUES):
        check_bounds(value, max_values)
    return value


def backend() -> str:
    """Name the module that reads and writes most."""
    return "json" if _orjson is None else "orjson"


def _read_short(text: str) -> Any:
    """Read a short text in which nothing is wrong."""
    try:
        value, end = _decode_raw(text)
    except (ValueError, RecursionError):  # what it is, the whole way says
        return _UNREAD
    return value if end == len(text) else _UNREAD


def _read(text: str) -> tuple[Any, InvalidJsonError | None]:
    try:
        value, end = _decode_finite(text) if len(text) > _HEAD and _is_all_finite(text) else _decode_raw(text)
        return (value if end == len(text) else _decode(text)), None  # the whole is refused by the decoder's own words
    except InvalidJsonError as error:
        return None, error
    except RecursionError:
        return None, InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels", beyond=True)
    except json.JSONDecodeError as error:
        return None, InvalidJsonError(_said(error))
    except ValueError as error:  # Python's own bound on the digits of a number
        return None, InvalidJsonError(_said(error), beyond=True)


def _is_all_finite(text: str) -> bool:
    """Tell whether a text has many numbers (an embedding, say) and surely none of them is infinite; else each is looked at."""
    if text.count("0.", 0, _HEAD) < _MANY_FLOATS:
        return False
    flat = text.encode("utf-8", "surrogatepass").translate(_FLAT)
    return _LARGE_EXPONENT not in flat and _MANY_DIGITS not in flat


def _may_exceed(text: str) -> bool:
    """Tell, by the marks that it would need, whether a text may hold a value beyond the bounds."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        return True
    return len(text) > MAX_VALUES and text.count(",") >= MAX_VALUES


def _is_well_formed(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def dumps(value: Any) -> str:
    """Write a value as compact JSON text; raises ``InvalidJsonError`` where it is none."""
    try:
        text = _encode(value)
    except RecursionError:
        raise InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels", beyond=True) from None
    except (TypeError, ValueError) as error:
        raise InvalidJsonError(_said(error)) from None
    return text


def dump_bytes(value: Any) -> bytes:
    """Write a value as compact UTF-8 JSON; a lone surrogate becomes U+FFFD."""
    if _orjson is not None:
        written = _write_fast(value)
        if written is not None:
            return written
    text = dumps(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def _write_fast(value: Any) -> bytes | None:
    """Write what orjson writes like the standard module, or nothing.

    orjson also takes a UUID, an enum or a date, and makes ``null`` of a number that is not finite. ``marshal`` refuses, in a pass
    of C, whatever is of none of JSON's own types; and where a ``null`` stands, the standard module says what it is.
    """
    try:
        written: bytes = _orjson.dumps(value)
        if b"null" in written:
            return None
        marshal.dumps(value, 2)  # this version keeps no account of what it has seen, which is most of the cost
    except (TypeError, ValueError, RecursionError):
        return None
    return written


def check_bounds(value: Any, max_values: int = MAX_VALUES) -> None:
    """Raise ``InvalidJsonError`` where a value is nested deeper than 100 levels or holds more than a million values."""
    depth, seen = -1, 0
    level: list[Any] = [[value]]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels", beyond=True)
        seen += sum(map(len, level))
        if seen > max_values:
            raise InvalidJsonError(f"more than {max_values} values", beyond=True)
        inner = (item for holder in level for item in (holder.values() if isinstance(holder, dict) else holder))
        level = [item for item in inner if isinstance(item, dict | list)]


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value) if _SURROGATE.search(value) else value
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _said(error: Exception) -> str:
    # the first line of json's own words: a position, never the document
    return f"not JSON: {str(error).splitlines()[0][:120]}" if str(error) else "not JSON"
