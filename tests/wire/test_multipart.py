"""Forms to upload: written in pieces, and read back."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import omnillm as o
from omnillm.wire.multipart import form_pieces, form_type, read_form

BOUNDARY = "omnillm-0123456789abcdef"
names = st.text(st.characters(exclude_categories=["C"], exclude_characters='\\"%;'), min_size=1, max_size=20).map(
    lambda name: " ".join(name.split()) or "x"
)
texts = st.text(max_size=50).map(lambda text: text.encode("utf-8", "replace").decode())
fields = st.builds(
    o.MultipartField,
    names,
    st.one_of(
        st.builds(o.MultipartText, texts),
        st.builds(o.MultipartFile, names, st.binary(max_size=200), st.sampled_from(["audio/wav", "application/octet-stream"])),
    ),
)


def written(body: o.MultipartBody) -> bytes:
    return b"".join(piece for piece in form_pieces(body, BOUNDARY) if isinstance(piece, bytes))


@given(st.lists(fields, max_size=6).map(lambda given: o.MultipartBody(tuple(given))))
def test_a_form_is_read_as_it_was_written(body: o.MultipartBody) -> None:
    """Texts, bytes, names of any script and blank lines within files survive."""
    assert read_form(form_type(BOUNDARY), written(body)) == body


def test_a_file_is_left_to_whoever_sends_it() -> None:
    """Its path is a piece of its own: nothing was read."""
    path = Path("/recordings/a.wav")
    body = o.MultipartBody(
        (o.MultipartField("file", o.MultipartFile("a.wav", path)), o.MultipartField("n", o.MultipartText("1")))
    )
    before, file, after = form_pieces(body, BOUNDARY)
    assert file is path
    assert before.endswith(b"Content-Type: application/octet-stream\r\n\r\n")  # type: ignore[union-attr]
    assert after == f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--{BOUNDARY}--\r\n'.encode()


@pytest.mark.parametrize("name", ['a"; filename="b', "a\r\nX-Evil: 1", 'a"\r\n\r\nbody'])
def test_a_name_cannot_break_out(name: str) -> None:
    """Quotes and line ends are escaped, and come back."""
    body = o.MultipartBody((o.MultipartField(name, o.MultipartFile(name, b"x", "audio/wav")),))
    assert written(body).count(b"\r\n\r\n") == 1
    assert read_form(form_type(BOUNDARY), written(body)) == body


def test_a_media_type_cannot_break_out() -> None:
    """What is none is refused."""
    body = o.MultipartBody((o.MultipartField("file", o.MultipartFile("a", b"x", "audio/wav\r\nX-Evil: 1")),))
    with pytest.raises(o.InvalidShapeError, match="media type"):
        form_pieces(body, BOUNDARY)


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x--\r\n"),
        (form_type("x"), b""),
        (form_type("x"), b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'),
        (form_type("x"), b"--x\r\nContent-Disposition: form-data\r\n\r\nb\r\n--x--\r\n"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, data: bytes) -> None:
    """The error is the codecs' own."""
    with pytest.raises(o.ProtocolError):
        read_form(content_type, data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_refused(data: bytes) -> None:
    """No other exception."""
    for body in (data, b"--x\r\n" + data + b"\r\n--x--\r\n"):
        with contextlib.suppress(o.ProtocolError):
            read_form(form_type("x"), body)
