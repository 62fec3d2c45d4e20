"""A request for text generation, as every protocol's request is read into and written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

from .. import _json
from ..errors import ConfigurationError, InvalidJsonError
from ._given import MAYBE_FLAG, MAYBE_TEXT, TEXT, Kinds, checker, wrong_type
from ._model import Model
from .capabilities import CapabilitySet
from .enums import MessageRole
from .message import ITEM_TYPES, Message, RequestItem
from .parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)

DEFAULT_OUTPUT_TOKENS = 1024

BYTES_PER_TOKEN = 4
IMAGE_TOKENS = 1_000  # a 1024 x 1024 image costs 765 (OpenAI, high detail) to about 1 400 (Anthropic, width x height / 750)
AUDIO_TOKENS = 1_000  # some 30 seconds at Gemini's 32 tokens a second
FILE_TOKENS = 5_000  # a few pages at 1 500 to 3 000 tokens each (Anthropic, PDF support)


@dataclass(frozen=True, slots=True)
class GenerationConfig(Model):
    """Set how the model generates; ``None`` leaves a setting to the provider."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    stop_sequences: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        stops: Any = self.stop_sequences
        if type(stops) is not tuple:
            object.__setattr__(self, "stop_sequences", _stops(stops))
        for stop in self.stop_sequences:
            if not isinstance(stop, str):
                raise wrong_type("stop_sequences", "strings", stop)
        _check_settings(self)


_INTEGER, _NUMBER = ((int, NoneType), "an integer"), ((int, float, NoneType), "a number")
_check_settings = checker(
    {
        "max_output_tokens": _INTEGER,
        "temperature": _NUMBER,
        "top_p": _NUMBER,
        "top_k": _NUMBER,  # Gemini's is a number of any kind
        "presence_penalty": _NUMBER,
        "frequency_penalty": _NUMBER,
        "seed": _INTEGER,
    }
)


