"""Parts and turns: what each is read into, that it is written back, and what becomes of other wires' items."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_content import CHAT, CLAUDE, SIGNED, P, again, body, called, gave, model, own, user, write

import omnillm as o

READ: list[tuple[dict[str, Any], Any]] = [
    ({"text": "Hi"}, o.TextPart("Hi")),
    ({"text": "", "thoughtSignature": "Eq=="}, o.TextPart("", vendor_extensions=own(thoughtSignature="Eq=="))),
    ({"text": "Hi", "thought_signature": "Eq=="}, o.TextPart("Hi", vendor_extensions=own(thought_signature="Eq=="))),
    ({"text": "Hi", "thought": False}, o.TextPart("Hi", vendor_extensions=own(thought=False))),
    (SIGNED, o.ReasoningPart("Hm.", signature="Eq==")),
    ({"text": "Hm.", "thought": True}, o.ReasoningPart("Hm.")),
    ({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, o.ImageBase64Part("AA==", "image/png")),
    ({"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}, o.AudioPart("AA==", "audio/wav")),
    (
        {"inlineData": {"mimeType": "application/pdf", "data": "AA==", "displayName": "n"}},
        o.FilePart(None, "application/pdf", "AA==", "n"),
    ),
    (
        {"inlineData": {"mimeType": "image/png", "data": "AA==", "displayName": "n"}, "mediaResolution": {"level": "X"}},
        o.ImageBase64Part(
            "AA==", "image/png", vendor_extensions=own(mediaResolution={"level": "X"}, inlineData={"displayName": "n"})
        ),
    ),
    ({"fileData": {"mimeType": "video/mp4", "fileUri": "u"}}, o.FilePart(None, "video/mp4", url="u")),
    ({"fileData": {"fileUri": "u", "displayName": "n"}}, o.FilePart(filename="n", url="u")),
    (
        {"fileData": {"fileUri": "u", "mimeType": "image/png"}},
        o.ImageUrlPart("u", vendor_extensions=own(fileData={"mimeType": "image/png"})),
    ),
    ({"functionCall": {"name": "f", "id": "c", "args": {"a": 1}}}, o.ToolCallPart("c", "f", {"a": 1})),
    (gave({"a": 1}, id="c"), o.ToolResultPart("c", {"a": 1}, "f")),
    (gave({"output": "x"}, id="c"), o.ToolResultPart("c", "x", "f")),
    (gave({"error": "x"}, id="c"), o.ToolResultPart("c", "x", "f", True)),
    (gave({"output": {"a": 1}}, id="c"), o.ToolResultPart("c", {"output": {"a": 1}}, "f")),
    (gave({"error": {"a": 1}}, id="c"), o.ToolResultPart("c", {"error": {"a": 1}}, "f", True)),
    (
        gave({"output": "x"}, id="c", parts=[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]),
        o.ToolResultPart("c", (o.TextPart("x"), o.ImageBase64Part("AA==", "image/png")), "f"),
    ),
    (
        gave({"a": 1}, id="c", parts=[{"fileData": {"fileUri": "u"}}], scheduling="SILENT"),
        o.ToolResultPart(
            "c",
            (o.JsonPart({"a": 1}), o.FilePart(url="u")),
            "f",
            vendor_extensions=own(functionResponse={"scheduling": "SILENT"}),
        ),
    ),
]


@pytest.mark.parametrize(("given", "part"), READ)
def test_a_part_is_read_and_written_back(given: dict[str, Any], part: Any) -> None:
    """It becomes the canonical part of its kind; its side fields ride along."""
    message = o.parse_request(P, body(user(given))).input[0]
    assert isinstance(message, o.Message)
    assert message.parts == (part,)
    assert again(body(user(given))) == body(user(given))


WHOLE: list[dict[str, Any]] = [
    {},
    {"thoughtSignature": "Eq=="},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}},
    {"toolResponse": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
    {"audioTranscription": {"text": "x"}},
    {"text": "Hi", "inlineData": {"mimeType": "image/png", "data": "AA=="}},
    {"text": None},
    {"inlineData": {"mimeType": "image/png"}},
    {"fileData": {"mimeType": "image/png"}},
    {"functionCall": {"args": {}}},
    {"functionCall": {"name": "f", "args": [1]}},
    {"functionResponse": {"name": "f"}},
    {"a_part_of_tomorrow": 1},
]


@pytest.mark.parametrize("given", WHOLE, ids=str)
def test_a_part_that_no_other_holds_is_kept_whole(given: dict[str, Any]) -> None:
    """It is a vendor's part, and written as it came."""
    message = o.parse_request(P, body(model(given))).input[0]
    assert isinstance(message, o.Message)
    assert message.parts == (o.VendorPart(P, given),)
    assert again(body(model(given))) == body(model(given))


