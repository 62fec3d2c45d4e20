"""The strict estimate: an upper bound of a prompt's tokens, or a refusal where the prompt is not in the bytes.

No tokenizer in use gives more tokens than the text has bytes, so the body that is sent bounds what is in it; what the provider
fetches by itself (URLs, file ids, stored conversations, its own tools' findings) is bounded by nothing.
"""

from __future__ import annotations

from ..errors import BudgetExceededError
from ..types.message import Message
from ..types.parts import AudioPart, FilePart, ImageBase64Part, ImageUrlPart, ToolResultPart
from ..types.request import LlmRequest

# Pictures and sound are counted by their dimensions, which a small file may have large ones of: the dearest known rule is a
# 4K picture in tiles, below 20 000 tokens. A page of a PDF is read as text and as a picture.
MEDIA_TOKENS = 20_000
_ELSEWHERE = (
    "previous_response_id",
    "conversation",
    "prompt",
    "container",
    "mcp_servers",
    "web_search_options",
    "cachedContent",
    "cached_content",
)
_ANSWERS = ("n", "best_of", "candidateCount", "candidate_count")


def strict_prompt_tokens(request: LlmRequest, body: bytes) -> int:
    """Bound the prompt's tokens; raises ``BudgetExceededError`` where nothing bounds them."""
    if request.capabilities.builtin_tools:
        raise _unbounded("a tool that the provider runs adds to the prompt")
    for extensions in (request.vendor_extensions, *_nested(request.vendor_extensions)):
        for name in _ELSEWHERE:
            if extensions.get(name) is not None:
                raise _unbounded(f"{name} adds to the prompt what is not in the request")
        for name in _ANSWERS:
            if extensions.get(name) not in (None, 1):
                raise _unbounded(f"{name} asks for several answers, each with the whole output cap")
    media = 0
    for item in request.normalized_input():
        for part in item.parts if isinstance(item, Message) else (item,):
            media += _media(part)
    return len(body) + media


def _nested(extensions: dict[str, object]) -> list[dict[str, object]]:
    return [value for value in extensions.values() if isinstance(value, dict)]


def _media(part: object) -> int:
    if isinstance(part, ImageUrlPart):
        raise _unbounded("an image given by URL is not in the request")
    if isinstance(part, FilePart):
        if part.data is None:
            raise _unbounded("a file given by URL or id is not in the request")
        return MEDIA_TOKENS
    if isinstance(part, ToolResultPart) and isinstance(part.output, tuple):
        return sum(_media(inner) for inner in part.output)
    return MEDIA_TOKENS if isinstance(part, ImageBase64Part | AudioPart) else 0


def _unbounded(why: str) -> BudgetExceededError:
    return BudgetExceededError(f"the budget's strict estimate cannot bound this prompt: {why}")
