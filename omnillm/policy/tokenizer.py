"""Count tokens by tiktoken, of the models it knows and whose data is on this machine; nothing is ever fetched.

Purpose: the counter of ``PoolConfig(prompt_estimates="tokenizer")``; needs the package tiktoken (extra ``tokens``).
Contract: ``tiktoken_counter`` loads what is at hand once, when a gateway is built; a text is then counted without locks or files.
Rules: the data is looked for where tiktoken keeps it (``TIKTOKEN_CACHE_DIR``, ``DATA_GYM_CACHE_DIR``, else the directory
``data-gym-cache`` among temporary files), under the name it gives it: the SHA-1 of the address it came from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .._late import importing
from ..errors import ConfigurationError
from .estimates import Counter

if TYPE_CHECKING:
    from tiktoken import Encoding

_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_ENCODINGS = ("o200k_base", "cl100k_base")  # of every chat model since gpt-3.5; o200k_harmony is the first with other signs


def tiktoken_counter() -> Counter:
    """Give a counter by tiktoken; raises ``ConfigurationError`` where it is not installed."""
    try:
        with importing:
            import tiktoken
            from tiktoken.model import encoding_name_for_model
    except ImportError:
        message = "pool.prompt_estimates: tokenizer needs tiktoken; pip install 'omnillm[tokens]'"
        raise ConfigurationError(message, field="pool.prompt_estimates") from None
    at_hand: dict[str, Encoding] = {name: tiktoken.get_encoding(name) for name in _ENCODINGS if is_at_hand(name)}

    def count(model: str, text: str) -> int | None:
        try:
            name = encoding_name_for_model(model.rpartition("/")[2])
        except KeyError:  # not OpenAI's
            return None
        encoding = at_hand.get("o200k_base" if name == "o200k_harmony" else name)
        return None if encoding is None else len(encoding.encode_ordinary(text))

    return count


def is_at_hand(encoding: str) -> bool:
    """Tell whether tiktoken would find the encoding's data without fetching it."""
    directory = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    kept = Path(tempfile.gettempdir(), "data-gym-cache") if directory is None else Path(directory)
    name = hashlib.sha1(_SOURCE.format(encoding).encode(), usedforsecurity=False).hexdigest()
    return directory != "" and (kept / name).is_file()
