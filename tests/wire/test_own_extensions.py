"""What a caller hangs on a value of its own is written where the value is, in every format, or named as lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

import omnillm as o

WIRES = [wire for wire in o.WireFormat if wire.is_generation]
USED = o.TokenUsage(1, 2)


def part_values(more: dict[str, Any]) -> dict[str, Any]:
    """Give a part of every kind that has extensions."""
    return {
        "text": o.TextPart("Hi", vendor_extensions=more),
        "cited": o.TextPart("Hi", (o.Annotation("url_citation", "https://x.test"),), vendor_extensions=more),
        "image_url": o.ImageUrlPart("https://x.test/a.png", vendor_extensions=more),
        "image_in_s3": o.ImageUrlPart("s3://bucket/a.png", vendor_extensions=more),
        "image": o.ImageBase64Part("iVBORw0KGgo=", "image/png", vendor_extensions=more),
        "audio": o.AudioPart("AA==", "audio/wav", vendor_extensions=more),
        "transcript": o.AudioPart("AA==", "audio/wav", "said", vendor_extensions=more),
        "audio_of_its_id": o.AudioPart("", vendor_extensions=more),
        "pdf": o.FilePart(None, "application/pdf", "AA==", "n.pdf", vendor_extensions=more),
        "text_file": o.FilePart(None, "text/csv", "AA==", "n.csv", vendor_extensions=more),
        "file_by_id": o.FilePart("file_1", vendor_extensions=more),
        "image_by_id": o.FilePart("file_1", "image/png", vendor_extensions=more),
        "file_by_url": o.FilePart(url="https://x.test/a.pdf", vendor_extensions=more),
        "no_file": o.FilePart(vendor_extensions=more),
        "json": o.JsonPart({"a": 1}, vendor_extensions=more),
        "call": o.ToolCallPart("c", "f", {"a": 1}, vendor_extensions=more),
        "result": o.ToolResultPart("c", "15 C", vendor_extensions=more),
        "thought": o.ReasoningPart("Hm.", vendor_extensions=more),
        "summary": o.ReasoningPart("", ("Hm.",), vendor_extensions=more),
        "signed": o.ReasoningPart("Hm.", (), "sig", vendor_extensions=more),
        "encrypted": o.ReasoningPart(encrypted_content="enc", vendor_extensions=more),
        "no_thought": o.ReasoningPart(vendor_extensions=more),
        "refusal": o.RefusalPart("No.", vendor_extensions=more),
    }


def placed(more: dict[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """Give items that hold such a part, with its pointer."""
    hi = o.Message.user("Hi")
    out: dict[str, tuple[str, list[Any]]] = {}
    for name, part in part_values(more).items():
        for role in o.MessageRole:
            out[f"{role.value}_{name}"] = "/input/1/parts/0", [hi, o.Message(role, [part])]
        out[f"{name}_beside_a_text"] = "/input/1/parts/0", [hi, o.Message("assistant", [part, o.TextPart("Hi")])]
        out[f"{name}_in_a_result"] = "/input/0/output/0", [o.ToolResultPart("c", (part,)), hi]
        if isinstance(part, o.ToolCallPart | o.ToolResultPart | o.ReasoningPart):
            out[f"loose_{name}"] = "/input/1", [hi, part]
    for role in o.MessageRole:
        parts: Any = [o.ToolResultPart("c", "15 C")] if role is o.MessageRole.TOOL else "Ho"
        out[f"{role.value}_message"] = "/input/1", [hi, o.Message(role, parts, vendor_extensions=more)]
        out[f"{role.value}_message_alone"] = "/input/0", [o.Message(role, parts, vendor_extensions=more)]
        out[f"{role.value}_message_without_parts"] = "/input/1", [hi, o.Message(role, [], vendor_extensions=more)]
    out["assistant_message_of_a_call"] = (
        "/input/1",
        [hi, o.Message("assistant", [o.ToolCallPart("c", "f", {})], vendor_extensions=more)],
    )
    return out


def settings(more: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give a request's settings that hold such extensions, with their pointers."""
    tool = o.ToolDefinition("f", {"type": "object"})
    config = o.StructuredOutputConfig
    out: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(name: str, pointer: str, **capabilities: Any) -> None:
        out[name] = f"/capabilities{pointer}", {"capabilities": o.CapabilitySet(**capabilities)}

    add("capabilities", "", vendor_extensions=more)
    add("tool", "/tools/0", tools=[o.ToolDefinition("f", {"type": "object"}, vendor_extensions=more)])
    for mode in ("auto", "none", "required", "named"):
        choice = o.ToolChoice(mode, "f" if mode == "named" else None, vendor_extensions=more)
        add(f"choice_{mode}", "/tool_choice", tools=[tool], tool_choice=choice)
        add(f"choice_{mode}_of_nothing", "/tool_choice", tool_choice=choice)
    add("format", "/structured_output", structured_output=config({"type": "object"}, "n", True, vendor_extensions=more))
    add("json", "/structured_output", structured_output=config(None, vendor_extensions=more))
    for name, values in {"effort": ("high",), "budget": (None, None, 2000), "summary": (None, "auto"), "nothing": ()}.items():
        reasoning = o.ReasoningCapability(*values, vendor_extensions=more)
        add(f"reasoning_of_{name}", "/reasoning", reasoning=reasoning)
    out["generation"] = "/generation", {"generation": o.GenerationConfig(9, vendor_extensions=more)}
    out["generation_of_nothing"] = "/generation", {"generation": o.GenerationConfig(vendor_extensions=more)}
    out["request"] = "", {"vendor_extensions": more}
    return out


