"""Embeddings, images, audio and rerank on the road of every call."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_fixtures import Build

import omnillm as o
from omnillm.testing import LocalProvider, ScriptedServer, break_stream, delay, fail, hang, malformed
from omnillm.testing._endpoint_answers import recording
from omnillm.testing.scripted import expect, respond

RERANK = o.RerankRequest("m", "a red fox", ["the red fox", "a dog"])
EVERY: dict[str, Callable[[o.Gateway], Any]] = {
    "embed": lambda gateway: gateway.embed("a red fox"),
    "generate_images": lambda gateway: gateway.generate_images("a red fox", n=2),
    "edits": lambda gateway: gateway.generate_images("a red fox", images=b"\x89PNG"),
    "transcribe": lambda gateway: gateway.transcribe(recording("a red fox")),
    "speak": lambda gateway: gateway.speak("a red fox"),
    "rerank": lambda gateway: gateway.rerank("a red fox", ["the red fox", "a dog"]),
    "request": lambda gateway: gateway.request(RERANK),
}
each = pytest.mark.parametrize("name", EVERY)


# --- what goes out and comes back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("embed", "/v1/embeddings", {"model": "m", "input": "a red fox"}),
        ("generate_images", "/v1/images/generations", {"prompt": "a red fox", "model": "m", "n": 2}),
        ("speak", "/v1/audio/speech", {"model": "m", "input": "a red fox", "voice": "alloy"}),
        ("rerank", "/v1/rerank", {"model": "m", "query": "a red fox", "documents": ["the red fox", "a dog"]}),
    ],
)
def test_the_request_on_the_wire(build: Build, provider: LocalProvider, name: str, path: str, said: dict[str, Any]) -> None:
    """A shorthand sends its endpoint's own body to its own path, with the key of the pool."""
    EVERY[name](build(provider))
    sent = provider.requests[0]
    assert (sent.path, sent.json, sent.key) == (path, said, "sk-1")
    assert sent.headers["content-type"] == "application/json"


def test_a_recording_is_uploaded_as_a_form(build: Build, provider: LocalProvider) -> None:
    """The form has the file first, then the settings, and the transcript is what the recording says."""
    answer = build(provider).transcribe(recording("a red fox"), language="en", timestamp_granularities=["word"])
    sent = provider.requests[0]
    assert (str(answer), sent.path) == ("a red fox", "/v1/audio/transcriptions")
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=omnillm-")
    assert sent.body.index(b'name="file"; filename="audio.wav"') < sent.body.index(b'name="timestamp_granularities[]"')


@each
@pytest.mark.parametrize("protocol", [o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS, o.ProviderProtocol.OPENAI_RESPONSES])
def test_every_endpoint_is_beside_both_protocols_of_openai(
    build: Build, provider: LocalProvider, name: str, protocol: o.ProviderProtocol
) -> None:
    """The answer knows its cost, its key and its attempts, whatever it is of."""
    answer = EVERY[name](build(provider, protocol=protocol))
    assert (answer.key_label, [record.outcome for record in answer.attempts]) == ("k1", ["ok"])
    assert answer.cost_usd > 0
    assert answer.latency is not None


@pytest.mark.parametrize(("count", "action"), [(1, "embedContent"), (2, "batchEmbedContents")])
def test_gemini_embeds_at_its_own_paths(build: Build, provider: LocalProvider, count: int, action: str) -> None:
    """One input goes to embedContent, several to batchEmbedContents; the answer names the model that was asked."""
    gateway = build(provider, protocol=o.ProviderProtocol.GEMINI_GENERATE_CONTENT)
    answer = gateway.embed(["a"] * count, dimensions=3)
    assert provider.requests[0].path == f"/v1beta/models/m:{action}"
    assert ([len(vector.embedding) for vector in answer.data], answer.model) == ([3] * count, "m")


def test_a_host_with_other_formats_says_so(build: Build, provider: LocalProvider) -> None:
    """``formats`` puts Cohere's embeddings and rerank in the place of OpenAI's."""
    formats = {o.EndpointKind.EMBEDDINGS: o.WireFormat.COHERE_EMBED, o.EndpointKind.RERANK: o.WireFormat.COHERE_RERANK}
    gateway = build(o.ProviderEndpoint("chat_completions", f"{provider.base_url}/v2", formats=formats))
    assert gateway.embed("a b").usage == o.EmbeddingUsage(2)
    assert [result.index for result in gateway.rerank("b", ["a", "b"]).results] == [1, 0]
    assert [request.path for request in provider.requests] == ["/v2/embed", "/v2/rerank"]


