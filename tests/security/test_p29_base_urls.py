"""P29: a base URL is https, or http to this machine, and says a host, a port and a path: nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from reporter import told

from omnillm import ConfigurationError, Gateway, GatewayConfig, KeyConfig, ProviderEndpoint
from omnillm.config import RouteConfig, TransportConfig

SECRET = "SECRET-0123"
HERE, FAR, NEVER = "this machine", "with allow_http", "never"

TABLE: list[tuple[str, str]] = [
    # this machine, by its names and canonical addresses
    ("http://localhost/v1", HERE),
    ("http://LOCALHOST:8080/v1", HERE),
    ("http://a.localhost/v1", HERE),
    ("http://127.0.0.1/v1", HERE),
    ("http://127.255.255.254:65535", HERE),
    ("http://[::1]/v1", HERE),
    ("http://[0:0:0:0:0:0:0:1]:1/v1", HERE),
    ("http://[::ffff:127.0.0.1]/v1", HERE),
    ("http://[::FFFF:7f00:1]/v1", HERE),
    # https needs no leave, wherever it leads
    ("https://api.example.com", HERE),
    ("https://api.example.com:8443/a/b", HERE),
    ("https://10.0.0.1/v1", HERE),
    ("https://[2001:db8::1]:8443/v1", HERE),
    ("https://xn--bcher-kva.example/v1", HERE),
    ("https://a_b.internal/v1", HERE),
    ("https://host/a%2Fb", HERE),
    ("https://host/%2e%2e/b", HERE),
    ("https://host/a//b", HERE),
    # what only looks like this machine, or is any
    ("http://127.1/v1", FAR),
    ("http://0x7f.1/v1", FAR),
    ("http://0177.0.0.1/v1", FAR),
    ("http://2130706433/v1", FAR),
    ("http://127.0.0.1./v1", FAR),
    ("http://localhost./v1", FAR),
    ("http://localhost.example.com/v1", FAR),
    ("http://127.0.0.1.nip.io/v1", FAR),
    ("http://notlocalhost/v1", FAR),
    ("http://0.0.0.0/v1", FAR),
    ("http://[::]/v1", FAR),
    ("http://[::2]/v1", FAR),
    ("http://[::ffff:10.0.0.1]/v1", FAR),
    ("http://10.0.0.1/v1", FAR),
    ("http://192.168.0.1/v1", FAR),
    ("http://169.254.169.254/latest/meta-data", FAR),
    ("http://[fe80::1]/v1", FAR),
    ("http://metadata.google.internal/v1", FAR),
    ("http://api.example.com/v1", FAR),
    # no base at all
    ("", NEVER),
    ("host/v1", NEVER),
    ("//host/v1", NEVER),
    ("https:///v1", NEVER),
    ("ftp://host/v1", NEVER),
    ("file:///etc/passwd", NEVER),
    ("unix:///var/run/docker.sock", NEVER),
    ("https://user@host/v1", NEVER),
    (f"https://user:{SECRET}@host/v1", NEVER),
    (f"https://{SECRET}@host/v1", NEVER),
    ("https://good.example@evil.example/v1", NEVER),
    ("https://good.example\\@evil.example/v1", NEVER),
    ("https://good.example%40evil.example/v1", NEVER),
    ("https://host%2Fevil/v1", NEVER),
    ("https://host/v1#fragment", NEVER),
    (f"https://host/v1?key={SECRET}", NEVER),
    ("https://host/../v1", NEVER),
    ("https://host/v1\r\nX-Evil: 1", NEVER),
    ("https://host/v1\0", NEVER),
    ("https://host/\t", NEVER),
    ("https://ho st/v1", NEVER),
    ("https://bücher.example/v1", NEVER),
    ("https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/v1", NEVER),
    ("https://host\u2044evil/v1", NEVER),
    ("https://host:0/v1", NEVER),
    ("https://host:65536/v1", NEVER),
    ("https://host:-1/v1", NEVER),
    ("https://host:4\u0663/v1", NEVER),
    ("https://[fe80::1%25eth0]/v1", NEVER),
    ("https://[::1/v1", NEVER),
]  # fmt: skip


def made(url: str, *, allow_http: bool) -> Gateway:
    route = RouteConfig(ProviderEndpoint.openai_compatible(url), (KeyConfig("sk-0123456789", "k1"),))
    return Gateway(GatewayConfig(routes=(route,), transport=TransportConfig(allow_http=allow_http)))


@pytest.mark.parametrize(("url", "verdict"), TABLE, ids=[ascii(url) for url, _ in TABLE])
def test_p29_a_base_url_leads_where_it_says(url: str, verdict: str) -> None:
    """A URL is taken, needs leave, or is refused before a gateway is made, by a message that does not repeat it."""
    for allow_http in (False, True):
        if verdict == HERE or (verdict == FAR and allow_http):
            made(url, allow_http=allow_http).close()
            continue
        with pytest.raises(ConfigurationError) as caught:
            made(url, allow_http=allow_http)
        assert caught.value.field == "base_url"
        assert all(SECRET not in text for text in told(caught.value))


def test_p29_there_are_at_least_sixty() -> None:
    """The table is not thinned out, and no URL stands in it twice."""
    assert len({url for url, _ in TABLE}) == len(TABLE) >= 60


def test_p29_the_host_that_is_checked_is_the_host_that_is_asked() -> None:
    """Who checks a URL and who connects read the same host in it, or the second refuses."""
    from omnillm.transport.http import _Route

    for url, verdict in TABLE:
        if verdict == NEVER:
            continue
        endpoint = ProviderEndpoint.openai_compatible(url)
        try:
            route = _Route(endpoint.url("/x"), allow_http=True, proxies={})
        except ConfigurationError:
            continue
        host = endpoint.name.partition("@")[2].lower()
        asked = str(route.address[0]).lower()
        assert host.startswith(asked) or "::" in asked, url


def test_p29_what_an_endpoint_carries_is_not_in_its_repr() -> None:
    """A query and the values of default headers may be second keys: neither is shown."""
    endpoint = ProviderEndpoint.openai_chat_completions_compat(f"https://host/chat?key={SECRET}").with_default_header(
        "cf-id", SECRET
    )
    config = GatewayConfig(routes=(RouteConfig(endpoint, (KeyConfig("sk-0123456789", "k1"),)),))
    assert SECRET not in repr(endpoint) + str(endpoint) + f"{endpoint}" + repr(config) + endpoint.name
    assert "https://host/chat?…" in repr(endpoint)
    assert "cf-id" in repr(endpoint)
    assert dict(endpoint.default_headers) == {"cf-id": SECRET}
    with pytest.raises(ConfigurationError) as caught:
        endpoint.with_default_header("cf-id", f"{SECRET}\n")
    assert all(SECRET not in text for text in told(caught.value))


HEADERS: dict[str, Any] = {
    "newline": "a\nX: b", "CR": "a\rb", "NUL": "a\0", "blank before": " a", "blank behind": "a ", "non-ASCII": "ä",
    "emoji": "\U0001f511", "DEL": "a\x7f", "none": None, "bytes": b"a", "number": 1,
}  # fmt: skip


@pytest.mark.parametrize("value", HEADERS.values(), ids=HEADERS)
def test_p29_a_headers_value_is_one_line_of_ascii(value: Any) -> None:
    """What HTTP cannot carry is refused where it is configured."""
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint.openai_responses().with_default_header("x-a", value)
    assert caught.value.field == "default_headers"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "a\0", "ä", "host", "Content-Length", "transfer-encoding", "x" * 129])
def test_p29_a_headers_name_is_a_token(name: str) -> None:
    """What is no name, or one that HTTP itself needs, is refused."""
    with pytest.raises(ConfigurationError):
        ProviderEndpoint.openai_responses().with_default_header(name, "a")