SPELLED: list[dict[str, Any]] = [
    {"inline_data": {"mime_type": "image/png", "data": "AA==", "display_name": "n"}},
    {"inline_data": {"mimeType": "application/pdf", "data": "AA==", "display_name": "n"}},
    {"inlineData": {"mime_type": "audio/wav", "data": "AA=="}, "video_metadata": {"fps": 1}},
    {"file_data": {"file_uri": "u", "mime_type": "image/png"}, "thought_signature": "Eq=="},
    {"fileData": {"file_uri": "u"}},
    {"function_call": {"name": "f", "args": {}, "will_continue": False}, "thought_signature": "Eq=="},
    {
        "function_response": {
            "name": "f",
            "response": {"a": 1},
            "parts": [{"inline_data": {"mime_type": "image/png", "data": "A"}}],
        }
    },
    {"text": "Hm.", "thought": True, "thought_signature": "Eq=="},
    {"functionCall": {"name": "f"}},
    {"functionCall": {"name": "f", "args": None, "id": ""}},
    {"functionCall": {"name": "f", "args": {}, "id": None}, "function_call": None},
]


@pytest.mark.parametrize("given", SPELLED, ids=str)
def test_every_spelling_is_written_back(given: dict[str, Any]) -> None:
    """Names in snake_case, and what was left out, are as they were; through JSON at rest too."""
    assert again(body(user(given))) == body(user(given))


def test_calls_and_results_without_ids_are_paired() -> None:
    """A call has the id of its place, and a result that of the first call of its name without one."""
    payload = body(
        model(called("f"), called("g"), called("f"), called("h", id="x")),
        user(gave({}, "g"), gave({}, "f"), gave({}, "f"), gave({}, "h", id="x"), gave({}, "nobody")),
    )
    calls, results = (message.parts for message in o.parse_request(P, payload).normalized_messages())
    assert [part.call_id for part in calls if isinstance(part, o.ToolCallPart)] == ["call_0", "call_1", "call_2", "x"]
    found = [part.call_id for part in results if isinstance(part, o.ToolResultPart)]
    assert found == ["call_1", "call_0", "call_2", "x", "call_4"]
    assert again(payload) == payload


def test_an_answer_goes_back_with_its_signatures() -> None:
    """What a response's parts carry is in the next request, part by part, in order."""
    parts = [SIGNED, {"text": "", "thoughtSignature": "A"}, {**called(), "thoughtSignature": "B"}, {"thoughtSignature": "C"}]
    response = o.parse_response(P, {"candidates": [{"content": {"parts": parts, "role": "model"}}]})
    written, losses = write(*response.as_input())
    assert written["contents"] == [model(*parts)]
    assert losses == []


