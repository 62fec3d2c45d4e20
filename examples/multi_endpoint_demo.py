"""Every endpoint without a network: what is sent, how it reads in another format, who offers what, and what may be kept of it."""

import json

from omnillm import (
    AudioInput,
    AudioSpeechRequest,
    AudioTranscriptionRequest,
    EmbeddingRequest,
    EndpointKind,
    ImageGenerationRequest,
    LlmRequest,
    MultipartBody,
    ProviderKind,
    ReplayFixture,
    RerankRequest,
    TransportResponse,
    WireFormat,
    embedded_provider_registry,
    emit_transport_request,
    parse_transport_response,
    sanitize_json_value,
    transcode_api_request,
)
from omnillm.types.transport import JsonBody

REQUESTS = {
    WireFormat.OPENAI_RESPONSES: LlmRequest("gpt-4.1-mini", "Hello"),
    WireFormat.OPENAI_EMBEDDINGS: EmbeddingRequest("text-embedding-3-small", ["one text", "another"], dimensions=256),
    WireFormat.GEMINI_EMBED_CONTENT: EmbeddingRequest("gemini-embedding-001", "one text"),
    WireFormat.OPENAI_IMAGE_GENERATIONS: ImageGenerationRequest("a red fox", "gpt-image-1", size="1024x1024"),
    WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS: AudioTranscriptionRequest("whisper-1", AudioInput("talk.mp3", b"ID3")),
    WireFormat.OPENAI_AUDIO_SPEECH: AudioSpeechRequest("gpt-4o-mini-tts", "Hello", "alloy"),
    WireFormat.COHERE_RERANK: RerankRequest("rerank-v3.5", "red foxes", ["a red fox", "a whale"], top_n=1),
}


def emission() -> None:
    """Say what would be sent, and what it would lose."""
    for wire_format, request in REQUESTS.items():
        report = emit_transport_request(wire_format, request)
        sent = report.value
        body = sent.body
        shown = [field.name for field in body.fields] if isinstance(body, MultipartBody) else getattr(body, "value", None)
        print(f"{wire_format.value}: {sent.method} {sent.path} {json.dumps(shown)[:90]} lossy={report.lossy}")


def transcoding() -> None:
    """Rewrite a request for another provider: what it has no place for is named."""
    payload = {"model": "text-embedding-3-small", "input": ["a", "b"], "user": "me", "encoding_format": "float"}
    for target in (WireFormat.GEMINI_EMBED_CONTENT, WireFormat.COHERE_EMBED):
        report = transcode_api_request(WireFormat.OPENAI_EMBEDDINGS, target, payload)
        print(f"as {target.value}: {json.dumps(report.value)[:80]}… loses {[loss.pointer for loss in report.losses]}")


def registry() -> None:
    """Ask who offers what."""
    known = embedded_provider_registry()
    for kind in ProviderKind:
        offered = [endpoint.value for endpoint in EndpointKind if known.supports_endpoint(kind, endpoint)]
        print(f"{kind.value}: {', '.join(offered) or 'whatever it is told to be'}")


def keeping() -> None:
    """Read an answer, and keep the exchange without what is secret."""
    request = emit_transport_request(WireFormat.OPENAI_EMBEDDINGS, REQUESTS[WireFormat.OPENAI_EMBEDDINGS]).value
    answer = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    response = TransportResponse(200, {"set-cookie": "session=secret"}, "application/json", JsonBody(answer))
    read = parse_transport_response(WireFormat.OPENAI_EMBEDDINGS, response).value
    print("read:", read)
    fixture = ReplayFixture(WireFormat.OPENAI_EMBEDDINGS, request, response).sanitized()
    print("kept:", fixture.response.headers)
    print("kept:", sanitize_json_value({"api_key": "sk-secret", "audio": {"data": "UklGRg==", "format": "wav"}}))


def main() -> None:
    """Show all four."""
    emission()
    transcoding()
    registry()
    keeping()


if __name__ == "__main__":
    main()
