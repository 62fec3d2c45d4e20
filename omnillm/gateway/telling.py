"""Telling the hooks of a call's start and of its end; reached where there are hooks, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..hooks import dispatch
from ..types.hooks import CallContent, CallEnded, CallStarted, ModelDowngraded

if TYPE_CHECKING:
    from .call import Call
    from .core import Core

NUMBERS = ("max_output_tokens", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")


def tell_start(core: Core, call: Call) -> None:
    """Tell that a call begins, and, to who wants it, what was asked."""
    request, first = call.request, call.routes[0]
    generation, capabilities = getattr(request, "generation", None), getattr(request, "capabilities", None)
    core.emit(
        CallStarted(
            call.id,
            call.kind,
            call.downgraded_from or request.model,
            first.name,
            first.provider,
            call.streaming,
            call.tenant,
            call.target is not None or getattr(capabilities, "structured_output", None) is not None,
            {name: value for name in NUMBERS if (value := getattr(generation, name, None)) is not None},
        )
    )
    if call.downgraded_from is not None:
        core.emit(ModelDowngraded(call.downgraded_from, request.model, call.funds, call.id))
    if core.content_hooks:
        dispatch(core.content_hooks, CallContent(call.id, request=call.asked))


def tell_end(core: Core, call: Call, outcome: str, response: Any, error: BaseException | None) -> None:
    """Tell that a call is over, and, to who wants it, what was answered."""
    if response is not None and core.content_hooks:
        dispatch(core.content_hooks, CallContent(call.id, response=response))
    usage, cost_usd = (None, None) if response is None else call.told(response)
    core.emit(
        CallEnded(
            call.request.model,
            outcome,
            tuple(call.records),
            usage,
            cost_usd,
            core.clock.monotonic() - call.started,
            call.id,
            call.kind,
            None if error is None else type(error).__name__,
            getattr(response, "finish_reason", None),
            getattr(response, "model", None),
            getattr(response, "response_id", None),
            None if call.first_at is None else call.first_at - call.started,
        )
    )
