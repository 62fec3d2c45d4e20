"""Recordings of clouds: what signed is not in them, and playing them asks for no credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnillm import (
    AwsCredentials,
    ConfigurationError,
    Gateway,
    GatewayBuilder,
    GoogleCredentials,
    KeyConfig,
    ProviderEndpoint,
    RetryPolicy,
    StreamInterruptedError,
)
from omnillm.testing import LocalProvider, UnrecordedRequestError, answer, break_stream, record, replay

PARTS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "session/token==")


@pytest.mark.parametrize("cloud", ["vertex", "bedrock"])
def test_a_recording_is_played_without_what_signed(cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither token nor signature is written, and neither the provider nor the credentials need be there again."""
    tape, account = tmp_path / "tape.json", tmp_path / "account.json"
    with LocalProvider() as provider:
        account.write_text(json.dumps(provider.service_account()))
        for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), PARTS, strict=True):
            monkeypatch.setenv(f"AWS_{name}", value)
        where = {
            "vertex": ProviderEndpoint.vertex_ai("p", "l", base_url=f"{provider.base_url}/v1"),
            "bedrock": ProviderEndpoint.bedrock("us-east-1", base_url=provider.base_url),
        }
        keys = {"vertex": GoogleCredentials(account), "bedrock": AwsCredentials()}
        builder = GatewayBuilder(where[cloud]).default_model("m").add_key(KeyConfig(keys[cloud]))
        with builder.build() as gateway, record(tape, gateway):
            assert gateway.call("hello").text == "echo: hello"
    written = tape.read_text()
    assert [part for part in (*PARTS, *provider.tokens, "Signature=") if part in written] == []
    account.unlink()
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with builder.build() as gateway:
        routes = gateway._core.routes
        with replay(tape, gateway) as played:
            assert gateway.call("hello").text == "echo: hello"
        assert (played.unused, gateway._core.routes) == ((), routes)


BEDROCK = ("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIDOTHER:nothing-of-the-sort")


def bedrock(provider: LocalProvider, api: Any, key: str) -> Gateway:
    endpoint = ProviderEndpoint.bedrock("us-east-1", api=api, base_url=provider.base_url)
    return GatewayBuilder(endpoint).default_model("m").add_key(KeyConfig(key)).retry(RetryPolicy(1)).build()


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


@pytest.mark.parametrize("api", ["converse", "invoke_model"])
def test_a_binary_stream_is_recorded_as_json_and_played(api: str, tmp_path: Path, provider: LocalProvider) -> None:
    """A person can read it, a key in it is taken out, and it comes again as the same events."""
    tape = tmp_path / "tape.json"
    with bedrock(provider, api, BEDROCK[0]) as gateway, record(tape, gateway, secrets=["sesame"]):
        recorded = list(gateway.stream("say sesame twice"))
    text = tape.read_text()
    assert "sesame" not in text
    assert json.loads(text)["exchanges"][0]["response"]["body"]["value"][0]["headers"][":message-type"] == "event"
    with bedrock(provider, api, BEDROCK[1]) as gateway, replay(tape, gateway, secrets=["sesame"]):
        played = list(gateway.stream("say sesame twice"))
    assert len(provider.requests) == 1
    assert [type(event) for event in played] == [type(event) for event in recorded]
    assert played[-1].response.text == "echo: say <redacted:key> twice"  # type: ignore[union-attr]


@pytest.mark.parametrize("api", ["converse", "invoke_model"])
def test_a_binary_stream_that_broke_breaks_again(api: str, tmp_path: Path, provider: LocalProvider) -> None:
    """With what had come, and as the exception that it was."""
    tape = tmp_path / "tape.json"
    provider.script(break_stream(4, how="no_terminal"), break_stream(after_events=4, how="error_event"))
    partial = []
    for key, how in ((BEDROCK[0], record), (BEDROCK[1], replay)):
        with bedrock(provider, api, key) as gateway, how(tape, gateway):
            for phase in ("no_terminal", "error"):
                with pytest.raises(StreamInterruptedError) as caught:
                    list(gateway.stream("one two three"))
                partial.append((caught.value.phase, caught.value.partial_response.text))  # type: ignore[union-attr]
                assert caught.value.phase == phase
    assert partial[:2] == partial[2:]


def test_a_key_that_came_in_pieces_of_a_binary_stream_is_not_written(tmp_path: Path, provider: LocalProvider) -> None:
    """The pieces hold no key, and together they do: then there is no file."""
    tape = tmp_path / "tape.json"
    for api in ("converse", "invoke_model"):
        provider.script(answer("it is alpha beta gamma so"))
        with (
            bedrock(provider, api, BEDROCK[0]) as gateway,
            pytest.raises(ConfigurationError, match="not written"),
            record(tape, gateway, secrets=["alpha beta gamma"]),
        ):
            list(gateway.stream("which words?"))
    assert not tape.exists()


def test_a_binary_recording_that_was_edited_by_hand(tmp_path: Path, provider: LocalProvider) -> None:
    """What still is a stream is played, checksums and all; what is none says where; a request that no longer matches, how."""
    tape = tmp_path / "tape.json"
    with bedrock(provider, "converse", BEDROCK[0]) as gateway, record(tape, gateway):
        list(gateway.stream("hello"))
    text = tape.read_text()
    for changed, kind, said in (
        (text.replace('"echo:', '"ECHO:'), None, "ECHO: hello"),
        (text.replace('"text":"hello"', '"text":"hullo"', 1), UnrecordedRequestError, "differs at /messages/0/content/0/text"),
        (text.replace('":message-type":"event"', '":message-type":5', 1), ConfigurationError, "/exchanges/0/response/body"),
    ):
        assert changed != text
        tape.write_text(changed)
        with bedrock(provider, "converse", BEDROCK[1]) as gateway:
            if kind is None:
                with replay(tape, gateway):
                    assert "".join(gateway.stream("hello").text()) == said
                continue
            with pytest.raises(kind, match=said), replay(tape, gateway):
                list(gateway.stream("hello"))


def test_what_is_no_binary_stream_stays_a_blob() -> None:
    """Bytes that only say that they are one are not read, and not written."""
    from omnillm.testing._eventstream import as_json

    assert as_json(b"\0\0\0\x10 damaged for good, and longer than that") is None
