"""Estimates of a prompt's tokens that learn: how many tokens a character is, by model and by script, from what providers report.

Purpose: reserve nearer to what a call will use than a quarter of its bytes; what is settled is the reported usage all the same.
Contract: ``prompt_tokens`` weighs a request and ``learn`` corrects the weights by the usage; both may be called from any thread.
Rules:
- A strict budget does not ask here: an average is no upper bound.
- Only prompts of texts teach: a picture, a tool that the provider runs or a response it remembers is not in the characters.
- A weight moves by a fifth of what was wrong, shared out by how much of the prompt it stands for, and stays within its bounds:
  no host that reports nonsense makes a prompt weightless or boundless.
- No lock: weights are replaced whole, and of two calls that teach at once one may be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .. import _json
from .._late import importing
from ..types.message import Message
from ..types.parts import (
    JsonPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ..types.request import BYTES_PER_TOKEN, LlmRequest, weight_of
from .limits import PromptEstimate

MODELS = 256  # that are remembered; the one that was first taught goes first
STEP = 0.2  # of what was wrong
LARGEST_ERROR = 4.0  # a report further off counts as this far off

Counter = Callable[[str, str], int | None]
"""Count a text's tokens for a model, or give ``None`` where the model's tokens are not known."""


class Script(NamedTuple):
    """How many tokens a character of a script is: to begin with, at least and at most."""

    start: float
    least: float
    most: float


# Measured nowhere near exactly, on purpose: what a prompt of the script costs with the tokenizers of the last years, and the room
# they leave around it. Code stands for what code has more of than prose: signs and digits.
SCRIPTS = {
    "latin": Script(0.22, 0.12, 0.6),
    "code": Script(0.5, 0.2, 1.2),
    "base64": Script(0.75, 0.4, 1.2),
    "cjk": Script(0.8, 0.4, 2.5),
    "other": Script(0.5, 0.15, 3.0),
    "tools": Script(40.0, 1.0, 1_000.0),  # not of a character: what a provider tells its model once any tool is declared
}
_START = tuple(script.start for script in SCRIPTS.values())
_TOKENIZED = 1.0  # tokens to a counted token: what a chat's frame and a tool's declaration add is learned
_TOKENIZED_BOUNDS = Script(_TOKENIZED, 0.5, 2.0)

MESSAGE_TOKENS = 4  # the framing of a turn

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
_SIGNS = re.compile(r"[0-9{}()\[\]<>;:=+*/\\|&#@$%^~`\"_-]")
_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


_TEXTS = (TextPart, RefusalPart, ToolCallPart, ToolResultPart, ReasoningPart, JsonPart)


class Shape(NamedTuple):
    """What a prompt is made of: characters by script, or tokens by a counter, and tokens that are in no text."""

    characters: tuple[int, ...]
    counted: int | None
    fixed: int
    teaches: bool


class PromptEstimates:
    """Estimate prompts by weights that are learned for each model; ``count`` is a tokenizer, where there is one."""

    __slots__ = ("_count", "_weights")

    def __init__(self, count: Counter | None = None) -> None:
        self._count = count
        self._weights: dict[tuple[str, bool], tuple[float, ...]] = {}

    def shape(self, request: LlmRequest) -> Shape:
        """Take a request's measure, once for its estimate and for what its usage teaches."""
        texts, fixed = list(_texts(request)), _fixed(request)
        counted = None
        if self._count is not None:
            counts = [self._count(request.model, text) for text in texts]
            if None not in counts:
                counted = sum(count or 0 for count in counts)
        characters = () if counted is not None else (*_characters(texts), int(bool(request.capabilities.tools)))
        return Shape(characters, counted, MESSAGE_TOKENS * len(request.normalized_input()) + fixed, _is_whole(request))

    def prompt_tokens(self, model: str, shape: Shape) -> int:
        """Estimate the prompt that has this shape."""
        weights = self._of(model, shape)
        return shape.fixed + max(1, round(sum(weight * size for weight, size in zip(weights, _sizes(shape), strict=True))))

    def learn(self, model: str, shape: Shape, tokens: int) -> None:
        """Correct the model's weights by the tokens (of the prompt, cached ones too) that the provider reported."""
        weights, sizes = self._of(model, shape), _sizes(shape)
        parts = [weight * size for weight, size in zip(weights, sizes, strict=True)]
        guess, real = sum(parts), tokens - shape.fixed
        if not shape.teaches or guess <= 0 or real <= 0:
            return
        off = min(max(real / guess, 1 / LARGEST_ERROR), LARGEST_ERROR) - 1
        bounds = (_TOKENIZED_BOUNDS,) if shape.counted is not None else SCRIPTS.values()
        corrected = [
            min(max(weight * (1 + STEP * off * part / guess), bound.least), bound.most)
            for weight, part, bound in zip(weights, parts, bounds, strict=True)
        ]
        while len(self._weights) >= MODELS and (model, shape.counted is not None) not in self._weights:
            self._weights.pop(next(iter(self._weights), ("", False)), None)
        self._weights[(model, shape.counted is not None)] = tuple(corrected)

    def _of(self, model: str, shape: Shape) -> tuple[float, ...]:
        known = self._weights.get((model, shape.counted is not None))
        return known or (_START if shape.counted is None else (_TOKENIZED,))


