"""The errors of omnillm as they leave a task: each its own class's, with all that it says in two texts.

Of an exception Celery's JSON keeps the class and ``args``, and makes it anew of those. So each error has a subclass of the same
name here whose second argument is its parts, as JSON: whoever waits for the task catches what the task has raised.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ... import errors
from ...errors import AttemptRecord, OmniLLMError
from ...types.enums import ProviderProtocol
from ...types.report import Loss
from .values import decoded, encoded, is_public


class _Travelling:
    """Be an error that is made anew of its ``args``."""

    def __init__(self, message: str = "", told: str = "{}") -> None:
        super().__init__(message)  # type: ignore[call-arg]  # of the error's own class, which comes next
        self.args = (message, told)
        self.__dict__.update(_unpacked(told))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


_CLASSES: dict[type[OmniLLMError], type[OmniLLMError]] = {
    own: type(name, (_Travelling, own), {"__module__": __name__, "__doc__": own.__doc__})
    for name, own in vars(errors).items()
    if isinstance(own, type) and issubclass(own, OmniLLMError)
}
globals().update({own.__name__: travelling for own, travelling in _CLASSES.items()})  # where pickle and Celery look for them


def travelling(error: OmniLLMError) -> OmniLLMError:
    """Give the error as one that every serializer carries whole, with its traceback; a subclass of a user's own as it is."""
    kind = _CLASSES.get(type(error))
    if kind is None:
        return error
    told: Any = kind  # its arguments are those of ``_Travelling``
    made: OmniLLMError = told(error.message, _packed(error))
    return made.with_traceback(error.__traceback__)


# --- the parts of an error -----------------------------------------------------------------------------------------------------


def _same(part: Any) -> Any:
    return part


def _value(part: Any) -> Any:
    return encoded(part) if is_public(part) else None


def _read_value(told: Any) -> Any:
    return None if told is None else decoded(told)


_Form = tuple[Callable[[Any], Any], Callable[[Any], Any]]
_FORMS: dict[str, _Form] = {
    "attempts": (lambda attempts: [asdict(record) for record in attempts], lambda told: tuple(AttemptRecord(**r) for r in told)),
    "losses": (lambda losses: [loss.to_dict() for loss in losses], lambda told: tuple(map(Loss.from_dict, told))),
    "protocol": (_same, lambda told: None if told is None else ProviderProtocol(told)),
    "response": (_value, _read_value),
    "partial_response": (_value, _read_value),
}
_PLAIN: _Form = (_same, _same)


def _packed(error: OmniLLMError) -> str:
    """Give the parts as JSON; what has no JSON form, such as a value of a user's own class, stays behind."""
    told = {}
    for name, part in vars(error).items():
        try:
            told[name] = json.loads(json.dumps(_FORMS.get(name, _PLAIN)[0](part)))
        except (TypeError, ValueError, RecursionError):
            continue
    return json.dumps(told)


def _unpacked(told: str) -> dict[str, Any]:
    return {name: _FORMS.get(name, _PLAIN)[1](part) for name, part in json.loads(told).items()}
