"""A live endpoint, whatever it speaks: a question about an image, and a function that the model calls.

The variables are those of .env.example: copy it to .env, fill it in, then

    set -a; . ./.env; set +a
    python examples/responses_live_demo.py          # or: … vision, … tool
"""

import os
import sys

from omnillm import (
    AuthScheme,
    CapabilitySet,
    EndpointProtocol,
    Gateway,
    GatewayBuilder,
    GenerationConfig,
    ImageUrlPart,
    KeyConfig,
    LlmRequest,
    LlmResponse,
    Message,
    ProviderEndpoint,
    TextPart,
    ToolDefinition,
    ToolResultPart,
)

WEATHER = ToolDefinition(
    "weather",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    description="Tell the weather of a city.",
)


def setting(name: str, default: str | None = None) -> str:
    """Read one of the variables; leave with a sentence where it is needed and not set."""
    value = os.environ.get(f"OMNILLM_RESPONSES_{name}") or default
    if value is None:
        sys.exit(f"set OMNILLM_RESPONSES_{name}: see examples/.env.example")
    return value


def make_gateway() -> Gateway:
    """Make a gateway of the variables."""
    schemes = {
        "bearer": AuthScheme.bearer,
        "header": lambda: AuthScheme.header(setting("AUTH_NAME")),
        "query": lambda: AuthScheme.query(setting("AUTH_NAME")),
    }
    scheme = setting("AUTH_SCHEME", "bearer")
    if scheme not in schemes:
        sys.exit(f"OMNILLM_RESPONSES_AUTH_SCHEME: expected one of {', '.join(schemes)}")
    protocol = EndpointProtocol.parse(setting("PROTOCOL", "responses"))
    endpoint = ProviderEndpoint(protocol, setting("BASE_URL"), auth=schemes[scheme]())
    if header := setting("EXTRA_HEADER_NAME", ""):
        endpoint = endpoint.with_default_header(header, setting("EXTRA_HEADER_VALUE"))
    setting("API_KEY")
    return GatewayBuilder(endpoint).add_key(KeyConfig.from_env("OMNILLM_RESPONSES_API_KEY", "live")).request_timeout(180).build()


def ask(gateway: Gateway, request: LlmRequest) -> LlmResponse:
    """Ask, as a stream where the variables say so."""
    if setting("STREAM", "false").lower() not in ("1", "true", "yes"):
        return gateway.call(request)
    with gateway.stream(request) as stream:
        for _ in stream:
            pass
        return stream.response


def generation() -> GenerationConfig:
    """Give the cap of the output."""
    return GenerationConfig(max_output_tokens=int(setting("MAX_OUTPUT_TOKENS", "300")))


def vision(gateway: Gateway) -> None:
    """Ask what is in an image."""
    parts = [TextPart(setting("VISION_PROMPT", "What is in this image?")), ImageUrlPart(setting("IMAGE_URL"))]
    response = ask(gateway, LlmRequest(setting("VISION_MODEL"), [Message("user", parts)], generation=generation()))
    print(f"vision: {response.model}, {response.usage.total()} tokens\n{response.text}")


def tool(gateway: Gateway) -> None:
    """Let the model call a function, and answer with what it gave."""
    model, capabilities = setting("TOOL_MODEL"), CapabilitySet(tools=(WEATHER,))
    history = [Message.user(setting("TOOL_PROMPT", "What is the weather in Rome? Use the tool."))]
    first = ask(gateway, LlmRequest(model, history, capabilities=capabilities, generation=generation()))
    if not first.tool_calls:
        sys.exit(f"the model called no tool, and said: {first.text}")
    for call in first.tool_calls:
        print(f"tool: {call.name}({call.arguments})")
    results = [ToolResultPart(call.call_id, "22 degrees and sunny", call.name) for call in first.tool_calls]
    items = [*history, *first.as_input(), *results]
    print(ask(gateway, LlmRequest(model, items, capabilities=capabilities, generation=generation())).text)


def main(which: str = "both") -> None:
    """Run one of the two, or both."""
    with make_gateway() as gateway:
        if which in ("vision", "both"):
            vision(gateway)
        if which in ("tool", "both"):
            tool(gateway)


if __name__ == "__main__":
    main(*sys.argv[1:2])