THOUGHT = o.ReasoningPart("Hm.", signature="s", protocol=CLAUDE)
WRITTEN: list[tuple[Any, dict[str, Any] | None, list[str]]] = [
    (o.TextPart("Hi", (o.Annotation("url_citation", "u"),)), {"text": "Hi"}, ["annotations"]),
    (o.RefusalPart("No."), {"text": "No."}, []),
    (o.JsonPart({"a": 1}), {"text": '{"a":1}'}, []),
    (o.ImageBase64Part("/9j/AA=="), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/AA=="}}, []),
    (o.ImageBase64Part("AA==", "image/png", "low"), {"inlineData": {"mimeType": "image/png", "data": "AA=="}}, ["detail"]),
    (o.ImageUrlPart("https://x/a.PNG?b"), {"fileData": {"fileUri": "https://x/a.PNG?b", "mimeType": "image/png"}}, []),
    (o.ImageUrlPart("https://x/a", "low"), {"fileData": {"fileUri": "https://x/a"}}, ["detail"]),
    (o.AudioPart("AA==", None, "said"), {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}, ["transcript"]),
    (o.AudioPart(""), None, []),
    (o.FilePart(data="AA=="), {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}}, []),
    (o.FilePart("files/1", "video/mp4"), {"fileData": {"fileUri": "files/1", "mimeType": "video/mp4"}}, []),
    (
        o.FilePart("f", None, "AA==", None, "u"),
        {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
        ["url", "file_id"],
    ),
    (o.FilePart("file-1"), None, [""]),
    (o.ToolCallPart("c", "f", '{"a":1}'), called(id="c", args={"a": 1}), []),
    (o.ToolCallPart("c", "f", ""), called(id="c"), []),
    (o.ToolCallPart("c", "f", None), called(id="c"), []),
    (
        o.ToolCallPart("c", "f", "no json"),
        {"functionCall": {"name": "f", "id": "c", "args": {"input": "no json"}}},
        ["arguments"],
    ),
    (o.ToolCallPart("c", "f", [1]), {"functionCall": {"name": "f", "id": "c", "args": {"input": [1]}}}, ["arguments"]),
    (o.ToolCallPart("", "", {}), called("tool", id="call_0"), []),
    (o.ToolResultPart("c", "x"), gave({"output": "x"}, "c", id="c"), []),
    (o.ToolResultPart("", "x", "f", True), gave({"error": "x"}, id="call_0"), []),
    (o.ToolResultPart("c", {"a": 1}, "f", True), gave({"error": {"a": 1}}, id="c"), []),
    (o.ToolResultPart("c", {"error": 1}, "f"), gave({"output": {"error": 1}}, id="c"), []),
    (o.ToolResultPart("c", [1], "f"), gave({"output": [1]}, id="c"), []),
    (
        o.ToolResultPart("c", (o.TextPart("x"), o.JsonPart([1]), o.AudioPart("")), "f"),
        gave({"output": "x[1]"}, id="c"),
        [],
    ),
    (
        o.ToolResultPart("c", (o.TextPart("x", (o.Annotation("k"),), vendor_extensions={"y": 1}),), "f"),
        gave({"output": "x"}, id="c"),
        ["output/0/annotations", "output/0/vendor_extensions/y"],
    ),
    (o.ReasoningPart("Hm."), {"text": "Hm.", "thought": True}, []),
    (o.ReasoningPart("", ("a", "b"), "Eq=="), {"text": "a\n\nb", "thought": True, "thoughtSignature": "Eq=="}, []),
    (o.ReasoningPart("Hm.", ("a",), None, "e"), {"text": "Hm.", "thought": True}, ["encrypted_content", "summary"]),
    (THOUGHT, None, [""]),
    (o.ReasoningPart(protocol=CLAUDE), None, []),
    (o.VendorPart(CLAUDE, {"type": "x"}), None, [""]),
]


@pytest.mark.parametrize(("part", "written", "losses"), WRITTEN)
def test_a_part_of_the_caller(part: Any, written: dict[str, Any] | None, losses: list[str]) -> None:
    """It is written, or lost by name; a message of which nothing is left is not sent."""
    payload, pointers = write(o.Message.user("Hi"), o.Message("assistant", (part,)))
    assert payload["contents"][1:] == ([] if written is None else [model(written)])
    assert pointers == [f"/input/1/parts/0/{name}".removesuffix("/") for name in losses]


def test_loose_items_join_the_turn_beside_them() -> None:
    """Calls are the model's turn, results one turn of the user's, named as their calls."""
    payload, losses = write(
        o.Message.user("Hi"),
        o.ReasoningPart("Hm."),
        o.Message.assistant("Well."),
        o.ToolCallPart("a", "f", {}),
        o.ToolCallPart("b", "g", {}),
        o.ToolResultPart("a", "x"),
        o.Message("tool", (o.ToolResultPart("b", "y"),)),
        o.VendorPart(P, gave({}, "h")),
        o.VendorPart(P, {"executableCode": {}}),
    )
    assert payload["contents"] == [
        user({"text": "Hi"}),
        model({"text": "Hm.", "thought": True}, {"text": "Well."}, called("f", id="a"), called("g", id="b")),
        user(gave({"output": "x"}, "f", id="a"), gave({"output": "y"}, "g", id="b"), gave({}, "h")),
        model({"executableCode": {}}),
    ]
    assert losses == []


def test_systems_are_gathered() -> None:
    """Instructions, system and developer messages are one instruction; a later one is moved, a picture is not sent."""
    payload, losses = write(
        o.Message.system("a"),
        o.Message("developer", (o.TextPart("b"), o.ImageUrlPart("u"))),
        o.Message.user("Hi"),
        o.Message.system("c"),
        o.Message("system", ()),
        instructions="0",
    )
    assert payload["systemInstruction"] == {"parts": [{"text": text} for text in "0abc"]}
    assert payload["contents"] == [user({"text": "Hi"})]
    assert losses == ["/input/1/parts/1", "/input/3/role"]


def test_a_system_alone_is_sent_as_the_users() -> None:
    """The API refuses a request without contents."""
    payload, losses = write(o.Message.system("a"), o.Message.system("b"))
    assert (payload["systemInstruction"], payload["contents"]) == ({"parts": [{"text": "a"}]}, [user({"text": "b"})])
    assert losses == ["/input/1/role"]
    payload, _ = write(o.Message.system("a"))
    assert payload == {"model": "m", "contents": [user({"text": "a"})]}


def test_a_conversation_of_another_wire() -> None:
    """A Chat conversation with calls becomes turns of user and model."""
    request = o.parse_request(
        CHAT,
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
                },
                {"role": "tool", "tool_call_id": "a", "content": "y"},
            ],
        },
    )
    assert o.emit_request(P, request)["contents"] == [
        user({"text": "Hi"}),
        model(called(id="a", args={"x": 1})),
        user(gave({"output": "y"}, id="a")),
    ]


