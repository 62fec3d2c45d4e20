"""The formats of images, documents, sound and video: one word here, a media type everywhere else."""

from __future__ import annotations

import re

from .._media import image_type

_MEDIA_TYPES: dict[str, dict[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mkv": "audio/x-matroska",
        "mka": "audio/x-matroska",
        "x-aac": "audio/x-aac",
        "m4a": "audio/m4a",
        "mpeg": "audio/mpeg",
        "mpga": "audio/mpeg",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
_FORMATS: dict[str, str] = {}
for _words in _MEDIA_TYPES.values():
    for _word, _media_type in _words.items():
        _FORMATS.setdefault(_media_type, _word)
_FORMATS |= {
    "audio/l16": "pcm",
    "audio/mp3": "mp3",
    "audio/vnd.wave": "wav",
    "audio/wave": "wav",
    "audio/x-m4a": "m4a",
    "audio/x-wav": "wav",
    "image/jpg": "jpeg",
}
_DEFAULTS = {"image": "png", "document": "pdf", "video": "mp4", "audio": "wav"}

# API reference, DocumentBlock.name: letters, digits, single white space, hyphens, parentheses and square brackets
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9 ()\[\]-]+")
_SPACES = re.compile(r"  +")
MAX_NAME = 200


def media_type_of(kind: str, word: str) -> str:
    """Give the media type of a format, known or not."""
    return _MEDIA_TYPES[kind].get(word) or f"{kind}/{word}"


def format_of(kind: str, media_type: str | None) -> str | None:
    """Give the format of a media type, ``None`` where this kind of block has none for it."""
    essence = (media_type or "").partition(";")[0].strip().lower()
    word = _FORMATS.get(essence)
    if word is not None and word in _MEDIA_TYPES[kind]:
        return word
    family, _, subtype = essence.partition("/")
    if family == kind:
        return subtype
    return None


def guessed_format(kind: str, data: str) -> str:
    """Give the format of data without a media type."""
    if kind == "image":
        return image_type(data).removeprefix("image/")
    return _DEFAULTS[kind]


def format_of_url(kind: str, url: str) -> str:
    """Give the format that a URL's ending names."""
    ending = url.rpartition(".")[2].lower()
    word = {"jpg": "jpeg", "3gp": "three_gp", "htm": "html"}.get(ending, ending)
    return word if word in _MEDIA_TYPES[kind] else _DEFAULTS[kind]


def document_name(filename: str) -> str:
    """Give a file's name as the API takes it: without its ending and without what is refused."""
    stem, dot, _ = filename.rpartition(".")
    cleaned = _SPACES.sub(" ", _NOT_IN_A_NAME.sub("-", stem if dot and stem else filename)).strip(" -")
    return cleaned[:MAX_NAME]


def is_document_name(name: str) -> bool:
    """Tell whether the API takes a name as it is."""
    return 0 < len(name) <= MAX_NAME and not _NOT_IN_A_NAME.search(name) and not _SPACES.search(name)
