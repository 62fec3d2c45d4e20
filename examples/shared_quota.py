"""Two processes, one key, one limit: what they may send in a minute is counted in Redis (or Valkey), and so is the money.

Needs the extra ``redis`` and a server: REDIS_URL, or redis://localhost:6379/0.
"""

import multiprocessing
import os
import uuid
from multiprocessing.connection import Connection

from omnillm import Gateway, GatewayBuilder, KeyConfig, NoAvailableKeyError, ProviderEndpoint, RedisState
from omnillm.testing import LocalProvider

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
LIMIT, CALLS_EACH = 10, 8


def gateway_of(base_url: str, name: str) -> Gateway:
    """Build the gateway that every process builds: that it is the same state is all there is to say."""
    return (
        GatewayBuilder(ProviderEndpoint("open_ai_chat_completions", base_url))  # in life: .openai_chat_completions()
        .default_model("gpt-4.1-mini")
        .add_key(KeyConfig("sk-example", "shared", rpm_limit=LIMIT))
        .budget_limit_usd(1.0)
        .state(RedisState(URL, name=name, timeout=2.0))
        .build()
    )


def work(base_url: str, name: str, told: Connection) -> None:
    """Make some calls, and tell how many were let in."""
    answered = 0
    with gateway_of(base_url, name) as gateway:
        for n in range(CALLS_EACH):
            try:
                gateway.call(f"question {n}")
                answered += 1
            except NoAvailableKeyError:  # the other process had the rest
                pass
    told.send(answered)


def main() -> None:
    """Start two processes, and look at what they used from a third."""
    name = f"example-{uuid.uuid4().hex[:8]}"  # in life the name of the application; the same in all of its processes
    context = multiprocessing.get_context("spawn")
    with LocalProvider() as provider:
        base_url = f"{provider.base_url}/v1"
        ours, theirs = zip(*(context.Pipe(duplex=False) for _ in range(2)), strict=True)
        workers = [context.Process(target=work, args=(base_url, name, end)) for end in theirs]
        for worker in workers:
            worker.start()
        answered = [end.recv() for end in ours]
        for worker in workers:
            worker.join()
        print(
            f"{2 * CALLS_EACH} calls, {sum(answered)} answered, limit {LIMIT}; all were sent: {len(provider.requests) == LIMIT}"
        )
        with gateway_of(base_url, name) as gateway:
            (key,) = gateway.pool_status()
            print(f"{key.label}: {key.rpm_used}/{key.rpm_limit} requests; in flight: {key.tpm_inflight}")
            print(f"spent ${gateway.budget_used_usd():.6f} of $1")


if __name__ == "__main__":
    main()
