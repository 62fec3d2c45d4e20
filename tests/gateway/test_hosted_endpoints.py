"""Embeddings, images, audio and rerank at Azure, Google and Bedrock: what is sent, and that it is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from gateway_fixtures import Build

import omnillm as o
from omnillm.testing import LocalProvider, ScriptedServer, answer
from omnillm.testing._endpoint_answers import recording
from omnillm.testing.scripted import expect, respond
from omnillm.types.retrieval import EmbeddingInput

SIGNED = "AKIDEXAMPLE:wJalrXUtnFEMI"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/"
PNG = b"\x89PNG\r\n\x1a\n"


def azure(provider: LocalProvider, **options: Any) -> o.ProviderEndpoint:
    return o.ProviderEndpoint.azure_openai(provider.base_url, **options)


def vertex(provider: LocalProvider) -> o.ProviderEndpoint:
    return o.ProviderEndpoint.vertex_ai("p", "l", base_url=f"{provider.base_url}/v1")


def bedrock(provider: LocalProvider) -> o.ProviderEndpoint:
    return o.ProviderEndpoint.bedrock("us-east-1", base_url=provider.base_url)


def gemini(provider: LocalProvider) -> o.ProviderEndpoint:
    return provider.endpoint("gemini_generate_content")


# --- what is sent -------------------------------------------------------------------------------------------------------------

TITAN, COHERE = "amazon.titan-embed-text-v2:0", "cohere.embed-multilingual-v3"
SENT: list[Any] = [
    pytest.param(
        vertex, lambda it: it.embed(["a", "b"], model="text-embedding-005", dimensions=3),
        f"{VERTEX}text-embedding-005:predict",
        {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 3}},
        id="vertex, texts",
    ),
    pytest.param(
        vertex,
        lambda it: it.embed("a", model="text-embedding-005", vendor_extensions={"taskType": "CLUSTERING"}),
        f"{VERTEX}text-embedding-005:predict",
        {"instances": [{"task_type": "CLUSTERING", "content": "a"}]},
        id="vertex, a task",
    ),
    pytest.param(
        vertex, lambda it: it.embed("a", model="gemini-embedding-001"),
        f"{VERTEX}gemini-embedding-001:predict", {"instances": [{"content": "a"}]}, id="vertex, gemini's first",
    ),
    pytest.param(
        vertex, lambda it: it.embed("a", model="gemini-embedding-2", dimensions=3),
        f"{VERTEX}gemini-embedding-2:embedContent",
        {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3}, id="vertex, gemini's second",
    ),
    pytest.param(
        vertex, lambda it: it.generate_images("a fox", model="imagen-4.0-generate-001", size="16:9", output_format="png"),
        f"{VERTEX}imagen-4.0-generate-001:predict",
        {
            "instances": [{"prompt": "a fox"}],
            "parameters": {"sampleCount": 1, "aspectRatio": "16:9", "outputOptions": {"mimeType": "image/png"}},
        },
        id="vertex, images",
    ),
    pytest.param(
        gemini, lambda it: it.generate_images("a fox", model="imagen-4.0-generate-001", n=2, size="2K"),
        "/v1beta/models/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "a fox"}], "parameters": {"sampleCount": 2, "sampleImageSize": "2K"}}, id="gemini, images",
    ),
    pytest.param(
        bedrock, lambda it: it.embed("a", model=TITAN, dimensions=256, vendor_extensions={"normalize": True}),
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        {"inputText": "a", "dimensions": 256, "normalize": True}, id="bedrock, titan",
    ),
    pytest.param(
        bedrock, lambda it: it.embed(["a", "b"], model=COHERE),
        "/model/cohere.embed-multilingual-v3/invoke",
        {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]}, id="bedrock, cohere's embeddings",
    ),
    pytest.param(
        bedrock, lambda it: it.rerank("a", ["a b", "c"], model="cohere.rerank-v3-5:0", top_n=1),
        "/model/cohere.rerank-v3-5%3A0/invoke",
        {"api_version": 2, "query": "a", "documents": ["a b", "c"], "top_n": 1}, id="bedrock, cohere's rerank",
    ),
    pytest.param(
        bedrock, lambda it: it.rerank("a", ["a b", "c"], model="amazon.rerank-v1:0"),
        "/model/amazon.rerank-v1%3A0/invoke", {"query": "a", "documents": ["a b", "c"]}, id="bedrock, amazon's rerank",
    ),
    pytest.param(
        bedrock,
        lambda it: it.generate_images("a fox", model="amazon.nova-canvas-v1:0", n=2, size="512x256", quality="premium"),
        "/model/amazon.nova-canvas-v1%3A0/invoke",
        {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": "a fox"},
            "imageGenerationConfig": {"numberOfImages": 2, "width": 512, "height": 256, "quality": "premium"},
        },
        id="bedrock, amazon's images",
    ),
    pytest.param(
        bedrock, lambda it: it.generate_images("a fox", model="amazon.titan-image-generator-v2:0", images=PNG),
        "/model/amazon.titan-image-generator-v2%3A0/invoke",
        {
            "taskType": "IMAGE_VARIATION",
            "imageVariationParams": {"text": "a fox", "images": [base64.b64encode(PNG).decode()]},
        },
        id="bedrock, a variation",
    ),
    pytest.param(
        bedrock,
        lambda it: it.generate_images("a fox", model="stability.sd3-5-large-v1:0", size="16:9", output_format="png"),
        "/model/stability.sd3-5-large-v1%3A0/invoke",
        {"prompt": "a fox", "mode": "text-to-image", "aspect_ratio": "16:9", "output_format": "png"},
        id="bedrock, stability's images",
    ),
    pytest.param(
        azure, lambda it: it.embed("a", model="te-3"), "/openai/v1/embeddings", {"model": "te-3", "input": "a"}, id="azure, v1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("where", "call", "path", "body"), SENT)
def test_the_request_is_what_the_host_takes(
    build: Build, provider: LocalProvider, where: Any, call: Any, path: str, body: dict[str, Any]
) -> None:
    """Path and body, exactly; and the answer is one."""
    found = call(build(where(provider), [o.KeyConfig("key")]))
    (received,) = provider.requests
    assert (received.method, received.path, received.json) == ("POST", path, body)
    assert getattr(found, "data", None) or found.results


AZURE = {
    "embeddings": lambda it: it.embed("a b", model="te-3"),
    "images/generations": lambda it: it.generate_images("a fox", model="te-3"),
    "images/edits": lambda it: it.generate_images("a fox", model="te-3", images=PNG),
    "audio/transcriptions": lambda it: it.transcribe(recording("a fox"), model="te-3"),
    "audio/translations": lambda it: it.transcribe(recording("a fox"), model="te-3", translate=True),
    "audio/speech": lambda it: it.speak("a fox", model="te-3"),
}


@pytest.mark.parametrize(
    ("options", "at", "query", "said"),
    [
        ({}, "/openai/v1/", "", "te-3"),
        ({"deployment": "dep"}, "/openai/v1/", "", "dep"),
        ({"api_version": "2024-10-21"}, "/openai/deployments/te-3/", "?api-version=2024-10-21", "te-3"),
        ({"deployment": "dep", "api_version": "2024-10-21"}, "/openai/deployments/dep/", "?api-version=2024-10-21", "te-3"),
    ],
    ids=["v1", "v1 deployment", "dated", "dated deployment"],
)
@pytest.mark.parametrize("path", AZURE)
def test_azure_has_the_endpoints_of_openai(
    build: Build, provider: LocalProvider, path: str, options: dict[str, Any], at: str, query: str, said: str
) -> None:
    """By both of its paths, with its header; a deployment is what the v1 path's body names."""
    AZURE[path](build(azure(provider, **options), [o.KeyConfig("azure-key")]))
    (received,) = provider.requests
    assert (received.path, received.headers["api-key"]) == (f"{at}{path}{query}", "azure-key")
    named = received.json["model"] if received.json else f'name="model"\r\n\r\n{said}\r\n'.encode() in received.body
    assert named in (said, True)


