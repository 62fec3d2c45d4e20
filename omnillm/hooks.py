"""Telling the user's hooks what happened: nothing they raise reaches a call, nothing is told under a lock."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from .errors import ConfigurationError
from .types.hooks import AttemptEnded, AttemptStarted, CallEnded, FallbackTaken, HookEvent, RetryScheduled

logger = logging.getLogger("omnillm")

Hook = Callable[[HookEvent], None]

TRACE_HEADERS = ("traceparent", "tracestate")  # W3C Trace Context: no provider takes them for anything else
_LINE = re.compile(r"[ -~]{1,8192}").fullmatch


def dispatch(hooks: tuple[Hook, ...], event: HookEvent) -> None:
    """Hand the event to every hook; what one raises is logged by its class alone, and swallowed."""
    for hook in hooks:
        try:
            hook(event)
        except Exception as error:  # noqa: BLE001  # the boundary to user code
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
        except Exception as error:  # noqa: BLE001  # the boundary to user code
            logger.error("the headers of the on_event hook %s raised %s", _name(hook), type(error).__name__)  # noqa: TRY400
    return found


def _name(hook: Hook) -> str:
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    return f"{named.__module__}.{named.__qualname__}"


def logging_hook(event: HookEvent) -> None:
    """Log what operators ask for: retries and fallbacks as warnings, the rest for debugging. No text of a prompt, no key."""
    if isinstance(event, RetryScheduled):
        logger.warning("retry of %s at %s in %.2f s after %s", event.model, event.endpoint, event.delay, event.error)
    elif isinstance(event, FallbackTaken):
        logger.warning("fallback from %s to %s after %s", event.from_endpoint, event.to_endpoint, event.error)
    elif isinstance(event, AttemptEnded):
        record = event.record
        logger.debug(
            "%s at %s with %s: %s in %.3f s", record.model, record.endpoint, record.key_label, record.outcome, record.duration
        )
    elif isinstance(event, CallEnded):
        logger.debug("call of %s: %s after %d attempts in %.3f s", event.model, event.outcome, len(event.attempts), event.latency)
