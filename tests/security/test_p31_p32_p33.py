"""P31, P32, P33: what a key may be, what of the environment is read, and whom TLS trusts."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from gateway_scripts import whole
from reporter import locals_of, told

from omnillm import ConfigurationError, KeyConfig, ProviderEndpoint, Secret
from omnillm.config import TransportConfig
from omnillm.errors import OmniLLMError, TlsError
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, repeat, respond, tls

CERTS = Path(__file__).parents[1] / "transport" / "certs"
KEY = "sk-CANARY-0123456789"
PASSWORD = "hunter2-0123"

MALFORMED: dict[str, Any] = {
    "newline": f"{KEY}\n", "CR": f"{KEY}\rX: 1", "NUL": f"{KEY}\0", "blank": f"a {KEY}", "tab": f"{KEY}\t",
    "non-ASCII": f"{KEY}ä", "quotes": f'"{KEY}"', "apostrophes": f"'{KEY}'", "curly quotes": f"\u201c{KEY}\u201d",
    "backticks": f"`{KEY}`", "BOM": f"\ufeff{KEY}", "no-break space": f"{KEY}\xa0", "empty": "", "blanks": "  ",
    "10 kB": KEY * 512, "bytes": KEY.encode(), "None": None,
}  # fmt: skip


@pytest.mark.parametrize("key", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("make", [KeyConfig, Secret.literal, Secret], ids=["KeyConfig", "literal", "Secret"])
def test_p31_a_malformed_key_is_refused_without_being_quoted(make: Any, key: Any) -> None:
    """Neither the message, nor the chain, nor the locals of the error have the key."""
    with pytest.raises(ConfigurationError) as caught:
        make(key)
    assert caught.value.field == "key"
    assert [text for text in told(caught.value) if "CANARY" in text] == []
    if not isinstance(key, bytes):
        assert [where for where, text in locals_of(caught.value) if "CANARY" in text] == []


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that would lead others astray: netrc, proxies, authorities, a log of session keys."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login bob password {PASSWORD}\ndefault login bob password {PASSWORD}\n")
    netrc.chmod(0o600)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://bob:{PASSWORD}@127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(CERTS / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(CERTS))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "session-keys"))
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(netrc.read_text())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other-0123456789")
    return tmp_path


def test_p32_nothing_is_read_from_the_environment(build: Any, hostile: Path) -> None:
    """No line of netrc replaces the key, no proxy is asked, no cookie comes back, no other URL or key is taken."""
    with ScriptedServer([repeat(expect(), respond(200, {"Set-Cookie": "a=b; Path=/"}, whole()))]) as server:
        gateway = build(server, [KeyConfig(KEY, "k1")])
        for _ in range(2):
            assert gateway.call("hi").text == "hello"
        other = build(server, [KeyConfig("sk-another-tenant", "k2")])
        other.call("hi")
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}"] * 2 + [
        "Bearer sk-another-tenant"
    ]
    assert all("cookie" not in request.headers and "proxy-authorization" not in request.headers for request in server.requests)


def test_p32_no_authority_is_taken_from_the_environment(build: Any, hostile: Path) -> None:
    """A certificate that only the variables would trust is refused, and no session key is logged."""
    with ScriptedServer([tls(context("loopback")), expect(), respond(body=whole())], scheme="https") as server:
        with pytest.raises(TlsError):
            build(server, [KeyConfig(KEY, "k1")], retry=RetryPolicy(max_attempts=1)).call("hi")
        assert server.requests == []
    assert not (hostile / "session-keys").exists()


@pytest.mark.parametrize("trusted", [False, True])
def test_p32_a_proxys_password_is_in_no_error(build: Any, hostile: Path, trusted: bool) -> None:
    """Named or taken from the environment by leave, a proxy that is down or refuses is told of without its password."""
    with ScriptedServer([repeat(expect(), respond(407, body=f"no, {PASSWORD}".encode()))]) as proxy:
        address = f"http://bob:{PASSWORD}@127.0.0.1:{proxy.port}"
        for transport in (
            TransportConfig(trust_proxy_env=True)
            if trusted
            else TransportConfig(proxies={"https": f"http://bob:{PASSWORD}@127.0.0.1:9"}),
            TransportConfig(proxies={"https": address}),
        ):
            endpoint = ProviderEndpoint.openai_compatible("https://api.example.com/v1")
            gateway = build(endpoint, [KeyConfig(KEY, "k1")], transport=transport, retry=RetryPolicy(max_attempts=1))
            with pytest.raises(OmniLLMError) as caught:
                gateway.call("hi")
            assert [text for text in told(caught.value) if PASSWORD in text or KEY in text] == []
            assert [where for where, text in locals_of(caught.value) if PASSWORD in text or KEY in text] == []
            assert PASSWORD not in repr(gateway._core.config)
        assert all(KEY not in str(request.headers) for request in proxy.requests)


def context(name: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTS / f"{name}.pem")
    return made


def old() -> ssl.SSLContext:
    made = context("loopback")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion.TLSv1_1
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("name", ["elsewhere", "expired", "self-signed", "TLS 1.1"])
def test_p33_tls_is_always_verified(build: Any, name: str, how: str) -> None:
    """A wrong host, an expired certificate, an unknown authority and an old protocol end before a byte of the request is sent."""
    server_side = {"TLS 1.1": old, "self-signed": lambda: context("loopback")}.get(name, lambda: context(name))()
    trust = {} if name == "self-signed" else {"ca_bundle": str(CERTS / "ca.pem")}
    with ScriptedServer([repeat(tls(server_side), expect(), respond(body=whole()))], scheme="https") as server:
        transport = TransportConfig(allow_http=True, **trust)  # type: ignore[arg-type]  # leave for http is none for bad TLS
        gateway = build(server, [KeyConfig(KEY, "k1")], transport=transport, retry=RetryPolicy(max_attempts=1))
        with pytest.raises(TlsError) as caught:
            gateway.call("hi") if how == "call" else gateway.stream("hi")
        assert (caught.value.sent, server.requests) == ("no", [])


def test_p33_there_is_no_switch() -> None:
    """No option of the transport turns verification off."""
    names = set(TransportConfig.__dataclass_fields__)
    assert names == {"allow_http", "ca_bundle", "trust_proxy_env", "proxies"}
    for off in (False, True, ""):
        with pytest.raises(ConfigurationError):
            TransportConfig(ca_bundle=off)  # type: ignore[arg-type]  # the wrong value under test