# --- what comes back ----------------------------------------------------------------------------------------------------------


def test_titan_embeds_many_texts_one_by_one(build: Build) -> None:
    """Each is a request of its own, signed; the answer is one, in order, with the tokens of all."""
    with LocalProvider(keys=[SIGNED]) as provider:
        found = build(bedrock(provider), [o.KeyConfig(SIGNED)]).embed(["a b", "c", "d e f"], model=TITAN, dimensions=4)
    assert [request.json["inputText"] for request in provider.requests] == ["a b", "c", "d e f"]
    assert ([vector.index for vector in found.data], found.usage.prompt_tokens) == ([0, 1, 2], 6)
    assert all(len(vector) == 4 for vector in found.embeddings)


def test_the_tokens_in_bedrocks_header_are_the_usage(build: Build) -> None:
    """Cohere's body at Bedrock does not count them, and they are what is paid."""
    body = {"id": "x", "texts": ["a"], "embeddings": {"float": [[0.5, 1]]}, "response_type": "embeddings_by_type"}
    with ScriptedServer(
        [expect(), respond(headers={"x-amzn-bedrock-input-token-count": "7"}, body=o.wire._json.dump_bytes(body))]
    ) as server:
        endpoint = o.ProviderEndpoint.bedrock("us-east-1", base_url=server.base_url)
        gateway = build(endpoint, [o.KeyConfig(SIGNED)], pricing=o.PriceTable({COHERE: {"input": 1_000_000, "output": 0}}))
        found = gateway.embed("a", model=COHERE)
    assert (found.usage, found.cost_usd) == (o.EmbeddingUsage(7), 7)


