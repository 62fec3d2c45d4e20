"""Run the conformance checks and fail where a rate is below the one kept here: ``conformance.py JUDGE RECORDED [--raise]``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).with_name("conformance-rates.json")


def main(judge: str, recorded: str, *, lift: bool) -> int:
    """Give the exit code; with ``lift`` the kept rates rise to what was reached."""
    kept = json.loads(KEPT.read_text())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        checks, formats = ",".join(kept["rates"]), ",".join(kept["formats"])
        subprocess.run(
            [sys.executable, judge, recorded, "--checks", checks, "--formats", formats, "--show", "2", "--json", str(out)],
            check=True,
        )
        totals = json.loads(out.read_text())["totals"]
    reached = {check: passed / of for check, (passed, of) in totals.items() if of}
    low = [
        f"{check}: {reached.get(check, 0.0):.4f} < {rate:.4f}"
        for check, rate in kept["rates"].items()
        if reached.get(check, 0.0) < rate
    ]
    for line in low:
        print("below the kept rate:", line)
    if lift and not low:
        kept["rates"] = {check: int(reached[check] * 10_000) / 10_000 for check in kept["rates"]}
        KEPT.write_text(json.dumps(kept, indent=2) + "\n")
    print("conformance:", "below the kept rates" if low else "at or above the kept rates")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], lift="--raise" in sys.argv[3:]))
