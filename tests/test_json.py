"""JSON with bounds: one error for all that is no JSON, and everything that passes can be written again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

from omnillm import _json
from omnillm.errors import InvalidJsonError

DEEPEST = _json.MAX_DEPTH

REFUSED = {
    "nothing": "",
    "blank": "  \n",
    "cut": '{"a": [1, 2',
    "two values": "1 2",
    "a word": "yes",
    "single quotes": "{'a': 1}",
    "a trailing comma": "[1,]",
    "a comment": "[1] // one",
    "a control character": '"\x00"',
    "a bad escape": r'"\x41"',
    "NaN": "NaN",
    "NaN inside": '{"a": [NaN]}',
    "Infinity": "Infinity",
    "-Infinity": "[-Infinity]",
    "a number beyond a double": "1e309",
    "a negative number beyond a double": "[-1e999]",
    "a number of many digits and a point": "1" * 400 + ".0",
    "an integer of 5 000 digits": "7" * 5_000,
    "lists too deep": "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
    "lists too deep around a number": "[" * (DEEPEST + 1) + "1" + "]" * (DEEPEST + 1),
    "objects too deep": '{"a":' * (DEEPEST + 1) + "{}" + "}" * (DEEPEST + 1),
    "far too deep": "[" * 100_000,
    "far too deep and closed": "[" * 100_000 + "]" * 100_000,
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf1",
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_or_beyond_the_bounds_is_one_error(document: str | bytes) -> None:
    """Whatever is wrong with a document, reading it raises ``InvalidJsonError``, short and without a chain."""
    with pytest.raises(InvalidJsonError) as caught:
        _json.loads(document)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert 0 < len(caught.value.message) < 200


def test_an_error_does_not_quote_the_document() -> None:
    """A document may hold what should not be logged."""
    with pytest.raises(InvalidJsonError) as caught:
        _json.loads('{"key": "sk-CANARY" oops}')
    assert "CANARY" not in caught.value.message


ACCEPTED: list[tuple[str, str | bytes, Any]] = [
    ("a string", '"a"', "a"),
    ("null", "null", None),
    ("bytes", b'{"a": [1, 2.5, true]}', {"a": [1, 2.5, True]}),
    ("bytearray", bytearray(b"[]"), []),
    ("a byte order mark in bytes", b"\xef\xbb\xbf[1]", [1]),
    ("a byte order mark in a text", "\ufeff[1]", [1]),
    ("duplicate keys: the last one counts", '{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
    ("a pair of surrogates", r'"\ud83d\ude00"', "😀"),
    ("a lone surrogate, escaped", r'"a\ud83dz"', "a\ufffdz"),
    ("a lone surrogate in a key", r'{"\udc00": [{"b": "\ud800"}]}', {"\ufffd": [{"b": "\ufffd"}]}),
    ("a lone surrogate in a text", '"a\ud83d"', "a\ufffd"),
    ("bytes that are no UTF-8", b'"a\xff"', "a\ufffd"),
    ("the largest double", "1.7976931348623157e308", 1.7976931348623157e308),
    ("a number below a double", "1e-999", 0.0),
    ("an integer beyond 64 bits", "123456789012345678901234567890", 123456789012345678901234567890),
    ("an integer stays one", "1", 1),
    ("the deepest list", "[" * DEEPEST + "]" * DEEPEST, None),
    ("the deepest list around a number", "[" * DEEPEST + "1" + "]" * DEEPEST, None),
    ("many brackets in a text", json.dumps("[{" * 500), "[{" * 500),
    ("many siblings", json.dumps([[]] * 500), [[]] * 500),
]


@pytest.mark.parametrize(("document", "value"), [pytest.param(d, v, id=i) for i, d, v in ACCEPTED])
def test_what_is_read_can_be_written_again(document: str | bytes, value: Any) -> None:
    """Within the bounds a document is read as it is, and what was read is UTF-8 when written."""
    read = _json.loads(document)
    if value is not None:
        assert read == value
        assert type(read) is type(value)
    assert _json.loads(_json.dump_bytes(read)) == read


MANY = [0.001 * i / 7 for i in range(-600, 600)]


@pytest.mark.parametrize(
    "beyond", ["1e999", "1E+400", "-1e0400", "0.1e310", "9" * 400 + ".5", "1" + "0" * 250 + "e60", "1" + "0" * 250 + ".0E+60"]
)
def test_a_number_beyond_a_double_is_found_among_many(beyond: str) -> None:
    """An embedding's floats are read fast, and not one infinite number slips through, wherever it stands."""
    many = json.dumps(MANY)
    for document in (f"[{many}, {beyond}]", f"[{many}, {beyond}]".encode(), f'{{"a": [{beyond}], "b": {many}}}'):
        with pytest.raises(InvalidJsonError, match="beyond the range"):
            _json.loads(document)


