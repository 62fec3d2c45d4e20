"""Print an answer as it arrives, then leave a second stream early."""

from omnillm import GatewayBuilder, KeyConfig, TextDelta, UsageUpdated
from omnillm.testing import LocalProvider


def main() -> None:
    """Read one stream to its end and another one not."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.claude_messages()
        gateway = (
            GatewayBuilder(provider.endpoint("claude_messages"))
            .default_model("claude-haiku-4-5")
            .add_key(KeyConfig("sk-ant-example", "claude"))
            .build()
        )
        with gateway:
            with gateway.stream("count from one to five") as stream:
                for event in stream:
                    if isinstance(event, TextDelta):
                        print(event.delta, end="", flush=True)
                    elif isinstance(event, UsageUpdated):
                        tokens = event.usage.total()
            print(f"\n{stream.response.finish_reason}, {tokens} tokens")

            with gateway.stream("a long story") as stream:
                print("first words:", next(stream.text()))
            # left early: its connection is closed, its key is free, and what was received is paid for
            print("in flight:", sum(key.tpm_inflight for key in gateway.pool_status()))


if __name__ == "__main__":
    main()
