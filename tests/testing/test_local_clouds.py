"""The local provider as a cloud: what it verifies of a signature, which tokens it issues and takes, where it serves."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from freezegun import freeze_time

from omnillm.errors import ConfigurationError
from omnillm.testing import FakeClock, LocalProvider, break_stream

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "secret/key"
AT = "2023-11-14T22:13:20+00:00"  # where the fake clock's wall stands
CONVERSE = json.dumps({"messages": [{"role": "user", "content": [{"text": "hello"}]}]}).encode()
CLAUDE: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "hello there"}]}
VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def post(provider: LocalProvider, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(provider.base_url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def signed(
    provider: LocalProvider, path: str = "/model/m/converse", *, secret: str = SECRET, token: str | None = None
) -> dict[str, str]:
    """Give the headers of a request as botocore signs it."""
    request = AWSRequest("POST", provider.base_url + path, {"content-type": "application/json", "x-amzn-own": "1"}, CONVERSE)
    with freeze_time(AT):
        SigV4Auth(Credentials(ACCESS, secret, token), "bedrock", "us-east-1").add_auth(request)
    return dict(request.headers)


# --- signatures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize("path", ["/model/m/converse", "/model/a%3Ab%2Fc/converse-stream"])
def test_a_signature_of_botocores_is_good(clock: FakeClock, path: str, token: str | None) -> None:
    """With a session token where the key has one."""
    key = f"{ACCESS}:{SECRET}" if token is None else f"{ACCESS}:{SECRET}:{token}"
    with LocalProvider(keys=[key], clock=clock) as provider:
        assert post(provider, path, CONVERSE, signed(provider, path, token=token))[0] == 200
        assert provider.requests[0].key == ACCESS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda headers: {}, "signature we calculated does not match"),
        (lambda headers: {"content-type": "text/plain"}, "signature we calculated does not match"),
        (lambda headers: {"x-amz-date": "20231114T221321Z"}, "signature we calculated does not match"),
        (lambda headers: {"X-Amz-Date": "20231114T231320Z"}, "Signature expired"),
        (lambda headers: {"X-Amz-Date": "now"}, "X-Amz-Date is missing"),
        (lambda headers: {"x-amz-security-token": "t"}, "must be signed"),
        (lambda headers: {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS}/x"}, "is not that of Signature Version 4"),
        (lambda headers: {"Authorization": headers["Authorization"].replace("host;", "")}, "must be signed"),
        (lambda headers: {"Authorization": headers["Authorization"].replace("us-east-1", "eu-west-1")}, "does not match"),
    ],
    ids=["body", "header", "date", "old", "no date", "unsigned token", "form", "unsigned host", "region"],
)
def test_whatever_is_changed_is_noticed(clock: FakeClock, change: Any, said: str) -> None:
    """By the signature, which is made again by the secret; AWS answers 403 and names the exception in a header."""
    with LocalProvider(keys=[f"{ACCESS}:{SECRET}"], clock=clock) as provider:
        headers = signed(provider)
        changed = change(headers)
        headers = {
            name: value for name, value in headers.items() if name.lower() not in {other.lower() for other in changed}
        } | changed
        status, answered, body = post(provider, "/model/m/converse", CONVERSE if changed else CONVERSE + b" ", headers)
    assert (status, answered["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert said in json.loads(body)["message"]


def test_a_token_must_be_the_keys(clock: FakeClock) -> None:
    """Signed or not."""
    with LocalProvider(keys=[f"{ACCESS}:{SECRET}:right"], clock=clock) as provider:
        for token in (None, "wrong"):
            status, _, body = post(provider, "/model/m/converse", CONVERSE, signed(provider, token=token))
            assert (status, json.loads(body)["message"]) == (403, "The security token included in the request is invalid.")


def test_a_key_whose_secret_is_unknown_is_taken_by_its_name(clock: FakeClock) -> None:
    """As every key is where none is given."""
    for keys in (None, [ACCESS]):
        with LocalProvider(keys=keys, clock=clock) as provider:
            assert post(provider, "/model/m/converse", CONVERSE, signed(provider, secret="other"))[0] == 200
    with LocalProvider(keys=["AKIAOTHER:s"], clock=clock) as provider:
        assert post(provider, "/model/m/converse", CONVERSE, signed(provider))[0] == 401


# --- tokens -------------------------------------------------------------------------------------------------------------------


def test_a_token_is_issued_for_an_assertion(clock: FakeClock) -> None:
    """And is good until it ends; another provider's is not, nor one that was never issued."""
    from google.oauth2 import service_account

    with LocalProvider(clock=clock) as provider, LocalProvider(clock=clock) as other:
        provider.token_life = 100
        made = service_account.Credentials.from_service_account_info(provider.service_account(), scopes=["x"])
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": made._make_authorization_grant_assertion(),
        }
        status, _, body = post(provider, "/token", urlencode(form).encode(), {})
        told = json.loads(body)
        assert (status, told["expires_in"], told["token_type"]) == (200, 100, "Bearer")
        assert provider.tokens == (told["access_token"],)
        path, sent = f"{VERTEX}:rawPredict", json.dumps({**CLAUDE, "anthropic_version": "vertex-2023-10-16"}).encode()
        shown = {"authorization": f"Bearer {told['access_token']}"}
        assert post(provider, path, sent, shown)[0] == 200
        assert post(other, path, sent, shown)[0] == 401
        clock.advance(100)
        assert post(provider, path, sent, shown)[0] == 401
        assert post(provider, path, sent, {"authorization": "Bearer ya29.other"})[0] == 200


