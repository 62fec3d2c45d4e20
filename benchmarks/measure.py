"""Taking figures: pieces of work turn by turn, so that what slows the machine slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
Sample = Callable[[], float]  # gives one figure: seconds, bytes, calls per second


@dataclass(frozen=True, slots=True)
class Effort:
    """Say how much is done for a figure: rounds, seconds for each piece of work in each, and the share of what is counted out."""

    rounds: int = 15
    seconds: float = 0.02
    share: float = 1.0

    def of(self, count: int) -> int:
        """Give the share of a count, at least one."""
        return max(1, int(count * self.share))


SMOKE = Effort(rounds=1, seconds=0.0005, share=0.002)


@dataclass(frozen=True, slots=True)
class Row:
    """Tell what came out: the least, the median and the most of the rounds, in ``unit``, beside the target.

    ``own`` is the median of the figure itself where the row is a ratio; a target is reached from below, or from above where
    ``at_least``. A row without a target is there to compare.
    """

    family: str
    name: str
    least: float
    median: float
    most: float
    unit: str = "ratio"
    own: str = ""
    target: float | None = None
    at_least: bool = False

    @property
    def is_over(self) -> bool:
        """Tell whether the median missed its target."""
        if self.target is None:
            return False
        return self.median < self.target if self.at_least else self.median > self.target


def row(
    family: str,
    name: str,
    figures: Iterable[float],
    *,
    unit: str = "ratio",
    own: str = "",
    target: float | None = None,
    at_least: bool = False,
) -> Row:
    """Make a row of what the rounds gave."""
    found = sorted(figures)
    return Row(family, name, found[0], statistics.median(found), found[-1], unit, own, target, at_least)


def interleaved(samples: Mapping[str, Sample], rounds: int) -> dict[str, list[float]]:
    """Take each sample once a round; the order turns, so that none is always behind the same one."""
    names = list(samples)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            taken[name].append(samples[name]())
    return taken


def ratios(own: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Give the ratios within the rounds."""
    return [one / max(other, 1e-12) for one, other in zip(own, baseline, strict=True)]


def micros(seconds: Sequence[float]) -> str:
    """Spell the median of some seconds."""
    return f"{statistics.median(seconds) * 1e6:.1f} us"


def timed(work: Work, seconds: float) -> Sample:
    """Give the sample of a piece of work: its processor time, over as many turns as fill the seconds."""
    work()  # what the first use imports and fills is nobody's cost
    often = max(1, int(seconds / max(_spent(work, 3), 1e-7)))
    return lambda: _spent(work, often)


def counted(work: Work, often: int) -> Sample:
    """Give the sample of a piece of work: its processor time, over so many turns."""
    work()
    return lambda: _spent(work, often)


def _spent(work: Work, often: int) -> float:
    # processor time: what other processes take is not ours
    began = time.process_time()
    for _ in range(often):
        work()
    return (time.process_time() - began) / often
