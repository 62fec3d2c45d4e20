"""Stepping down: a cheaper model takes the call where a budget runs low.

Purpose: say which model a call gets, by how much of the tightest budget that applies to it is left.
Contract: values alone; who asks has read the budgets, and asks once in a call, before anything is admitted.
Rules:
- A step takes effect below its threshold. Of several that do, the lowest that maps the model decides; steps do not add up.
- A model that no step maps is never looked up, and costs no look at a budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .._dataclass import dataclass
from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Downgrade:
    """Give models cheaper stand-ins while less than ``below`` (a fraction) of a budget's limit is left."""

    below: float
    model_map: Mapping[str, str]

    def __post_init__(self) -> None:
        if isinstance(self.below, bool) or not isinstance(self.below, int | float) or not 0 < self.below <= 1:
            raise ConfigurationError(f"below: expected a fraction above 0 and up to 1, got {self.below!r:.80}", field="below")
        if not isinstance(self.model_map, Mapping) or not self.model_map:
            raise ConfigurationError("model_map: expected at least one model with its stand-in", field="model_map")
        for asked, instead in self.model_map.items():
            if not (isinstance(asked, str) and asked and isinstance(instead, str) and instead):
                raise ConfigurationError("model_map: expected model names", field="model_map")
        object.__setattr__(self, "model_map", dict(self.model_map))


class ModelRouter:
    """Choose the model of a call by what is left of its tightest budget."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[Downgrade]) -> None:
        steps = sorted(steps, key=lambda step: step.below)
        models = {model: None for step in steps for model in step.model_map}
        self._steps: Mapping[str, tuple[tuple[float, str], ...]] = MappingProxyType(
            {model: tuple((step.below, step.model_map[model]) for step in steps if model in step.model_map) for model in models}
        )

    def maps(self, model: str) -> bool:
        """Tell whether there is a stand-in for the model at all."""
        return model in self._steps

    def model(self, asked: str, left: float) -> str:
        """Name the model for the one asked for, so much (a fraction) of the tightest budget being left."""
        return next((instead for below, instead in self._steps.get(asked, ()) if left < below), asked)
