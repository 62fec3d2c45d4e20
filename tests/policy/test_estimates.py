"""Estimates of a prompt's tokens: what is counted, what is learned, and what may not be moved."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from omnillm import BuiltinTool, CapabilitySet, ImageUrlPart, LlmRequest, Message, MessageRole, ToolDefinition
from omnillm.policy import tokenizer
from omnillm.policy.estimates import LARGEST_ERROR, MODELS, SCRIPTS, PromptEstimates

# a text, and which of latin, code, base64, cjk, other its characters are
TEXTS = [
    ("plain words", (11, 0, 0, 0, 0)),
    ("f(x)=1", (2, 4, 0, 0, 0)),
    ("你好吗", (0, 0, 0, 3, 0)),
    ("日本語 and 한국어", (5, 0, 0, 6, 0)),
    ("Привет", (0, 0, 0, 0, 6)),
    ("QUJD" * 20, (0, 0, 80, 0, 0)),
    ("see " + "aGVsbG8x" * 10 + "==", (4, 0, 82, 0, 0)),
]


@pytest.mark.parametrize(("text", "characters"), TEXTS)
def test_characters_are_counted_by_script(text: str, characters: tuple[int, ...]) -> None:
    """Each character of a text counts for one script."""
    assert PromptEstimates().shape(LlmRequest("m", text)).characters == (*characters, 0)


def test_all_that_is_said_to_the_model_counts() -> None:
    """Instructions, messages and tools are in the estimate, pictures by their rule."""
    words = "some words of a prompt " * 10
    estimates = PromptEstimates()

    def estimated(**fields: object) -> int:
        request = LlmRequest("m", **{"input": "hi", **fields})  # type: ignore[arg-type]
        return estimates.prompt_tokens("m", estimates.shape(request))

    least = estimated()
    tool = ToolDefinition("look", {"type": "object"}, words)
    assert estimated(instructions=words) > least + 40
    assert estimated(input=[Message.user(words), Message.assistant(words)]) > least + 80
    assert estimated(capabilities=CapabilitySet(tools=(tool,))) > least + 40
    assert estimated(input=[Message(MessageRole.USER, (ImageUrlPart("https://example.org/a.png"),))]) >= 1_000


@pytest.mark.parametrize(
    "script", ["plain prose goes on and on ", "x[i]+=f(2);{}=={};", "你好今天天气很好", "Съешь же ещё этих булок "]
)
@pytest.mark.parametrize("real", [0.7, 1.0, 1.6])
def test_a_model_is_learned(script: str, real: float) -> None:
    """After thirty calls the estimate is within a tenth of what the provider counts, whatever the script."""
    estimates = PromptEstimates()
    request = LlmRequest("m", script * 50)
    shape = estimates.shape(request)
    tokens = math.ceil(real * estimates.prompt_tokens("m", shape))
    for _ in range(30):
        estimates.learn("m", shape, tokens)
    assert estimates.prompt_tokens("m", shape) == pytest.approx(tokens, rel=0.1)


def test_what_declaring_a_tool_costs_is_learned() -> None:
    """A provider's own words about tools are learned beside the texts, and prompts without tools stay as they were."""
    estimates = PromptEstimates()
    bare = LlmRequest("m", "plain words " * 20)
    tooled = LlmRequest("m", "plain words " * 20, capabilities=CapabilitySet(tools=(ToolDefinition("look", {"type": "object"}),)))
    before = estimates.prompt_tokens("m", estimates.shape(bare))
    for _ in range(60):
        estimates.learn("m", estimates.shape(tooled), before + 350)
        estimates.learn("m", estimates.shape(bare), before)
    assert estimates.prompt_tokens("m", estimates.shape(tooled)) == pytest.approx(before + 350, rel=0.1)
    assert estimates.prompt_tokens("m", estimates.shape(bare)) == pytest.approx(before, rel=0.1)


def test_scripts_are_told_apart() -> None:
    """What Chinese prompts teach leaves what is known of English as it was."""
    estimates = PromptEstimates()
    english, chinese = (estimates.shape(LlmRequest("m", text * 60)) for text in ("plain words ", "你好"))
    before = estimates.prompt_tokens("m", english)
    for _ in range(20):
        estimates.learn("m", chinese, 2 * sum(chinese.characters))
    assert estimates.prompt_tokens("m", english) == before
    assert estimates.prompt_tokens("m", chinese) > 1.8 * sum(chinese.characters)


