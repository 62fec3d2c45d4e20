"""Parts written as content blocks.

Purpose: the one writer of blocks, for requests and responses.
Contract: every part is written, or lost by name; an empty text is left out, because the API refuses one.
Rules: a ``VendorPart`` of this wire is written as it stands, never copied; nothing given is changed. What only its provider can
verify (a signature, an encrypted state, the index of a citation) is never made up and never sent elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

from ... import _json
from ...types.parts import (
    AudioPart,
    FilePart,
    ImageBase64Part,
    ImageUrlPart,
    JsonPart,
    MessagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .._base64 import decode_text
from .._fields import Emission, names_in
from .._media import image_type
from ._citations import write_citation
from ._own import PROTOCOL, spelled

Block = dict[str, Any]

_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")  # Messages API reference: tool_use.id matches ^[a-zA-Z0-9_-]+$
_ONE_SOURCE = "a document has one source here, and that says no more of it"


class BlockWriter:
    """Write the parts of one request, in order: calls and results without an id are paired by their position."""

    def __init__(self, emission: Emission) -> None:
        self._emission = emission
        self._calls = 0
        self._results = 0

    def write(self, part: MessagePart, pointer: str) -> Block | None:
        """Write a part; ``None`` where nothing of it can be written."""
        block: Block | None = getattr(self, f"_{part._tag}")(part, pointer)
        return block

    def _lay(self, block: Block, part: Any, pointer: str) -> Block:
        return self._emission.lay(block, part.vendor_extensions, pointer)

    def _text(self, part: TextPart, pointer: str) -> Block | None:
        citations = [written for written in map(write_citation, part.annotations) if written is not None]
        if len(citations) < len(part.annotations) or (citations and not part.text):
            names = names_in([annotation.raw for annotation in part.annotations])
            reason = f"a citation (citationsContent) of another provider or of no text has no form here: no citations, {names}"
            self._emission.lose(f"{pointer}/annotations", reason)
        block: Block = {"type": "text", "text": part.text}
        if citations:
            block["citations"] = citations
        self._lay(block, part, pointer)
        return block if part.text else None

    def _refusal(self, part: RefusalPart, pointer: str) -> Block | None:
        return self._lay({"type": "text", "text": part.text}, part, pointer) if part.text else None

    def _json(self, part: JsonPart, pointer: str) -> Block | None:
        return self._lay({"type": "text", "text": _json.dumps(part.value)}, part, pointer)

    def _audio(self, part: AudioPart, pointer: str) -> Block | None:
        if part.transcript:
            self._lose_fields(part, pointer, ("data", "media_type"), "the format takes no sound; its transcript is sent")
            return self._lay({"type": "text", "text": part.transcript}, part, pointer)
        self._emission.drop(part, pointer, "the format takes no sound (audio, input_audio)")
        return None

    def _image_url(self, part: ImageUrlPart, pointer: str) -> Block | None:
        return self._image({"type": "url", "url": part.url}, part, pointer)

    def _image_base64(self, part: ImageBase64Part, pointer: str) -> Block | None:
        return self._image(_image_source(part.data, part.media_type), part, pointer)

    def _image(self, source: Block, part: ImageUrlPart | ImageBase64Part, pointer: str) -> Block | None:
        if part.detail is not None:
            self._emission.lose(f"{pointer}/detail", "an image has no detail setting here")
        return self._lay({"type": "image", "source": source}, part, pointer)

    def _file(self, part: FilePart, pointer: str) -> Block | None:
        source = self._file_source(part, pointer)
        if source is None:
            return None
        media_type = part.media_type or ""
        is_image = media_type.startswith("image/") or spelled(part.vendor_extensions, "type") == "image"
        block: Block = {"type": "image" if is_image else "document", "source": source}
        if part.filename is not None:
            if is_image:
                self._emission.lose(f"{pointer}/filename", "an image has no name here")
            else:
                block["title"] = part.filename
        return self._lay(block, part, pointer)

    def _file_source(self, part: FilePart, pointer: str) -> Block | None:
        """Give the source that the file's first way of being there makes, the others being lost."""
        if part.data is not None:
            self._lose_fields(part, pointer, ("url", "file_id"), _ONE_SOURCE)
            return self._data_source(part, part.data, pointer)
        if part.url is not None:
            self._lose_fields(part, pointer, ("file_id", "media_type"), _ONE_SOURCE)
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            self._lose_fields(part, pointer, ("media_type",), _ONE_SOURCE)
            return {"type": "file", "file_id": part.file_id}
        self._emission.drop(part, pointer, "a file without data, url and file_id is none")
        return None

    def _data_source(self, part: FilePart, data: str, pointer: str) -> Block | None:
        media_type = part.media_type or "application/pdf"
        if media_type.startswith("image/"):
            return _image_source(data, media_type)
        if media_type == "application/pdf":
            return {"type": "base64", "media_type": media_type, "data": data}
        text = decode_text(data) if media_type.startswith("text/") else None
        if text is None:
            self._emission.drop(part, pointer, "a file is a PDF, a text or an image here; this file_data is none")
            return None
        if media_type != "text/plain":
            self._emission.lose(f"{pointer}/media_type", "every text is text/plain here")
        return {"type": "text", "media_type": "text/plain", "data": text}

    def _lose_fields(self, part: MessagePart, pointer: str, names: tuple[str, ...], reason: str) -> None:
        for name in names:
            if getattr(part, name) is not None:
                self._emission.lose(f"{pointer}/{name}", reason)

    def _tool_call(self, part: ToolCallPart, pointer: str) -> Block | None:
        if not part.call_id:
            self._calls += 1
        given = self._emission.arguments(part, pointer)
        block: Block = {"type": "tool_use", "id": tool_id(part.call_id, self._calls), "name": part.name, "input": given}
        return self._lay(block, part, pointer)

    def _tool_result(self, part: ToolResultPart, pointer: str) -> Block | None:
        if not part.call_id:
            self._results += 1
        block: Block = {"type": "tool_result", "tool_use_id": tool_id(part.call_id, self._results)}
        content = self._output(part.output, pointer)
        if content:
            block["content"] = content
        if part.is_error or spelled(part.vendor_extensions, "is_error") is not None:
            block["is_error"] = part.is_error
        if part.name is not None:
            self._emission.lose(f"{pointer}/name", "a result names its call by id alone")
        return self._lay(block, part, pointer)

    def _output(self, output: Any, pointer: str) -> str | list[Block]:
        if isinstance(output, str):
            return output
        if not isinstance(output, tuple):
            return _json.dumps(output)
        blocks = (self.write(part, f"{pointer}/output/{i}") for i, part in enumerate(output))
        return [block for block in blocks if block is not None]

    def _reasoning(self, part: ReasoningPart, pointer: str) -> Block | None:
        """Write what this provider signed; the API refuses any other thinking."""
        if _is_ours(part):
            return self._own_reasoning(part, pointer)
        if not (part.text or part.summary or part.signature or part.encrypted_content):
            self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not sent")
        else:
            self._emission.drop(
                part,
                pointer,
                "only reasoning that Anthropic signed is taken back: the text, summary, signature and encrypted_content of any"
                " other, its thinking, reasoning_content, reasoning_details and redactedContent are not sent",
            )
        return None

    def _own_reasoning(self, part: ReasoningPart, pointer: str) -> Block:
        if part.summary:
            self._emission.lose(f"{pointer}/summary", "reasoning has no separate summary here")
        if part.encrypted_content is not None and not part.text and part.signature is None:
            return self._lay({"type": "redacted_thinking", "data": part.encrypted_content}, part, pointer)
        if part.encrypted_content is not None:
            self._emission.lose(f"{pointer}/encrypted_content", "a block is signed or encrypted here, not both")
        block: Block = {"type": "thinking", "thinking": part.text}
        if part.signature is not None:
            block["signature"] = part.signature
        return self._lay(block, part, pointer)

    def _vendor(self, part: VendorPart, pointer: str) -> Block | None:
        payload = part.payload
        if part.protocol is PROTOCOL and isinstance(payload, dict):
            return payload
        reason = f"a block that only {part.protocol.value} knows is not sent, with its {names_in(payload)}"
        self._emission.lose(pointer, reason)
        return None


