"""Sanitising: a secret that was put in is never in what comes out, and the rest stays as it was."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import canonical_values

from omnillm import (
    BinaryBody,
    HttpMethod,
    InvalidShapeError,
    JsonBody,
    MultipartBody,
    MultipartField,
    MultipartFile,
    MultipartText,
    ReplayFixture,
    Secret,
    TextBody,
    TransportRequest,
    TransportResponse,
    WireFormat,
    sanitize_json_value,
    sanitize_transport_request,
    sanitize_transport_response,
)
from omnillm.replay.names import is_blob_name, is_harmless_header, is_secret_name

CANARY = "sk-CANARY-0123456789abcdef"
SECRET_NAMES = [
    "api_key", "apiKey", "API-KEY", "x-api-key", "x-goog-api-key", "ak", "sk", "key", "token", "access_token", "accessToken",
    "refreshToken", "id_token", "secret", "client_secret", "clientSecret", "password", "passwd", "db_password", "PASSPHRASE",
    "authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "credentials", "jwt", "aws_secret_access_key", "AccessKeyId",
    "private_key", "X-Amz-Signature", "X-Amz-Security-Token", "sig", "auth", "bearer",
]  # fmt: skip
PLAIN_NAMES = [
    "model", "max_tokens", "prompt_tokens", "total_tokens", "token_count", "tokens", "prompt_cache_key", "content", "author",
    "monkey", "keyword", "keys", "tool_choice", "stop", "id", "name", "secretary", "idempotency_key", "type", "",
]  # fmt: skip


def request(body: Any = None, *, path: str = "/responses", headers: dict[str, str] | None = None) -> TransportRequest:
    return TransportRequest(HttpMethod.POST, path, headers or {}, None, body)


def response(body: Any, *, headers: dict[str, str] | None = None, content_type: str | None = None) -> TransportResponse:
    return TransportResponse(200, headers or {}, content_type, body)


# --- names --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_looks_secret_is_known(name: str) -> None:
    """By its words, however they are joined."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_sounds_alike_is_left(name: str) -> None:
    """Tokens that are counted, keys that are none."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("name", "is_blob"),
    [
        ("b64_json", True),
        ("image_base64", True),
        ("partial_image_b64", True),
        ("file_data", True),
        ("data", False),
        ("base", False),
        ("", False),
    ],
)
def test_a_name_that_is_a_blobs_is_known(name: str, is_blob: bool) -> None:
    """The wire formats' and their like."""
    assert is_blob_name(name) is is_blob


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("Content-Type", True),
        ("x-ratelimit-remaining-tokens", True),
        ("Retry-After", True),
        ("Authorization", False),
        ("x-team", False),
    ],
)
def test_only_listed_headers_stay(name: str, stays: bool) -> None:
    """What nobody listed may be anything."""
    assert is_harmless_header(name) is stays


# --- what is taken out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/responses?ak=secret", "/responses?ak=<redacted:ak>"),
        ("/responses?ak=123&foo=bar", "/responses?ak=<redacted:ak>&foo=bar"),
        ("/m:generateContent?alt=sse&key=AIza", "/m:generateContent?alt=sse&key=<redacted:key>"),
        ("/r?api%5Fkey=x", "/r?api%5Fkey=<redacted:api%5Fkey>"),
        ("/r?a=1&&b", "/r?a=1&&b"),
        ("/r?ak", "/r?ak"),
        ("/r?ak=a=b", "/r?ak=<redacted:ak>"),
        ("https://user:pass@host/r", "https://<redacted:user>@host/r"),
        (f"/files/{CANARY}/x", "/files/<redacted:key>/x"),
        ("/r?next=https://h/x?token=abc", "/r?next=https://h/x?token=<redacted:token>"),
        ("/responses", "/responses"),
    ],
)
def test_the_query_loses_what_is_secret(path: str, clean: str) -> None:
    """The rest of the path is as it was."""
    assert sanitize_transport_request(request(path=path)).path == clean


def test_headers_keep_their_names() -> None:
    """What is listed keeps its value too, unless a key stands in it."""
    headers = {"Authorization": "Bearer x", "X-Team": "search", "Content-Type": "application/json", "x-request-id": CANARY}
    clean = {
        "Authorization": "<redacted:Authorization>",
        "X-Team": "<redacted:X-Team>",
        "Content-Type": "application/json",
        "x-request-id": "<redacted:key>",
    }
    assert sanitize_transport_request(request(headers=headers)).headers == clean
    assert sanitize_transport_response(response(None, headers=headers)).headers == clean


