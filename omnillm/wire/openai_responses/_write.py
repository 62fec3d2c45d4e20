"""Canonical items and messages, written as items.

Contract: every item and part is written at its place, or lost by name. Rules: a message that holds calls, results or
reasoning becomes several items, in order; items are never merged. An assistant's message of which one part has citations or is a
refusal is an output message as a whole, since the short form has neither. Reasoning whose state is another provider's is of no
use in a request and dropped there; in an answer its text is shown. Calls and results without an id are paired by their position.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...types.enums import MessageRole
from ...types.message import Message, RequestItem
from ...types.parts import (
    AudioPart,
    ImageBase64Part,
    MessagePart,
    ReasoningPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from .._fields import Emission
from .._plain import plain_text
from ._content import INPUT, OUTPUT, as_output, drop, is_plain_text, needs_output_form, write_part
from ._own import PROTOCOL, Item, kept, spelled
from ._read import is_whole

_OWN_ITEMS = frozenset(
    {
        "additional_tools",
        "compaction",
        "compaction_trigger",
        "configuration_update",
        "item_reference",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_list_tools",
        "program",
    }
)
_ITEM_PARTS = frozenset({ReasoningPart, ToolCallPart, ToolResultPart})
_ANSWER_PARTS = frozenset({AudioPart, ImageBase64Part})


class ItemWriter:
    """Write the items of one request, in order."""

    _has_plain_messages = True

    def __init__(self, emission: Emission) -> None:
        self._emission = emission
        self._writes_plain = self._has_plain_messages and emission.text_content != "array"
        self._calls = 0
        self._results = 0
        self._outputs = 0

    def write(self, item: RequestItem, pointer: str) -> list[Item]:
        """Write an item; the list is empty where nothing of it can be written."""
        if isinstance(item, Message):
            return self._message(item, pointer)
        if isinstance(item, ToolCallPart):
            return [self._call(item, pointer)]
        if isinstance(item, ToolResultPart):
            return [self._result(item, pointer)]
        if isinstance(item, ReasoningPart):
            return self._reasoning(item, pointer)
        if item.protocol is PROTOCOL and isinstance(item.payload, dict):
            return [item.payload]
        drop(item, self._emission, pointer)
        return []

    # --- messages -------------------------------------------------------------------------------------------------------------

    def _message(self, message: Message, pointer: str) -> list[Item]:
        text = plain_text(message) if self._writes_plain and message.role is not MessageRole.TOOL else None
        if text is not None:
            return [{"role": message.role.value, "content": text}]
        text_type = OUTPUT if message.role is MessageRole.ASSISTANT else INPUT
        out: list[Item] = []
        blocks: list[Item] = []
        for i, part in enumerate(message.parts):
            at = f"{pointer}/parts/{i}"
            if self._is_item(part):
                self._flush(message, blocks, out)
                blocks = []
                out += self.write(part, at)  # type: ignore[arg-type]  # one of the parts that are items, by _is_item
            elif message.role is MessageRole.TOOL:
                drop(part, self._emission, at)
            elif (block := write_part(part, self._emission, at, text_type)) is not None:
                blocks.append(block)
        self._flush(message, blocks, out)
        if not message.parts and message.role is not MessageRole.TOOL:
            out.append(self._written(message, []))
        if message.vendor_extensions:
            first = next((item for item in out if "role" in item), None)
            if first is not None:
                self._emission.lay(first, message.vendor_extensions, pointer)
            else:
                self._emission.forfeit(message.vendor_extensions, pointer, "calls, results and reasoning stand beside messages")
        return out

    def _is_item(self, part: MessagePart) -> bool:
        if isinstance(part, VendorPart):
            return part.protocol is PROTOCOL and _is_own_item(part.payload)
        return type(part) in _ITEM_PARTS

    def _flush(self, message: Message, blocks: list[Item], out: list[Item]) -> None:
        if blocks:
            out.append(self._written(message, blocks))

    def _written(self, message: Message, blocks: list[Item]) -> Item:
        content: Any = blocks
        text_type = OUTPUT if message.role is MessageRole.ASSISTANT else INPUT
        note, whole = spelled(message.vendor_extensions), is_whole(kept(message.vendor_extensions))
        if text_type == OUTPUT and not whole and "parts" not in note and needs_output_form(blocks):
            return self._output_message(blocks)
        in_array = message.raw_message is not None or (whole and "content" not in note)
        if len(blocks) == 1 and not in_array and self._emission.text_content != "array" and is_plain_text(blocks[0], text_type):
            content = blocks[0]["text"]
        out: Item = {"role": message.role.value, "content": content}
        kind = note.get("type")
        return out if kind is None else {"type": kind, **out}

    def _output_message(self, blocks: list[Item]) -> Item:
        message_id = f"msg_{self._outputs}"
        self._outputs += 1
        content = [as_output(block) for block in blocks]
        return {"type": "message", "id": message_id, "status": "completed", "role": "assistant", "content": content}

    # --- calls, results, reasoning --------------------------------------------------------------------------------------------

    def _call(self, part: ToolCallPart, pointer: str) -> Item:
        note = spelled(part.vendor_extensions)
        kind = note.get("type", "function_call")
        out: Item = {"type": kind}
        if part.call_id or "call_id" not in note:
            out["call_id"] = part.call_id or f"call_{self._calls}"
            self._calls += not part.call_id
        elif note["call_id"] is not None:
            out["call_id"] = ""
        out["name"] = part.name
        how = note.get("arguments")
        if how == "value" and not isinstance(part.arguments, str):
            out["input" if kind == "custom_tool_call" else "arguments"] = part.arguments
        elif how != "absent" or part.arguments:
            out["input" if kind == "custom_tool_call" else "arguments"] = part.arguments_text()
        return self._emission.lay(out, part.vendor_extensions, pointer)

    def _result(self, part: ToolResultPart, pointer: str) -> Item:
        note = spelled(part.vendor_extensions)
        out: Item = {"type": note.get("type", "function_call_output")}
        if part.call_id or "call_id" not in note:
            out["call_id"] = part.call_id or f"call_{self._results}"
            self._results += not part.call_id
        elif note["call_id"] is not None:
            out["call_id"] = ""
        if part.name is not None and "name" in note:
            out["name"] = part.name
        elif part.name is not None:
            self._emission.lose(f"{pointer}/name", "a result names its call by id alone")
        if part.output != "" or note.get("output") != "absent":
            out["output"] = self._output(part.output, note.get("output"), pointer)
        if part.is_error:
            self._emission.lose(f"{pointer}/is_error", "Responses does not say that a tool failed")
        return self._emission.lay(out, part.vendor_extensions, pointer)

    def _output(self, output: Any, how: str | None, pointer: str) -> Any:
        if isinstance(output, str):
            return output
        if not isinstance(output, tuple):
            return output if how == "value" else _json.dumps(output)
        blocks = [write_part(part, self._emission, f"{pointer}/output/{i}", INPUT) for i, part in enumerate(output)]
        written = [block for block in blocks if block is not None]
        if len(written) == 1 and how != "array" and is_plain_text(written[0], INPUT):
            return written[0]["text"]
        return written

    def _reasoning(self, part: ReasoningPart, pointer: str) -> list[Item]:
        if part.protocol in (None, PROTOCOL):
            return [self._own_reasoning(part, pointer)]
        self._emission.drop(
            part,
            pointer,
            f"reasoning of {part.protocol} is of no use to Responses: its text, summary, signature and encrypted_content,"
            " its thinking, reasoning_content, redactedContent and reasoning_details are not sent",
        )
        return []

    def _own_reasoning(self, part: ReasoningPart, pointer: str) -> Item:
        note, own = spelled(part.vendor_extensions), kept(part.vendor_extensions)
        out: Item = {"type": "reasoning"}
        if part.summary or ("summary" not in note and "summary" not in own):
            out["summary"] = [{"type": "summary_text", "text": text} for text in part.summary]
        lengths = note.get("text")
        if part.text or lengths is not None:
            out["content"] = [{"type": "reasoning_text", "text": text} for text in _cut(part.text, lengths)]
        if part.encrypted_content is not None:
            out["encrypted_content"] = part.encrypted_content
        if part.signature is not None:
            self._emission.lose(f"{pointer}/signature", "Responses has no signature of reasoning")
        return self._emission.lay(out, part.vendor_extensions, pointer)


class AnswerWriter(ItemWriter):
    """Write the items of an answer: what a client is shown, not what the API must take back."""

    _has_plain_messages = False

    def _is_item(self, part: MessagePart) -> bool:
        return type(part) in _ANSWER_PARTS or super()._is_item(part)

    def write(self, item: Any, pointer: str) -> list[Item]:
        """Write an item; a picture of the assistant's is the result of a call here, its sound has no form."""
        if isinstance(item, AudioPart):
            drop(item, self._emission, pointer)
            return []
        if not isinstance(item, ImageBase64Part):
            return super().write(item, pointer)
        out: Item = {"type": "image_generation_call", "status": "completed", "result": item.data}
        if item.media_type is not None:
            out["output_format"] = item.media_type.removeprefix("image/")
        if item.detail is not None:
            self._emission.lose(f"{pointer}/detail", "a picture of an answer has no detail here")
        return [self._emission.lay(out, item.vendor_extensions, pointer)]

    def _written(self, message: Message, blocks: list[Item]) -> Item:
        return {"type": "message", "role": message.role.value, "content": blocks}

    def _reasoning(self, part: ReasoningPart, pointer: str) -> list[Item]:
        if part.protocol in (None, PROTOCOL):
            return [self._own_reasoning(part, pointer)]
        if part.encrypted_content is not None:
            self._emission.lose(f"{pointer}/encrypted_content", "another provider's state means nothing here")
        shown = ReasoningPart(part.text, part.summary, part.signature, vendor_extensions=part.vendor_extensions)
        return [self._own_reasoning(shown, pointer)]


def _is_own_item(payload: Any) -> bool:
    """Tell an item from a content part among what only this protocol knows."""
    kind = payload.get("type") if isinstance(payload, dict) else None
    return isinstance(kind, str) and (kind in _OWN_ITEMS or kind.endswith(("_call", "_output")))


def _cut(text: str, lengths: Any) -> list[str]:
    """Cut a text where the wire had it cut, for as long as it is of that length."""
    if not isinstance(lengths, list) or sum(lengths) != len(text):
        return [text] if text else []
    out, start = [], 0
    for length in lengths:
        out.append(text[start : start + length])
        start += length
    return out
