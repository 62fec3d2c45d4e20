"""Sessions with a model, both ways at once: OpenAI's Realtime and Gemini's Live, with what they cost."""

import threading

from omnillm import (
    GatewayBuilder,
    KeyConfig,
    PriceTable,
    PrimitiveRealtimeSession,
    PrimitiveRequest,
    PrimitiveUsageReported,
    PrimitiveWebSocketMessage,
    ProviderEndpoint,
    StreamInterruptedError,
)
from omnillm.testing import LocalProvider, break_stream

PRICES = PriceTable({"gpt-realtime": {"input": 4, "output": 16}, "gemini-live": {"input": 0.5, "output": 2}})


def ask(session: PrimitiveRealtimeSession, text: str) -> None:
    """Say a text, and ask for an answer."""
    part = {"type": "input_text", "text": text}
    session.send({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [part]}})
    session.send({"type": "response.create"})


def print_turn(session: PrimitiveRealtimeSession) -> None:
    """Print an answer as it comes, and what it took."""
    for event in session:
        if isinstance(event, PrimitiveWebSocketMessage):
            print(event.json().get("delta", ""), end="", flush=True)
        elif isinstance(event, PrimitiveUsageReported):
            usage = event.usage.token_usage
            print(f"  ({usage.total() if usage else 0} tokens)")
            return


def openai(base_url: str) -> None:
    """Listen in one thread, and speak in another; the body of the request is the first message."""
    request = PrimitiveRequest.json(
        "open_ai",
        "realtime",
        "open_ai_realtime",
        "gpt-realtime",
        {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}},
    )
    builder = GatewayBuilder(ProviderEndpoint.openai_responses(f"{base_url}/v1")).add_key(KeyConfig("sk-example"))
    with builder.pricing(PRICES).budget_limit_usd(1.0).build() as gateway:
        with gateway.primitive_realtime(request, timeout=60) as session:
            listener = threading.Thread(target=print_turn, args=(session,))
            listener.start()
            ask(session, "Count to three")
            listener.join()
            ask(session, "Once more")
            print_turn(session)
        print(f"two turns cost ${session.response.cost_usd:.6f}")


def gemini(base_url: str) -> None:
    """Set the session up with its first message; what a turn is, its usage tells."""
    request = PrimitiveRequest.json("gemini", "live", "gemini_live", None, {"setup": {"model": "models/gemini-live"}})
    endpoint = ProviderEndpoint.gemini_generate_content(f"{base_url}/v1beta")
    with GatewayBuilder(endpoint).add_key(KeyConfig("example")).pricing(PRICES).build() as gateway:
        with gateway.primitive_realtime(request) as session:
            print(next(session).type, "setupComplete")
            session.send({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}})
            for event in session:
                if isinstance(event, PrimitiveUsageReported):
                    break
        print("raw:", event.usage.raw_usage["totalTokenCount"], "tokens")


def broken_off(provider: LocalProvider) -> None:
    """Lose the connection in the midst of an answer: what came is paid for, and nothing is held."""
    provider.script(break_stream(7, how="reset"))
    builder = GatewayBuilder(ProviderEndpoint.openai_responses(f"{provider.base_url}/v1")).add_key(KeyConfig("sk-example"))
    request = PrimitiveRequest.get("open_ai", "realtime", "open_ai_realtime", "gpt-realtime")
    with builder.pricing(PRICES).budget_limit_usd(1.0).build() as gateway:
        try:
            with gateway.primitive_realtime(request) as session:
                ask(session, "Count to three")
                print_turn(session)
        except StreamInterruptedError as error:
            print(f"\nbroken off ({error.phase}), in flight: {gateway.pool_status()[0].tpm_inflight}")


def main() -> None:
    """Show all three, against a provider on this machine."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_responses(), ProviderEndpoint.gemini_generate_content()
        openai(provider.base_url)
        gemini(provider.base_url)
        broken_off(provider)


if __name__ == "__main__":
    main()
