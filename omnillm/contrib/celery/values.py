"""What travels as JSON: requests, responses and what else has a JSON form, in arguments and results of tasks.

Purpose: Celery's default serializer carries canonical values as they are, a response with its ``meta``.
Contract: what is written is one text. In plain objects a model's own words could stand as ``{"__type__": …}``, and kombu, which
looks for that at any depth, would take them for its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from kombu.utils.json import register_type

import omnillm

from ...errors import AttemptRecord, InvalidShapeError
from ...policy.pricing import Cost
from ...types._model import Model
from ...types.report import Loss
from ...types.response import NO_META, Metered, ResponseMeta

MARKER = "omnillm"


def register_types() -> None:
    """Tell kombu how values are written and read; once is enough, and it must be done on both sides."""
    register_type(Model, MARKER, encoded, decoded)


def is_public(value: Any) -> bool:
    """Tell whether it is a canonical value that omnillm gives by name."""
    return isinstance(value, Model) and getattr(omnillm, type(value).__name__, None) is type(value)


def encoded(value: Model) -> list[Any]:
    """Give a value as its class and a JSON text, and of a response what the gateway knows of it."""
    name = type(value).__name__
    if not is_public(value):
        raise TypeError(f"{name} is none of omnillm's public values: it does not travel as JSON")
    meta = value.meta if isinstance(value, Metered) else NO_META
    return [name, value.to_json(), None if meta is NO_META else json.dumps(packed_meta(meta))]


def decoded(given: Any) -> Any:
    """Read what ``encoded`` gave; raises ``ProtocolError`` for anything else."""
    if not isinstance(given, list) or len(given) != 3:
        raise InvalidShapeError("expected a value of omnillm's: its class, its JSON and its meta")
    name, text, meta = given
    kind = getattr(omnillm, name, None) if name in omnillm.__all__ else None
    if not isinstance(kind, type) or not issubclass(kind, Model):
        raise InvalidShapeError(f"{name!r:.80} is none of omnillm's values")
    value = kind.from_json(text)
    if meta is not None:
        object.__setattr__(value, "meta", unpacked_meta(json.loads(meta)))
    return value


def packed_meta(meta: ResponseMeta) -> dict[str, Any]:
    """Give what is known of a response as JSON, but for ``parsed``, which may be of any class."""
    plain = {field.name: getattr(meta, field.name) for field in fields(meta) if field.name != "parsed"}
    return plain | {
        "attempts": [asdict(record) for record in meta.attempts],
        "request_losses": [loss.to_dict() for loss in meta.request_losses],
        "cost": None if meta.cost is None else asdict(meta.cost),
    }


def unpacked_meta(told: Mapping[str, Any]) -> ResponseMeta:
    """Read what ``packed_meta`` gave."""
    return ResponseMeta(
        **{
            **told,
            "attempts": tuple(AttemptRecord(**record) for record in told["attempts"]),
            "request_losses": tuple(Loss.from_dict(loss) for loss in told["request_losses"]),
            "cost": None if told["cost"] is None else Cost(**told["cost"]),
        }
    )
