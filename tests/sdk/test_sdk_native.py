"""The official SDKs at the local provider's files, batches, models, uploads, caches and operations."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sdk_clients import KEY

from omnillm.testing import LocalProvider

pytestmark = pytest.mark.sdk
TURNS = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
def openai(provider: LocalProvider) -> Iterator[Any]:
    module = pytest.importorskip("openai")
    with closing(module.OpenAI(api_key=KEY, base_url=f"{provider.base_url}/v1", max_retries=0)) as client:
        yield client


@pytest.fixture
def anthropic(provider: LocalProvider) -> Iterator[Any]:
    module = pytest.importorskip("anthropic")
    with closing(module.Anthropic(api_key=KEY, base_url=provider.base_url, max_retries=0)) as client:
        yield client


@pytest.fixture
def genai(provider: LocalProvider) -> Iterator[Any]:
    module = pytest.importorskip("google.genai")
    with closing(module.Client(api_key=KEY, http_options={"base_url": provider.base_url})) as client:
        yield client


def test_openai_files_are_kept_listed_read_and_deleted(openai: Any) -> None:
    """A file comes back as it was, stands in the list, and is gone when it is deleted."""
    made = openai.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    assert (made.filename, made.bytes, made.purpose, made.status) == ("a.jsonl", 3, "batch", "processed")
    assert openai.files.retrieve(made.id) == made
    assert [file.id for file in openai.files.list()] == [made.id]
    assert openai.files.content(made.id).content == b"{}\n"
    assert openai.files.delete(made.id).deleted
    assert list(openai.files.list()) == []


def test_openai_files_are_paged(openai: Any) -> None:
    """The SDK walks the pages of a list by their last id."""
    made = [openai.files.create(file=(f"{i}.txt", b"x"), purpose="user_data").id for i in range(5)]
    assert [file.id for file in openai.files.list(limit=2)] == made


def test_an_openai_upload_is_the_sum_of_its_parts(openai: Any) -> None:
    """What is sent in parts is one file, once it is completed."""
    made = openai.uploads.upload_file_chunked(
        file=b"0123456789", filename="a.txt", bytes=10, mime_type="text/plain", purpose="user_data", part_size=4
    )
    assert (made.status, made.file.bytes) == ("completed", 10)
    assert openai.files.content(made.file.id).content == b"0123456789"


def test_an_openai_batch_runs_to_its_results(openai: Any) -> None:
    """A batch goes from step to step, and its file of results holds an answer for each line."""
    lines = [
        {"custom_id": str(i), "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m-1", "messages": TURNS}}
        for i in range(2)
    ]
    source = openai.files.create(file=("in.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    made = openai.batches.create(input_file_id=source.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert (made.status, made.request_counts.total) == ("validating", 2)
    states = [openai.batches.retrieve(made.id) for _ in range(2)]
    assert [state.status for state in states] == ["in_progress", "completed"]
    assert states[-1].usage.total_tokens > 0
    results = [json.loads(line) for line in openai.files.content(states[-1].output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in results] == ["0", "1"]
    assert results[0]["response"]["body"]["choices"][0]["message"]["content"] == "echo: Say hello"
    assert [batch.id for batch in openai.batches.list()] == [made.id]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the variations: the API still has them
def test_openai_models_images_and_translations_are_there(openai: Any) -> None:
    """Models are listed and told; a picture has variations, and a recording a translation."""
    assert [model.id for model in openai.models.list()] == ["local-large", "local-small"]
    assert openai.models.retrieve("local-small").id == "local-small"
    assert len(openai.images.create_variation(image=("a.png", b"\x89PNG"), n=2).data) == 2
    assert openai.audio.translations.create(model="whisper-1", file=("a.wav", b"RIFF")).text


def test_openai_errors_are_the_sdks(openai: Any) -> None:
    """What is not there is not found, and what lacks a field is refused."""
    module = pytest.importorskip("openai")
    with pytest.raises(module.NotFoundError):
        openai.files.retrieve("file-9")
    with pytest.raises(module.BadRequestError):
        openai.batches.create(input_file_id="", endpoint="/v1/responses", completion_window="24h")


def test_anthropic_counts_tokens_and_lists_models(anthropic: Any) -> None:
    """Tokens are counted without an answer, models listed and told."""
    assert anthropic.messages.count_tokens(model="m-1", messages=TURNS).input_tokens > 0
    assert [model.id for model in anthropic.models.list()] == ["local-large", "local-small"]
    assert anthropic.models.retrieve("local-small").display_name == "Local Small"


def test_an_anthropic_batch_runs_to_its_results(anthropic: Any) -> None:
    """A batch of messages ends after it was asked for twice, and has a result for each request."""
    requests = [{"custom_id": str(i), "params": {"model": "m-1", "max_tokens": 9, "messages": TURNS}} for i in range(2)]
    made = anthropic.messages.batches.create(requests=requests)
    assert (made.processing_status, made.request_counts.processing) == ("in_progress", 2)
    states = [anthropic.messages.batches.retrieve(made.id).processing_status for _ in range(2)]
    assert states == ["in_progress", "ended"]
    results = list(anthropic.messages.batches.results(made.id))
    assert [result.custom_id for result in results] == ["0", "1"]
    assert results[0].result.message.content[0].text == "echo: Say hello"
    assert [batch.id for batch in anthropic.messages.batches.list()] == [made.id]
    assert anthropic.messages.batches.delete(made.id).id == made.id


def test_an_anthropic_batch_is_cancelled(anthropic: Any) -> None:
    """A batch that was cancelled ends, and its results say so."""
    requests = [{"custom_id": "a", "params": {"model": "m-1", "max_tokens": 9, "messages": TURNS}}]
    made = anthropic.messages.batches.create(requests=requests)
    assert anthropic.messages.batches.cancel(made.id).processing_status == "canceling"
    assert anthropic.messages.batches.retrieve(made.id).request_counts.canceled == 1
    assert [result.result.type for result in anthropic.messages.batches.results(made.id)] == ["canceled"]


def test_anthropic_files_are_kept_and_read(anthropic: Any) -> None:
    """A file comes back as it was."""
    made = anthropic.beta.files.upload(file=("a.txt", b"hello", "text/plain"))
    assert (made.filename, made.size_bytes, made.mime_type) == ("a.txt", 5, "text/plain")
    assert anthropic.beta.files.download(made.id).read() == b"hello"
    assert [file.id for file in anthropic.beta.files.list()] == [made.id]
    assert anthropic.beta.files.delete(made.id).id == made.id


def test_gemini_counts_tokens_and_lists_models(genai: Any) -> None:
    """Tokens are counted without an answer, models listed and told."""
    assert genai.models.count_tokens(model="local-small", contents="Say hello").total_tokens > 0
    assert [model.name for model in genai.models.list()] == ["models/local-large", "models/local-small"]
    assert genai.models.get(model="local-small").display_name == "Local Small"


def test_gemini_files_are_uploaded_and_deleted(genai: Any) -> None:
    """A file goes up by the resumable protocol, and is listed, told and deleted."""
    made = genai.files.upload(file=io.BytesIO(b"hello"), config={"mime_type": "text/plain", "display_name": "a"})
    assert (made.display_name, made.size_bytes, made.mime_type) == ("a", 5, "text/plain")
    assert genai.files.get(name=made.name).name == made.name
    assert [file.name for file in genai.files.list()] == [made.name]
    genai.files.delete(name=made.name)
    assert list(genai.files.list()) == []


def test_gemini_caches_are_made_changed_and_deleted(genai: Any) -> None:
    """A cache counts its tokens, stands in the list, lives as long as it is told, and is deleted."""
    made = genai.caches.create(model="local-small", config={"contents": "a long text", "display_name": "c"})
    assert made.usage_metadata.total_token_count > 0
    assert genai.caches.get(name=made.name).display_name == "c"
    assert [cache.name for cache in genai.caches.list()] == [made.name]
    changed = genai.caches.update(name=made.name, config={"expire_time": "2024-02-01T00:00:00Z"})
    assert changed.expire_time.month == 2
    genai.caches.delete(name=made.name)
    assert list(genai.caches.list()) == []


def test_a_gemini_batch_runs_to_its_responses(genai: Any) -> None:
    """A batch goes from step to step, and holds an answer for each request."""
    asks = [{"contents": [{"role": "user", "parts": [{"text": text}]}]} for text in ("one", "two")]
    made = genai.batches.create(model="local-small", src=asks, config={"display_name": "b"})
    assert made.state.name == "JOB_STATE_PENDING"
    states = [genai.batches.get(name=made.name) for _ in range(2)]
    assert [state.state.name for state in states] == ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    texts = [line.response.text for line in states[-1].dest.inlined_responses]
    assert texts == ["echo: one", "echo: two"]
    assert [batch.name for batch in genai.batches.list()] == [made.name]


def test_a_vertex_operation_runs_to_its_videos(provider: LocalProvider) -> None:
    """A video is an operation first, and a list of videos when that is done."""
    module = pytest.importorskip("google.genai")
    credentials = pytest.importorskip("google.oauth2.credentials").Credentials(KEY)
    options = {"base_url": provider.base_url, "api_version": "v1"}
    where = {"vertexai": True, "project": "p-1", "location": "europe-west1", "credentials": credentials}
    with closing(module.Client(**where, http_options=options)) as client:
        operation = client.models.generate_videos(model="veo-local", source={"prompt": "a wave"})
        assert not operation.done
        states = []
        for _ in range(2):
            operation = client.operations.get(operation)
            states.append(bool(operation.done))
    assert states == [False, True]
    assert operation.response.generated_videos[0].video.uri.endswith(".mp4")
