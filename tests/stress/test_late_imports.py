"""What a call imports: nothing, or what a fork waits for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from own_process import FORK, run

from omnillm.testing import LocalProvider

pytestmark = [pytest.mark.stress, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]

GATEWAY = """
import omnillm

prices = omnillm.PriceTable()

def build(endpoint, key, model="gpt-4.1-mini"):
    builder = omnillm.GatewayBuilder(endpoint).default_model(model).budget_limit_usd(1).pricing(prices)
    return builder.add_key(omnillm.KeyConfig(key, "k1")).build()
"""

# what is asked, and a module that it imports on first use
USES = {
    "gateway.call('json', into=dict[str, int])": "omnillm.people.structured",
    "gateway.submit('hi').result(20)": "omnillm.gateway.workers",
    "list(gateway.map(['a', 'b']))": "omnillm.gateway.batch",
    "gateway.run_tools('hi', [print_it])": "omnillm.people.loop",
    "omnillm.Conversation(gateway).say('hi')": "omnillm.people.conversation",
    "list(omnillm.Conversation(gateway).stream('hi'))": "omnillm.people.conversation_stream",
    "gateway.embed('hi', model='text-embedding-3-small')": "omnillm.gateway.endpoints",
    "gateway.embed(omnillm.EmbeddingRequest('text-embedding-3-small', ('hi',)))": "omnillm.types.media",
    "gateway.generate_images('a cat', model='gpt-image-1')": "omnillm.wire.images",
    "gateway.speak('hi', model='tts-1')": "omnillm.wire.audio.speech",
    "gateway.transcribe(b'RIFF', model='whisper-1')": "omnillm.wire.audio",
    "misspelt()": "difflib",
    "omnillm.LlmRequest('m', 'hi').to_dict()": "dataclasses_json",
}


def test_p21_safe_after_fork_in_the_midst_of_an_import() -> None:
    """A child that is forked while another thread imports what a call needs on first use makes that call too."""
    with LocalProvider() as provider:
        said = run(
            f"""
            import importlib.abc, time
            gateway = build(omnillm.ProviderEndpoint.openai_chat_completions("{provider.base_url}/v1"), "sk-1")

            def print_it(text: str) -> str:
                return text

            def misspelt():
                try:
                    gateway.call("hi", temperture=0)
                except omnillm.ConfigurationError:
                    pass

            class Slow(importlib.abc.MetaPathFinder):
                def __init__(self, name):
                    self.name, self.begun = name, threading.Event()

                def find_spec(self, name, path=None, target=None):
                    if name == self.name and not self.begun.is_set():
                        self.begun.set()
                        time.sleep(0.05)

            def check(use, name):
                slow = Slow(name)
                assert name not in sys.modules
                sys.meta_path.insert(0, slow)
                thread = threading.Thread(target=eval, args=(use, globals()))
                thread.start()
                assert slow.begun.wait(20)
                in_child(lambda: eval(use))
                thread.join()

            for use, name in {USES!r}.items():
                in_child(lambda: check(use, name))
                print(use, flush=True)
            """,
            prelude=FORK + GATEWAY,
        )
    assert said.splitlines() == list(USES)


KEY, AWS = '"sk-1"', '"AKIAIOSFODNN7EXAMPLE:secret"'
GATEWAYS = {
    "responses": ("openai_responses(base + '/v1')", KEY),
    "chat": ("openai_chat_completions(base + '/v1')", KEY),
    "messages": ("claude_messages(base + '/v1')", KEY),
    "gemini": ("gemini_generate_content(base + '/v1beta')", KEY),
    "azure": ("azure_openai(base)", KEY),
    "vertex": ("vertex_ai('p', 'l', base_url=base + '/v1')", "omnillm.GoogleCredentials(sys.argv[1])"),
    "converse": ("bedrock('us-east-1', base_url=base)", AWS),
    "invoke_model": ("bedrock('us-east-1', api='invoke_model', base_url=base)", AWS),
}


def test_calls_and_streams_import_nothing(tmp_path: Path) -> None:
    """Once a gateway is built, of whichever protocol, a call, a stream, one that is left and one that fails import no module."""
    account = tmp_path / "account.json"
    with LocalProvider() as provider:
        account.write_text(json.dumps(provider.service_account()))
        said = run(
            f"""
            base = {provider.base_url!r}
            sys.argv[1:] = [{str(account)!r}]
            for name, (endpoint, key) in {GATEWAYS!r}.items():
                gateway = build(eval("omnillm.ProviderEndpoint." + endpoint), eval(key))
                before = set(sys.modules)
                gateway.call("hi")
                list(gateway.stream("hi"))
                stream = gateway.stream("hi")
                next(stream)
                stream.close()
                try:
                    gateway.call("hi", timeout=0.000001)
                except omnillm.DeadlineExceededError:
                    pass
                gateway.pool_status(), gateway.budget_used_usd(), gateway.close()
                print(name, *sorted(set(sys.modules) - before))
            """,
            prelude=FORK + GATEWAY,
        )
    assert said.split("\n") == [*GATEWAYS, ""]
