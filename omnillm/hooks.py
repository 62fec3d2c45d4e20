"""Telling the user's hooks what happened: nothing they raise reaches a call, nothing is told under a lock."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ._cancel import is_from_outside
from .types.hooks import AttemptEnded, CallEnded, FallbackTaken, HookEvent, RetryScheduled

logger = logging.getLogger("omnillm")

Hook = Callable[[HookEvent], None]


def dispatch(hooks: tuple[Hook, ...], event: HookEvent) -> None:
    """Hand the event to every hook; what one raises is logged by its class alone, and swallowed."""
    for hook in hooks:
        try:
            hook(event)
        except Exception as error:  # the boundary to user code
            if is_from_outside(error):
                raise
            logger.error("the on_event hook %s raised %s", _name(hook), type(error).__name__)  # noqa: TRY400  # a traceback may show a key


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
