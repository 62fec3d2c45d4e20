"""Signature Version 4 and the binary event stream: as botocore has them, dated by our clock, bounded and whole."""

from __future__ import annotations

import binascii
import contextlib
import itertools
import json
import logging
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from omnillm._clock import Deadline
from omnillm.errors import InvalidShapeError, UnauthorizedError
from omnillm.testing import FakeClock
from omnillm.testing._eventstream import encode_event
from omnillm.transport import HttpRequest, aws
from omnillm.wire import SseFrame

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AT = "2023-11-14T22:13:20+00:00"  # where the fake clock's wall stands
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Ax%2Fy/converse"
REQUEST = HttpRequest("POST", URL, {"Content-Type": "application/json", "X-Amzn-Own": "a  b"}, b'{"a":1}')


def sign(signer: aws.SigV4, request: HttpRequest = REQUEST) -> HttpRequest:
    return signer.sign(request, deadline=Deadline.after(1), cancel=None)


def signer(token: str | None = None, clock: FakeClock | None = None) -> aws.SigV4:
    return aws.SigV4(aws.given(ACCESS, SECRET, token), "us-east-1", "bedrock", clock or FakeClock())


# --- signing ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize("url", [URL, "https://h.example.com:8443/a%20b?x=1&b=2", "http://127.0.0.1:9/model/m/converse"])
def test_a_signature_is_botocores(url: str, token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """Header by header what ``add_auth`` makes at the same moment; what was given stays."""
    caplog.set_level(logging.INFO, logger="botocore")  # asked here by itself, it logs what it signs
    request = HttpRequest("POST", url, REQUEST.headers, REQUEST.body)
    expected = AWSRequest("POST", url, dict(request.headers), request.body)
    with freeze_time(AT):
        SigV4Auth(Credentials(ACCESS, SECRET, token), "bedrock", "us-east-1").add_auth(expected)
    signed = sign(signer(token), request)
    assert dict(signed.headers) == dict(expected.headers)
    assert (signed.method, signed.url, signed.body) == (request.method, request.url, request.body)
    assert "Authorization" not in request.headers


def test_the_date_is_the_injected_clocks() -> None:
    """A later moment is another date and another signature."""
    clock = FakeClock()
    one = signer(clock=clock)
    first, _ = sign(one), clock.advance(3600)
    second = sign(one)
    assert (first.headers["X-Amz-Date"], second.headers["X-Amz-Date"]) == ("20231114T221320Z", "20231114T231320Z")
    assert first.headers["Authorization"] != second.headers["Authorization"]


def test_nothing_of_a_signature_is_shown_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither by a repr nor by botocore, however much it is asked to log."""
    with caplog.at_level(logging.DEBUG):
        signed = sign(signer("session-token"))
    assert "session-token" not in caplog.text + repr(signed) + repr(signed.headers)
    assert "Signature" not in caplog.text + repr(signed.headers)


def test_what_signs_is_to_be_taken_out_of_errors() -> None:
    """Each part by itself, that of the credentials before as well."""
    expiring = iter([("a1", "s1", "t1"), ("a2", "s2", "t2"), ("a2", "s2", "t2"), ("a3", "s3", None)])

    class Rotating:
        def get_frozen_credentials(self) -> Any:
            return Credentials(*next(expiring)).get_frozen_credentials()

    one = aws.SigV4(aws.found(None, Rotating()), "us-east-1", "bedrock", FakeClock())
    assert one.secrets() == ()
    for shown in (["a1", "s1", "t1"], ["a1", "s1", "t1", "a2", "s2", "t2"], ["a1", "s1", "t1", "a2", "s2", "t2"]):
        sign(one)
        assert [secret.reveal() for secret in one.secrets()] == shown
    sign(one)
    assert {"a2", "a3", "s3"} <= {secret.reveal() for secret in one.secrets()}
    assert not one.refused(REQUEST)


def test_many_threads_sign_at_once() -> None:
    """Each its own request, with the signature that it has alone."""
    one = signer()
    requests = [HttpRequest("POST", URL, {"Content-Type": "application/json"}, b"%d" % n) for n in range(40)]
    alone = [sign(one, request).headers for request in requests]
    with ThreadPoolExecutor(8) as pool:
        assert [signed.headers for signed in pool.map(lambda request: sign(one, request), requests)] == alone


# --- credentials --------------------------------------------------------------------------------------------------------------


def test_a_profile_is_looked_for_when_it_first_signs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the shared files, once; the environment's own keys do not count for it."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    source = aws.found("prod", None)
    file.write_text("[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = s\n")
    assert source().access_key == "AKIAPROD"
    file.unlink()
    assert source().access_key == "AKIAPROD"


def test_the_default_chain_begins_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every tool of Amazon's."""
    for name, value in {"ACCESS_KEY_ID": "AKIAENV", "SECRET_ACCESS_KEY": "s", "SESSION_TOKEN": "t"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    credentials = aws.found(None, None)()
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("AKIAENV", "s", "t")


def test_credentials_that_are_nowhere_are_an_error_of_the_key(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, and another key may be tried."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for profile, said in ((None, "the default chain has none"), ("absent", "ProfileNotFound")):
        with pytest.raises(UnauthorizedError, match=f"no AWS credentials: {said}") as caught:
            sign(aws.SigV4(aws.found(profile, None), "us-east-1", "bedrock", FakeClock()))
        assert caught.value.sent == "no"


def test_credentials_that_cannot_be_renewed_are_an_error_without_a_context() -> None:
    """What botocore raised may hold them."""

    class Broken:
        def get_frozen_credentials(self) -> Any:
            raise CredentialRetrievalError(provider="x", error_msg="s3cr3t")

    with pytest.raises(UnauthorizedError, match="CredentialRetrievalError") as caught:
        sign(aws.SigV4(aws.found(None, Broken()), "us-east-1", "bedrock", FakeClock()))
    assert caught.value.sent == "no"
    assert caught.value.__context__ is None
    assert "s3cr3t" not in str(caught.value)


def test_what_expires_is_renewed_by_botocore() -> None:
    """Once for many threads, as it locks by itself."""
    asked = []

    def refresh() -> dict[str, str]:
        asked.append(threading.get_ident())
        return {"access_key": "a2", "secret_key": "s2", "token": "t2", "expiry_time": "2999-01-01T00:00:00Z"}

    first = {"access_key": "a1", "secret_key": "s1", "token": "t1", "expiry_time": "2001-01-01T00:00:00Z"}
    credentials = RefreshableCredentials.create_from_metadata(first, refresh_using=refresh, method="test")
    one = aws.SigV4(aws.found(None, credentials), "us-east-1", "bedrock", FakeClock())
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda _: sign(one), range(16)))
    assert len(asked) == 1
    assert {request.headers["X-Amz-Security-Token"] for request in signed} == {"t2"}


# --- the event stream ---------------------------------------------------------------------------------------------------------

FRAMES = [
    SseFrame("messageStart", '{"role":"assistant"}'),
    SseFrame("contentBlockDelta", '{"ä":1}'),
    SseFrame("validationException", "{}"),
]
STREAM = b"".join(map(encode_event, FRAMES))
MESSAGES = [
    ({":event-type": "messageStart", ":content-type": "application/json", ":message-type": "event"}, b'{"role":"assistant"}'),
    ({":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}, '{"ä":1}'.encode()),
    ({":exception-type": "validationException", ":content-type": "application/json", ":message-type": "exception"}, b"{}"),
]


def read(*chunks: bytes) -> list[tuple[dict[str, str], bytes]]:
    reader = aws.MessageReader()
    return [message for chunk in chunks for message in reader.feed(chunk)]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_messages_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """Whole, in pieces, and with pieces of nothing."""
    places = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[a:b] for a, b in itertools.pairwise(places))) == MESSAGES


def test_messages_come_byte_by_byte() -> None:
    """Each with its last byte."""
    reader = aws.MessageReader()
    ends = [n for n in range(len(STREAM)) for _ in reader.feed(STREAM[n : n + 1])]
    lengths = [len(encode_event(frame)) for frame in FRAMES]
    assert ends == [sum(lengths[: n + 1]) - 1 for n in range(3)]


@given(place=st.integers(0, len(STREAM) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(place: int, bit: int) -> None:
    """What comes before it is given, what it is in is an error or waits for more; nothing is ever told wrong."""
    damaged = bytearray(STREAM)
    damaged[place] ^= 1 << bit
    reader, got = aws.MessageReader(), []
    with contextlib.suppress(InvalidShapeError):
        for message in reader.feed(bytes(damaged)):
            got.append(message)  # what came before the error counts
    ends = [sum(len(encode_event(frame)) for frame in FRAMES[: n + 1]) for n in range(3)]
    assert got == MESSAGES[: sum(end <= place for end in ends)]


@pytest.mark.parametrize(("total", "size"), [(1 << 31, 0), (1 << 20, 1 << 19), (0, 0), (16, 1 << 30)])
def test_a_length_out_of_bounds_is_refused_before_it_is_read(total: int, size: int) -> None:
    """Its checksum may be right."""
    lengths = struct.pack(">II", total, size)
    with pytest.raises(InvalidShapeError):
        read(lengths + struct.pack(">I", binascii.crc32(lengths)) + b"\0" * 64)


@given(data=st.binary(max_size=200))
def test_nothing_but_our_error_is_raised(data: bytes) -> None:
    """Whatever comes."""
    with contextlib.suppress(InvalidShapeError):
        read(data)


def test_headers_of_every_type_are_texts() -> None:
    """A number or a flag among them breaks nothing."""
    headers = b"\x04flag\x00" + b"\x01n\x04" + struct.pack(">i", 7) + b"\x01s\x07\x00\x01x"
    lengths = struct.pack(">II", 16 + len(headers) + 2, len(headers))
    unchecked = lengths + struct.pack(">I", binascii.crc32(lengths)) + headers + b"{}"
    ((got, payload),) = read(unchecked + struct.pack(">I", binascii.crc32(unchecked)))
    assert (got, json.loads(payload)) == ({"flag": "True", "n": "7", "s": "x"}, {})