HIDDEN = "<redacted:password>"
VALUES: list[tuple[Any, Any]] = [
    ({"api_key": "secret", "nested": {"token": "secret", "keep": "ok"}},
     {"api_key": "<redacted:api_key>", "nested": {"token": "<redacted:token>", "keep": "ok"}}),
    ({"data_base64": "AAAA"}, {"data_base64": "<redacted:data_base64_blob>"}),
    ({"b64_json": "AAAA", "revised_prompt": "a cat"}, {"b64_json": "<redacted:b64_json_blob>", "revised_prompt": "a cat"}),
    ({"source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
     {"source": {"type": "base64", "media_type": "image/png", "data": "<redacted:data_blob>"}}),
    ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
     {"inlineData": {"mimeType": "image/png", "data": "<redacted:data_blob>"}}),
    ({"data": "AAAA"}, {"data": "AAAA"}),
    ({"data": [1, 2]}, {"data": [1, 2]}),
    ({"signature": "A" * 300}, {"signature": "<redacted:signature>"}),
    ({"encrypted_content": "A" * 300}, {"encrypted_content": "<redacted:encrypted_content_blob>"}),
    ({"text": "A" * 255}, {"text": "A" * 255}),
    (["A" * 300], ["<redacted:item_blob>"]),
    ({"image_url": {"url": "data:image/png;base64,AAAA"}}, {"image_url": {"url": "data:image/png;base64,<redacted:url_blob>"}}),
    ({"password": {"value": "x", "list": ["y", {"z": 5}], "on": True, "no": None}},
     {"password": {"value": HIDDEN, "list": [HIDDEN, {"z": HIDDEN}], "on": True, "no": None}}),
    ({"pin_password": 1234}, {"pin_password": "<redacted:pin_password>"}),
    ({"properties": {"password": {"type": "string"}}}, {"properties": {"password": {"type": "string"}}}),
    ({"logprobs": [{"token": "Hi", "logprob": -0.1}]}, {"logprobs": [{"token": "Hi", "logprob": -0.1}]}),
    ({"arguments": '{"api_key": "x", "city": "Rome"}'}, {"arguments": '{"api_key":"<redacted:api_key>","city":"Rome"}'}),
    ({"arguments": '{"api_key": "x", "api_key": null}'}, {"arguments": '{"api_key":null}'}),
    ({"arguments": '{ "city" : "Rome" }'}, {"arguments": '{ "city" : "Rome" }'}),
    ({"arguments": '{"api_key": "abc'}, {"arguments": '{"api_key": "<redacted:api_key>'}),
    ({"delta": '{\\"api_key\\": \\"abc\\"'}, {"delta": '{\\"api_key\\": \\"<redacted:api_key>\\"'}),
    ({"text": f"my key is {CANARY}."}, {"text": "my key is <redacted:key>."}),
    ({"text": "curl -H 'Authorization: Bearer abc.def' https://h"},
     {"text": "curl -H 'Authorization: <redacted:Authorization>' https://h"}),
    ({"text": "he said Bearer abcdef and left"}, {"text": "he said Bearer <redacted:authorization> and left"}),
    ({"text": "export OPENAI_API_KEY=abc; run"}, {"text": "export OPENAI_API_KEY=<redacted:OPENAI_API_KEY> run"}),
    ({"text": 'password: "two words" end'}, {"text": 'password: "<redacted:password>" end'}),
    ({"text": "the key: patience. A token: gratitude"}, {"text": "the key: patience. A token: gratitude"}),
    ({"text": "the key: a1b2c3, token=abc"}, {"text": "the key: <redacted:key> token=<redacted:token>"}),
    ({"text": "postgres://me:pw@db/x and mail me@example.com"},
     {"text": "postgres://<redacted:user>@db/x and mail me@example.com"}),
    ({"text": "note: this is: fine = good"}, {"text": "note: this is: fine = good"}),
    ("plain", "plain"),
    (5, 5),
    (None, None),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("value", "clean"), VALUES, ids=[str(value)[:40] for value, _ in VALUES])
def test_a_json_value_loses_what_is_secret(value: Any, clean: Any) -> None:
    """Its shape stays, and what is no secret; doing it again changes nothing."""
    assert sanitize_json_value(value) == clean
    assert sanitize_json_value(clean) == clean


