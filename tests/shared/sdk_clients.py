"""The official SDKs, each asked the same things in its own words, and what each of them then sees.

An SDK that is not installed skips the test that asks it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from omnillm.types.enums import ProviderProtocol

MODEL = "m-1"
SYSTEM = "Be brief."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
ABOUT = "Tell the weather."
KEY = "good"


@dataclass(frozen=True)
class Ask:
    """What to ask; ``result`` is that of a tool that was called with Rome, ``cap`` the most tokens of the answer."""

    text: str
    result: str | None = None
    cap: int = 1000


ASKS = {
    "text": Ask("Say hello to Zoë"),
    "calls": Ask('call weather with {"city": "Rome"} and call weather with {"city": "Oslo"}'),
    "result": Ask("What is the weather?", "18 C"),
    "cut": Ask("one two three", cap=2),
}


@dataclass(frozen=True)
class Seen:
    """What an SDK made of the answer; ``finish`` is its own word."""

    text: str
    calls: tuple[tuple[str, Any], ...]
    finish: str
    usage: tuple[int, int]


def _plain_turns(ask: Ask) -> list[dict[str, Any]]:
    return [{"role": "user", "content": ask.text}]


# --- openai -------------------------------------------------------------------------------------------------------------------


def _openai(base_url: str) -> Any:
    openai = pytest.importorskip("openai")
    return closing(openai.OpenAI(api_key=KEY, base_url=f"{base_url}/v1", max_retries=0))


def ask_chat(base_url: str, ask: Ask, stream: bool) -> Seen:
    """Ask by ``chat.completions``, streaming with its accumulating helper."""
    turns = [{"role": "system", "content": SYSTEM}, *_plain_turns(ask)]
    if ask.result is not None:
        called = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
        turns.append({"role": "assistant", "content": None, "tool_calls": [called]})
        turns.append({"role": "tool", "tool_call_id": "c1", "content": ask.result})
    function = {"name": "weather", "description": ABOUT, "parameters": SCHEMA, "strict": True}
    request: dict[str, Any] = {
        "model": MODEL,
        "messages": turns,
        "tools": [{"type": "function", "function": function}],
        "max_completion_tokens": ask.cap,
    }
    if ask.cap < 1000:
        del request["tools"]  # with strict tools the helper leaves a stream that was cut before its usage comes
    with _openai(base_url) as client:
        answer = _chat_streamed(client, request) if stream else client.chat.completions.create(**request)
    message = answer.choices[0].message
    calls = tuple((call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ())
    usage = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return Seen(message.content or "", calls, answer.choices[0].finish_reason, usage)


def _chat_streamed(client: Any, request: dict[str, Any]) -> Any:
    from openai import LengthFinishReasonError

    with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
        try:
            return events.until_done().get_final_completion()
        except LengthFinishReasonError as cut:  # how the helper tells of an answer that was cut
            return cut.completion


def ask_responses(base_url: str, ask: Ask, stream: bool) -> Seen:
    """Ask by ``responses``, streaming with its accumulating helper."""
    turns = _plain_turns(ask)
    if ask.result is not None:
        turns.append({"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'})
        turns.append({"type": "function_call_output", "call_id": "c1", "output": ask.result})
    tool = {"type": "function", "name": "weather", "description": ABOUT, "parameters": SCHEMA, "strict": True}
    request: dict[str, Any] = {
        "model": MODEL,
        "instructions": SYSTEM,
        "input": turns,
        "tools": [tool],
        "max_output_tokens": ask.cap,
    }
    with _openai(base_url) as client:
        answer = _responses_streamed(client, request) if stream else client.responses.create(**request)
    calls = tuple((item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call")
    return Seen(answer.output_text, calls, answer.status, (answer.usage.input_tokens, answer.usage.output_tokens))


def _responses_streamed(client: Any, request: dict[str, Any]) -> Any:
    from openai import OpenAIError

    with client.responses.stream(**request) as events:
        *_, last = events  # get_final_response() knows no end but response.completed
    if last.type == "error":  # the SDK gives it as an event and does not raise it
        raise OpenAIError(last.message)
    return last.response


# --- anthropic ----------------------------------------------------------------------------------------------------------------


def ask_claude(base_url: str, ask: Ask, stream: bool) -> Seen:
    """Ask by ``messages``, streaming with its accumulating helper."""
    anthropic = pytest.importorskip("anthropic")
    turns = _plain_turns(ask)
    if ask.result is not None:
        called = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}
        turns.append({"role": "assistant", "content": [called]})
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": ask.result}]})
    tool = {"name": "weather", "description": ABOUT, "input_schema": SCHEMA}
    request: dict[str, Any] = {"model": MODEL, "max_tokens": ask.cap, "system": SYSTEM, "messages": turns, "tools": [tool]}
    with closing(anthropic.Anthropic(api_key=KEY, base_url=base_url, max_retries=0)) as client:
        if stream:
            with client.messages.stream(**request) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**request)
    text = "".join(block.text for block in answer.content if block.type == "text")
    calls = tuple((block.name, block.input) for block in answer.content if block.type == "tool_use")
    return Seen(text, calls, answer.stop_reason, (answer.usage.input_tokens, answer.usage.output_tokens))


# --- google-genai -------------------------------------------------------------------------------------------------------------


def ask_gemini(base_url: str, ask: Ask, stream: bool) -> Seen:
    """Ask by ``models.generate_content``, or its stream."""
    genai = pytest.importorskip("google.genai")
    turns: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": ask.text}]}]
    if ask.result is not None:
        called = {"function_call": {"name": "weather", "args": {"city": "Rome"}}}
        response = {"function_response": {"name": "weather", "response": {"output": ask.result}}}
        turns += [{"role": "model", "parts": [called]}, {"role": "user", "parts": [response]}]
    function = {"name": "weather", "description": ABOUT, "parameters_json_schema": SCHEMA}
    tools = [{"function_declarations": [function]}]
    config = {"system_instruction": SYSTEM, "tools": tools, "max_output_tokens": ask.cap}
    with closing(genai.Client(api_key=KEY, http_options={"base_url": base_url})) as client:
        if stream:
            chunks = list(client.models.generate_content_stream(model=MODEL, contents=turns, config=config))
        else:
            chunks = [client.models.generate_content(model=MODEL, contents=turns, config=config)]
    parts = [part for chunk in chunks for part in _gemini_parts(chunk)]
    calls = tuple((part.function_call.name, part.function_call.args) for part in parts if part.function_call)
    last = chunks[-1]
    usage = last.usage_metadata.prompt_token_count, last.usage_metadata.candidates_token_count
    return Seen("".join(part.text or "" for part in parts), calls, last.candidates[0].finish_reason.value, usage)


def _gemini_parts(chunk: Any) -> Iterable[Any]:
    candidate = (chunk.candidates or [None])[0]
    return () if candidate is None or candidate.content is None else candidate.content.parts or ()


# --- boto3 --------------------------------------------------------------------------------------------------------------------


def bedrock_client(base_url: str) -> Any:
    """Give a client of the Bedrock runtime, to be closed."""
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    return closing(
        boto3.session.Session(aws_access_key_id=KEY, aws_secret_access_key="none", region_name="us-east-1").client(
            "bedrock-runtime", endpoint_url=base_url, config=Config(retries={"total_max_attempts": 1}, proxies={})
        )
    )


def ask_bedrock(base_url: str, ask: Ask, stream: bool) -> Seen:
    """Ask by ``converse`` or ``converse_stream``."""
    turns: list[dict[str, Any]] = [{"role": "user", "content": [{"text": ask.text}]}]
    if ask.result is not None:
        called = {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}}
        result = {"toolResult": {"toolUseId": "c1", "content": [{"text": ask.result}]}}
        turns += [{"role": "assistant", "content": [called]}, {"role": "user", "content": [result]}]
    tool = {"toolSpec": {"name": "weather", "description": ABOUT, "inputSchema": {"json": SCHEMA}}}
    request = {
        "modelId": MODEL,
        "system": [{"text": SYSTEM}],
        "messages": turns,
        "toolConfig": {"tools": [tool]},
        "inferenceConfig": {"maxTokens": ask.cap},
    }
    with bedrock_client(base_url) as client:
        if stream:
            with closing(client.converse_stream(**request)["stream"]) as events:
                return _bedrock_streamed(events)
        answer = client.converse(**request)
    blocks = answer["output"]["message"]["content"]
    calls = tuple((block["toolUse"]["name"], block["toolUse"]["input"]) for block in blocks if "toolUse" in block)
    usage = answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]
    return Seen("".join(block.get("text", "") for block in blocks), calls, answer["stopReason"], usage)


def _bedrock_streamed(events: Iterable[Any]) -> Seen:
    text, names, arguments, ends = "", [], [], {}
    for event in events:
        ((kind, fields),) = event.items()
        if kind == "contentBlockStart":
            names.append(fields["start"]["toolUse"]["name"])
            arguments.append("")
        elif kind == "contentBlockDelta" and "text" in fields["delta"]:
            text += fields["delta"]["text"]
        elif kind == "contentBlockDelta":
            arguments[-1] += fields["delta"]["toolUse"]["input"]
        elif kind in ("messageStop", "metadata"):
            ends |= fields
    calls = tuple(zip(names, map(json.loads, arguments), strict=True))
    return Seen(text, calls, ends["stopReason"], (ends["usage"]["inputTokens"], ends["usage"]["outputTokens"]))


SDKS: dict[ProviderProtocol, Callable[[str, Ask, bool], Seen]] = {
    ProviderProtocol.OPENAI_CHAT_COMPLETIONS: ask_chat,
    ProviderProtocol.OPENAI_RESPONSES: ask_responses,
    ProviderProtocol.CLAUDE_MESSAGES: ask_claude,
    ProviderProtocol.GEMINI_GENERATE_CONTENT: ask_gemini,
    ProviderProtocol.BEDROCK_CONVERSE: ask_bedrock,
}
_ERRORS = {
    ProviderProtocol.OPENAI_CHAT_COMPLETIONS: ("openai", "APIError"),
    ProviderProtocol.OPENAI_RESPONSES: ("openai", "OpenAIError"),
    ProviderProtocol.CLAUDE_MESSAGES: ("anthropic", "APIError"),
    ProviderProtocol.GEMINI_GENERATE_CONTENT: ("google.genai.errors", "APIError"),
    ProviderProtocol.BEDROCK_CONVERSE: ("botocore.exceptions", "ClientError"),
}


def error_of(protocol: ProviderProtocol) -> type[Exception]:
    """Give the class of the errors that the SDK raises for what the provider says."""
    module, name = _ERRORS[protocol]
    found: type[Exception] = getattr(pytest.importorskip(module), name)
    return found