@pytest.mark.parametrize(
    "formats", [5, {"embeddings": "cohere_rerank"}, {"nothing": "cohere_embed"}, {"responses": "open_ai_responses"}]
)
def test_formats_of_another_kind_are_refused(formats: Any) -> None:
    """A format stands for its own kind of endpoint only."""
    with pytest.raises(o.ConfigurationError, match="formats"):
        o.ProviderEndpoint("chat_completions", "https://example.com", formats=formats)


def test_a_whole_url_is_followed_to_its_neighbours(build: Build, provider: LocalProvider) -> None:
    """Of a compat endpoint, the other paths stand where its own ends."""
    build(provider.endpoint("chat_completions_compat")).embed("a")
    assert provider.requests[0].path == "/v1/embeddings"


# --- what is not there --------------------------------------------------------------------------------------------------------


LACKING = [
    *((name, o.ProviderProtocol.CLAUDE_MESSAGES) for name in EVERY),
    *((name, o.ProviderProtocol.BEDROCK_CONVERSE) for name in ("transcribe", "speak")),
]


@pytest.mark.parametrize(("name", "protocol"), LACKING)
def test_a_protocol_without_the_endpoint_refuses_before_anything_is_sent(
    build: Build, provider: LocalProvider, name: str, protocol: o.ProviderProtocol
) -> None:
    """Nothing is admitted, nothing is sent."""
    gateway = build(provider, protocol=protocol)
    with pytest.raises(o.UnsupportedFeatureError, match="has no"):
        EVERY[name](gateway)
    assert (provider.requests, gateway.pool_status()[0].rpm_used) == ((), 0)


def test_a_whole_url_of_another_end_has_no_neighbours(build: Build, provider: LocalProvider) -> None:
    """Where the other paths would be cannot be known, and is not guessed."""
    gateway = build(o.ProviderEndpoint.openai_chat_completions_compat(f"{provider.base_url}/proxy?v=1"))
    with pytest.raises(o.UnsupportedFeatureError, match="/chat/completions"):
        gateway.embed("a")


def test_fallbacks_without_the_endpoint_are_passed_over(build: Build, provider: LocalProvider) -> None:
    """The call goes to the routes that have the endpoint, in their order."""
    fallback = (provider.endpoint("chat_completions"), [o.KeyConfig("sk-f", "f")])
    gateway = build(provider, protocol=o.ProviderProtocol.CLAUDE_MESSAGES, add_fallback=fallback)
    assert gateway.embed("a").key_label == "f"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda gateway: gateway.embed([]), "input"),
        (lambda gateway: gateway.embed([1.5]), r"input\[0\]"),
        (lambda gateway: gateway.embed("a", batch_size=0), "batch_size"),
        (lambda gateway: gateway.embed("a", timeout="soon"), "timeout"),
        (lambda gateway: gateway.embed("a", cancel=5), "cancel"),
        (lambda gateway: gateway.embed("a", tenant=5), "tenant"),
        (lambda gateway: gateway.rerank("a"), "documents"),
        (lambda gateway: gateway.speak(5), "input"),
        (lambda gateway: gateway.generate_images("a", n="two"), "n"),
        (lambda gateway: gateway.transcribe("/no/such/file.mp3"), "file"),
        (lambda gateway: gateway.transcribe(io.StringIO("text")), "audio"),
        (lambda gateway: gateway.request("a"), "api_request"),
    ],
)
def test_wrong_values_are_named_before_anything_is_sent(
    build: Build, provider: LocalProvider, call: Callable[[o.Gateway], Any], named: str
) -> None:
    """The error says which value, and no key was asked."""
    gateway = build(provider)
    with pytest.raises(o.ConfigurationError, match=named):
        call(gateway)
    assert (provider.requests, gateway.pool_status()[0].tpm_inflight) == ((), 0)


def test_a_model_must_be_named_somewhere(provider: LocalProvider) -> None:
    """Neither the request nor the gateway has a model: that is said, and nothing is sent."""
    gateway = o.GatewayBuilder(provider.endpoint("chat_completions")).add_key(o.KeyConfig("sk")).build()
    with gateway, pytest.raises(o.ConfigurationError, match="model"):
        gateway.embed("a")


# --- faults -------------------------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("step", [fail(503), fail(429, retry_after=0.0), break_stream(how="cut"), break_stream(how="reset")])
def test_a_failed_attempt_is_tried_again_on_another_key(build: Build, provider: LocalProvider, name: str, step: Any) -> None:
    """Keys, retries and settlement are those of every call: after the second attempt nothing is held."""
    provider.script(step)
    gateway = build(provider, keys=2)
    answer = EVERY[name](gateway)
    assert [record.outcome for record in answer.attempts] == ["failed", "ok"]
    assert len({record.key_label for record in answer.attempts}) == 2
    assert [key.tpm_inflight for key in gateway.pool_status()] == [0, 0]