def test_the_value_given_is_not_changed() -> None:
    """Sanitising makes a new value."""
    value = {"api_key": "secret", "list": [{"token": "x"}]}
    before = json.dumps(value)
    sanitize_json_value(value)
    assert json.dumps(value) == before


def form(ak: str, data: bytes) -> MultipartBody:
    file = MultipartFile("a.wav", data, "audio/wav")
    texts = (MultipartField("ak", MultipartText(ak)), MultipartField("prompt", MultipartText("hi")))
    return MultipartBody((*texts, MultipartField("file", file)))


BODIES: list[tuple[Any, Any]] = [
    (JsonBody({"token": "x"}), JsonBody({"token": "<redacted:token>"})),
    (BinaryBody(b"fake", "audio/mpeg"), BinaryBody(b"<redacted:binary_blob>", "audio/mpeg")),
    (TextBody("a=1&client_secret=x&b=2"), TextBody("a=1&client_secret=<redacted:client_secret>&b=2")),
    (TextBody('{"token":"x"}'), TextBody('{"token":"<redacted:token>"}')),
    (TextBody('data: {"token": "x"}\r\n\r\ndata: {"a":  1}\n\ndata: [DONE]\n\n'),
     TextBody('data: {"token":"<redacted:token>"}\r\n\r\ndata: {"a":  1}\n\ndata: [DONE]\n\n')),
    (form("x", b"RIFF"), form("<redacted:ak>", b"<redacted:file_blob>")),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "clean"), BODIES, ids=[type(body).__name__ + str(n) for n, (body, _) in enumerate(BODIES)])
def test_a_body_of_any_kind_loses_what_is_secret(body: Any, clean: Any) -> None:
    """JSON, text, event streams, forms and bytes; in requests and in responses."""
    assert sanitize_transport_request(request(body)).body == clean
    assert sanitize_transport_response(response(body)).body == clean


def test_a_fixture_is_sanitised_whole_and_is_json_at_rest() -> None:
    """It round-trips, sanitised or not."""
    fixture = ReplayFixture(
        WireFormat.OPENAI_RESPONSES,
        request(JsonBody({"api_key": CANARY}), path="/responses?ak=x", headers={"authorization": f"Bearer {CANARY}"}),
        response(TextBody(f'data: {{"a": "{CANARY}"}}\n\n'), headers={"set-cookie": CANARY}, content_type="text/event-stream"),
    )
    clean = fixture.sanitized()
    assert CANARY not in clean.to_json()
    assert clean.sanitized() == clean
    for it in (fixture, clean):
        assert ReplayFixture.from_json(it.to_json()) == it


# --- live keys ----------------------------------------------------------------------------------------------------------------

ODD = 'p"ä /+\\x'  # a key that no header carries, but a body might


@pytest.mark.parametrize("key", [CANARY, ODD, "short"])
@pytest.mark.parametrize(
    "spelled",
    [
        str,
        lambda key: quote(key, safe=""),
        lambda key: json.dumps(key)[1:-1],
        lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
        lambda key: f"({key})",
    ],
)
def test_a_live_key_is_found_however_it_is_spelled(key: str, spelled: Any) -> None:
    """As it is, in a URL, in JSON, in base64; in values, names, paths and headers."""
    written = spelled(key)
    dirty = request(JsonBody({"harmless": written, written: 1}), path=f"/x/{written}", headers={"content-type": written})
    clean = sanitize_transport_request(dirty, secrets=[key])
    assert written not in json.dumps(clean.to_dict(), ensure_ascii=False)


def test_a_live_key_may_be_a_secret() -> None:
    """As a gateway holds it."""
    assert sanitize_json_value({"a": "x plain-key y"}, secrets=[Secret.literal("plain-key")]) == {"a": "x <redacted:key> y"}


def test_a_short_key_is_no_part_of_a_word() -> None:
    """It is taken out where it stands by itself."""
    assert sanitize_json_value({"a": "none one-by-one"}, secrets=["one"]) == {"a": "none <redacted:key>-by-<redacted:key>"}


# --- whatever the value -------------------------------------------------------------------------------------------------------

LEAVES = st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=12)
NAMES = st.text(max_size=8) | st.sampled_from(PLAIN_NAMES + SECRET_NAMES)
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
PLANTED = "Planted7Secret"


