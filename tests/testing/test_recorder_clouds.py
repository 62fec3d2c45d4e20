"""Recordings of clouds: what signed is not in them, and playing them asks for no credentials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omnillm import AwsCredentials, GatewayBuilder, GoogleCredentials, KeyConfig, ProviderEndpoint
from omnillm.testing import LocalProvider, record, replay

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