@each
@pytest.mark.parametrize(
    "step",
    [
        malformed(b"<html>", content_type="text/html"),
        malformed(b"{", content_type="application/json"),
        malformed(b"[]", content_type="application/json"),
        malformed(b"", content_type="application/json"),
        malformed(b"{}", content_type="application/json"),
    ],
)
def test_an_answer_that_is_none_is_malformed(build: Build, provider: LocalProvider, name: str, step: Any) -> None:
    """What came with status 200 is an answer of its format or an error, never another exception; any text is a transcript."""
    provider.script(dataclasses.replace(step, times=9))
    gateway = build(provider)
    if name == "transcribe" and step.content_type == "text/html":
        assert EVERY[name](gateway).text == "<html>"
        return
    with pytest.raises(o.MalformedResponseError):
        EVERY[name](gateway)
    assert gateway.pool_status()[0].tpm_inflight == 0


@each
def test_an_error_with_status_200_is_the_provider_s(build: Build, provider: LocalProvider, name: str) -> None:
    """The words of the provider are kept, wherever they came."""
    provider.script(break_stream(how="error_event", times=9))
    with pytest.raises(o.ProviderError, match="scripted failure"):
        EVERY[name](build(provider))


@each
def test_a_deadline_ends_the_call(build: Build, provider: LocalProvider, name: str) -> None:
    """A provider that never answers costs no more than the time that was given, and holds no tokens afterwards."""
    provider.script(hang())
    gateway = build(provider, request_timeout=0.2)
    with pytest.raises(o.DeadlineExceededError):
        EVERY[name](gateway)
    assert gateway.pool_status()[0].tpm_inflight == 0


def test_cancelling_ends_the_call(build: Build, provider: LocalProvider) -> None:
    """The token ends it from another thread, at once."""
    provider.script(hang())
    token = o.CancellationToken()
    threading.Thread(target=lambda: (provider.wait_requests(), token.cancel())).start()
    with pytest.raises(o.CallCancelledError):
        build(provider).embed("a", cancel=token)


def test_an_answer_to_other_inputs_is_refused(build: Build, provider: LocalProvider) -> None:
    """Embeddings that are fewer than the inputs are no answer."""
    provider.script(malformed(b'{"data": [{"index": 0, "embedding": [1.0]}], "model": "m"}', times=9))
    with pytest.raises(o.MalformedResponseError, match="2 inputs"):
        build(provider).embed(["a", "b"])


def test_embeddings_come_in_the_order_of_their_inputs(build: Build, provider: LocalProvider) -> None:
    """The index decides, not the place in the answer."""
    body = b'{"data": [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}], "model": "m"}'
    provider.script(malformed(body))
    answer = build(provider).embed(["a", "b"])
    assert (answer.embeddings, answer.usage) == (((0.0,), (1.0,)), o.EmbeddingUsage(2, estimated=True))


# --- many inputs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size", "sent"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (3, 3, [3]), (2050, None, [2048, 2])])
def test_inputs_are_split_and_joined_in_order(
    build: Build, provider: LocalProvider, count: int, size: int | None, sent: list[int]
) -> None:
    """The batches are the provider's limit long; the answer is as if there had been one request."""
    texts = [f"text {n}" for n in range(count)]
    gateway = build(provider, pricing=o.PriceTable(unknown="zero"), keys=[o.KeyConfig("sk-1", "k1", tpm_limit=10**6)])
    answer = gateway.embed(texts, batch_size=size)
    inputs = [request.json["input"] for request in provider.requests]
    assert [len(batch) if isinstance(batch, list) else 1 for batch in inputs] == sent
    assert [vector.index for vector in answer.data] == list(range(count))
    assert answer.data[-1].embedding == gateway.embed(texts[-1]).data[0].embedding
    assert answer.usage == o.EmbeddingUsage(2 * count, 2 * count)
    assert len(answer.attempts) == len(sent)


def test_cohere_takes_96_texts(build: Build, provider: LocalProvider) -> None:
    """The limit is that of the format which is spoken."""
    formats = {o.EndpointKind.EMBEDDINGS: o.WireFormat.COHERE_EMBED}
    gateway = build(o.ProviderEndpoint("chat_completions", f"{provider.base_url}/v2", formats=formats))
    assert len(gateway.embed(["a"] * 100).data) == 100
    assert [len(request.json["texts"]) for request in provider.requests] == [96, 4]


