"""Rewrite a Chat Completions request for Anthropic, and see what could not be carried. No network."""

import json

from omnillm import ProviderProtocol, WireFormat, transcode_api_request, transcode_response

CHAT_REQUEST = {
    "model": "claude-haiku-4-5",
    "messages": [
        {"role": "system", "content": "Answer with a tool."},
        {"role": "user", "content": "Weather in Rome?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Look the weather up.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
        }
    ],
    "tool_choice": "required",
    "max_completion_tokens": 200,
    "seed": 7,
}

CLAUDE_RESPONSE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Rome"}}],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 40, "output_tokens": 12},
}


def main() -> None:
    """Translate there and back."""
    report = transcode_api_request(WireFormat.OPENAI_CHAT_COMPLETIONS, WireFormat.ANTHROPIC_MESSAGES, CHAT_REQUEST)
    print(json.dumps(report.value, indent=2))
    for loss in report.losses:
        print(f"lost {loss.pointer}: {loss.reason}")
    chat = transcode_response(ProviderProtocol.CLAUDE_MESSAGES, ProviderProtocol.OPENAI_CHAT_COMPLETIONS, CLAUDE_RESPONSE)
    print(json.dumps(chat["choices"][0], indent=2))


if __name__ == "__main__":
    main()
