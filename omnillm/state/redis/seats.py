"""Pools as the scripts know them: for each kind of request a blob of seats, packed once, of which a script reads what it tries.

A key's lane has the name of its key and a hash keyed by its pool, so that keys of one label in two pools never meet.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from ...errors import ConfigurationError
from ...policy.limits import ModelLimits, PoolConfig
from .. import KeySpec

_SEAT = struct.Struct("<ddIH12s")


class Seats:
    """The lanes that one kind of request may take: their labels, and the blob that the scripts read."""

    __slots__ = ("blob", "labels", "lanes", "places")

    def __init__(self, prefix: str, pool: str, seats: Iterable[tuple[KeySpec, str | None]], *, with_models: bool = False) -> None:
        given = list(seats)
        self.labels = [spec.label for spec, _ in given]
        self.places = {label: place for place, label in enumerate(self.labels)}
        self.lanes: list[str] = []
        heads, names, at = [], [], len(given) * _SEAT.size + 1
        for spec, model in given:
            digest = lane_digest(pool, spec.label, model)
            limits = spec.models[model] if model is not None else ModelLimits(spec.tpm_limit, spec.rpm_limit)
            name = (spec.label if model is None or not with_models else f"{spec.label}\0{model}").encode()
            heads.append(_SEAT.pack(limits.tpm_limit, limits.rpm_limit, at, len(name), digest.encode()))
            names.append(name)
            at += len(name)
            self.lanes.append(f"{prefix}key:{digest}:{spec.label}")
        self.blob = b"".join([*heads, *names])


def lane_digest(pool: str, label: str, model: str | None) -> str:
    """Name a lane: a hash of label and model, keyed by the pool."""
    what = json.dumps([label, model]).encode()
    return hashlib.blake2b(what, key=hashlib.sha256(pool.encode()).digest(), digest_size=6).hexdigest()


class Pool:
    """The keys of one pool, and the seats of each model with limits of its own; those of ``None`` serve all others."""

    def __init__(self, prefix: str, name: str, specs: Iterable[KeySpec], config: PoolConfig) -> None:
        self.name = name
        self.key = name.encode()
        self.config = config
        self.specs: dict[str, KeySpec] = {}
        for spec in specs:
            if spec.label in self.specs:
                raise ConfigurationError(f"label: {spec.label!r} is given twice in pool {name!r}", field="label")
            if "\0" in spec.label or "\x1f" in spec.label:
                raise ConfigurationError("label: no control characters", field="label")
            self.specs[spec.label] = spec
        models = dict.fromkeys(model for spec in self.specs.values() for model in spec.models)
        self._prefix = prefix
        self.by_model = {model: self._seats(model) for model in (None, *models)}
        self.registered = False
        self.denied: set[str] = set()  # models that some key was seen to be set aside for
        self.choices = 0

    def _seats(self, model: str | None) -> Seats:
        specs = self.specs.values()
        return Seats(self._prefix, self.name, [(spec, model if model in spec.models else None) for spec in specs])

    def seats(self, model: str) -> Seats:
        """Give the seats of a model's calls."""
        return self.by_model.get(model) or self.by_model[None]

    def lane(self, label: str, model: str) -> str:
        """Name the lane of one key for a model."""
        seats = self.seats(model)
        return seats.lanes[seats.places[label]]

    def of_label(self, label: str) -> tuple[bytes, int]:
        """Give the seats of every lane of one key."""
        spec = self.specs[label]
        models = (None, *spec.models)
        return Seats(self._prefix, self.name, [(spec, model) for model in models]).blob, len(models)

    @property
    def every_lane(self) -> tuple[bytes, int]:
        """Give the seats of every lane there is, key by key; those of models are named by both."""
        lanes = [(spec, model) for spec in self.specs.values() for model in (None, *spec.models)]
        return Seats(self._prefix, self.name, lanes, with_models=True).blob, len(lanes)

    def same_as(self, other: Pool) -> bool:
        """Tell whether it was configured alike; how long callers wait, and what they reserve, is theirs."""
        ours, theirs = self.config, other.config
        return self.specs == other.specs and ours == replace(
            theirs, acquire_timeout=ours.acquire_timeout, default_output_tokens=ours.default_output_tokens
        )

    def to_json(self) -> str:
        """Write down what the pool is, for those who look at the state from outside."""
        keys = [
            {
                "label": spec.label,
                "tpm": spec.tpm_limit,
                "rpm": spec.rpm_limit,
                "models": {model: asdict(limits) for model, limits in spec.models.items()},
            }
            for spec in sorted(self.specs.values(), key=lambda spec: spec.label)
        ]
        config = self.config
        rules = [config.circuit_breaker_threshold, config.circuit_breaker_cooldown, config.selection]
        return json.dumps({"keys": keys, "rules": rules}, sort_keys=True)

    @classmethod
    def from_json(cls, prefix: str, name: str, text: str) -> Pool:
        """Read what another process wrote down."""
        told: Mapping[str, list[Mapping[str, object]]] = json.loads(text)
        specs = [_spec(key) for key in told["keys"]]
        return cls(prefix, name, specs, PoolConfig())


def _spec(key: Mapping[str, object]) -> KeySpec:
    models = key["models"]
    assert isinstance(models, dict)
    limits = {model: ModelLimits(**given) for model, given in models.items()}
    return KeySpec(str(key["label"]), tpm_limit=int(str(key["tpm"])), rpm_limit=int(str(key["rpm"])), models=limits)
