"""A provider fails, another answers; a key is late, another is asked beside it; a budget runs low, a cheaper model answers."""

from omnillm import GatewayBuilder, KeyConfig, LlmResponse, RetryPolicy
from omnillm.testing import LocalProvider, delay, fail


def tell(response: LlmResponse) -> None:
    """Print the answer, and what was tried for it."""
    print(response)
    for attempt in response.attempts:
        print(f"{attempt.key_label}: {attempt.model} {attempt.status} {attempt.error or 'ok'}")


def fall_back() -> None:
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
            tell(gateway.call("Who answers?"))


def hedge() -> None:
    """Let the key that is asked first be late, and another one answer."""
    with LocalProvider() as provider:
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("gpt-4.1-mini")
            .add_keys([KeyConfig("sk-one", "one"), KeyConfig("sk-two", "two")])
            .retry(RetryPolicy(hedge_after=0.05))
            .build()
        )
        provider.script(delay(5))
        with gateway:
            tell(gateway.call("Who is faster?"))


def step_down() -> None:
    """Let less than all of a budget be left, and a cheaper model answer."""
    with LocalProvider() as provider:
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("gpt-4.1")
            .add_key(KeyConfig("sk-example", "key"))
            .budget_limit_usd(1.0)
            .add_downgrade(below=1.0, model_map={"gpt-4.1": "gpt-4.1-mini"})
            .build()
        )
        with gateway:
            gateway.call("The whole budget is there.")
            response = gateway.call("A little of it is gone.")
            print(f"asked for {response.meta.downgraded_from}")
            tell(response)


def main() -> None:
    """Show all three."""
    fall_back()
    hedge()
    step_down()


if __name__ == "__main__":
    main()
