"""Without the extras: the import is clean, everything else works, and the error says what to install."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"botocore", "google", "cryptography", "websocket", "wsproto"}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
import omnillm
from omnillm import *
from omnillm.testing import LocalProvider
"""


def run(code: str) -> str:
    """Run code where the libraries of the extras are not to be found."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_needs_no_extra_works() -> None:
    """Every endpoint can be described, Azure called, Vertex AI with an access token as text, Bedrock's wire format translated."""
    assert run("""
        with LocalProvider() as provider:
            for model, options in {
                "azure/m": {"resource": provider.base_url},
                "vertex/m": {"project": "p", "base_url": provider.base_url + "/v1"},
                "vertex/claude": {"project": "p", "base_url": provider.base_url + "/v1"},
            }.items():
                with connect(model, api_key="k", **options) as gateway:
                    print(gateway.call("hello"), "".join(gateway.stream("hello").text()))
        ProviderEndpoint.bedrock("us-east-1")
        embedded_provider_registry()
        KeyConfig(AwsCredentials()), KeyConfig(GoogleCredentials())
        print(emit_request(ProviderProtocol.BEDROCK_CONVERSE, LlmRequest("m", "hello"))["messages"][0]["role"])
    """).splitlines() == ["echo: hello echo: hello"] * 3 + ["user"]


@pytest.mark.parametrize(
    ("make", "extra"),
    [
        ('connect("bedrock/m", region="us-east-1", api_key="AKIAIOSFODNN7EXAMPLE:secret")', "bedrock"),
        ('connect("bedrock/m", region="us-east-1", api_key="api-key")', "bedrock"),
        ('connect("bedrock/m", region="us-east-1")', "bedrock"),
        ('connect("vertex/m", project="p")', "vertex"),
        ('connect("vertex/m", project="p", api_key=GoogleCredentials("account.json"))', "vertex"),
    ],
)
def test_what_needs_one_says_so_when_the_gateway_is_made(make: str, extra: str) -> None:
    """Not when the first stream is over."""
    said = run(f"""
        try:
            {make}
        except ConfigurationError as error:
            print(error.field, error, sep=": ")
    """)
    assert said.startswith("auth: auth: ")
    assert f"pip install 'omnillm[{extra}]'" in said


def test_a_session_says_what_it_needs_when_it_is_opened() -> None:
    """Before a key is asked for; native calls need nothing."""
    said = run("""
        with LocalProvider() as provider, connect("openai/m", api_key="k", base_url=provider.base_url + "/v1") as gateway:
            try:
                gateway.primitive_realtime(PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", "m"))
            except ConfigurationError as error:
                print(error, len(provider.requests))
    """)
    assert said.strip() == "sessions need websocket-client: pip install 'omnillm[realtime]' 0"
