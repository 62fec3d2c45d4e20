"""The tour of ``python -m omnillm demo``: everything a gateway does, on a provider inside this process. No key, no network."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

from ._dataclass import dataclass
from .config import KeyConfig
from .gateway.builder import GatewayBuilder
from .gateway.gateway import Gateway
from .policy.limits import PoolConfig
from .policy.retry import RetryPolicy
from .testing import LocalProvider, fail
from .types.enums import ProviderProtocol, WireFormat
from .types.events import TextDelta
from .wire import transcode_api_request

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES
CALLS = 40
MODEL, FALLBACK_MODEL = "gpt-4.1-mini", "claude-haiku-4-5"


@dataclass(frozen=True, slots=True)
class Step:
    """Tell of a step whether it happened."""

    step: str
    happened: bool
    said: str


@dataclass(slots=True)
class Tour:
    """Show steps, and remember which of them did not happen."""

    steps: list[Step] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Name the steps that did not happen."""
        return [step.step for step in self.steps if not step.happened]

    def show(self, step: str, happened: bool, said: str) -> None:
        """Print one step."""
        self.steps.append(Step(step, happened, said))
        print(f"  {'ok ' if happened else 'NOT'}  {step:<22} {said}")


def run() -> Tour:
    """Take the tour, and tell how it went."""
    started = time.monotonic()
    tour = Tour()
    keys = [KeyConfig("sk-demo-alpha", "alpha"), KeyConfig("sk-demo-bravo", "bravo"), KeyConfig("sk-demo-dead", "charlie")]
    with LocalProvider(dead_keys=["sk-demo-dead"], latency=0.02, event_interval=0.03) as provider:
        print(f"omnillm demo: a provider at {provider.base_url}, three keys and a fallback, a budget of $1\n")
        builder = (
            GatewayBuilder(provider.endpoint(CHAT))
            .default_model(MODEL)
            .add_keys(keys)
            .add_fallback(provider.endpoint(CLAUDE), [KeyConfig("sk-ant-demo", "claude")], {MODEL: FALLBACK_MODEL})
            .budget_limit_usd(1.0)
            .pool_config(PoolConfig(acquire_timeout=2.0))
            .retry(RetryPolicy(base=0.01))
        )
        with builder.build() as gateway:
            _forty_calls(tour, gateway)
            _dead_key(tour, gateway, provider)
            _stream(tour, gateway)
            _rate_limit(tour, gateway, provider)
            _fallback(tour, gateway, provider)
            _transcoding(tour)
            _status(gateway)
    missing = f"; did not happen: {', '.join(tour.missing)}" if tour.missing else ""
    print(f"\n{time.monotonic() - started:.1f} s{missing}")
    return tour


def _forty_calls(tour: Tour, gateway: Gateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: gateway.call(f"call number {n}"), range(CALLS)))
    good = sum(f"call number {n}" in answer.text for n, answer in enumerate(answers))
    used = sorted({str(answer.key_label) for answer in answers})
    tour.show("forty calls at once", good == CALLS, f"{good} answered, spread over {', '.join(used)}")


def _dead_key(tour: Tour, gateway: Gateway, provider: LocalProvider) -> None:
    dead = [status.label for status in gateway.pool_status() if status.dead]
    shown = sum(request.key == "sk-demo-dead" for request in provider.requests)
    said = f"{', '.join(dead)} was refused with 401 ({shown}x), its calls went to other keys"
    tour.show("a dead key retired", dead == ["charlie"], said)


def _stream(tour: Tour, gateway: Gateway) -> None:
    print("  ...  a stream               ", end="")
    arrived: list[float] = []
    with gateway.stream("one two three four five six seven eight") as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                arrived.append(time.monotonic())
                print(event.delta, end="")
                sys.stdout.flush()
    print()
    spread = (arrived[-1] - arrived[0]) * 1000
    tour.show(
        "a stream",
        len(arrived) > 4 and spread > 50,
        f"{len(arrived)} pieces over {spread:.0f} ms, ${stream.response.cost_usd:.7f}",
    )


def _rate_limit(tour: Tour, gateway: Gateway, provider: LocalProvider) -> None:
    provider.script(fail(429, retry_after=30))
    answer = gateway.call("survive a rate limit")
    first, last = answer.attempts[0], answer.attempts[-1]
    survived = [first.status, last.status] == [429, 200]
    tour.show("a 429 survived", survived, f"{first.key_label} was refused and cools for 30 s, {last.key_label} answered")


def _fallback(tour: Tour, gateway: Gateway, provider: LocalProvider) -> None:
    provider.script(fail(503, times=3), protocol=CHAT)
    answer = gateway.call("take the other road")
    taken = answer.provider_protocol is CLAUDE and answer.model == FALLBACK_MODEL
    tour.show(
        "a fallback taken", taken, f"{len(answer.attempts)} attempts, answered by {answer.model} at {answer.provider_protocol}"
    )


def _transcoding(tour: Tour) -> None:
    payload = {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "seed": 7,
        "logit_bias": {"50256": -100},
    }
    report = transcode_api_request(WireFormat.OPENAI_CHAT_COMPLETIONS, WireFormat.ANTHROPIC_MESSAGES, payload)
    lost = sorted(loss.pointer.rsplit("/", 1)[-1] for loss in report.losses)
    happened = "Be brief." in str(report.value["system"]) and lost == ["logit_bias", "seed"]
    tour.show("a request transcoded", happened, f"Chat to Anthropic; named as lost: {', '.join(lost)}")


def _status(gateway: Gateway) -> None:
    print(f"\n  {'key':<10}{'state':<14}{'requests':>10}{'tokens':>12}{'in flight':>11}")
    for key in gateway.pool_status():
        state = "ready" if key.available else key.reason or "busy"
        requests, tokens = f"{key.rpm_used}/{key.rpm_limit}", f"{key.tpm_used}/{key.tpm_limit}"
        print(f"  {key.label:<10}{state:<14}{requests:>10}{tokens:>12}{key.tpm_inflight:>11}")
    print(f"  budget: ${gateway.budget_used_usd():.6f} used, ${gateway.budget_remaining_usd():.6f} left")