@given(st.lists(st.tuples(st.text(max_size=200), st.integers(-(10**9), 10**12)), max_size=30))
def test_no_report_leads_beyond_the_bounds(reports: list[tuple[str, int]]) -> None:
    """Whatever a host reports, an estimate stays between the least and the most that each script's characters may be."""
    estimates = PromptEstimates()
    for text, tokens in reports:
        estimates.learn("m", estimates.shape(LlmRequest("m", text or "-")), tokens)
    for text, counts in TEXTS:
        guess = estimates.prompt_tokens("m", estimates.shape(LlmRequest("m", text))) - 4
        least = sum(size * script.least for size, script in zip(counts, SCRIPTS.values(), strict=False))
        most = sum(size * script.most for size, script in zip(counts, SCRIPTS.values(), strict=False))
        assert max(1, math.floor(least)) <= guess <= max(1, math.ceil(most))


def test_one_wild_report_moves_little() -> None:
    """A report a thousand times too high moves the estimate as one that is four times too high does."""
    shape = PromptEstimates().shape(LlmRequest("m", "plain words " * 100))
    guesses = []
    for factor in (1_000, LARGEST_ERROR):
        estimates = PromptEstimates()
        estimates.learn("m", shape, int(factor * estimates.prompt_tokens("m", shape)))
        guesses.append(estimates.prompt_tokens("m", shape))
    assert guesses[0] == pytest.approx(guesses[1], rel=0.01)


UNTEACHABLE = {
    "a picture": LlmRequest("m", [Message(MessageRole.USER, (ImageUrlPart("https://example.org/a.png"),))]),
    "a tool of the provider": LlmRequest("m", "hi", capabilities=CapabilitySet(builtin_tools=(BuiltinTool("web_search", {}),))),
    "a response it remembers": LlmRequest("m", "hi", vendor_extensions={"openai": {"previous_response_id": "resp_1"}}),
}


@pytest.mark.parametrize("request_", UNTEACHABLE.values(), ids=UNTEACHABLE)
def test_what_is_not_in_the_texts_does_not_teach(request_: LlmRequest) -> None:
    """Usage of prompts that are more than their texts changes no weight."""
    estimates = PromptEstimates()
    plain = estimates.shape(LlmRequest("m", "plain words " * 50))
    before = estimates.prompt_tokens("m", plain)
    estimates.learn("m", estimates.shape(request_), 50_000)
    assert estimates.prompt_tokens("m", plain) == before


def test_no_more_models_are_kept_than_said() -> None:
    """A service that names its models by the call does not grow the estimates without end."""
    estimates = PromptEstimates()
    shape = estimates.shape(LlmRequest("m", "plain words " * 50))
    for number in range(MODELS + 50):
        estimates.learn(f"m-{number}", shape, 1_000)
    assert len(estimates._weights) == MODELS
    assert estimates.prompt_tokens(f"m-{MODELS + 49}", shape) > estimates.prompt_tokens("m-0", shape)


def test_a_tokenizer_is_believed_and_what_a_chat_adds_is_learned() -> None:
    """With a counter the estimate begins with its count, and moves to what is reported."""
    estimates = PromptEstimates(lambda model, text: len(text.split()))
    shape = estimates.shape(LlmRequest("m", "one two three " * 100))
    assert estimates.prompt_tokens("m", shape) == 304
    for _ in range(30):
        estimates.learn("m", shape, 364)
    assert estimates.prompt_tokens("m", shape) == pytest.approx(364, abs=5)


def test_a_model_that_the_tokenizer_does_not_know_is_learned_by_its_characters() -> None:
    """Where the counter has no answer the characters are weighed."""
    shape = PromptEstimates(lambda model, text: None).shape(LlmRequest("claude", "plain words"))
    assert shape.counted is None
    assert shape.characters[0] == 11


# --- tiktoken -----------------------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_where_the_data_is_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory of tiktoken's gives a counter that knows no model."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokenizer.tiktoken_counter()("gpt-4o", "hello") is None


def test_data_is_looked_for_where_tiktoken_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file by the name that tiktoken gives to its own download is found, any other is not."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "o200k_base.tiktoken").touch()
    assert not tokenizer.is_at_hand("o200k_base")
    source = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    (tmp_path / hashlib.sha1(source.encode()).hexdigest()).touch()
    assert tokenizer.is_at_hand("o200k_base")


def test_models_that_tiktoken_knows_are_counted_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter counts with the encoding of the model's name, and says nothing of other providers' models."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    by_byte = tiktoken.Encoding("by-byte", pat_str=r"[\s\S]", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: by_byte)
    monkeypatch.setattr(tokenizer, "is_at_hand", lambda name: name == "o200k_base")
    count = tokenizer.tiktoken_counter()
    assert count("gpt-4o-mini", "hello") == 5
    assert count("openai/gpt-5", "<|endoftext|>") == 13  # a text, whatever it says
    assert count("gpt-3.5-turbo", "hello") is None  # cl100k_base is not there
    assert count("claude-sonnet-4-5", "hello") is None
