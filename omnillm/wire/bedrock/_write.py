"""Parts written as content blocks.

Purpose: the one writer of blocks, for requests and responses.
Contract: every part is written, or lost by name; an empty text is left out, because the API refuses one, unless this wire had it.
Rules: a ``VendorPart`` of this wire is written as it stands, never copied; nothing given is changed. What only its provider can
verify (a signature, an encrypted state, the place of a citation) is never made up and never sent elsewhere.
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
from . import _media
from ._citations import write_citation
from ._own import PROTOCOL, Block, kept, spelled

_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")  # API reference, ToolUseBlock: toolUseId has 1 to 64 of these
_MAX_ID = 64
_S3 = "s3://"
_IN_A_RESULT = (TextPart, RefusalPart, JsonPart, ImageUrlPart, ImageBase64Part, FilePart, VendorPart)


class BlockWriter:
    """Write the parts of one request, in order: calls and results without an id are paired by their position."""

    def __init__(self, emission: Emission) -> None:
        self._emission = emission
        self._calls = 0
        self._results = 0
        self._documents = 0

    def write(self, part: MessagePart, pointer: str) -> Block | None:
        """Write a part; ``None`` where nothing of it can be written."""
        block: Block | None = getattr(self, f"_{part._tag}")(part, pointer)
        return block

    def _lay(self, block: Block, part: Any, pointer: str) -> Block:
        return self._emission.lay(block, part.vendor_extensions, pointer)

    # --- text -----------------------------------------------------------------------------------------------------------------

    def _text(self, part: TextPart, pointer: str) -> Block | None:
        extensions = part.vendor_extensions
        form = spelled(extensions, "text")
        citations = [written for written in map(write_citation, part.annotations) if written is not None]
        if len(citations) < len(part.annotations):
            names = names_in([annotation.raw for annotation in part.annotations])
            reason = f"a citation of another provider has no form here, with its citations, {names}"
            self._emission.lose(f"{pointer}/annotations", reason)
        if citations or form == "citationsContent":
            return {"citationsContent": self._lay(_cited(part, citations), part, pointer)}
        if form == "guardContent":
            return {"guardContent": {"text": self._lay({"text": part.text}, part, pointer)}}
        block = self._lay({"text": part.text}, part, pointer)
        return block if part.text or form is not None else None

    def _refusal(self, part: RefusalPart, pointer: str) -> Block | None:
        return self._lay({"text": part.text}, part, pointer) if part.text else None

    def _json(self, part: JsonPart, pointer: str) -> Block | None:
        return self._lay({"text": _json.dumps(part.value)}, part, pointer)

    # --- media ----------------------------------------------------------------------------------------------------------------

    def _audio(self, part: AudioPart, pointer: str) -> Block | None:
        if part.transcript is not None:
            self._emission.lose(f"{pointer}/transcript", "sound has no transcript here")
        return {"audio": self._media("audio", {"bytes": part.data}, part, part.media_type, pointer)}

    def _image_url(self, part: ImageUrlPart, pointer: str) -> Block | None:
        if not part.url.startswith(_S3):
            self._emission.drop(part, pointer, "an image is its bytes or in S3 here; any other url is not fetched")
            return None
        self._lose_detail(part, pointer)
        image = self._lay({"source": {"s3Location": {"uri": part.url}}}, part, pointer)
        image.setdefault("format", _media.format_of_url("image", part.url))
        return {"image": image}

    def _image_base64(self, part: ImageBase64Part, pointer: str) -> Block | None:
        self._lose_detail(part, pointer)
        return {"image": self._media("image", {"bytes": part.data}, part, part.media_type, pointer)}

    def _lose_detail(self, part: ImageUrlPart | ImageBase64Part, pointer: str) -> None:
        if part.detail is not None:
            self._emission.lose(f"{pointer}/detail", "an image has no detail setting here")

    def _file(self, part: FilePart, pointer: str) -> Block | None:
        source = self._file_source(part, pointer)
        if source is None:
            return None
        family = (part.media_type or "").partition("/")[0]
        if family in ("image", "audio", "video"):
            if part.filename is not None:
                self._emission.lose(f"{pointer}/filename", f"{family} has no name here")
            return {family: self._media(family, source, part, part.media_type, pointer)}
        return {"document": self._document(part, source, pointer)}

    def _file_source(self, part: FilePart, pointer: str) -> Block | None:
        """Give the source that the file's first way of being there makes, the others being lost."""
        lost: list[str] = []
        source: Block | None = None
        if part.data is not None:
            source, lost = {"bytes": part.data}, ["url", "file_id"]
        elif part.url is not None and part.url.startswith(_S3):
            source, lost = {"s3Location": {"uri": part.url}}, ["file_id"]
        else:
            self._emission.drop(part, pointer, "a file is its bytes or in S3 here; its url and file_id say nothing")
        for name in lost:
            if getattr(part, name) is not None:
                self._emission.lose(f"{pointer}/{name}", "a file has one source here")
        return source

    def _document(self, part: FilePart, source: Block, pointer: str) -> Block:
        text = decode_text(part.data or "") if spelled(part.vendor_extensions, "source") == "text" else None
        document = self._media("document", source if text is None else {"text": text}, part, part.media_type, pointer)
        self._documents += 1
        name = part.filename
        if name is None:
            document.setdefault("name", f"document {self._documents}")
        elif spelled(part.vendor_extensions, "name") == name or _media.is_document_name(name):
            document["name"] = name
        else:
            document["name"] = _media.document_name(name) or f"document {self._documents}"
            self._emission.lose(f"{pointer}/filename", "the API takes no such name; what it refuses was left out")
        return document

    def _media(self, kind: str, source: Block, part: Any, media_type: str | None, pointer: str) -> Block:
        """Give the object of a medium, in the format that parsing saw for as long as it says the same media type."""
        word = spelled(part.vendor_extensions, "format")
        if word is None or media_type != (_media.media_type_of(kind, word) if word else None):
            word = _media.format_of(kind, media_type)
            if word is None:
                word = "txt" if kind == "document" and _is_text(media_type) else _format_of_source(kind, source)
                if media_type is not None:
                    self._emission.lose(f"{pointer}/media_type", f"no format here says {media_type}; {word} is said instead")
        return self._lay({"format": word, "source": source} if word else {"source": source}, part, pointer)

    # --- tools ----------------------------------------------------------------------------------------------------------------

    def _tool_call(self, part: ToolCallPart, pointer: str) -> Block | None:
        if not part.call_id:
            self._calls += 1
        block = {"toolUseId": tool_id(part.call_id, self._calls), "name": part.name, "input": self._input(part, pointer)}
        return {"toolUse": self._lay(block, part, pointer)}

    def _input(self, part: ToolCallPart, pointer: str) -> Any:
        if spelled(part.vendor_extensions, "input") == "text":
            return part.arguments_text()
        return self._emission.arguments(part, pointer)

    def _tool_result(self, part: ToolResultPart, pointer: str) -> Block | None:
        if not part.call_id:
            self._results += 1
        block: Block = {"toolUseId": tool_id(part.call_id, self._results)}
        content = self._output(part.output, pointer)
        if content or kept(part.vendor_extensions, "content") is None:
            block["content"] = content
        status = "error" if part.is_error else spelled(part.vendor_extensions, "status")
        if status is not None:
            block["status"] = status
        if part.name is not None:
            self._emission.lose(f"{pointer}/name", "a result names its call by id alone")
        return {"toolResult": self._lay(block, part, pointer)}

    def _output(self, output: Any, pointer: str) -> list[Block]:
        if isinstance(output, str):
            return [{"text": output}] if output else []
        if not isinstance(output, tuple):
            return [{"json": output} if isinstance(output, dict) else {"text": _json.dumps(output)}]
        blocks = (self._result_block(part, f"{pointer}/output/{i}") for i, part in enumerate(output))
        return [block for block in blocks if block is not None]

    def _result_block(self, part: MessagePart, pointer: str) -> Block | None:
        if isinstance(part, JsonPart):
            return self._lay({"json": part.value}, part, pointer)
        if isinstance(part, _IN_A_RESULT):
            return self.write(part, pointer)
        self._emission.drop(part, pointer, f"a result holds no {part._tag} here")
        return None

    # --- what a provider alone can read ---------------------------------------------------------------------------------------

    def _reasoning(self, part: ReasoningPart, pointer: str) -> Block | None:
        """Write what this provider said; a model refuses any other reasoning."""
        if is_ours(part):
            return self._own_reasoning(part, pointer)
        if not (part.text or part.summary or part.signature or part.encrypted_content):
            self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not sent")
        else:
            reason = "only reasoning that came from here is taken back: no other text, summary, signature or encrypted_content"
            self._emission.drop(part, pointer, reason)
        return None

    def _own_reasoning(self, part: ReasoningPart, pointer: str) -> Block:
        if part.summary:
            self._emission.lose(f"{pointer}/summary", "reasoning has no separate summary here")
        if part.encrypted_content is not None and not part.text and part.signature is None:
            self._emission.forfeit(part.vendor_extensions, pointer, "redacted reasoning is its bytes alone here")
            return {"reasoningContent": {"redactedContent": part.encrypted_content}}
        if part.encrypted_content is not None:
            self._emission.lose(f"{pointer}/encrypted_content", "a block is a text or redacted here, not both")
        block: Block = {"text": part.text}
        if part.signature is not None:
            block["signature"] = part.signature
        return {"reasoningContent": {"reasoningText": self._lay(block, part, pointer)}}

    def _vendor(self, part: VendorPart, pointer: str) -> Block | None:
        payload = part.payload
        if part.protocol is PROTOCOL and isinstance(payload, dict):
            return payload
        reason = f"a block that only {part.protocol.value} knows is not sent, with its {names_in(payload)}"
        self._emission.lose(f"{pointer}/payload", reason)
        return None


