"""Many calls at once over several keys, then how the keys and the budget stand."""

from concurrent.futures import ThreadPoolExecutor

from omnillm import GatewayBuilder, KeyConfig, PoolConfig
from omnillm.testing import LocalProvider


def main() -> None:
    """Ask twenty questions on eight threads."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_chat_completions()
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("gpt-4.1-mini")
            .add_key(KeyConfig("sk-example-a", "a", rpm_limit=12))
            .add_key(KeyConfig("sk-example-b", "b", rpm_limit=12))
            .budget_limit_usd(1.0)
            .pool_config(PoolConfig(acquire_timeout=5.0))
            .build()
        )
        with gateway, ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(gateway.call, (f"question {n}" for n in range(20))))
            print(answers[0])
            for key in gateway.pool_status():
                print(f"{key.label}: {key.rpm_used}/{key.rpm_limit} requests, {key.tpm_used}/{key.tpm_limit} tokens")
            print(f"spent ${gateway.budget_used_usd():.6f}, left ${gateway.budget_remaining_usd():.6f}")


if __name__ == "__main__":
    main()