@pytest.mark.parametrize(
    "form",
    [{}, {"grant_type": "refresh_token"}, {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}],
)
def test_what_is_no_assertion_gets_no_token(form: dict[str, str]) -> None:
    """In Google's words."""
    with LocalProvider() as provider:
        status, _, body = post(provider, "/token", urlencode(form).encode(), {})
        assert (status, json.loads(body)["error"], provider.tokens) == (400, "invalid_grant", ())


def test_a_life_is_a_number_of_seconds() -> None:
    """A positive one."""
    with LocalProvider() as provider:
        assert provider.token_life == 3600
        with pytest.raises(ConfigurationError):
            provider.token_life = 0


# --- paths --------------------------------------------------------------------------------------------------------------------


def decoded(body: bytes) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Read messages by botocore."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for message in buffer:
        yield message.headers, json.loads(message.payload)


def test_invoke_model_streams_events_in_chunks() -> None:
    """Each an event of Messages, in base64; an error is an exception."""
    sent = json.dumps({**CLAUDE, "anthropic_version": "bedrock-2023-05-31"}).encode()
    with LocalProvider() as provider:
        shown = {"authorization": "Bearer k"}
        status, headers, body = post(provider, "/model/a%3Ab/invoke-with-response-stream", sent, shown)
        assert (status, headers["content-type"]) == (200, "application/vnd.amazon.eventstream")
        assert headers["x-amzn-requestid"]
        events = [json.loads(base64.b64decode(payload["bytes"])) for _, payload in decoded(body)]
        assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
        assert events[0]["message"]["model"] == "a:b"
        provider.script(break_stream(1, how="error_event"))
        *_, (last, payload) = decoded(post(provider, "/model/m/invoke-with-response-stream", sent, shown)[2])
        assert (last[":exception-type"], payload) == ("internalServerException", {"message": "scripted failure of a stream"})
        assert json.loads(post(provider, "/model/m/invoke", sent, shown)[2])["content"][0]["text"] == "echo: hello there"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{VERTEX}:rawPredict", "anthropic_version: Field required"),
        ("/model/m/invoke", "anthropic_version: Field required"),
        ("/openai/deployments/d/chat/completions", "Missing required query parameter: api-version"),
    ],
)
def test_what_a_cloud_requires_is_required(path: str, said: str) -> None:
    """A request without it is refused."""
    with LocalProvider() as provider:
        status, _, body = post(provider, path, json.dumps({"model": "m", **CLAUDE}).encode(), {"authorization": "Bearer k"})
        assert (status, json.loads(body)["error"]["message"]) == (400, said)


def test_a_deployment_is_the_model() -> None:
    """Whatever the body says."""
    with LocalProvider(forbidden=[("k", "my dep")]) as provider:
        path = "/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21"
        assert post(provider, path, json.dumps({"model": "m", **CLAUDE}).encode(), {"api-key": "k"})[0] == 403
