"""Record what a gateway exchanges, sanitised, and answer from it: without a network, and without a key."""

import json
import tempfile
from pathlib import Path

from omnillm import Gateway, GatewayBuilder, KeyConfig, ProviderEndpoint
from omnillm.testing import LocalProvider, UnrecordedRequestError, record, replay

KEY = "sk-example-0123456789abcdef"


def gateway_to(endpoint: ProviderEndpoint, key: str) -> Gateway:
    """Make a gateway as the code under test would."""
    return GatewayBuilder(endpoint).default_model("gpt-4.1-mini").add_key(KeyConfig(key)).build()


def code_under_test(gateway: Gateway) -> str:
    """Be what a test is about: a call, and a stream."""
    greeting = gateway.call(f"Say hello, and never mention {KEY}").text
    return f"{greeting}, {''.join(gateway.stream('Count to three').text())}"


def main() -> None:
    """Record against a provider on this machine, then play with the provider gone; a real one is recorded alike."""
    with tempfile.TemporaryDirectory() as folder:
        tape = Path(folder) / "greeting.json"
        with LocalProvider() as provider:
            endpoint = provider.endpoint("chat_completions")
            with gateway_to(endpoint, KEY) as gateway, record(tape, gateway):
                print("recorded:", code_under_test(gateway))
        written = tape.read_text()
        print(f"{len(json.loads(written)['exchanges'])} exchanges, the key is in them: {KEY in written}")

        with gateway_to(endpoint, "any-key") as gateway, replay(tape, gateway, secrets=[KEY]) as played:
            print("played:", code_under_test(gateway))
            print("left over:", len(played.unused))

        tape.write_text(written.replace("Count to three", "Count to ten"))  # a recording that was edited by hand
        try:
            with gateway_to(endpoint, "any-key") as gateway, replay(tape, gateway, secrets=[KEY]):
                code_under_test(gateway)
        except UnrecordedRequestError as error:
            print("edited:", error)

        print("in pytest: gateway = omnillm_replay(gateway), and pytest --omnillm-record to record")


if __name__ == "__main__":
    main()
