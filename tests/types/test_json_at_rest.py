"""The JSON form of canonical values: exact, strict, tagged, and paid for only by those who use it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_strategies import media_values
from strategies import canonical_values, requests

import omnillm as o
from omnillm.types._model import Model
from omnillm.types.response import ResponseMeta

_SUPPORTS = st.builds(
    o.EndpointSupport,
    st.sampled_from(o.EndpointKind),
    st.sampled_from(o.SupportLevel),
    st.lists(st.sampled_from(o.WireFormat), max_size=3).map(tuple),
    st.lists(st.text(), max_size=2).map(tuple),
)
_PROVIDERS = st.builds(
    o.ProviderDescriptor,
    st.sampled_from(o.ProviderKind),
    st.text(),
    st.none() | st.text(),
    st.lists(_SUPPORTS, max_size=2).map(tuple),
    st.lists(st.text(), max_size=2).map(tuple),
)
REGISTRY_VALUES = {
    o.EndpointSupport: _SUPPORTS,
    o.ProviderDescriptor: _PROVIDERS,
    o.ProviderRegistry: st.builds(o.ProviderRegistry, st.lists(_PROVIDERS, max_size=2).map(tuple)),
}
EVERY = {**canonical_values, **media_values, **REGISTRY_VALUES}
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
USAGE = o.TokenUsage(3, 4)
ANSWER = o.LlmResponse((o.Message.assistant("hi"),), USAGE, "m", CHAT)


@pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.__name__) for cls in EVERY])
@settings(max_examples=20)
@given(data=st.data())
def test_every_value_round_trips_exactly(cls: type[Model], data: st.DataObject) -> None:
    """What is read back is the value that was written, down to the type of each number and the order of each mapping."""
    value: Any = data.draw(EVERY[cls])
    read = cls.from_json(value.to_json())
    assert read == value
    assert repr(read) == repr(value)
    assert read.to_json() == value.to_json()


def test_every_public_class_with_a_json_form_is_among_them() -> None:
    """No canonical class is left out of the round trip; those of native calls are written and read by tests of their own."""
    public = {value for value in (getattr(o, name) for name in o.__all__) if isinstance(value, type) and issubclass(value, Model)}
    assert {value for value in public if not value.__module__.startswith("omnillm.primitive.")} == set(EVERY)


TAGS = {
    "text": "TextPart", "image_url": "ImageUrlPart", "image_base64": "ImageBase64Part", "audio": "AudioPart", "file": "FilePart",
    "json": "JsonPart", "tool_call": "ToolCallPart", "tool_result": "ToolResultPart", "reasoning": "ReasoningPart",
    "refusal": "RefusalPart", "vendor": "VendorPart", "message": "Message",
    "response_started": "ResponseStarted", "output_item_added": "OutputItemAdded", "content_part_added": "ContentPartAdded",
    "text_delta": "TextDelta", "refusal_delta": "RefusalDelta", "reasoning_delta": "ReasoningDelta",
    "tool_call_delta": "ToolCallDelta", "tool_result_added": "ToolResultAdded", "annotation_added": "AnnotationAdded",
    "usage_updated": "UsageUpdated", "completed": "Completed", "failed": "StreamFailed",
}  # fmt: skip
MEMBERS: list[Model] = [
    o.TextPart("a"),
    o.ImageUrlPart("https://host/a.png"),
    o.ImageBase64Part("AA=="),
    o.AudioPart("AA=="),
    o.FilePart("file-1"),
    o.JsonPart({"a": 1}),
    o.ToolCallPart("c", "f", {}),
    o.ToolResultPart("c", "out"),
    o.ReasoningPart("why"),
    o.RefusalPart("no"),
    o.VendorPart(CHAT, {}),
    o.Message.user("hi"),
    o.ResponseStarted("r", "m", CHAT),
    o.OutputItemAdded(o.Message.assistant("")),
    o.ContentPartAdded(o.TextPart("")),
    o.TextDelta("a"),
    o.RefusalDelta("a"),
    o.ReasoningDelta("a"),
    o.ToolCallDelta("c", "f", "{"),
    o.ToolResultAdded(o.ToolResultPart("c", "out")),
    o.AnnotationAdded(o.Annotation("url")),
    o.UsageUpdated(USAGE),
    o.Completed(ANSWER),
    o.StreamFailed("overloaded"),
]


@pytest.mark.parametrize(("tag", "value"), list(zip(TAGS, MEMBERS, strict=True)), ids=list(TAGS))
def test_members_of_unions_carry_their_tag(tag: str, value: Model) -> None:
    """A part, an item or an event says first what it is."""
    assert type(value).__name__ == TAGS[tag]
    assert next(iter(value.to_dict().items())) == ("type", tag)


def test_a_vendor_event_has_the_tag_of_a_vendor_part() -> None:
    """Parts and events are different unions: one tag may stand in both."""
    assert o.VendorEvent(CHAT, {"x": 1}).to_dict() == {"type": "vendor", "protocol": CHAT.value, "payload": {"x": 1}}


def test_values_outside_unions_carry_no_tag() -> None:
    """A request, a usage and a response are never one of several."""
    assert "type" not in o.LlmRequest("m", "hi").to_dict()
    assert "type" not in USAGE.to_dict()
    assert "type" not in ANSWER.to_dict()


REFUSED: list[tuple[type[Model], Any, str]] = [
    (o.TextPart, {"text": 7}, "/text"),
    (o.TextPart, {"text": None}, "/text"),
    (o.TextPart, {}, "/text"),
    (o.TextPart, {"text": "a", "colour": "red"}, "/colour"),
    (o.TextPart, {"text": "a", "a/b~c": 1}, "/a~1b~0c"),
    (o.TextPart, {"type": "audio", "text": "a"}, "/type"),
    (o.TextPart, {"text": "a", "annotations": None}, "/annotations"),
    (o.TextPart, {"text": "a", "annotations": {}}, "/annotations"),
    (o.TextPart, {"text": "a", "annotations": [{"kind": "url"}, {"kind": 1}]}, "/annotations/1/kind"),
    (o.TextPart, {"text": "a", "vendor_extensions": []}, "/vendor_extensions"),
    (o.TextPart, [], ""),
    (o.TextPart, "text", ""),
    (o.TextPart, None, ""),
    (o.TokenUsage, {"prompt_tokens": "7"}, "/prompt_tokens"),
    (o.TokenUsage, {"prompt_tokens": 7.0}, "/prompt_tokens"),
    (o.TokenUsage, {"prompt_tokens": True}, "/prompt_tokens"),
    (o.TokenUsage, {"estimated": 1}, "/estimated"),
    (o.TokenUsage, {"prompt_cache": {"cached_input_tokens": "1"}}, "/prompt_cache/cached_input_tokens"),
    (o.GenerationConfig, {"temperature": "0.5"}, "/temperature"),
    (o.GenerationConfig, {"temperature": False}, "/temperature"),
    (o.GenerationConfig, {"stop_sequences": "END"}, "/stop_sequences"),
    (o.GenerationConfig, {"stop_sequences": ["a", 1]}, "/stop_sequences/1"),
    (o.Message, {"role": "narrator", "parts": []}, "/role"),
    (o.Message, {"role": [], "parts": []}, "/role"),
    (o.Message, {"role": "user", "parts": "hi"}, "/parts"),
    (o.Message, {"role": "user", "parts": [{"type": "smell"}]}, "/parts/0/type"),
    (o.Message, {"role": "user", "parts": [{"text": "a"}]}, "/parts/0/type"),
    (o.Message, {"role": "user", "parts": [{"type": ["text"]}]}, "/parts/0/type"),
    (o.Message, {"role": "user", "parts": ["hi"]}, "/parts/0"),
    (o.LlmRequest, {"input": []}, "/model"),
    (o.LlmRequest, {"model": "m", "input": "hi"}, "/input"),
    (o.LlmRequest, {"model": "m", "input": [{"type": "text", "text": "a"}]}, "/input/0/type"),
    (o.LlmRequest, {"model": "m", "stream": "yes"}, "/stream"),
    (o.LlmRequest, {"model": "m", "capabilities": {"tool_choice": {"mode": "maybe"}}}, "/capabilities/tool_choice/mode"),
    (o.LlmResponse, {"output": [], "usage": {}, "model": "m", "provider_protocol": "smtp"}, "/provider_protocol"),
    (o.LlmResponse, {"output": [], "usage": {}, "model": "m", "provider_protocol": CHAT, "meta": {}}, "/meta"),
    (o.ToolResultPart, {"call_id": "c", "output": 7}, "/output"),
    (o.ToolResultPart, {"call_id": "c", "output": None}, "/output"),
    (o.ToolResultPart, {"call_id": "c", "output": {"type": "json"}}, "/output"),
    (o.ToolResultPart, {"call_id": "c", "output": {"type": "json", "value": 1, "unit": "m"}}, "/output"),
    (o.ToolResultPart, {"call_id": "c", "output": [{"type": "text"}]}, "/output/0/text"),
    (o.BinaryBody, {"data": "not base64!"}, "/data"),
    (o.BinaryBody, {"data": "ÄÄ=="}, "/data"),
    (o.BinaryBody, {"data": [1, 2]}, "/data"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "data", "pointer"), REFUSED)
def test_what_was_not_written_by_us_is_refused_with_its_place(cls: type[Model], data: Any, pointer: str) -> None:
    """Nothing is coerced and nothing dropped: another type, an unknown field or tag is an error that points at it."""
    with pytest.raises((o.InvalidShapeError, o.MissingFieldError)) as caught:
        cls.from_dict(data)
    assert caught.value.pointer == pointer


def test_a_missing_field_has_its_own_error() -> None:
    """A field that is not there is told from one of another shape."""
    with pytest.raises(o.MissingFieldError):
        o.ToolCallPart.from_dict({"name": "f", "arguments": {}})


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"text": NaN}', b"\xff", "[" * 200, "7" * 5_000])
def test_text_that_is_no_json_is_one_error(text: str | bytes) -> None:
    """Reading raises nothing but errors of the protocol kind."""
    with pytest.raises(o.ProtocolError):
        o.TextPart.from_json(text)


def test_defaults_may_be_left_out() -> None:
    """A field with a default need not be there, and gets that default."""
    assert o.LlmRequest.from_dict({"model": "m"}) == o.LlmRequest("m")
    assert o.PromptCachePolicy.from_dict({"mode": "disabled"}) == o.PromptCachePolicy.disabled()
    assert o.TokenUsage.from_dict({}) == o.TokenUsage()
    assert o.TextPart.from_dict({"text": "a"}) == o.TextPart("a")


def test_bytes_are_base64() -> None:
    """Bytes are written as base64 text."""
    body = o.BinaryBody(b"\x00\xff", "audio/mpeg")
    assert body.to_dict() == {"type": "binary", "data": "AP8=", "media_type": "audio/mpeg"}


@pytest.mark.parametrize(
    ("output", "form"),
    [
        ("sunny", "sunny"),
        ((o.TextPart("a"),), [{"type": "text", "text": "a", "annotations": [], "vendor_extensions": {}}]),
        ((), []),
        ({"type": "json", "value": 1}, {"type": "json", "value": {"type": "json", "value": 1}}),
        ([1, 2], {"type": "json", "value": [1, 2]}),
        ([], {"type": "json", "value": []}),
        (None, {"type": "json", "value": None}),
        (7, {"type": "json", "value": 7}),
    ],
)
def test_a_tool_output_says_which_of_three_it_is(output: Any, form: Any) -> None:
    """A text stays a text, parts become an array, any other JSON value a json part."""
    result = o.ToolResultPart("c", output)
    assert result.to_dict()["output"] == form
    assert o.ToolResultPart.from_dict(result.to_dict()) == result


def test_what_only_a_gateway_knows_is_neither_compared_nor_written() -> None:
    """Two equal answers stay equal whatever they cost and however long they took."""
    served = o.LlmResponse(ANSWER.output, USAGE, "m", CHAT, meta=ResponseMeta(cost_usd=1.5, key_label="prod-1"))
    assert served == ANSWER
    assert served.to_dict() == ANSWER.to_dict()
    assert "meta" not in served.to_dict()
    assert o.LlmResponse.from_dict(served.to_dict()).cost_usd is None


def test_a_failed_stream_keeps_its_error_out_of_json() -> None:
    """The exception of a failed stream is for the program, its message for the record."""
    failed = o.StreamFailed("busy", o.OverloadedError("busy"))
    assert failed.to_dict() == {"type": "failed", "message": "busy"}
    assert o.StreamFailed.from_dict(failed.to_dict()) == failed


def test_what_was_written_shares_nothing_with_the_value() -> None:
    """Changing the dictionary that was given does not change the value."""
    request = o.LlmRequest("m", "hi", metadata={"a": [1]}, vendor_extensions={"b": {"c": 1}})
    data = request.to_dict()
    data["metadata"]["a"].append(2)
    data["vendor_extensions"]["b"]["c"] = 2
    assert request == o.LlmRequest("m", "hi", metadata={"a": [1]}, vendor_extensions={"b": {"c": 1}})


def test_what_is_no_json_value_is_refused_on_writing() -> None:
    """A value that JSON cannot hold is an error, never a guess."""
    with pytest.raises(o.InvalidJsonError):
        o.JsonPart(float("nan")).to_json()
    with pytest.raises(o.InvalidJsonError):
        o.JsonPart({1, 2}).to_json()


@given(requests)
@settings(max_examples=15)
def test_the_text_is_json_that_any_reader_takes(request: o.LlmRequest) -> None:
    """The standard library reads the same value."""
    assert json.loads(request.to_json()) == request.to_dict()


FIRST_USE = """
import sys, omnillm
assert "dataclasses_json" not in sys.modules, "imported too early"
request = omnillm.LlmRequest("m", "hi")
assert "dataclasses_json" not in sys.modules, "imported without use"
assert omnillm.LlmRequest.from_json(request.to_json()) == request
assert "dataclasses_json" in sys.modules, "not used at all"
"""


def test_the_library_behind_it_is_imported_on_first_use_only() -> None:
    """Who never writes JSON at rest never pays for it."""
    subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=60)


def test_first_use_from_many_threads_is_safe() -> None:
    """A class that is prepared by several threads at once reads and writes as ever."""

    def use(_: int) -> bool:
        return o.Loss.from_dict(o.Loss("/a", "why").to_dict()) == o.Loss("/a", "why")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(64)))