def test_one_batch_that_fails_fails_the_whole(build: Build, provider: LocalProvider) -> None:
    """What was answered is paid for, what was not is given back."""
    gateway = build(provider, budget_limit_usd=1000.0)
    gateway.embed("a", batch_size=1)
    spent = gateway.budget_used_usd()
    provider.script(delay(0.0), fail(400))
    with pytest.raises(o.BadRequestError):
        gateway.embed(["b", "c"], batch_size=1)
    assert len(provider.requests) == 3
    assert gateway.budget_used_usd() == 2 * spent
    assert gateway.pool_status()[0].tpm_inflight == 0


def test_batches_stay_with_the_route_of_the_first(build: Build, provider: LocalProvider) -> None:
    """Vectors of two models cannot be compared: no batch goes to a fallback when the first went elsewhere."""
    fallback = (provider.endpoint("chat_completions"), [o.KeyConfig("sk-f", "f")], {"m": "other"})
    gateway = build(provider, add_fallback=fallback, retry=o.RetryPolicy(max_attempts=1))
    provider.script(fail(503, times=1), key="sk-1")
    answer = gateway.embed(["a", "b"], batch_size=1)
    assert [record.key_label for record in answer.attempts] == ["k1", "f", "f"]
    assert {request.json["model"] for request in provider.requests[1:]} == {"other"}


# --- money --------------------------------------------------------------------------------------------------------------------


@each
def test_a_model_without_a_price_is_refused_where_there_is_a_budget(build: Build, provider: LocalProvider, name: str) -> None:
    """Nothing is sent that nobody could account for."""
    gateway = build(provider, pricing=o.PriceTable(), budget_limit_usd=1.0)
    with pytest.raises(o.UnknownPriceError):
        EVERY[name](gateway)
    assert provider.requests == ()


@pytest.mark.parametrize(
    ("asked", "usd"),
    [({}, 0.04), ({"n": 3}, 0.12), ({"quality": "hd", "size": "1024x1792"}, 0.08), ({"size": "512x512"}, 0.01)],
)
def test_pictures_are_priced_by_quality_and_size(
    build: Build, provider: LocalProvider, asked: dict[str, Any], usd: float
) -> None:
    """A model that has prices of its pictures alone is charged by those, the usual quality and size where none is asked for."""
    names = {"standard/1024-x-1024/pic": "0.04", "hd/1024-x-1792/pic": "0.08", "512-x-512/pic": "0.01"}
    table = o.PriceTable({name: o.ModelPrice.usd_per_million("0", "0", image=price) for name, price in names.items()})
    gateway = build(provider, pricing=table, budget_limit_usd=1.0)
    assert gateway.generate_images("a house", model="pic", **asked).cost_usd == pytest.approx(usd)
    with pytest.raises(o.UnknownPriceError):
        gateway.generate_images("a house", model="pic", size="2048x2048")


@each
def test_a_budget_refuses_what_may_exceed_it(build: Build, provider: LocalProvider, name: str) -> None:
    """The estimate is reserved before anything is sent."""
    gateway = build(provider, budget_limit_usd=0.5)
    with pytest.raises(o.BudgetExceededError):
        EVERY[name](gateway)
    assert provider.requests == ()


@each
def test_what_is_reported_is_what_is_paid(build: Build, provider: LocalProvider, name: str) -> None:
    """The budget holds the answer's cost afterwards, and nothing of the reservation."""
    gateway = build(provider, budget_limit_usd=1e6)
    answer = EVERY[name](gateway)
    assert gateway.budget_used_usd() == pytest.approx(answer.cost_usd)
    assert gateway.budget_remaining_usd() == pytest.approx(1e6 - answer.cost_usd)


@pytest.mark.parametrize(
    "told", [None, {"prompt_tokens": -6, "total_tokens": -6}, {"prompt_tokens": "six"}, {"prompt_tokens": 10**15}]
)
def test_usage_that_is_none_is_estimated_and_marked(build: Build, told: dict[str, Any] | None) -> None:
    """What is missing, negative, no number or absurdly large is neither paid nor told as the provider's."""
    vectors = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    body = json.dumps(vectors if told is None else {**vectors, "usage": told}).encode()
    with ScriptedServer([expect(), respond(body=body)]) as server:
        gateway = build(server)
        answer = gateway.embed("a red fox")
        assert (answer.usage.estimated, answer.usage.prompt_tokens) == (True, answer.cost_usd)
        assert 0 < answer.cost_usd == gateway.budget_used_usd() < 10