@dataclass(frozen=True, slots=True)
class LlmRequest(Model):
    """Ask a model for an answer.

    ``input`` takes a text (one user message), an item or items, and is a tuple of items afterwards. ``messages`` is the chat
    view, used where ``input`` is empty; both given and different is a ``ConfigurationError``: a request made with ``messages`` is
    changed by ``dataclasses.replace(request, input=…, messages=())``. ``stream`` is what a parsed payload said; ``call()`` and
    ``stream()`` override it. A conversation is kept as ``LlmRequest(model, items).to_json()``.
    """

    model: str
    input: tuple[RequestItem, ...] = ()
    instructions: str | None = field(default=None, kw_only=True)
    messages: tuple[Message, ...] = field(default=(), kw_only=True)
    capabilities: CapabilitySet = field(default_factory=CapabilitySet, kw_only=True)
    generation: GenerationConfig = field(default_factory=GenerationConfig, kw_only=True)
    stream: bool | None = field(default=None, kw_only=True)
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:  # what is taken is wider than what is held

        def __init__(
            self,
            model: str,
            input: str | RequestItem | Iterable[RequestItem] = (),
            *,
            instructions: str | None = None,
            messages: Iterable[Message] = (),
            capabilities: CapabilitySet = ...,
            generation: GenerationConfig = ...,
            stream: bool | None = None,
            metadata: Mapping[str, Any] = ...,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        _check_fields(self)
        if type(self.input) is not tuple or not _EXACT_ITEMS.issuperset(map(type, self.input)):
            object.__setattr__(self, "input", _items(self.input, "input", ITEM_TYPES))
        if type(self.messages) is not tuple or not _EXACT_MESSAGES.issuperset(map(type, self.messages)):
            object.__setattr__(self, "messages", _items(self.messages, "messages", (Message,)))
        if self.input and self.messages and self.input != self.messages:
            raise ConfigurationError(
                "messages: given beside a different input; give one of the two (dataclasses.replace: input=…, messages=())",
                field="messages",
            )

    def normalized_input(self) -> tuple[RequestItem, ...]:
        """Give the items: ``input``, or ``messages`` where that is empty."""
        return self.input or self.messages

    def normalized_messages(self) -> tuple[Message, ...]:
        """Give the chat view: items that are no messages become messages of the role that says such things."""
        return tuple(item if isinstance(item, Message) else _as_message(item) for item in self.normalized_input())

    def normalized_instructions(self) -> str | None:
        """Give ``instructions``, or the system and developer messages' text joined by a blank line, or ``None``."""
        if self.instructions is not None:
            return self.instructions
        texts = [
            item.plain_text()
            for item in self.normalized_input()
            if isinstance(item, Message) and item.role in (MessageRole.SYSTEM, MessageRole.DEVELOPER)
        ]
        return "\n\n".join(texts) if texts else None

    def estimated_prompt_tokens(self) -> int:
        """Estimate the prompt: text bytes / 4, images, audio and files by a rule per modality, never by their base64."""
        size = len((self.instructions or "").encode("utf-8", "replace"))
        tokens = 0
        for item in self.normalized_input():
            for part in item.parts if isinstance(item, Message) else (item,):
                part_size, part_tokens = weight_of(part)
                size += part_size
                tokens += part_tokens
        for tool in self.capabilities.tools:
            size += len(tool.name) + len((tool.description or "").encode("utf-8", "replace")) + _json_size(tool.input_schema)
        for builtin in self.capabilities.builtin_tools:
            size += _json_size(builtin.payload)
        if self.capabilities.structured_output is not None:
            size += _json_size(self.capabilities.structured_output.schema)
        return tokens + -(-size // BYTES_PER_TOKEN)

    def estimated_tokens(self) -> int:
        """Estimate prompt and output: the output is ``max_output_tokens``, 1024 where unset."""
        cap = self.generation.max_output_tokens
        return self.estimated_prompt_tokens() + (DEFAULT_OUTPUT_TOKENS if cap is None else cap)


_FIELDS: Kinds = {
    "model": TEXT,
    "instructions": MAYBE_TEXT,
    "capabilities": ((CapabilitySet,), "a CapabilitySet"),
    "generation": ((GenerationConfig,), "a GenerationConfig"),
    "stream": MAYBE_FLAG,
    "metadata": ((dict, Mapping), "a mapping"),  # isinstance asks dict first, and Mapping is slow to answer
    "vendor_extensions": ((dict, Mapping), "a mapping"),
}
_check_fields = checker(_FIELDS)
_EXACT_ITEMS = frozenset(ITEM_TYPES)
_EXACT_MESSAGES = frozenset((Message,))


def _items(value: Any, name: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        return (Message.user(value),)
    if isinstance(value, kinds):
        return (value,)
    if value is None or isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise wrong_type(name, f"a text or {_hint(value, kinds)}", value)
    items = tuple(value)
    for item in items:
        if not isinstance(item, kinds):
            raise wrong_type(name, _hint(item, kinds), item)
    return items


def _hint(value: object, kinds: tuple[type, ...]) -> str:
    """Say what to give instead: of what people give most."""
    if hasattr(value, "as_input"):
        return "items such as [*response.as_input(), Message.user(text)]"
    if isinstance(value, str | Mapping):
        return "items such as Message.user(text); a provider's own form is read by parse_request"
    return f"items: {', '.join(kind.__name__ for kind in kinds)}"


def _stops(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return (value,)
    if value is not None and (isinstance(value, Mapping | bytes) or not isinstance(value, Iterable)):
        raise wrong_type("stop_sequences", "strings", value)
    return tuple(value or ())


def _as_message(item: ToolCallPart | ToolResultPart | ReasoningPart | VendorPart) -> Message:
    role = MessageRole.TOOL if isinstance(item, ToolResultPart) else MessageRole.ASSISTANT
    return Message(role, (item,))


def _json_size(value: Any) -> int:
    try:
        return len(_json.dump_bytes(value))
    except InvalidJsonError:
        return 0  # emission will name it


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def weight_of(part: object) -> tuple[int, int]:
    """Give a part's text bytes and the tokens of what is not text."""
    if isinstance(part, TextPart | RefusalPart):
        return _utf8(part.text), 0
    if isinstance(part, ToolCallPart):
        return _utf8(part.name) + _utf8(part.arguments_text()), 0
    if isinstance(part, ToolResultPart):
        if isinstance(part.output, tuple):
            weights = [weight_of(inner) for inner in part.output]
            return sum(size for size, _ in weights), sum(tokens for _, tokens in weights)
        return _utf8(part.text()), 0
    if isinstance(part, ReasoningPart):
        return _utf8(part.text) + sum(map(_utf8, part.summary)) + len(part.encrypted_content or "") // 2, 0
    if isinstance(part, JsonPart):
        return _json_size(part.value), 0
    if isinstance(part, ImageUrlPart | ImageBase64Part):
        return 0, IMAGE_TOKENS
    if isinstance(part, AudioPart):
        return _utf8(part.transcript or ""), AUDIO_TOKENS
    if isinstance(part, FilePart):
        return (0, FILE_TOKENS) if part.data is None or not _is_text(part) else (len(part.data) * 3 // 4, 0)
    return (_json_size(part.payload), 0) if isinstance(part, VendorPart) else (0, 0)


def _is_text(part: FilePart) -> bool:
    return (part.media_type or "").startswith("text/")
