"""The vocabulary of provider-native calls: whose, of which kind, in which format, how the answer comes and how it is budgeted."""

from __future__ import annotations

from enum import StrEnum

from .enums import ProviderKind

PrimitiveProviderKind = ProviderKind


class PrimitiveEndpointKind(StrEnum):
    """What an endpoint of a provider does."""

    RESPONSES = "responses"
    CHAT_COMPLETIONS = "chat_completions"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    AUDIO_TRANSCRIPTIONS = "audio_transcriptions"
    AUDIO_TRANSLATIONS = "audio_translations"
    AUDIO_SPEECH = "audio_speech"
    RERANK = "rerank"
    FILES = "files"
    UPLOADS = "uploads"
    MODELS = "models"
    BATCHES = "batches"
    CACHES = "caches"
    OPERATIONS = "operations"
    REALTIME = "realtime"
    LIVE = "live"
    CUSTOM = "custom"


class ProviderPrimitiveWireFormat(StrEnum):
    """Every native format that is known by name; ``CUSTOM_HTTP`` is whatever the caller says."""

    OPENAI_RESPONSES = "open_ai_responses"
    OPENAI_CHAT_COMPLETIONS = "open_ai_chat_completions"
    OPENAI_IMAGES = "open_ai_images"
    OPENAI_IMAGE_EDITS = "open_ai_image_edits"
    OPENAI_IMAGE_VARIATIONS = "open_ai_image_variations"
    OPENAI_AUDIO_TRANSCRIPTIONS = "open_ai_audio_transcriptions"
    OPENAI_AUDIO_TRANSLATIONS = "open_ai_audio_translations"
    OPENAI_AUDIO_SPEECH = "open_ai_audio_speech"
    OPENAI_EMBEDDINGS = "open_ai_embeddings"
    OPENAI_RERANK = "open_ai_rerank"
    OPENAI_FILES = "open_ai_files"
    OPENAI_UPLOADS = "open_ai_uploads"
    OPENAI_MODELS = "open_ai_models"
    OPENAI_BATCHES = "open_ai_batches"
    OPENAI_REALTIME = "open_ai_realtime"
    OPENAI_COMPATIBLE_CHAT_COMPLETIONS = "open_ai_compatible_chat_completions"
    ANTHROPIC_MESSAGES = "anthropic_messages"
    ANTHROPIC_COUNT_TOKENS = "anthropic_count_tokens"
    ANTHROPIC_MESSAGE_BATCHES = "anthropic_message_batches"
    ANTHROPIC_FILES = "anthropic_files"
    ANTHROPIC_MODELS = "anthropic_models"
    GEMINI_GENERATE_CONTENT = "gemini_generate_content"
    GEMINI_STREAM_GENERATE_CONTENT = "gemini_stream_generate_content"
    GEMINI_COUNT_TOKENS = "gemini_count_tokens"
    GEMINI_EMBED_CONTENT = "gemini_embed_content"
    GEMINI_FILES = "gemini_files"
    GEMINI_CACHES = "gemini_caches"
    GEMINI_MODELS = "gemini_models"
    GEMINI_OPERATIONS = "gemini_operations"
    GEMINI_BATCHES = "gemini_batches"
    GEMINI_LIVE = "gemini_live"
    VERTEX_OPERATIONS = "vertex_operations"
    BEDROCK_CONVERSE = "bedrock_converse"
    BEDROCK_INVOKE_MODEL = "bedrock_invoke_model"
    CUSTOM_HTTP = "custom_http"


class PrimitiveStreamMode(StrEnum):
    """How an answer comes: whole, as server-sent events, over a WebSocket, or as the bytes of a file as they are made."""

    NONE = "none"
    SSE = "sse"
    WEB_SOCKET = "web_socket"
    BINARY_CHUNKS = "binary_chunks"


class PrimitiveBudgetClass(StrEnum):
    """How a call is budgeted.

    By its tokens; by other units (images, seconds, characters, searches); not at all, for what reads or controls; not at all, for
    what is stored; or, where nothing is known of it, by a conservative estimate, which a strict budget does not take.
    """

    TOKEN_METERED = "token_metered"  # noqa: S105  # no password
    BILLABLE_UNIT_METERED = "billable_unit_metered"
    METADATA_OR_CONTROL_PLANE_ZERO_COST = "metadata_or_control_plane_zero_cost"
    UPLOAD_OR_STORAGE = "upload_or_storage"
    UNKNOWN = "unknown"


class PrimitiveAsyncJobOperation(StrEnum):
    """What is asked of a job that runs at the provider's."""

    CREATE = "create"
    GET = "get"
    LIST = "list"
    CANCEL = "cancel"
    RESULTS = "results"


class PrimitiveAsyncJobStatus(StrEnum):
    """How a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Tell whether the job has come to its end, whichever."""
        return self in _OVER


_OVER = (PrimitiveAsyncJobStatus.SUCCEEDED, PrimitiveAsyncJobStatus.FAILED, PrimitiveAsyncJobStatus.CANCELLED)