@st.composite
def planted(draw: st.DrawFn, leaf: st.SearchStrategy[Any]) -> Any:
    """Put something at a random depth of a random value."""
    value = draw(leaf)
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            value = [draw(NESTED), value]
        else:
            value = {**draw(st.dictionaries(NAMES, NESTED, max_size=2)), draw(NAMES): value}
        if draw(st.integers(0, 5)) == 0:
            value = json.dumps(value)
    return value


@given(planted(st.sampled_from(SECRET_NAMES).map(lambda name: {name: PLANTED})))
def test_a_secret_under_a_secret_name_never_survives(value: Any) -> None:
    """Wherever in whatever value, JSON in texts included."""
    assert PLANTED not in json.dumps(sanitize_json_value(value))


@given(planted(st.just(f"…{CANARY}…")))
def test_a_live_key_never_survives(value: Any) -> None:
    """Under whatever name."""
    key = "plainly-no-key-by-its-looks"
    dirty = json.loads(json.dumps(value).replace(CANARY, key))
    assert key not in json.dumps(sanitize_json_value(dirty, secrets=[key]))
    assert CANARY not in json.dumps(sanitize_json_value(value))


SAYINGS = [
    "{name}={secret}", "{name}: {secret}", '"{name}": "{secret}"', "'{name}': '{secret}'", "x&{name}={secret}&y=1",
    "{name} = {secret}",    '{{"{name}": "{secret}', '\\"{name}\\": \\"{secret}\\"', "Authorization: Bearer {secret}", "https://me:{secret}@host/",
    "https://host/p?a=b&{name}={secret}", "--{name}={secret}",
]  # fmt: skip


@given(st.text(max_size=30), st.sampled_from(SAYINGS), st.sampled_from(SECRET_NAMES), st.text(max_size=30))
def test_a_secret_that_is_said_never_survives(before: str, saying: str, name: str, after: str) -> None:
    """In a text body, in a text of JSON, in a field of a form."""
    text = f"{before} {saying.format(name=name, secret=PLANTED)} {after}"
    assert PLANTED not in json.dumps(sanitize_json_value({"text": text}))
    body = sanitize_transport_request(request(TextBody(text))).body
    assert isinstance(body, TextBody)
    assert PLANTED not in body.text


@given(NESTED)
def test_sanitising_twice_is_sanitising_once(value: Any) -> None:
    """What was taken out is not taken for a secret again, and the shape stays."""
    once = sanitize_json_value(value)
    assert sanitize_json_value(once) == once
    assert type(once) is type(value)


@given(st.text(max_size=200))
def test_any_text_is_a_text_body(text: str) -> None:
    """Nothing that can be written breaks it, and doing it again changes nothing."""
    once = sanitize_transport_response(response(TextBody(text)))
    assert sanitize_transport_response(once) == once


@given(canonical_values[ReplayFixture])
def test_any_fixture_can_be_sanitised(fixture: ReplayFixture) -> None:
    """Whatever is in it; doing it again changes nothing, and it is JSON at rest."""
    clean = fixture.sanitized(secrets=[CANARY])
    assert clean.sanitized(secrets=[CANARY]) == clean
    assert ReplayFixture.from_json(clean.to_json()) == clean


@pytest.mark.parametrize(
    "piece",
    [
        "a=",
        "a:",
        "key=",
        "key: ",
        '"key": "',
        "eyJ",
        "://",
        "Bearer ",
        "[",
        '{"a":',
        "data:",
        "sk-",
        "a" * 100 + "=",
        "%",
        " ",
        "\\",
    ],
)
def test_the_work_is_linear_in_the_text(piece: str) -> None:
    """Ten times the text takes nowhere near a hundred times as long, in time of this process alone."""

    def seconds(times: int) -> float:
        body = TextBody(piece * times)
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            sanitize_transport_response(response(body))
            best = min(best, time.process_time() - started)
        return best

    assert seconds(20_000) < 40 * seconds(2_000) + 0.05


def test_a_value_nested_too_deep_is_refused() -> None:
    """By our error, where a text nested too deep is only a text."""
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidShapeError, match="nested too deep"):
        sanitize_json_value(value)
    deep = "[" * 5_000 + '{"api_key": "x"}'
    assert sanitize_json_value({"t": deep}) == {"t": "[" * 5_000 + '{"api_key": "<redacted:api_key>"}'}
