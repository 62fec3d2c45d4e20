"""Processes that share one state: what each does is said in JSON, and each prints what it got.

Run as a program it is one of the processes; ``fleet`` starts many and gathers what they print.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from omnillm.errors import NoAvailableKeyError
from omnillm.policy.limits import Budget
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, Verdict
from omnillm.state.pool import KeyPool
from omnillm.state.redis import RedisState

ROOT = Path(__file__).parents[2]


def fleet(processes: int, **task: Any) -> list[Any]:
    """Run so many processes of a task, begun together, and give what each printed."""
    started = [
        subprocess.Popen(
            [sys.executable, __file__, json.dumps({**task, "seed": number})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        for number in range(processes)
    ]
    try:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        for one in started:
            assert one.stdin is not None
            one.stdin.write(b"go\n")
            one.stdin.flush()
        outputs = [one.communicate(timeout=150)[0] for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()
    assert all(one.returncode == 0 for one in started)
    return [json.loads(output) for output in outputs]


def most_in(moments: list[tuple[float, int]], window: float) -> int:
    """Give the most that was let in within any closed window, of moments and what each counts for."""
    moments, most, sum_, first = sorted(moments), 0, 0, 0
    for at, count in moments:
        sum_ += count
        while moments[first][0] < at - window:
            sum_ -= moments[first][1]
            first += 1
        most = max(most, sum_)
    return most


def state_of(task: dict[str, Any]) -> RedisState:
    state = RedisState(task["url"], name=task["name"], timeout=5.0, window=task.get("window", 60.0))
    state.add_budgets([Budget(task["budget"])] if "budget" in task else ())
    state.add_pool("p", [KeySpec(f"k{number}", task["tpm"], task["rpm"]) for number in range(task.get("keys", 1))])
    return state


def work(task: dict[str, Any], state: RedisState, rng: random.Random, got: list[Any], until: float) -> None:
    """Admit and settle until the time is over or all money spent; note the key, the moment and the tokens of each admission."""
    while time.monotonic() < until:
        tokens = rng.randint(1, 9)
        outcome = state.admit(Ask("p", "m", tokens, task.get("charge", 0)))
        if isinstance(outcome, KeyLease):
            got.append((outcome.label, outcome.reservation.admitted_at, tokens))
            if rng.random() < 0.1:
                time.sleep(rng.random() * 0.05)
            charge = task.get("charge", 0) - rng.randint(0, 1) * task.get("charge", 0) // 2
            state.settle(outcome.reservation.id, Settlement(tokens, charge, Verdict.success()))
        elif outcome.budget is not None:
            if outcome.budget.reserved == 0:
                return  # nothing comes back
            time.sleep(0.01)
        else:
            time.sleep(min(outcome.retry_after or 0.01, 0.02))


def wait_for_turns(state: RedisState, got: list[Any], until: float) -> None:
    """Wait for the key again and again, as calls do."""
    pool = KeyPool(state, "p", acquire_timeout=60.0)
    while (left := until - time.monotonic()) > 0:
        try:
            lease = pool.acquire(Ask("p", "m", 1, 0), timeout=left)
        except NoAvailableKeyError:
            return
        got.append((lease.label, lease.reservation.admitted_at, 1))
        pool.settle(lease, Settlement(1, 0, Verdict.success()))


def main() -> None:
    task = json.loads(sys.argv[1])
    state, got, rng = state_of(task), [], random.Random(task["seed"])
    state.snapshot()
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + task["seconds"]
    if task.get("waits"):
        bodies = [threading.Thread(target=wait_for_turns, args=(state, got, until)) for _ in range(task["threads"])]
    else:
        seeds = [random.Random(rng.random()) for _ in range(task["threads"])]
        bodies = [threading.Thread(target=work, args=(task, state, seed, got, until)) for seed in seeds]
    for body in bodies:
        body.start()
    for body in bodies:
        body.join()
    state.close()
    print(json.dumps(got))


if __name__ == "__main__":
    main()
