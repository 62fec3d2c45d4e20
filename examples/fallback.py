"""One provider fails, another one answers; the response tells what was tried."""

from omnillm import GatewayBuilder, KeyConfig, RetryPolicy
from omnillm.testing import LocalProvider, fail


def main() -> None:
    """Let Chat Completions be overloaded, and Messages take over."""
    with LocalProvider() as provider:
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("gpt-4.1-mini")
            .add_key(KeyConfig("sk-example", "openai"))
            .add_fallback(
                provider.endpoint("claude_messages"),
                [KeyConfig("sk-ant-example", "claude")],
                {"gpt-4.1-mini": "claude-haiku-4-5"},
            )
            .retry(RetryPolicy(max_attempts=2, base=0.01))
            .build()
        )
        provider.script(fail(503, times=2), protocol="chat_completions")
        with gateway:
            response = gateway.call("Who answers?")
            print(response)
            for attempt in response.attempts:
                print(f"{attempt.key_label}: {attempt.model} {attempt.status} {attempt.error or 'ok'}")


if __name__ == "__main__":
    main()
