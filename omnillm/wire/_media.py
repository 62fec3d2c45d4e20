"""What several formats say alike of images, sound and files: data URLs, and the types that nobody said."""

from __future__ import annotations

_IMAGE_BY_HEAD = {"iVBO": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}  # magic numbers in base64
AUDIO_OF_FORMAT = {"mp3": "audio/mpeg", "wav": "audio/wav"}
FORMAT_OF_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
}
NAME_BY_MEDIA = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def image_type(data: str) -> str:
    """Give the media type that an image's first bytes tell."""
    return _IMAGE_BY_HEAD.get(data[:4], "image/png")


def image_data_url(data: str, media_type: str | None) -> str:
    """Give an image as a data URL; where nobody said its type, its first bytes do."""
    return f"data:{image_type(data) if media_type is None else media_type};base64,{data}"


def split_data_url(url: str) -> tuple[str, str] | None:
    """Give the media type and the base64 text of a data URL; ``None`` for any other URL."""
    if not url.startswith("data:"):
        return None
    head, mark, data = url.partition(";base64,")
    return (head[5:], data) if mark else None