def _sizes(shape: Shape) -> tuple[int, ...]:
    return shape.characters if shape.counted is None else (shape.counted,)


def _characters(texts: list[str]) -> tuple[int, ...]:
    """Count characters by script, in the order of ``SCRIPTS``, but for the last."""
    latin = code = base64 = cjk = other = 0
    for whole in texts:
        text = _BASE64.sub("", whole)
        signs = len(_SIGNS.findall(text))
        wide = 0 if text.isascii() else len(_CJK.findall(text))
        beyond = 0 if text.isascii() else len(_BEYOND_ASCII.findall(text)) - wide
        latin += len(text) - signs - wide - beyond
        code, base64, cjk, other = code + signs, base64 + len(whole) - len(text), cjk + wide, other + beyond
    return latin, code, base64, cjk, other


def _texts(request: LlmRequest) -> Iterator[str]:
    """Give every text of the prompt: what is said, called and declared."""
    asked = request.capabilities
    if request.instructions:
        yield request.instructions
    for part in _parts(request):
        yield from _said(part)
    for tool in asked.tools:
        yield f"{tool.name} {tool.description or ''} {_json.dumps(tool.input_schema)}"
    if asked.structured_output is not None:
        yield _json.dumps(asked.structured_output.schema)


def _parts(request: LlmRequest) -> Iterator[object]:
    for item in request.normalized_input():
        for part in item.parts if isinstance(item, Message) else (item,):
            if isinstance(part, ToolResultPart) and isinstance(part.output, tuple):
                yield from part.output
            else:
                yield part


def _said(part: object) -> Iterator[str]:
    if isinstance(part, TextPart | RefusalPart):
        yield part.text
    elif isinstance(part, ToolCallPart):
        yield f"{part.name} {part.arguments_text()}"
    elif isinstance(part, ToolResultPart):
        yield part.text()
    elif isinstance(part, ReasoningPart):
        yield from (part.text, *part.summary)
    elif isinstance(part, JsonPart):
        yield _json.dumps(part.value)


def _fixed(request: LlmRequest) -> int:
    """Give the tokens of what is no text, by the rules of ``LlmRequest.estimated_prompt_tokens``."""
    weights = [weight_of(part) for part in _parts(request) if not isinstance(part, _TEXTS)]
    return sum(tokens + -(-size // BYTES_PER_TOKEN) for size, tokens in weights)


def _is_whole(request: LlmRequest) -> bool:
    """Tell whether the prompt is in the request's own texts."""
    beside = request.capabilities.builtin_tools or request.vendor_extensions
    return not beside and all(isinstance(part, _TEXTS) for part in _parts(request))


def prompt_estimates(kind: PromptEstimate) -> PromptEstimates:
    """Give estimates that begin with a tokenizer's count or without; raises ``ConfigurationError`` where tiktoken is missing."""
    if kind == "learned":
        return PromptEstimates()
    with importing:
        from .tokenizer import tiktoken_counter

    return PromptEstimates(tiktoken_counter())
