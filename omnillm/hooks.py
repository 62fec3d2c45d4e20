"""Telling the user's hooks what happened: nothing they raise reaches a call, nothing is told under a lock."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ._cancel import is_from_outside
from .errors import ConfigurationError
from .types.hooks import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    FallbackTaken,
    HedgeStarted,
    HookEvent,
    ModelDowngraded,
    RetryScheduled,
    ToolEnded,
)

logger = logging.getLogger("omnillm")

Hook = Callable[[HookEvent], None]

TRACE_HEADERS = ("traceparent", "tracestate")  # W3C Trace Context: no provider takes them for anything else
_LINE = re.compile(r"[ -~]{1,8192}").fullmatch


def dispatch(hooks: tuple[Hook, ...], event: HookEvent) -> None:
    """Hand the event to every hook; what one raises is logged by its class alone, and swallowed."""
    for hook in hooks:
        try:
            hook(event)
        except Exception as error:  # the boundary to user code
            if is_from_outside(error):
                raise
            logger.error("the on_event hook %s raised %s", _name(hook), type(error).__name__)  # noqa: TRY400  # a traceback may show a key


def asking(hooks: tuple[Hook, ...], what: str) -> tuple[Hook, ...]:
    """Give the hooks that ask, by an attribute which is ``True``, for what others are not told."""
    return tuple(hook for hook in hooks if getattr(hook, what, False) is True)


def headers_of(hooks: tuple[Hook, ...], event: AttemptStarted) -> dict[str, str]:
    """Give the headers that the hooks add to an attempt's request, by ``request_headers(event)``: none that is a request's own.

    What a hook raises, or gives that is no header, is logged without being quoted, and left out.
    """
    found: dict[str, str] = {}
    for hook in hooks:
        try:
            given = dict(hook.request_headers(event))  # type: ignore[attr-defined]  # who has ``wants_headers`` has it
            for name, value in given.items():
                if not (isinstance(name, str) and name.lower() in TRACE_HEADERS and isinstance(value, str) and _LINE(value)):
                    raise ConfigurationError("expected a header of a trace, one line of printable ASCII", field="request_headers")
            found |= given
        except Exception as error:  # the boundary to user code
            if is_from_outside(error):
                raise
            logger.error("the headers of the on_event hook %s raised %s", _name(hook), type(error).__name__)  # noqa: TRY400
    return found


def _name(hook: Hook) -> str:
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    return f"{named.__module__}.{named.__qualname__}"


class _Line(NamedTuple):
    level: int
    text: str
    values: tuple[Any, ...]
    fields: dict[str, Any]


def logging_hook(event: HookEvent) -> None:
    """Log what operators ask for, on the logger ``omnillm``: no text of a prompt or an answer, no key.

    Retries, fallbacks and calls that failed are warnings, the ends of the other calls are information, attempts and tools are for
    debugging. Each line ends with its call's id, and has what it says as ``extra`` too: ``omnillm_event``, ``omnillm_call_id``
    and so on, for who writes logs as JSON.
    """
    level, line_of = _LINES.get(type(event), (0, None))
    if line_of is None or not logger.isEnabledFor(level):
        return
    line: _Line = line_of(event)
    if not logger.isEnabledFor(line.level):
        return
    id = getattr(event, "call_id", "") or getattr(event, "tool_call_id", "")[:80]
    fields = {"event": type(event).__name__, "call_id": id, **line.fields}
    extra = {f"omnillm_{name}": value for name, value in fields.items() if value is not None}
    logger.log(line.level, line.text, *map(on_one_line, (*line.values, id)), extra=extra)


def on_one_line(value: Any) -> Any:
    """Take from a text what would begin a line of its own, or steer a terminal: an id of a tool's call is the model's word."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(letter if letter.isprintable() else "?" for letter in value)


def _retry(event: RetryScheduled) -> _Line:
    fields = {"model": event.model, "endpoint": event.endpoint, "delay": event.delay, "error": event.error}
    return _Line(logging.WARNING, "retry of %s at %s in %.2f s after %s [%s]", tuple(fields.values()), fields)


def _fallback(event: FallbackTaken) -> _Line:
    fields = {"from_endpoint": event.from_endpoint, "endpoint": event.to_endpoint, "error": event.error}
    return _Line(
        logging.WARNING, "fallback from %s to %s after %s [%s]", tuple(fields.values()), {**fields, "model": event.model}
    )


def _downgrade(event: ModelDowngraded) -> _Line:
    fields = {"asked": event.asked, "model": event.model, "left": event.left}
    return _Line(logging.WARNING, "%s becomes %s: %.3f of the budget is left [%s]", tuple(fields.values()), fields)


def _hedge(event: HedgeStarted) -> _Line:
    fields = {"model": event.model, "endpoint": event.endpoint, "delay": event.delay}
    return _Line(logging.INFO, "a second attempt of %s at %s after %.3f s [%s]", tuple(fields.values()), fields)


def _attempt(event: AttemptEnded) -> _Line:
    record = event.record
    error = None if record.error is None else record.error.partition(":")[0]  # what stands behind it may quote the prompt
    values = (record.model, record.endpoint, record.key_label, error or record.outcome, record.duration)
    fields = {
        "attempt_id": event.attempt_id,
        "model": record.model,
        "endpoint": record.endpoint,
        "key_label": record.key_label,
        "outcome": record.outcome,
        "status": record.status,
        "error": error,
        "duration": record.duration,
        "tokens": event.tokens,
        "cost_usd": event.cost_usd,
        "sent": record.sent,
    }
    return _Line(logging.DEBUG, "%s at %s with %s: %s in %.3f s [%s]", values, fields)


def _end(event: CallEnded) -> _Line:
    usage = event.usage
    fields = {"model": event.model, "outcome": event.outcome, "attempts": len(event.attempts), "latency": event.latency}
    values = (event.model, event.error or event.outcome, len(event.attempts), event.latency)
    more = {
        "kind": event.kind,
        "error": event.error,
        "input_tokens": None if usage is None else usage.prompt_tokens,
        "output_tokens": None if usage is None else usage.completion_tokens,
        "cost_usd": event.cost_usd,
        "finish_reason": None if event.finish_reason is None else str(event.finish_reason),
        "time_to_first_event": event.time_to_first_event,
        "key_label": event.attempts[-1].key_label if event.attempts else None,
    }
    level = logging.INFO if event.error is None else logging.WARNING
    return _Line(level, "call of %s: %s after %d attempts in %.3f s [%s]", values, {**fields, **more})


def _tool(event: ToolEnded) -> _Line:
    fields = {"tool": event.name, "error": event.error, "duration": event.duration}
    values = (event.name, event.error or "ok", event.duration)
    return _Line(logging.DEBUG, "tool %.80s: %s in %.3f s [%s]", values, fields)


# the highest level that each may have: what nobody listens for is not put together
_LINES: dict[type, tuple[int, Callable[[Any], _Line]]] = {
    RetryScheduled: (logging.WARNING, _retry),
    FallbackTaken: (logging.WARNING, _fallback),
    ModelDowngraded: (logging.WARNING, _downgrade),
    HedgeStarted: (logging.INFO, _hedge),
    AttemptEnded: (logging.DEBUG, _attempt),
    CallEnded: (logging.WARNING, _end),
    ToolEnded: (logging.DEBUG, _tool),
}