def accounted(report: o.ConversionReport[Any], pointer: str) -> bool:
    """Tell whether the mark was written, or its loss or that of what holds it is told."""
    if '"MARK"' in json.dumps(report.value):
        return True
    return any(
        f"{pointer}/".startswith(f"{loss.pointer}/") or "own_field" in f"{loss.pointer} {loss.reason}" for loss in report.losses
    )


def of_whom(wire: o.WireFormat, whose: str) -> dict[str, Any]:
    mark = {"own_field": "MARK"}
    return mark if whose == "the caller" else {wire.value: mark} if whose == "the wire" else {another(wire).value: mark}


def another(wire: o.WireFormat) -> o.WireFormat:
    return o.WireFormat.GEMINI_GENERATE_CONTENT if wire is o.WireFormat.BEDROCK_CONVERSE else o.WireFormat.BEDROCK_CONVERSE


every_format = pytest.mark.parametrize("wire", WIRES)
of_anybody = pytest.mark.parametrize("whose", ["the caller", "the wire", "another wire"])


@every_format
@of_anybody
def test_what_hangs_on_a_request_is_written_or_named(wire: o.WireFormat, whose: str) -> None:
    """Whatever value of a request it hangs on, and wherever that stands."""
    more = of_whom(wire, whose)
    missing = [name for name, (at, items) in placed(more).items() if not accounted(written(wire, items), at)]
    missing += [name for name, (at, said) in settings(more).items() if not accounted(written(wire, "Hi", **said), at)]
    assert missing == []


def written(wire: o.WireFormat, items: Any, **settings: Any) -> o.ConversionReport[Any]:
    return o.emit_api_request(wire, o.LlmRequest("m", items, **settings))


@every_format
@of_anybody
def test_what_hangs_on_an_answer_is_written_or_named(wire: o.WireFormat, whose: str) -> None:
    """Whatever value of an answer it hangs on, and whoever answered."""
    more = of_whom(wire, whose)
    missing = []
    for protocol in (wire.protocol, another(wire).protocol):
        for name, part in part_values(more).items():
            answers = {"in_a_message": ("/output/0/parts/0", o.Message("assistant", [part]))}
            if isinstance(part, o.ToolCallPart | o.ToolResultPart | o.ReasoningPart):
                answers["loose"] = "/output/0", part
            for place, (at, item) in answers.items():
                answer = o.LlmResponse((item,), USED, "m", protocol, o.FinishReason.STOP, None, "r")
                if not accounted(o.emit_api_response(wire, answer), at):
                    missing.append(f"{name} {place} of {protocol.value}")
        message = o.Message("assistant", "Hi", vendor_extensions=more)
        used = o.TokenUsage(1, 2, vendor_extensions=more)
        for at, answer in {
            "/output/0": o.LlmResponse((message,), USED, "m", protocol, o.FinishReason.STOP, None, "r"),
            "/usage": o.LlmResponse((o.Message.assistant("Hi"),), used, "m", protocol, o.FinishReason.STOP, None, "r"),
            "": o.LlmResponse((o.Message.assistant("Hi"),), USED, "m", protocol, o.FinishReason.STOP, None, "r", more),
        }.items():
            if not accounted(o.emit_api_response(wire, answer), at):
                missing.append(f"{at or '/'} of {protocol.value}")
    assert missing == []