@pytest.mark.parametrize("data", ["not base64", "AA==A", "\u00e9", "data:image/png;base64,AA=="])
@pytest.mark.parametrize(
    "of",
    [
        lambda data: o.ImageBase64Part(data, "image/png"),
        lambda data: o.AudioPart(data, "audio/wav"),
        lambda data: o.FilePart(data=data),
    ],
)
def test_data_that_is_no_base64_is_not_sent(of, data):
    """The API refuses it; where this wire itself had it, it goes out as it came."""
    report = o.emit_api_request(o.WireFormat.GEMINI_GENERATE_CONTENT, o.LlmRequest("m", [o.Message("user", ["Hi", of(data)])]))
    assert report.value["contents"] == [user({"text": "Hi"})]
    assert [(loss.pointer, "data" in loss.reason) for loss in report.losses] == [("/input/0/parts/1", True)]
    payload = {"contents": [user({"inlineData": {"mimeType": "image/png", "data": data}})]}
    assert o.emit_request(P, o.parse_request(P, payload)) == payload


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "audio/wav", "0"])
def test_data_of_no_bytes_is_data(media_type):
    """An empty file, image or sound is written back, in requests and in responses."""
    parts = [{"text": "a"}, {"inlineData": {"mimeType": media_type, "data": ""}}]
    request = {"contents": [{"role": "user", "parts": parts}]}
    response = {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}]}
    protocol = o.ProviderProtocol.GEMINI_GENERATE_CONTENT
    assert o.emit_request(protocol, o.parse_request(protocol, request)) == request
    assert o.emit_response(protocol, o.parse_response(protocol, response)) == response
