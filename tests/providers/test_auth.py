"""How a key is shown to a provider: in one place of the request, and never in two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omnillm import AuthScheme, ConfigurationError, Secret
from omnillm.providers.auth import authorize

KEY = Secret.literal("sk-a/b+c=&d")
URL = "https://host/v1/chat"


@pytest.mark.parametrize(
    ("scheme", "url", "headers", "sent_to", "sent_headers"),
    [
        (AuthScheme.bearer(), URL, {}, URL, {"Authorization": "Bearer sk-a/b+c=&d"}),
        (AuthScheme.header("x-api-key"), URL, {"a": "1"}, URL, {"a": "1", "x-api-key": "sk-a/b+c=&d"}),
        (AuthScheme.query("key"), URL, {"a": "1"}, f"{URL}?key=sk-a%2Fb%2Bc%3D%26d", {"a": "1"}),
        (AuthScheme.query("key"), f"{URL}?alt=sse", {}, f"{URL}?alt=sse&key=sk-a%2Fb%2Bc%3D%26d", {}),
        (AuthScheme.bearer(), URL, {"authorization": "Basic x"}, URL, {"Authorization": "Bearer sk-a/b+c=&d"}),
        (AuthScheme.header("x-api-key"), URL, {"X-API-Key": "old"}, URL, {"x-api-key": "sk-a/b+c=&d"}),
    ],
)
def test_the_key_stands_where_the_scheme_says(
    scheme: AuthScheme, url: str, headers: dict[str, str], sent_to: str, sent_headers: dict[str, str]
) -> None:
    """The key is in one header or one query parameter, and a header of that name gives way to it."""
    assert authorize(scheme, KEY, url, headers) == (sent_to, sent_headers)


@pytest.mark.parametrize("scheme", [AuthScheme.bearer(), AuthScheme.header("x-api-key"), AuthScheme.query("key")])
def test_the_headers_given_are_left_alone(scheme: AuthScheme) -> None:
    """What is shared between requests never gets a key."""
    headers = {"a": "1"}
    _, sent = authorize(scheme, KEY, URL, headers)
    assert sent is not headers
    assert headers == {"a": "1"}


@pytest.mark.parametrize("name", ["", "x y", "x\n", "x:", "ä", "x" * 129, "Host", "Content-Length", None, 5])
@pytest.mark.parametrize("make", [AuthScheme.header, lambda name: AuthScheme("header", name)], ids=["header", "class"])
def test_a_bad_header_name_is_refused(make: Callable[[Any], AuthScheme], name: Any) -> None:
    """A key goes into no header that HTTP itself needs or cannot carry."""
    with pytest.raises(ConfigurationError) as caught:
        make(name)
    assert caught.value.field == "auth"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a&b", "a\n", "ä", "x" * 129, None, 5])
@pytest.mark.parametrize("make", [AuthScheme.query, lambda name: AuthScheme("query", name)], ids=["query", "class"])
def test_a_bad_query_name_is_refused(make: Callable[[Any], AuthScheme], name: Any) -> None:
    """A parameter's name needs no quoting."""
    with pytest.raises(ConfigurationError) as caught:
        make(name)
    assert caught.value.field == "auth"


@pytest.mark.parametrize("kind", ["basic", "", None, 5])
def test_an_unknown_scheme_is_refused(kind: Any) -> None:
    """There are three ways to show a key."""
    with pytest.raises(ConfigurationError) as caught:
        AuthScheme(kind)
    assert caught.value.field == "auth"
