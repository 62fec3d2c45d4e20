"""Server-sent events: bytes to frames and back.

Purpose. ``SseDecoder`` is the guard in front of sseclient-py. That library knows the fields of an event; it loses the first event
after a BOM, raises on bad UTF-8, makes an event of a tail that was cut, merges events at mixed line ends, has no bound, and takes
quadratic time. The guard cuts the bytes into blocks (an event and its blank line), and hands over only whole, clean ones.

Contract. ``feed`` gives the frames that are complete, ``finish`` what an end without a blank line leaves. However the bytes are
cut, the frames are the same, and they are those of the WHATWG text ("9.2.6 Interpreting an event stream"). Work is linear
in the bytes, memory is bounded by ``max_event_bytes``.

Rules.
- Line ends become LF as they come, so that one search, for ``\\n\\n``, finds every end of a block.
- Text is decoded whole blocks at a time: no character is ever cut.
- The two forms that providers send, ``data:`` alone and ``event:`` then ``data:``, are read where they stand.
- Comments and blocks without data give no frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sseclient

from .._json import loads
from ..errors import InvalidShapeError, ProtocolError

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile("\r\n|\n|\r")
# What must not reach the field parser: comments, and an id or a retry that the standard says to ignore.
_IGNORED = re.compile(r":|id(?=:).*\0|retry(?!:[ ]?[0-9]{1,9}$)(?=:|$)", re.ASCII | re.DOTALL)
_EVENT = re.compile(r"^event(?::[ ]?(.*))?$", re.MULTILINE)
_DONE = "[DONE]"
_LINES_AT_ONCE = 64  # sseclient-py joins the lines of an event in quadratic time


@dataclass(frozen=True, slots=True)
class SseFrame:
    """One event as it was on the wire; ``event`` is ``None`` where no ``event:`` line named it."""

    event: str | None
    data: str
    id: str | None = None
    retry: int | None = None


class SseDecoder:
    """Turn the bytes of an event stream into frames.

    Raises ``InvalidShapeError`` for an event over ``max_event_bytes``, after the frames before it were given.
    """

    __slots__ = ("_after_cr", "_buffer", "_failure", "_max", "_searched", "_start")

    def __init__(self, max_event_bytes: int = 1 << 20) -> None:
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0  # no block ends before this place in the buffer
        self._start: bytes | None = b""  # the first bytes, as long as they may be a BOM
        self._after_cr = False
        self._failure: ProtocolError | None = None

    def feed(self, data: bytes) -> list[SseFrame]:
        """Give the frames that these bytes complete."""
        if self._failure is not None:
            raise self._failure
        data = self._with_plain_line_ends(data if self._start is None else self._without_bom(data))
        if not self._buffer and data.endswith(b"\n\n"):  # the usual chunk: whole events
            return self._frames(data)
        buffer = self._buffer
        buffer += data
        end = buffer.rfind(b"\n\n", max(0, self._searched - 1))
        frames: list[SseFrame] = []
        if end >= 0:
            frames = self._frames(bytes(buffer[:end]))
            del buffer[: end + 2]
        self._searched = len(buffer)
        if self._is_too_large(buffer):
            buffer.clear()
            self._refuse(frames)
        return frames

    def finish(self) -> list[SseFrame]:
        """Give the frame of an unterminated last block, if it is one; to be called once, at the end of the bytes.

        The standard discards such a block, for it may have been cut. Some providers leave out the last blank line all the same,
        and JSON tells the two apart: what was cut does not parse. So the block counts where its data is ``[DONE]`` or a
        whole JSON object or array. A last line without its end counts only if it is that data.
        """
        if self._failure is not None:
            raise self._failure
        tail = (bytes(self._buffer) + (self._start or b"")).decode("utf-8", "replace")
        self._buffer, self._start, self._searched = bytearray(), None, 0
        whole, _, last = tail.rpartition("\n")
        frame = _parse(tail if last.startswith("data:") else whole)
        return [frame] if frame is not None and _is_whole(frame.data) else []

    def _frames(self, data: bytes) -> list[SseFrame]:
        """Read whole blocks: all at once where none can be too large, for a block by itself costs as much again."""
        if len(data) <= self._max:
            return [frame for block in data.decode("utf-8", "replace").split("\n\n") if block and (frame := _read(block))]
        frames: list[SseFrame] = []
        for block in data.split(b"\n\n"):
            if self._is_too_large(block):
                self._refuse(frames)
                break
            if block and (frame := _read(block.decode("utf-8", "replace"))) is not None:
                frames.append(frame)
        return frames

    def _is_too_large(self, block: bytes | bytearray) -> bool:
        return len(block) > self._max and len(block.strip(b"\n")) > self._max

    def _refuse(self, frames: list[SseFrame]) -> None:
        """Fail now, or at the next feed where frames are to be given first, so that cutting makes no difference."""
        self._failure = self._failure or InvalidShapeError(f"event too large: over {self._max} bytes", beyond=True)
        if not frames:
            raise self._failure

    def _without_bom(self, data: bytes) -> bytes:
        data = (self._start or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")  # the second half of a CR LF that was cut
            self._after_cr = False
        if b"\r" not in data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def encode_sse(frame: SseFrame) -> bytes:
    """Write a frame as an event with its blank line.

    Raises ``InvalidShapeError`` where its event or id holds a line end, which would forge a field.
    """
    lines = []
    for name, value in (("event", frame.event), ("id", frame.id)):
        if value is not None:
            if _LINE_END.search(value) or "\0" in value:
                raise InvalidShapeError(f"{name}: holds a line end or NUL", pointer=f"/{name}")
            lines.append(f"{name}: {value}\n")
    if frame.retry is not None:
        lines.append(f"retry: {frame.retry}\n")
    lines += [f"data: {line}\n" for line in _LINE_END.split(frame.data)]
    return ("".join(lines) + "\n").encode("utf-8", "replace")


# Slot by slot: the constructor of a frozen class takes three times as long, for one frame an event.
_set_event, _set_data, _set_id, _set_retry = (vars(SseFrame)[name].__set__ for name in ("event", "data", "id", "retry"))
_new = object.__new__


def _read(block: str) -> SseFrame | None:
    event, rest = None, block
    if block.startswith("event: "):
        name, _, rest = block.partition("\n")
        event = name[7:] or None
    if rest.startswith("data: ") and "\n" not in rest:
        frame = _new(SseFrame)
        _set_event(frame, event)
        _set_data(frame, rest[6:])
        _set_id(frame, None)
        _set_retry(frame, None)
        return frame
    return _parse(block)


def _parse(block: str) -> SseFrame | None:
    """Have sseclient-py read the fields of one block, some lines at a time, each lot made an event by a ``data`` line."""
    lines = [line for line in block.split("\n") if line and not _IGNORED.match(line)]
    event = id = retry = None
    data: list[str] = []
    for start in range(0, len(lines), _LINES_AT_ONCE):
        lot = "\n".join(lines[start : start + _LINES_AT_ONCE])
        for fields in sseclient.SSEClient(_once(lot + "\ndata\n\n")).events():
            if fields.data:
                data.append(fields.data[:-1])  # without the line end before the added, empty data
            if names := _EVENT.findall(lot):
                event = fields.event if names[-1] else None
            id = fields.id if fields.id is not None else id
            retry = fields.retry if fields.retry is not None else retry
    if not data:
        return None
    return SseFrame(event, "\n".join(data), id, None if retry is None else int(retry))


def _once(text: str) -> Iterator[bytes]:
    yield text.encode("utf-8")


def _is_whole(data: str) -> bool:
    if data == _DONE:
        return True
    try:
        return isinstance(loads(data), dict | list)
    except ProtocolError:
        return False