class AnswerWriter(BlockWriter):
    """Write the parts of an answer: what a client is shown, not what a model must take back."""

    def _reasoning(self, part: ReasoningPart, pointer: str) -> Block | None:
        if is_ours(part):
            return self._own_reasoning(part, pointer)
        for name in ("signature", "encrypted_content"):
            if getattr(part, name) is not None:
                self._emission.lose(f"{pointer}/{name}", "another provider's state means nothing here")
        text = part.text or "\n\n".join(part.summary)
        if part.text and part.summary:
            self._emission.lose(f"{pointer}/summary", "reasoning has no separate summary here")
        if text:
            return {"reasoningContent": {"reasoningText": self._lay({"text": text}, part, pointer)}}
        self._emission.forfeit(part.vendor_extensions, pointer, "reasoning that says nothing is not written")
        return None


def is_ours(part: ReasoningPart) -> bool:
    """Tell whether the state of the reasoning is this provider's, or the caller's own, which is taken for it."""
    return part.protocol is PROTOCOL or (part.protocol is None and bool(part.signature or part.encrypted_content))


def tool_id(call_id: str, position: int) -> str:
    """Give an id that the API takes: the call's own without what it refuses, or that of the nth call, counted from 1."""
    return _NOT_IN_AN_ID.sub("_", call_id)[-_MAX_ID:] if call_id else f"call_{position - 1}"


def _cited(part: TextPart, citations: list[dict[str, Any]]) -> Block:
    pieces = spelled(part.vendor_extensions, "content")
    if not isinstance(pieces, list) or "".join(pieces) != part.text:
        pieces = [part.text] if part.text else []
    out: Block = {"content": [{"text": piece} for piece in pieces]} if pieces else {}
    if citations:
        out["citations"] = citations
    return out


def _format_of_source(kind: str, source: Block) -> str:
    place = source.get("s3Location")
    if place is not None:
        return _media.format_of_url(kind, place["uri"])
    return _media.guessed_format(kind, source.get("bytes", ""))


def _is_text(media_type: str | None) -> bool:
    return (media_type or "").startswith("text/")
