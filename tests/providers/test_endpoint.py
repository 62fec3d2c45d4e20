"""Endpoints: every URL is checked when it is written down, and never quoted where it is refused."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from omnillm import AuthScheme, ConfigurationError, EndpointProtocol, ProviderEndpoint
from omnillm.providers.endpoint import is_loopback

COMPAT = ProviderEndpoint.openai_chat_completions_compat
BASE = ProviderEndpoint.openai_compatible

GOOD_BASES = [
    ("https://api.openai.com", "https://api.openai.com"),
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1//", "https://api.openai.com/v1"),
    ("https://host:8443/v1", "https://host:8443/v1"),
    ("https://host_name.internal/v1", "https://host_name.internal/v1"),
    ("https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example/v1"),
    ("https://10.0.0.7/v1", "https://10.0.0.7/v1"),
    ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1"),
    ("https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443/v1"),
    ("HTTPS://host/v1", "HTTPS://host/v1"),
    ("https://host/a/./b", "https://host/a/./b"),
    ("https://host/a..b", "https://host/a..b"),
    ("https://host/a%20b", "https://host/a%20b"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://localhost:11434/v1", "http://localhost:11434/v1"),
    ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ("http://gpu.internal/v1", "http://gpu.internal/v1"),
]
GOOD_WHOLE_URLS = [
    "https://host/chat",
    "https://host/chat/",
    "https://host/chat?api-version=2024-10-21",
    "https://host/chat?a=1&b=%2F&c",
    "https://host/?",
    "https://host?x=1",
    "http://127.0.0.1:9/chat?x=1",
]
REFUSED_EVERYWHERE: list[Any] = [
    "",
    None,
    5,
    b"https://host",
    "host",
    "host/v1",
    "//host/v1",
    "https:",
    "https://",
    "https:///v1",
    "https:/host",
    "https:host",
    "ftp://host/v1",
    "file:///etc/passwd",
    "ws://host",
    "javascript:alert(1)",
    "https://user@host/v1",
    "https://user:SECRET@host/v1",
    "https://:SECRET@host/v1",
    "https://@host/v1",
    "https://host/v1#SECRET",
    "https://host/v1#",
    "https://host/v1 ",
    " https://host/v1",
    "https://host/a b",
    "https://host/v1\n",
    "https://host/\r\nx: 1",
    "https://ho\x00st/",
    "https://host/\x7f",
    "https://host/\t",
    "https://hösť/v1",
    "https://host/ä",
    "https://host\\@evil/v1",
    "https://host:0/v1",
    "https://host:65536/v1",
    "https://host:-1/v1",
    "https://host:port/v1",
    "https://host:/v1",
    "https://host:80:80/v1",
    "https://[::1/v1",
    "https://::1/v1",
    "https://[host]/v1",
    "https://ho%73t/v1",
    "https://host,evil/v1",
    "https://host/../admin",
    "https://host/v1/..",
    "https://*/v1",
]


@pytest.mark.parametrize(("given", "held"), GOOD_BASES)
def test_a_good_base_is_taken(given: str, held: str) -> None:
    """A base is kept as it is, but for slashes at its end, and paths are put behind it."""
    endpoint = BASE(given)
    assert endpoint.base_url == held
    assert endpoint.url("/chat/completions") == f"{held}/chat/completions"


@pytest.mark.parametrize("url", GOOD_WHOLE_URLS + [base for base, _ in GOOD_BASES])
def test_a_whole_url_is_used_to_the_letter(url: str) -> None:
    """The URL of a compat endpoint is the URL that is called, its query included."""
    assert COMPAT(url).base_url == url
    assert COMPAT(url).url("/chat/completions") == url


@pytest.mark.parametrize("url", REFUSED_EVERYWHERE, ids=repr)
@pytest.mark.parametrize("make", [BASE, COMPAT], ids=["base", "compat"])
def test_a_bad_url_is_refused_without_being_quoted(make: Callable[[Any], ProviderEndpoint], url: Any) -> None:
    """A URL that could send a key astray is refused when it is written down."""
    with pytest.raises(ConfigurationError) as caught:
        make(url)
    assert caught.value.field == "base_url"
    assert caught.value.message.startswith("base_url: ")
    assert "SECRET" not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["https://host/v1?x=1", "https://host/v1?", "https://host?x=/v1"])
def test_a_base_has_no_query(url: str) -> None:
    """A path could not be put behind a query."""
    with pytest.raises(ConfigurationError, match="query"):
        BASE(url)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost", True),
        ("http://LOCALHOST:80/v1", True),
        ("http://127.0.0.1:8080/v1", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:8080", True),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://notlocalhost", False),
        ("http://127.1", False),
        ("http://[::2]", False),
        ("http://host", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(url: str, here: bool) -> None:
    """Only loopback addresses and their name are this machine."""
    assert is_loopback(url) is here


NATIVE = [
    (ProviderEndpoint.openai_responses, "open_ai_responses", "https://api.openai.com/v1", AuthScheme.bearer()),
    (ProviderEndpoint.openai_chat_completions, "open_ai_chat_completions", "https://api.openai.com/v1", AuthScheme.bearer()),
    (ProviderEndpoint.claude_messages, "claude_messages", "https://api.anthropic.com/v1", AuthScheme.header("x-api-key")),
    (
        ProviderEndpoint.gemini_generate_content,
        "gemini_generate_content",
        "https://generativelanguage.googleapis.com/v1beta",
        AuthScheme.header("x-goog-api-key"),
    ),
]


@pytest.mark.parametrize(("make", "protocol", "base", "auth"), NATIVE)
def test_the_vendors_own_endpoints_need_no_url(
    make: Callable[..., ProviderEndpoint], protocol: str, base: str, auth: AuthScheme
) -> None:
    """Each protocol knows its vendor's base and how the vendor takes a key; another base may be given."""
    assert make() == ProviderEndpoint(EndpointProtocol(protocol), base, auth=auth)
    assert make("http://127.0.0.1:1/x").base_url == "http://127.0.0.1:1/x"
    assert not make().protocol.is_compat


