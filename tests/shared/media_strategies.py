"""Values of embeddings, images, audio and rerank, for properties."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from strategies import counts, extensions, maybe, numbers, texts, tuples_of, usages

import omnillm as o
from omnillm.types._model import Model

files = st.binary(max_size=12)
seconds = st.floats(0, 1e6)
token_ids = st.lists(st.integers(0, 1 << 20), min_size=1, max_size=3)

embedding_inputs = st.builds(o.EmbeddingInput, texts, vendor_extensions=extensions) | st.builds(
    o.EmbeddingInput, tokens=token_ids
)
embedding_vectors = st.builds(o.EmbeddingVector, counts, tuples_of(numbers), vendor_extensions=extensions)
embedding_usages = st.builds(o.EmbeddingUsage, counts, maybe(counts), st.booleans(), vendor_extensions=extensions)
image_inputs = st.builds(o.ImageInput, texts, files, maybe(texts)) | st.builds(o.ImageInput, url=texts, file_id=maybe(texts))
images = st.builds(o.GeneratedImage, maybe(texts), maybe(texts), maybe(texts), maybe(texts), vendor_extensions=extensions)
audio_inputs = st.builds(o.AudioInput, texts, files, maybe(texts))
segments = st.builds(o.AudioSegment, seconds, seconds, texts, maybe(texts), vendor_extensions=extensions)
words = st.builds(o.TranscribedWord, texts, seconds, seconds, vendor_extensions=extensions)
documents = st.builds(o.RerankDocument, maybe(texts), vendor_extensions=extensions)
rerank_results = st.builds(o.RerankResult, counts, numbers, maybe(documents), vendor_extensions=extensions)
rerank_usages = st.builds(o.RerankUsage, maybe(counts), maybe(counts), maybe(counts), vendor_extensions=extensions)

media_values: dict[type[Model], st.SearchStrategy[Any]] = {
    o.EmbeddingInput: embedding_inputs,
    o.EmbeddingRequest: st.builds(
        o.EmbeddingRequest,
        texts,
        tuples_of(embedding_inputs),
        maybe(counts),
        maybe(texts),
        maybe(texts),
        vendor_extensions=extensions,
    ),
    o.EmbeddingVector: embedding_vectors,
    o.EmbeddingUsage: embedding_usages,
    o.EmbeddingResponse: st.builds(
        o.EmbeddingResponse, texts, tuples_of(embedding_vectors), maybe(embedding_usages), vendor_extensions=extensions
    ),
    o.ImageInput: image_inputs,
    o.ImageGenerationRequest: st.builds(
        o.ImageGenerationRequest,
        texts,
        *[maybe(texts)] * 6,
        maybe(counts),
        images=tuples_of(image_inputs),
        mask=maybe(image_inputs),
    ),
    o.GeneratedImage: images,
    o.ImageGenerationResponse: st.builds(o.ImageGenerationResponse, counts, tuples_of(images), usage=maybe(usages)),
    o.AudioInput: audio_inputs,
    o.AudioTranscriptionRequest: st.builds(
        o.AudioTranscriptionRequest,
        texts,
        audio_inputs,
        maybe(texts),
        maybe(texts),
        maybe(texts),
        maybe(numbers),
        tuples_of(texts),
    ),
    o.AudioSegment: segments,
    o.TranscribedWord: words,
    o.AudioTranscriptionResponse: st.builds(
        o.AudioTranscriptionResponse,
        texts,
        maybe(texts),
        maybe(seconds),
        tuples_of(segments),
        tuples_of(words),
        usage=maybe(usages),
    ),
    o.AudioSpeechRequest: st.builds(o.AudioSpeechRequest, texts, texts, texts, maybe(texts), maybe(numbers), maybe(texts)),
    o.AudioSpeechResponse: st.builds(o.AudioSpeechResponse, files, maybe(texts), usage=maybe(usages)),
    o.RerankDocument: documents,
    o.RerankRequest: st.builds(
        o.RerankRequest, texts, texts, tuples_of(documents), maybe(counts), maybe(st.booleans()), vendor_extensions=extensions
    ),
    o.RerankResult: rerank_results,
    o.RerankUsage: rerank_usages,
    o.RerankResponse: st.builds(o.RerankResponse, texts, tuples_of(rerank_results), maybe(rerank_usages)),
}
