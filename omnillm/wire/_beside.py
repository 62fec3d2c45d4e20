"""What stands beside Responses and Chat Completions, at OpenAI and the hosts that follow it."""

from __future__ import annotations

from ..types.enums import EndpointKind, WireFormat

OPENAI_ENDPOINTS = {
    EndpointKind.EMBEDDINGS: WireFormat.OPENAI_EMBEDDINGS,
    EndpointKind.IMAGE_GENERATIONS: WireFormat.OPENAI_IMAGE_GENERATIONS,
    EndpointKind.AUDIO_TRANSCRIPTIONS: WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS,
    EndpointKind.AUDIO_SPEECH: WireFormat.OPENAI_AUDIO_SPEECH,
    EndpointKind.RERANK: WireFormat.OPENAI_RERANK,
}
