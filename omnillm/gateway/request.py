"""The way into the gateway: a request is looked over once, before a key is taken or a byte is sent.

The types of a request's fields are checked where it is made. What is checked here are values that a parsed payload may hold too,
for the codecs read whatever providers say; but nobody should wait, or pay, to be told that a provider refuses them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .. import _json
from ..errors import ConfigurationError, InvalidJsonError
from ..types.capabilities import CapabilitySet, ToolChoice
from ..types.message import Message
from ..types.parts import AudioPart, FilePart, ImageBase64Part, JsonPart, ToolCallPart, ToolResultPart
from ..types.request import GenerationConfig, LlmRequest

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n"
_NOT_BELOW_ZERO = ("max_output_tokens", "temperature", "top_p", "top_k")
_FINITE = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")


def request_of(request: LlmRequest | str, default_model: str | None) -> LlmRequest:
    """Give the request that is meant: a text is one user message."""
    if isinstance(request, str):
        return LlmRequest(default_model or "", request)
    if not isinstance(request, LlmRequest):
        raise _no_request(request)
    return request


def checked_request(request: LlmRequest | str, default_model: str | None) -> LlmRequest:
    """Give the request that will be sent; raises ``ConfigurationError``, naming the field, for what nobody would take."""
    request = request_of(request, default_model)
    if not request.model:
        if default_model is None:
            raise _wrong("model", "none in the request, and the gateway has no default_model")
        request = dataclasses.replace(request, model=default_model)
    items = request.normalized_input()
    if not items:
        raise _wrong("input", "expected at least one message")
    if request.generation != _NO_SETTINGS:
        _check_generation(request.generation)
    if request.capabilities != _NO_CAPABILITIES:
        _check_capabilities(request)
    for item in items:
        for part in item.parts if isinstance(item, Message) else (item,):
            _check_part(part)
    if request.metadata:
        _check_json(dict(request.metadata), "metadata")
    if request.vendor_extensions:
        _check_json(request.vendor_extensions, "vendor_extensions")
    return request


_NO_SETTINGS = GenerationConfig()
_NO_CAPABILITIES = CapabilitySet()


def _wrong(field: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{field}: {what}", field=field)


def _no_request(given: object) -> ConfigurationError:
    instead = (
        "LlmRequest(model, [*response.as_input(), …])"
        if hasattr(given, "as_input")
        else "LlmRequest(model, [Message.user(…), …])"
    )
    return _wrong("request", f"expected {instead} or a string, got {type(given).__name__}")


def _check_generation(generation: GenerationConfig) -> None:
    for name in _FINITE:
        value = getattr(generation, name)
        if value is not None and not math.isfinite(value):
            raise _wrong(name, f"expected a finite number, got {value!r}")
    for name in _NOT_BELOW_ZERO:
        value = getattr(generation, name)
        if value is not None and value < 0:
            raise _wrong(name, f"expected 0 or more, got {value!r}")


# --- tools ----------------------------------------------------------------------------------------------------------------------


def _check_capabilities(request: LlmRequest) -> None:
    capabilities = request.capabilities
    for tool in capabilities.tools:
        if not tool.name:
            raise _wrong("name", "expected the name of a tool, got an empty string")
        _check_schema(tool.input_schema, "input_schema", f" of tool {tool.name!r:.80}")
    if capabilities.structured_output is not None and capabilities.structured_output.schema is not None:
        _check_schema(capabilities.structured_output.schema, "schema", " of structured_output")
    for builtin in capabilities.builtin_tools:
        _check_json(builtin.payload, "payload", f" of builtin tool {builtin.kind.value}")
    if capabilities.tool_choice is not None:
        _check_choice(capabilities.tool_choice, request)


def _check_schema(schema: Any, field: str, where: str) -> None:
    if not isinstance(schema, dict | bool):
        raise _wrong(field, f"expected a JSON Schema, an object or a bool, got {type(schema).__name__}{where}")
    _check_json(schema, field, where)


def _check_choice(choice: ToolChoice, request: LlmRequest) -> None:
    capabilities = request.capabilities
    if choice.mode != "named":
        return
    if not choice.name:
        raise _wrong("tool_choice", "expected the name of the tool that must be called: ToolChoice.named(name)")
    offered = [tool.name for tool in capabilities.tools]
    # what the provider runs, or was told of elsewhere, has names that are not ours to know
    elsewhere = capabilities.builtin_tools or capabilities.vendor_extensions or request.vendor_extensions
    if choice.name not in offered and not elsewhere:
        raise _wrong("tool_choice", f"{choice.name!r:.80} is none of the tools offered: {', '.join(offered) or 'there are none'}")


# --- parts ----------------------------------------------------------------------------------------------------------------------


def _check_part(part: object) -> None:
    if isinstance(part, ImageBase64Part):
        _check_base64(part.data, "ImageBase64Part", ", or use ImageUrlPart")
        if not part.data:
            raise _wrong("data", "expected an image as base64 text, got an empty string")
    elif isinstance(part, AudioPart | FilePart):
        _check_base64(part.data or "", type(part).__name__, "")
    elif isinstance(part, ToolCallPart):
        _check_json(part.arguments, "arguments", f" of the call of tool {part.name!r:.80}")
    elif isinstance(part, JsonPart):
        _check_json(part.value, "value", " of a JsonPart")
    elif isinstance(part, ToolResultPart):
        if not part.call_id and not part.vendor_extensions:  # there a codec notes that the payload had none
            raise _wrong("call_id", "expected the call_id of the ToolCallPart that this result answers, got an empty string")
        if isinstance(part.output, tuple):
            for inner in part.output:
                _check_part(inner)
        else:
            _check_json(part.output, "output", f" of the tool result for {part.call_id!r:.80}")


def _check_base64(data: str, kind: str, otherwise: str) -> None:
    if data.startswith("data:"):
        raise _wrong("data", f"expected base64 text alone, got a data: URL: strip the prefix up to its comma{otherwise} ({kind})")
    if not data.isascii() or data.encode().translate(None, _BASE64):
        raise _wrong("data", f"expected base64 text, as base64.b64encode(…).decode() gives it, got other characters ({kind})")


def _check_json(value: object, field: str, where: str = "") -> None:
    if value is None or isinstance(value, str | bool):
        return
    try:
        _json.dumps(value)
    except InvalidJsonError as error:
        why = error.message.removeprefix("not JSON: ")
    else:
        return
    raise _wrong(field, f"expected JSON values{where}: {why}")