class AnswerWriter(BlockWriter):
    """Write the parts of an answer: what a client is shown, not what the API must take back.

    ``ours`` tells whether the answer is of this protocol: its clients know text, thinking and calls, and no media of another.
    """

    def __init__(self, emission: Emission, *, ours: bool) -> None:
        super().__init__(emission)
        self._ours = ours
        self.refusals: list[str] = []

    def _refusal(self, part: RefusalPart, pointer: str) -> Block | None:
        """Leave it to ``stop_details``: a refusal is no text of the answer."""
        self.refusals.append(part.text)
        self._emission.forfeit(part.vendor_extensions, pointer, "a refusal is no block of an answer here")
        return None

    def _image(self, source: Block, part: ImageUrlPart | ImageBase64Part, pointer: str) -> Block | None:
        return super()._image(source, part, pointer) if self._ours else self._no_media(part, pointer)

    def _file(self, part: FilePart, pointer: str) -> Block | None:
        return super()._file(part, pointer) if self._ours else self._no_media(part, pointer)

    def _no_media(self, part: MessagePart, pointer: str) -> Block | None:
        self._emission.drop(part, pointer, "an answer holds no image and no file here")
        return None

    def _tool_result(self, part: ToolResultPart, pointer: str) -> Block | None:
        if self._ours:
            return super()._tool_result(part, pointer)
        self._emission.drop(part, pointer, "an answer holds the results of Anthropic's own tools alone")
        return None

    def _audio(self, part: AudioPart, pointer: str) -> Block | None:
        """Leave it out, transcript and all: the text of an answer is what the model wrote."""
        self._emission.drop(part, pointer, "the format takes no sound (audio)")
        return None

    def _reasoning(self, part: ReasoningPart, pointer: str) -> Block | None:
        if _is_ours(part):
            return self._own_reasoning(part, pointer)
        self._lose_fields(part, pointer, ("signature", "encrypted_content"), "another provider's state means nothing here")
        text = part.text or "\n\n".join(part.summary)
        if part.text and part.summary:
            self._emission.lose(f"{pointer}/summary", "reasoning has no separate summary here")
        if text:
            return self._lay({"type": "thinking", "thinking": text, "signature": ""}, part, pointer)
        self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not written")
        return None


def _is_ours(part: ReasoningPart) -> bool:
    """Tell whether the state of the reasoning is this provider's, or the caller's own, which is taken for it."""
    return part.protocol is PROTOCOL or (part.protocol is None and bool(part.signature or part.encrypted_content))


def _image_source(data: str, media_type: str | None) -> Block:
    if media_type is None:
        media_type = image_type(data)
    elif media_type == "image/jpg":  # no registered name, though OpenAI takes it
        media_type = "image/jpeg"
    return {"type": "base64", "media_type": media_type, "data": data}


def tool_id(call_id: str, position: int) -> str:
    """Give an id that the API takes: the call's own without what it refuses, or that of the nth call, counted from 1."""
    return _NOT_IN_AN_ID.sub("_", call_id) if call_id else f"call_{position - 1}"
