"""Taking ratios: two pieces of work, turn by turn, so that what slows the machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """Name a piece of work, and what it is measured against; ``target`` is the ratio it should not exceed."""

    name: str
    work: Work
    baseline: Work
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Tell what a case took: its ratios over the rounds, and the median of its microseconds."""

    name: str
    least: float
    median: float
    most: float
    micros: float
    target: float | None

    @property
    def is_over(self) -> bool:
        """Tell whether the median missed its target."""
        return self.target is not None and self.median > self.target


def measure(cases: Sequence[Case], *, rounds: int, seconds: float) -> list[Row]:
    """Measure every case in every round; each piece of work runs for about so many seconds a round."""
    counts = [(_count(case.work, seconds), _count(case.baseline, seconds)) for case in cases]
    took: list[list[tuple[float, float]]] = [[] for _ in cases]
    for _ in range(rounds):
        for case, (often, baseline_often), seen in zip(cases, counts, took, strict=True):
            seen.append((_time(case.work, often), _time(case.baseline, baseline_often)))
    return [_row(case, seen) for case, seen in zip(cases, took, strict=True)]


def _count(work: Work, seconds: float) -> int:
    work()  # what the first use imports and fills is nobody's cost
    return max(1, int(seconds / max(_time(work, 3), 1e-7)))


def _time(work: Work, often: int) -> float:
    # processor time: what other processes take is not ours
    began = time.process_time()
    for _ in range(often):
        work()
    return (time.process_time() - began) / often


def _row(case: Case, seen: Iterable[tuple[float, float]]) -> Row:
    pairs = [(own, max(baseline, 1e-9)) for own, baseline in seen]
    ratios = sorted(own / baseline for own, baseline in pairs)
    micros = statistics.median(own for own, _ in pairs) * 1e6
    return Row(case.name, ratios[0], statistics.median(ratios), ratios[-1], micros, case.target)
