"""A body that is read while it is sent."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from omnillm import ConfigurationError
from omnillm.transport import Upload

DATA = bytes(range(256)) * 4096  # 1 MiB: several chunks


def all_of(upload: Upload) -> bytes:
    return b"".join(upload.chunks())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


def test_pieces_come_in_their_order_as_often_as_it_takes(path: Path) -> None:
    """A path is opened anew each time, between the bytes before and after it."""
    upload = Upload([b"<", path, b">"])
    assert len(upload) == len(DATA) + 2
    assert all_of(upload) == all_of(upload) == b"<" + DATA + b">"


def test_an_open_file_is_read_from_where_it_stands_and_not_moved(path: Path) -> None:
    """Two readers at once have places of their own."""
    with path.open("rb") as file:
        file.seek(1000)
        upload = Upload([file])
        one, other = upload.chunks(), upload.chunks()
        assert next(one) == next(other) == DATA[1000 : 1000 + (256 << 10)]
        assert (all_of(upload), file.tell()) == (DATA[1000:], 1000)


def test_the_caller_s_file_may_be_read_beside(path: Path) -> None:
    """What the caller reads of it meanwhile does not change what is sent."""
    with path.open("rb") as file:
        chunks = Upload([file]).chunks()
        first = next(chunks)
        file.read(5000)
        assert first + b"".join(chunks) == DATA


@pytest.mark.parametrize("kind", ["memory", "gzip", "temporary", "spooled", "pipe", "read-write"])
def test_every_kind_of_file_is_sent_whole(kind: str, path: Path, tmp_path: Path) -> None:
    """In memory, packed, temporary, or a pipe that can be read once: the upload can be sent twice."""
    file: Any
    if kind == "memory":
        file = io.BytesIO(DATA)
    elif kind == "gzip":
        (tmp_path / "a.gz").write_bytes(gzip.compress(DATA))
        file = gzip.open(tmp_path / "a.gz")  # noqa: SIM115  # closed below
    elif kind == "temporary":
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # closed below
        file.write(DATA)
        file.flush()
        file.seek(0)
    elif kind == "spooled":
        file = tempfile.SpooledTemporaryFile()  # noqa: SIM115  # closed below
        file.write(DATA)
        file.seek(0)
    elif kind == "pipe":
        there, here = os.pipe()
        os.write(here, DATA[:1000])
        os.close(here)
        file = os.fdopen(there, "rb")
    else:
        file = path.open("r+b")
    with file:
        upload = Upload([file])
        wanted = DATA[:1000] if kind == "pipe" else DATA
        assert (len(upload), all_of(upload), all_of(upload)) == (len(wanted), wanted, wanted)


@pytest.mark.parametrize("case", ["missing", "folder", "closed", "text"])
def test_what_cannot_be_read_is_refused_at_once(case: str, path: Path, tmp_path: Path) -> None:
    """The error names the file before anything is sent, and shows no path."""
    given: Any = {"missing": tmp_path / "none", "folder": tmp_path, "text": io.StringIO("x")}.get(case)
    if case == "closed":
        given = path.open("rb")
        given.close()
    with pytest.raises(ConfigurationError, match=r"^file: ") as caught:
        Upload([given])
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_became_shorter_ends_the_call(path: Path) -> None:
    """The length that was promised cannot be kept: nothing else is sent in its place."""
    upload = Upload([path])
    path.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="shorter"):
        all_of(upload)


def test_what_is_added_to_a_file_is_not_sent(path: Path) -> None:
    """The length is the one that was promised."""
    upload = Upload([path])
    path.write_bytes(DATA + b"more")
    assert all_of(upload) == DATA


def test_a_file_that_went_away_is_named(path: Path) -> None:
    """The error is of the file, not of the connection."""
    upload = Upload([path])
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"data\.bin"):
        all_of(upload)
