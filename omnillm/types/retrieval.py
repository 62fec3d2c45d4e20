"""Embeddings and rerank: what is asked and what is answered, whatever the provider's form of it.

A text stands wherever an input or a document is expected; after construction the fields hold what their annotations name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ConfigurationError
from ._given import MAPPING, MAYBE_FLAG, MAYBE_INTEGER, MAYBE_TEXT, TEXT, Kinds, check_types, each_of, put, wrong_type
from ._model import Model
from .request import BYTES_PER_TOKEN
from .response import NO_META, Metered, ResponseMeta


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text: its bytes / 4."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


# --- embeddings --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EmbeddingInput(Model):
    """Be one thing to embed: a text, or a text's token ids; what only one vendor takes is in the extensions."""

    text: str | None = None
    tokens: tuple[int, ...] | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, {"text": MAYBE_TEXT, "vendor_extensions": MAPPING})
        if self.tokens is not None:
            put(self, "tokens", _token_ids(self.tokens))
        if self.text is not None and self.tokens is not None:
            raise ConfigurationError("tokens: given beside a text; give one of the two", field="tokens")
        if self.text is None and self.tokens is None and not self.vendor_extensions:
            raise ConfigurationError("text: expected a text or tokens", field="text")

    def estimated_tokens(self) -> int:
        """Estimate the tokens: the text's bytes / 4, or the ids given."""
        if self.tokens is not None:
            return len(self.tokens)
        return text_tokens(self.text) if self.text is not None else 1_000  # an image, say


def _token_ids(value: Any) -> tuple[int, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise wrong_type("tokens", "token ids", value)
    ids = tuple(value)
    for item in ids:
        if item.__class__ is not int:
            raise wrong_type("tokens", "token ids", item)
    return ids


def _embedding_input(value: Any) -> EmbeddingInput | None:
    if isinstance(value, str):
        return EmbeddingInput(value)
    if isinstance(value, list | tuple) and value and all(item.__class__ is int for item in value):
        return EmbeddingInput(tokens=tuple(value))
    return None


@dataclass(frozen=True, slots=True)
class EmbeddingRequest(Model):
    """Ask for the embedding of each input; ``input`` takes a text, token ids, or a list of them."""

    model: str
    input: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:  # what is taken is wider than what is held

        def __init__(
            self,
            model: str,
            input: str | EmbeddingInput | Iterable[str | EmbeddingInput | Iterable[int]] | Iterable[int],
            dimensions: int | None = None,
            encoding_format: str | None = None,
            user: str | None = None,
            *,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        check_types(self, _EMBEDDING_FIELDS)
        expected = "texts, token ids or EmbeddingInputs"
        put(self, "input", each_of(self.input, "input", EmbeddingInput, _embedding_input, expected, lone=True))

    def estimated_prompt_tokens(self) -> int:
        """Estimate the tokens of all inputs."""
        return sum(item.estimated_tokens() for item in self.input)

    def estimated_tokens(self) -> int:
        """Estimate the tokens; an embedding has none of output."""
        return self.estimated_prompt_tokens()


_EMBEDDING_FIELDS: Kinds = {
    "model": TEXT,
    "dimensions": MAYBE_INTEGER,
    "encoding_format": MAYBE_TEXT,
    "user": MAYBE_TEXT,
    "vendor_extensions": MAPPING,
}


@dataclass(frozen=True, slots=True)
class EmbeddingVector(Model):
    """Be the embedding of the input at ``index``."""

    index: int
    embedding: tuple[float, ...]
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, {"index": ((int,), "an integer"), "vendor_extensions": MAPPING})
        if type(self.embedding) is not tuple:
            put(self, "embedding", tuple(self.embedding))


@dataclass(frozen=True, slots=True)
class EmbeddingUsage(Model):
    """Count the tokens of the inputs; ``estimated`` where the provider reported none."""

    prompt_tokens: int = 0
    total_tokens: int | None = None
    estimated: bool = False
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def total(self) -> int:
        """Give the reported total, or the prompt where none was reported."""
        return self.prompt_tokens if self.total_tokens is None else self.total_tokens


@dataclass(frozen=True, slots=True)
class EmbeddingResponse(Metered, Model):
    """Hold the embeddings, in the order of the inputs."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    model: str
    data: tuple[EmbeddingVector, ...]
    usage: EmbeddingUsage | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.data) is not tuple:
            put(self, "data", tuple(self.data))

    @property
    def embeddings(self) -> tuple[tuple[float, ...], ...]:
        """Give the vectors alone."""
        return tuple(vector.embedding for vector in self.data)


# --- rerank ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RerankDocument(Model):
    """Be a document: its text, or, where it is an object of other fields, those in the extensions."""

    text: str | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, {"text": MAYBE_TEXT, "vendor_extensions": MAPPING})


def _document(value: Any) -> RerankDocument | None:
    if isinstance(value, str):
        return RerankDocument(value)
    if isinstance(value, Mapping):
        rest = dict(value)
        text = rest.pop("text") if isinstance(rest.get("text"), str) else None
        return RerankDocument(text, vendor_extensions=rest)
    return None


@dataclass(frozen=True, slots=True)
class RerankRequest(Model):
    """Ask which documents answer the query best; ``documents`` takes texts too."""

    model: str
    query: str
    documents: tuple[RerankDocument, ...]
    top_n: int | None = None
    return_documents: bool | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            model: str,
            query: str,
            documents: Iterable[str | RerankDocument | Mapping[str, Any]],
            top_n: int | None = None,
            return_documents: bool | None = None,
            *,
            vendor_extensions: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        check_types(self, _RERANK_FIELDS)
        put(self, "documents", each_of(self.documents, "documents", RerankDocument, _document, "texts or RerankDocuments"))

    def estimated_prompt_tokens(self) -> int:
        """Estimate the tokens: those of each document, and those of the query with each."""
        documents = sum(text_tokens(document.text or "") for document in self.documents)
        return documents + text_tokens(self.query) * max(len(self.documents), 1)

    def estimated_tokens(self) -> int:
        """Estimate the tokens; a ranking has none of output."""
        return self.estimated_prompt_tokens()


_RERANK_FIELDS: Kinds = {
    "model": TEXT,
    "query": TEXT,
    "top_n": MAYBE_INTEGER,
    "return_documents": MAYBE_FLAG,
    "vendor_extensions": MAPPING,
}


@dataclass(frozen=True, slots=True)
class RerankResult(Model):
    """Say how well the document at ``index`` answers; the document itself where it was asked for."""

    index: int
    relevance_score: float
    document: RerankDocument | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class RerankUsage(Model):
    """Count what a ranking took, in the provider's unit: searches, or tokens."""

    search_units: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True)
class RerankResponse(Metered, Model):
    """Hold the documents' places, the best first."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta"})

    model: str
    results: tuple[RerankResult, ...]
    usage: RerankUsage | None = None
    vendor_extensions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.results) is not tuple:
            put(self, "results", tuple(self.results))
