"""The cues of subtitles, SubRip and WebVTT, as segments of a transcript."""

from __future__ import annotations

import re

from ...types.media import AudioSegment

_TIME = r"(?:([0-9]{1,4}):)?([0-9]{2}):([0-9]{2})[.,]([0-9]{3})"
_CUE = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}[^\n]*\n((?:[^\n]+(?:\n|$))*)")


def cues(text: str) -> tuple[AudioSegment, ...]:
    """Give the cues of a file of subtitles; none where it is another text."""
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    if not text.startswith("WEBVTT") and not re.match(rf"\s*[0-9]+\n{_TIME}", text):
        return ()
    return tuple(
        AudioSegment(_seconds(*match.groups()[:4]), _seconds(*match.groups()[4:8]), match[9].strip())
        for match in _CUE.finditer(text)
    )


def _seconds(hours: str | None, minutes: str, seconds: str, thousandths: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000
