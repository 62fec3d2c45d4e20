"""Many requests through one gateway, in order, taken as they are needed; and single ones that may be cancelled."""

from collections.abc import Iterator

from omnillm import CallCancelledError, GatewayBuilder, KeyConfig, PoolConfig
from omnillm.testing import LocalProvider, fail, hang


def questions(count: int) -> Iterator[str]:
    """Give questions as a file or a table would: one by one."""
    for n in range(count):
        yield f"question {n}"


def main() -> None:
    """Ask fifty questions eight at a time, then some that go wrong, then one that is cancelled."""
    with LocalProvider() as provider:  # in life: ProviderEndpoint.openai_chat_completions()
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))
            .default_model("gpt-4.1-mini")
            .add_keys([KeyConfig("sk-example-a", "a"), KeyConfig("sk-example-b", "b")])
            .pool_config(PoolConfig(acquire_timeout=30.0))
            .max_workers(8)
            .build()
        )
        with gateway:
            answers = list(gateway.map(questions(50), max_output_tokens=20))  # progress=True shows a bar where tqdm is installed
            print(answers[0], "…", answers[-1])

            provider.script(fail(400))
            for answer in gateway.map(["a", "b"], concurrency=1, return_exceptions=True):
                print(type(answer).__name__, "-", answer)

            provider.script(hang())
            future = gateway.submit("this one takes for ever")
            provider.wait_requests(53)
            future.cancel()
            try:
                future.result()
            except CallCancelledError as error:
                print("cancelled:", error)
            print("in flight:", sum(key.tpm_inflight for key in gateway.pool_status()))


if __name__ == "__main__":
    main()