def test_vertex_counts_what_its_predictions_say(build: Build, provider: LocalProvider) -> None:
    """The usage is the sum of the instances' tokens, and a batch has at most 250."""
    provider.script(
        answer(
            o.EmbeddingResponse(
                "", [o.EmbeddingVector(0, (1.0,))], vendor_extensions={"gemini_embed_content": {"@spelling": {"form": "predict"}}}
            )
        )
    )
    gateway = build(vertex(provider), [o.KeyConfig("token")])
    assert gateway.embed("a", model="text-embedding-005").embeddings == ((1.0,),)
    gateway.embed(["a"] * 251, model="text-embedding-005")
    assert [len(request.json["instances"]) for request in provider.requests] == [1, 250, 1]


def test_images_of_every_host_are_pictures(build: Build, provider: LocalProvider) -> None:
    """As many as were asked for, in base64."""
    for where, model in (
        (gemini, "imagen-4.0-generate-001"),
        (vertex, "imagen-4.0-generate-001"),
        (bedrock, "amazon.nova-canvas-v1:0"),
    ):
        found = build(where(provider), [o.KeyConfig("key")]).generate_images("a fox", model=model, n=2)
        assert [base64.b64decode(image.b64_json or "")[:4] for image in found.data] == [b"\x89PNG"] * 2


def test_an_image_that_bedrock_refuses_is_the_requests_fault(build: Build) -> None:
    """It answers with 200, no image and an error."""
    with ScriptedServer([expect(), respond(body=b'{"images":[],"error":"blocked by our filters"}')]) as server:
        gateway = build(o.ProviderEndpoint.bedrock("us-east-1", base_url=server.base_url), [o.KeyConfig(SIGNED)])
        with pytest.raises(o.BadRequestError, match="blocked by our filters"):
            gateway.generate_images("a fox", model="amazon.nova-canvas-v1:0")


@pytest.mark.parametrize(
    ("where", "more"),
    [
        (gemini, {"images": PNG}),
        (vertex, {"images": PNG, "mask": PNG}),
        (bedrock, {"images": PNG, "mask": PNG}),
        (bedrock, {"images": o.ImageInput(url="https://example.com/a.png")}),
    ],
)
def test_an_edit_that_a_host_cannot_make_is_not_sent(
    build: Build, provider: LocalProvider, where: Any, more: dict[str, Any]
) -> None:
    """The prompt alone would make another image, and cost as much."""
    with pytest.raises(o.UnsupportedFeatureError):
        build(where(provider), [o.KeyConfig("key")]).generate_images("a fox", model="amazon.nova-canvas-v1:0", **more)
    assert provider.requests == ()


def test_a_translation_is_in_english(build: Build, provider: LocalProvider) -> None:
    """It goes to its own path, without the language that it would not take, and says that this was lost."""
    found = build(provider).transcribe(recording("ein Fuchs"), translate=True, language="de")
    (received,) = provider.requests
    assert (found.text, received.path) == ("in English: ein Fuchs", "/v1/audio/translations")
    assert b'name="language"' not in received.body
    assert [loss.pointer for loss in found.request_losses] == ["/language"]


def test_what_a_host_cannot_embed_is_named(build: Build, provider: LocalProvider) -> None:
    """Token ids mean nothing to Titan."""
    gateway = build(bedrock(provider), [o.KeyConfig("key")], losses=o.LossPolicy.RAISE)
    with pytest.raises(o.LossyRequestError) as caught:
        gateway.embed(o.EmbeddingRequest(TITAN, [EmbeddingInput(tokens=(1, 2))], user="me", encoding_format="base64"))
    assert [loss.pointer for loss in caught.value.losses] == ["/input/0", "/encoding_format", "/user"]


def test_an_image_that_was_filtered_is_not_charged(build: Build) -> None:
    """Google gives the reason in its place, and no image."""
    made = {"predictions": [{"bytesBase64Encoded": "AA==", "mimeType": "image/png"}, {"raiFilteredReason": "a policy"}]}
    with ScriptedServer([expect(), respond(body=json.dumps(made).encode())]) as server:
        where = o.ProviderEndpoint.gemini_generate_content(f"{server.base_url}/v1beta")
        prices = o.PriceTable({"imagen-4.0-generate-001": {"image": 0.04}})
        gateway = build(where, pricing=prices, budget_limit_usd=1)
        found = gateway.generate_images("a fox", model="imagen-4.0-generate-001", n=2)
    assert found.data[1].vendor_extensions["google_images"]["raiFilteredReason"] == "a policy"
    assert gateway.budget_used_usd() == pytest.approx(0.04)