@pytest.mark.parametrize(("name", "bounded"), [("embed", True), ("rerank", True), ("speak", False), ("transcribe", False)])
def test_a_strict_budget_takes_what_it_can_bound(build: Build, provider: LocalProvider, name: str, bounded: bool) -> None:
    """Embeddings and rankings generate nothing; what is generated has no cap to be bounded by."""
    gateway = build(provider, budget=o.Budget(1e6, estimate="strict"))
    if bounded:
        assert EVERY[name](gateway).cost_usd > 0
        return
    with pytest.raises(o.BudgetExceededError, match="strict"):
        EVERY[name](gateway)


def test_a_token_window_holds_for_embeddings(build: Build, provider: LocalProvider) -> None:
    """A key's tokens per minute are those of all its calls."""
    gateway = build(provider, [o.KeyConfig("sk-1", "k1", tpm_limit=10)])
    with pytest.raises(o.NoAvailableKeyError) as caught:
        gateway.embed("word " * 100)
    assert caught.value.reason == "too_large"


def test_losses_are_the_policy_s(build: Build, provider: LocalProvider) -> None:
    """What Gemini cannot carry is in the answer's losses, or refused before anything is sent."""
    gemini = o.ProviderProtocol.GEMINI_GENERATE_CONTENT
    answer = build(provider, protocol=gemini).embed("a", user="u")
    assert [loss.pointer for loss in answer.request_losses] == ["/user"]
    with pytest.raises(o.LossyRequestError):
        build(provider, protocol=gemini, losses="raise").embed("a", user="u")


def test_the_hooks_hear_of_every_kind(build: Build, provider: LocalProvider, events: list[Any]) -> None:
    """A call's start and end say what it is, and its end its tokens and its cost."""
    build(provider).speak("a red fox")
    begun, started, ended, call = events
    assert (type(begun), type(started), type(ended), type(call)) == (
        o.CallStarted, o.AttemptStarted, o.AttemptEnded, o.CallEnded,
    )  # fmt: skip
    assert begun.kind == call.kind == "audio_speech"
    assert (call.usage, call.cost_usd) == (o.TokenUsage(3, 13, estimated=True), 16.0)


# --- files --------------------------------------------------------------------------------------------------------------------


def test_a_recording_may_be_given_in_any_way(build: Build, provider: LocalProvider, tmp_path: Path) -> None:
    """By its path as text or Path, as bytes, as an open file or one in memory: the same is sent, and no file is moved."""
    data, path = recording("a red fox"), tmp_path / "fox.wav"
    path.write_bytes(data)
    gateway = build(provider)
    with path.open("rb") as file:
        for given in (str(path), path, data, file, io.BytesIO(data), o.AudioInput("fox.wav", data)):
            assert gateway.transcribe(given).text == "a red fox"
        assert file.tell() == 0
    assert all(data in request.body for request in provider.requests)


def test_a_file_is_read_again_for_another_attempt(build: Build, provider: LocalProvider, tmp_path: Path) -> None:
    """A retry sends the whole file, not the rest of it."""
    path = tmp_path / "fox.wav"
    path.write_bytes(recording("a red fox " * 2000))
    provider.script(fail(503))
    with path.open("rb") as file:
        build(provider, keys=[o.KeyConfig("sk-1", tpm_limit=10**7)]).transcribe(file)
    sizes = [len(request.body) for request in provider.requests]
    assert (len(sizes), sizes[0]) == (2, sizes[1])
    assert sizes[0] > 1_000_000


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_a_transcript_may_be_a_text(build: Build, provider: LocalProvider, form: str) -> None:
    """The text is the file's as it came; cues of subtitles are segments."""
    answer = build(provider).transcribe(recording("a red fox"), response_format=form)
    assert "a red fox" in answer.text
    assert [segment.text for segment in answer.segments] == ([] if form == "text" else ["a red fox"])


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (lambda gateway: gateway.transcribe(recording("a b"), vendor_extensions={"stream": True}).text, "a b"),
        (lambda gateway: gateway.speak("a b", vendor_extensions={"stream_format": "sse"}).audio, recording("a b")),
        (lambda gateway: len(gateway.generate_images("a", n=2, vendor_extensions={"stream": True}).data), 2),
    ],
)
def test_a_stream_adds_up_to_the_answer(
    build: Build, provider: LocalProvider, call: Callable[[o.Gateway], Any], kept: Any
) -> None:
    """Where the provider was told to stream, its events are gathered."""
    assert call(build(provider)) == kept
