"""Set aside: models that a provider refuses to some keys, which serve every other model as before.

Purpose: remember until when a key is set aside for one model; infinity is until it is revived.
Contract: a value; ``adding`` and ``without`` give a new one, which takes effect by one store.
Rules:
- What has expired is forgotten at the next change.
- At most ``PAIRS_KEPT`` pairs: beyond, the models whose last refusal is oldest go; what is forgotten costs a refused call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAIRS_KEPT = 4096

_NONE: Mapping[str, float] = MappingProxyType({})


class Aside:
    """Until when which keys (labels) are set aside for which models."""

    __slots__ = ("_models",)

    def __init__(self, models: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._models = models or {}

    def __len__(self) -> int:
        return sum(len(labels) for labels in self._models.values())

    def of(self, model: str | None) -> Mapping[str, float]:
        """Give the keys set aside for the model, each with the time until when."""
        return self._models.get(model, _NONE) if model is not None else _NONE

    def adding(self, model: str, label: str, until: float, now: float) -> Aside:
        """Set a key aside for the model until then; a shorter time never shortens a longer one."""
        models = {name: kept for name, labels in self._models.items() if name != model and (kept := _lasting(labels, now))}
        ours = _lasting(self.of(model), now)
        ours[label] = max(until, ours.pop(label, 0.0))
        while len(ours) > PAIRS_KEPT:
            del ours[next(iter(ours))]
        pairs = len(ours) + sum(map(len, models.values()))
        while pairs > PAIRS_KEPT:
            pairs -= len(models.pop(next(iter(models))))
        models[model] = ours
        return Aside(models)

    def without(self, label: str) -> Aside:
        """Take the key back for every model."""
        models = {
            name: {other: until for other, until in labels.items() if other != label} for name, labels in self._models.items()
        }
        return Aside({name: labels for name, labels in models.items() if labels})


def _lasting(labels: Mapping[str, float], now: float) -> dict[str, float]:
    return {label: until for label, until in labels.items() if until > now}