@pytest.mark.parametrize(
    ("make", "protocol"),
    [
        (ProviderEndpoint.openai_responses_compat, EndpointProtocol.OPENAI_RESPONSES_COMPAT),
        (ProviderEndpoint.openai_chat_completions_compat, EndpointProtocol.OPENAI_CHAT_COMPLETIONS_COMPAT),
        (ProviderEndpoint.claude_messages_compat, EndpointProtocol.CLAUDE_MESSAGES_COMPAT),
        (ProviderEndpoint.gemini_generate_content_compat, EndpointProtocol.GEMINI_GENERATE_CONTENT_COMPAT),
    ],
)
def test_compat_endpoints_speak_their_protocol_at_any_url(
    make: Callable[[str], ProviderEndpoint], protocol: EndpointProtocol
) -> None:
    """The four compat constructors name their protocol."""
    assert make("https://host/x?y=1").protocol is protocol


def test_a_protocol_may_be_given_by_name() -> None:
    """The spellings that ``EndpointProtocol.parse`` takes are taken here; others are refused."""
    given: Any = "anthropic_messages"
    assert ProviderEndpoint(given, "https://host").protocol is EndpointProtocol.CLAUDE_MESSAGES
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint("smtp", "https://host")  # type: ignore[arg-type]  # the wrong value under test
    assert caught.value.field == "protocol"


def test_changes_give_new_endpoints() -> None:
    """``with_auth`` and ``with_default_header`` leave the endpoint they are called on alone."""
    first = ProviderEndpoint.claude_messages()
    second = first.with_auth(AuthScheme.bearer()).with_default_header("x-team", "search").with_default_header("x-team", "chat")
    assert (first.auth, dict(first.default_headers)) == (AuthScheme.header("x-api-key"), {})
    assert (second.auth, dict(second.default_headers)) == (AuthScheme.bearer(), {"x-team": "chat"})


WRONG_HEADERS: list[Any] = [
    {"": "a"},
    {"x y": "a"},
    {"x:": "a"},
    {"x\n": "a"},
    {"ä": "a"},
    {"x" * 129: "a"},
    {5: "a"},
    {"Host": "evil"},
    {"content-LENGTH": "1"},
    {"Transfer-Encoding": "chunked"},
    {"x": "a\nb: c"},
    {"x": "a\r"},
    {"x": "\x00"},
    {"x": " a"},
    {"x": "a "},
    {"x": "ä"},
    {"x": 5},
    {"x": None},
    None,
    "x",
    [("x", "a")],
]


@pytest.mark.parametrize("headers", WRONG_HEADERS, ids=repr)
def test_a_bad_header_is_refused(headers: Any) -> None:
    """Names and values that HTTP cannot carry, or that the exchange itself sets, are refused."""
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint(EndpointProtocol.OPENAI_RESPONSES, "https://host", default_headers=headers)
    assert caught.value.field == "default_headers"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auth", "bearer"),
        ("auth", 5),
        ("text_content", "list"),
        ("text_content", None),
        ("output_cap", "max_output_tokens"),
        ("output_cap", None),
        ("asks_for_usage", 1),
    ],
)
def test_other_wrong_values_are_named(field: str, value: Any) -> None:
    """A value of another kind than the field takes is refused by the field's name."""
    with pytest.raises(ConfigurationError) as caught:
        ProviderEndpoint(EndpointProtocol.OPENAI_RESPONSES, "https://host", **{field: value})
    assert caught.value.field == field


def test_the_headers_given_are_copied() -> None:
    """Changing the mapping afterwards changes no endpoint."""
    headers = {"x-team": "search"}
    endpoint = ProviderEndpoint(EndpointProtocol.OPENAI_RESPONSES, "https://host", default_headers=headers)
    headers["Host"] = "evil"
    assert dict(endpoint.default_headers) == {"x-team": "search"}


def test_an_endpoint_is_a_value() -> None:
    """It compares, copies, pickles and turns into a dictionary."""
    endpoint = COMPAT("https://host/x?y=1").with_default_header("x-team", "search")
    again = pickle.loads(pickle.dumps(endpoint))
    assert again == endpoint
    assert "search" not in repr(again)
    assert copy.deepcopy(endpoint) == endpoint
    assert dataclasses.asdict(endpoint)["base_url"] == "https://host/x?y=1"


def test_its_name_holds_neither_path_nor_query() -> None:
    """Records and errors name an endpoint by protocol and host."""
    assert COMPAT("https://host:8443/secret?key=SECRET").name == "open_ai_chat_completions_compat@host:8443"
