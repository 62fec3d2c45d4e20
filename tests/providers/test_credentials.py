"""Credentials by reference: a key that opens nothing until it signs, shows nothing, and pickles as what it refers to."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from google.oauth2.credentials import Credentials as OAuthCredentials

from omnillm import (
    AuthScheme,
    AwsCredentials,
    ConfigurationError,
    GatewayBuilder,
    GoogleCredentials,
    KeyConfig,
    ProviderEndpoint,
    Secret,
)
from omnillm._clock import SYSTEM_CLOCK
from omnillm.providers.auth import authorize, signer_of
from omnillm.transport.http import HttpTransport

SIGV4, OAUTH = AuthScheme.aws_sigv4("us-east-1", "bedrock"), AuthScheme.google_oauth()
OBJECTS = [AwsCredentials(credentials=Credentials("AKIA1", "s3cr3t")), GoogleCredentials(credentials=OAuthCredentials("ya29.x"))]
REFERENCES = [AwsCredentials(), AwsCredentials("prod"), GoogleCredentials(), GoogleCredentials("a.json")]


def signer(scheme: AuthScheme, key: Any) -> Any:
    return signer_of(scheme, KeyConfig(key, "k").key, HttpTransport(), SYSTEM_CLOCK)


@pytest.mark.parametrize("reference", REFERENCES, ids=repr)
def test_a_reference_pickles(reference: Any) -> None:
    """As a key of a configuration, too."""
    assert pickle.loads(pickle.dumps(reference)) == reference
    config = pickle.loads(pickle.dumps(KeyConfig(reference, "k")))
    assert config.key.source == reference


@pytest.mark.parametrize("reference", OBJECTS, ids=lambda it: type(it).__name__)
def test_an_object_does_not_pickle_and_is_not_shown(reference: Any) -> None:
    """The error says what to use instead; a repr has no credentials."""
    with pytest.raises(ConfigurationError, match=f"use {type(reference).__name__}"):
        pickle.dumps(reference)
    shown = repr(reference) + repr(KeyConfig(reference, "k")) + repr(KeyConfig(reference).key)
    assert "AKIA1" not in shown
    assert "ya29" not in shown


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: AwsCredentials(""), "profile"),
        (lambda: AwsCredentials(5), "profile"),  # type: ignore[arg-type]
        (lambda: AwsCredentials(credentials=object()), "credentials"),
        (lambda: AwsCredentials("p", credentials=Credentials("a", "b")), "credentials"),
        (lambda: GoogleCredentials(""), "file"),
        (lambda: GoogleCredentials(5), "file"),  # type: ignore[arg-type]
        (lambda: GoogleCredentials(credentials=object()), "credentials"),
        (lambda: GoogleCredentials("f", credentials=OAuthCredentials("t")), "credentials"),
    ],
)
def test_a_wrong_reference_is_named(make: Any, field: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("scheme", "key", "signs"),
    [
        (SIGV4, "AKIAIOSFODNN7EXAMPLE:secret/key+1", True),
        (SIGV4, "ASIAIOSFODNN7EXAMPLE:secret:token/with:colon", True),
        (SIGV4, AwsCredentials(), True),
        (SIGV4, AwsCredentials("prod"), True),
        (SIGV4, OBJECTS[0], True),
        (SIGV4, "bedrock-api-key-YmVkcm9jaw==", False),
        (OAUTH, GoogleCredentials(), True),
        (OAUTH, GoogleCredentials(Path("a.json")), True),
        (OAUTH, OBJECTS[1], True),
        (OAUTH, "ya29.token", False),
        (AuthScheme.bearer(), "AKIAIOSFODNN7EXAMPLE:secret", False),
        (AuthScheme.header("api-key"), "k", False),
    ],
    ids=repr,
)
def test_the_scheme_and_the_key_say_whether_requests_are_signed(scheme: AuthScheme, key: Any, signs: bool) -> None:
    """A text that is no credential is shown as it is; nothing is looked up before a request."""
    assert (signer(scheme, key) is not None) is signs
    if not signs and scheme.kind in ("aws_sigv4", "google_oauth"):
        assert authorize(scheme, Secret.literal(key), "", {})[1] == {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", ":secret", "AKIAIOSFODNN7EXAMPLE:", "a::b", "AKIAIOSFODNN7EXAMPLE:s:"])
def test_half_a_credential_is_refused_without_being_quoted(key: str) -> None:
    """An access key alone is no API key: it is not sent anywhere."""
    with pytest.raises(ConfigurationError, match="ACCESS:SECRET or ACCESS:SECRET:TOKEN") as caught:
        signer(SIGV4, key)
    assert caught.value.field == "key"
    assert "AKIA" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "key"),
    [
        (ProviderEndpoint.openai_responses(), AwsCredentials()),
        (ProviderEndpoint.openai_responses(), GoogleCredentials()),
        (ProviderEndpoint.bedrock("r"), GoogleCredentials()),
        (ProviderEndpoint.vertex_ai("p", "l"), AwsCredentials()),
        (ProviderEndpoint.bedrock("r").with_auth(AuthScheme.bearer()), AwsCredentials()),
    ],
)
def test_credentials_of_another_cloud_are_refused(endpoint: ProviderEndpoint, key: Any) -> None:
    """When the gateway is made, and nothing of them is shown to anyone."""
    with pytest.raises(ConfigurationError, match=f"not {type(key).__name__}"):
        GatewayBuilder(endpoint).add_key(KeyConfig(key)).build()


@pytest.mark.parametrize(
    "make",
    [
        lambda: AuthScheme.aws_sigv4("", "bedrock"),
        lambda: AuthScheme.aws_sigv4("us-east-1", "bed rock"),
        lambda: AuthScheme("aws_sigv4"),
        lambda: AuthScheme.google_oauth(()),
        lambda: AuthScheme.google_oauth([5]),  # type: ignore[list-item]
        lambda: AuthScheme.google_oauth(5),  # type: ignore[arg-type]
        lambda: AuthScheme("google_oauth"),
        lambda: AuthScheme("bearer", "x-key"),
        lambda: AuthScheme("header", "x-key", region="us-east-1"),
        lambda: AuthScheme("aws_sigv4", region="r", service="s", scopes=("x",)),
    ],
)
def test_a_scheme_says_what_it_needs(make: Any) -> None:
    """A region and a service, or scopes, and nothing that it has no use for."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.field == "auth"


def test_one_scope_need_be_no_list() -> None:
    """A text is one scope, not its letters."""
    assert AuthScheme.google_oauth("https://www.googleapis.com/auth/x").scopes == ("https://www.googleapis.com/auth/x",)
