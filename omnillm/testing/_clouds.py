"""What clouds check before a model is asked: Signature Version 4, and OAuth tokens, which are issued here, too."""

from __future__ import annotations

import functools
import hmac
import re
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .. import _json
from .._clock import Clock
from ._http import HttpReply, HttpRequest

if TYPE_CHECKING:
    from .local_provider import ReceivedRequest

TOKEN_PATH = "/token"  # noqa: S105  # a path
TOKEN_PREFIX = "local-token-"  # noqa: S105  # how a made-up one begins
_TOKEN = "x-amz-security-token"  # noqa: S105  # a header
_AUDIENCE = "https://oauth2.googleapis.com/token"  # google-auth says so whatever the URI is
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 2.1
_SKEW_SECONDS = 300.0  # AWS: "within five minutes of the request's arrival"
_STAMP = "%Y%m%dT%H%M%SZ"
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[^/,\s]+)/[0-9]{8}/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[^,\s]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Signatures:
    """Verify requests that are signed by AWS credentials: keys of the form ``ACCESS:SECRET`` or ``ACCESS:SECRET:TOKEN``."""

    def __init__(self, keys: Iterable[str], root: str, clock: Clock) -> None:
        self._secrets = {key.split(":")[0]: key for key in keys if ":" in key}
        self._root = root
        self._clock = clock

    def knows(self, access: str) -> bool:
        """Tell whether the secret of an access key is known."""
        return access in self._secrets

    def fault(self, received: ReceivedRequest) -> str | None:
        """Say, as AWS does, what is wrong with a request that is signed by a known key; ``None`` where nothing is."""
        headers = received.headers
        found = _SIGNATURE.fullmatch(headers.get("authorization", ""))
        if found is None:
            return "the Authorization header is not that of Signature Version 4"
        stamp = headers.get("x-amz-date", "")
        try:
            at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return "X-Amz-Date is missing"
        if abs(at - self._clock.wall()) > _SKEW_SECONDS:
            return f"Signature expired: {stamp}"
        signed = set(found["headers"].split(";"))
        if not {"host", "x-amz-date"} <= signed or any(name.startswith("x-amz-") for name in headers.keys() - signed):
            return "the host and all headers of AWS must be signed"
        if self._secrets[found["access"]].split(":", 2)[2:] != [headers[name] for name in (_TOKEN,) if name in headers]:
            return "The security token included in the request is invalid."
        return None if hmac.compare_digest(self._expected(received, found), found["signature"]) else _DIFFERS

    def _expected(self, received: ReceivedRequest, found: re.Match[str]) -> str:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        access, secret = self._secrets[found["access"]].split(":")[:2]
        headers = {name: received.headers.get(name, "") for name in found["headers"].split(";")}
        request = AWSRequest(method=received.method, url=self._root + received.path, headers=headers, data=received.body)
        request.context["timestamp"] = received.headers["x-amz-date"]
        auth = SigV4Auth(Credentials(access, secret), found["service"], found["region"])
        signature: str = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        return signature


_DIFFERS = "The request signature we calculated does not match the signature you provided."


class Tokens:
    """Issue access tokens for the assertions of service accounts, and know which of them are good."""

    def __init__(self, uri: str, clock: Clock) -> None:
        self._uri = uri
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}
        self.life = 3600.0

    @property
    def issued(self) -> tuple[str, ...]:
        """Give the tokens that were issued, oldest first."""
        with self._lock:
            return tuple(self._ends)

    def is_good(self, token: str) -> bool:
        """Tell whether a token was issued and is not over; what is no token of this issuer's is for others to judge."""
        if not token.startswith(TOKEN_PREFIX):
            return True
        with self._lock:
            return self._clock.monotonic() < self._ends.get(token, -1.0)

    def answer(self, http: HttpRequest) -> HttpReply:
        """Answer a request for a token."""
        form = parse_qs(http.body.decode("utf-8", "replace"))
        fault = self._fault(form)
        if http.method != "POST" or fault is not None:
            return _reply(400, {"error": "invalid_grant", "error_description": fault or "expected POST"})
        with self._lock:
            token = f"{TOKEN_PREFIX}{len(self._ends) + 1}"
            self._ends[token] = self._clock.monotonic() + self.life
        return _reply(200, {"access_token": token, "expires_in": int(self.life), "token_type": "Bearer"})

    def _fault(self, form: Mapping[str, list[str]]) -> str | None:
        if form.get("grant_type") != [_GRANT]:
            return "expected the grant of an assertion"
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        head, _, signature = form.get("assertion", [""])[0].rpartition(".")
        try:
            claims = _json.loads(_unpadded(head.partition(".")[2]))
            _key().public_key().verify(_unpadded(signature), head.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            return "Invalid JWT Signature."
        return None if claims.get("aud") in (self._uri, _AUDIENCE) and claims.get("scope") else "Invalid audience or scope."


def service_account(uri: str) -> dict[str, Any]:
    """Give the key of a service account whose tokens are issued at the URI."""
    from cryptography.hazmat.primitives import serialization

    pem = _key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "local",
        "private_key_id": "local",
        "private_key": pem.decode(),
        "client_email": "robot@local.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": uri,
    }


@functools.cache
def _key() -> Any:
    """Make the one key of this process: making one is slow."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _unpadded(text: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _reply(status: int, value: Any) -> HttpReply:
    return HttpReply(status, {"content-type": "application/json"}, _json.dump_bytes(value))
