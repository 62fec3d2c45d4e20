"""The official SDKs' own clients of sessions, at the local provider's."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing
from pathlib import Path

import pytest
from websocket_server import forwarding

from omnillm.testing import LocalProvider

pytestmark = pytest.mark.sdk
CERTS = Path(__file__).parents[1] / "transport" / "certs"


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")  # of how the SDK does it
def test_openais_client_is_understood(provider: LocalProvider) -> None:
    """Its events are its own types, and a turn is an answer."""
    openai = pytest.importorskip("openai")
    pytest.importorskip("websockets")
    pytest.importorskip("wsproto")
    with (
        closing(openai.OpenAI(base_url=f"{provider.base_url}/v1", api_key="k")) as client,
        client.realtime.connect(model="gpt-realtime") as session,
    ):
        part = {"type": "input_text", "text": "Say hello"}
        session.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        session.response.create()
        said = ""
        for event in session:
            said += getattr(event, "delta", "")
            if event.type == "response.done":
                break
    assert (said, event.response.usage.total_tokens) == ("echo: Say hello", 5)


def test_geminis_client_is_understood(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its setup, a turn, and the usage; by TLS, which is all that it speaks."""
    genai = pytest.importorskip("google.genai")
    pytest.importorskip("wsproto")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / "loopback.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTS / "ca.pem"))

    async def talk(port: int) -> tuple[str, int]:
        client = genai.Client(api_key="k", http_options={"base_url": f"https://127.0.0.1:{port}", "api_version": "v1beta"})
        async with client.aio.live.connect(model="gemini-live", config={"response_modalities": ["TEXT"]}) as session:
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "Say hello"}]}, turn_complete=True)
            said, total = "", 0
            async for message in session.receive():
                said += message.text or ""
                if message.usage_metadata:
                    total = message.usage_metadata.total_token_count
            return said, total

    with forwarding(int(provider.base_url.rpartition(":")[2]), context) as port:
        assert asyncio.run(talk(port)) == ("echo: Say hello", 5)