@pytest.mark.parametrize(
    "within", ["1e308", "1e+99", "-1.7976931348623157e308", "1e-400", "9" * 300 + ".5", '"0.1e999"', "2e00001"]
)
def test_a_number_within_a_double_stands_among_many(within: str) -> None:
    """What only looks as if it were too large is read like any other."""
    document = f"[{json.dumps(MANY)}, {within}]"
    assert _json.loads(document) == json.loads(document) == [MANY, json.loads(within)]


@pytest.mark.parametrize("blank", [" ", "\n", "\r\n\t ", ""])
def test_blanks_around_a_value_are_none_of_it(blank: str) -> None:
    """JSON's own blanks may stand before and after a value, any other may not."""
    assert _json.loads(f"{blank}[1]{blank}") == [1]
    for other in ("\f", "\u00a0", "\x00"):
        with pytest.raises(InvalidJsonError):
            _json.loads(f"[1]{blank}{other}")


def test_the_size_is_bounded() -> None:
    """A document over the limit is refused before it is read; one of just that size is not."""
    assert _json.loads(b"[1,2]", max_bytes=5) == [1, 2]
    with pytest.raises(InvalidJsonError, match="longer than 4 bytes"):
        _json.loads(b"[1,2]", max_bytes=4)


def test_the_number_of_values_is_bounded() -> None:
    """A million values pass, one more does not."""
    most = _json.MAX_VALUES
    assert len(_json.loads("[" + "0," * (most - 1) + "0]")) == most
    with pytest.raises(InvalidJsonError, match="more than 1000000 values"):
        _json.loads("[" + "0," * most + "0]")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_the_bounds_hold_for_values_too() -> None:
    """A value that was never text has the same depth to keep."""
    _json.check_bounds(nested(DEEPEST))
    _json.check_bounds([nested(DEEPEST - 1), "text", 1])
    with pytest.raises(InvalidJsonError, match="deeper"):
        _json.check_bounds(nested(DEEPEST + 1))


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
UNWRITABLE = {
    "NaN": float("nan"),
    "infinity": [float("inf")],
    "a set": {1},
    "bytes": b"a",
    "an object": object(),
    "a circle": CIRCLE,
    "a tuple as key": {(1, 2): 3},
    "an integer of 5 000 digits": 10**5_000,
}


@pytest.mark.parametrize("value", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_is_no_json_value_is_not_written(value: Any) -> None:
    """Writing raises the same one error."""
    with pytest.raises(InvalidJsonError):
        _json.dumps(value)
    with pytest.raises(InvalidJsonError):
        _json.dump_bytes(value)


def test_text_is_compact_and_utf8() -> None:
    """No blanks, no escapes that UTF-8 does not need; a lone surrogate becomes the replacement character."""
    assert _json.dumps({"a": [1, "ä"]}) == '{"a":[1,"ä"]}'
    assert _json.dump_bytes(["\ud800"]) == '["\ufffd"]'.encode()


@given(json_values)
def test_every_value_comes_back(value: Any) -> None:
    """Written and read, a value is the same, its types and order included."""
    assert repr(_json.loads(_json.dumps(value))) == repr(value)
    assert repr(_json.loads(_json.dump_bytes(value))) == repr(value)


@given(st.binary(max_size=40) | st.text('[]{}",:\\u0123d8eE+-. \ntrufalsn', max_size=40))
def test_any_input_is_a_value_or_the_one_error(document: str | bytes) -> None:
    """No bytes and no text raise anything else, and what passes can be written."""
    try:
        value = _json.loads(document)
    except InvalidJsonError:
        return
    assert _json.loads(_json.dump_bytes(value)) == value
