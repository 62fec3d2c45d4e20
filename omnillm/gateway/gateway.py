"""The gateway: one blocking call in front of every endpoint and key it was given."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self

from .._cancel import CancellationToken
from .._clock import SYSTEM_CLOCK, Clock, seconds_of
from ..config import GatewayConfig
from ..errors import ConfigurationError
from ..policy.budget import PICO
from ..state import KeyStatus
from ..transport.http import HttpTransport
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from .attempt import Attempt
from .call import Call
from .core import Core
from .request import checked_request
from .route import Walk
from .stream import GatewayStream

Seconds = float | timedelta


class Gateway:
    """Call language models from any thread: keys, limits, breaker, budget, retries and fallback are taken care of.

    Made by ``GatewayBuilder`` or of a ``GatewayConfig``. ``close()`` it, or use it in ``with``, when it is no longer needed.
    """

    __slots__ = ("__weakref__", "_core")

    def __init__(
        self,
        config: GatewayConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        transport: HttpTransport | None = None,
    ) -> None:
        if not isinstance(config, GatewayConfig):
            raise ConfigurationError(f"config: expected a GatewayConfig, got {type(config).__name__}", field="config")
        self._core = Core(config, clock=clock, rng=rng, transport=transport)

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | os.PathLike[str], *, name: str | None = None) -> Self:
        """Make the gateway that a mapping or a TOML file describes; ``name`` says which, where it describes several.

        Raises ``ConfigurationError`` naming the file, the table and the field.
        """
        if isinstance(config, Mapping):
            return cls(GatewayConfig.from_mapping(config, name=name))
        return cls(GatewayConfig.from_file(config, name=name))

    @classmethod
    def from_env(cls) -> Self:
        """Make the gateway that the environment describes: ``OMNILLM_CONFIG``, or ``OMNILLM_MODEL`` and what stands with it."""
        return cls(GatewayConfig.from_env())

    def call(
        self,
        request: LlmRequest | str,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
    ) -> LlmResponse:
        """Send a request and give the whole answer; ``timeout`` (seconds) is a deadline over attempts and bodies.

        Raises ``GatewayError``: what was tried is in its ``attempts``, when to come back in its ``retry_after``.
        """
        core = self._core
        call = self._begin(request, streaming=False, timeout=timeout, cancel=cancel, tenant=tenant)
        response: LlmResponse | None = None
        try:
            response = Walk(core, call).run(Attempt.complete)
            return response
        finally:
            call.ended(core, "failed" if response is None else "ok", response)

    def stream(
        self,
        request: LlmRequest | str,
        *,
        timeout: Seconds | None = None,
        cancel: CancellationToken | None = None,
        tenant: str | None = None,
    ) -> GatewayStream:
        """Send a request and give its stream, the status already read: errors up to there are raised here.

        A stream has a total ``timeout`` (seconds) only where one is given for it.
        """
        call = self._begin(request, streaming=True, timeout=timeout, cancel=cancel, tenant=tenant)
        try:
            return GatewayStream(self._core, Walk(self._core, call))
        except BaseException:
            call.ended(self._core, "failed")
            raise

    def _begin(
        self,
        request: LlmRequest | str,
        *,
        streaming: bool,
        timeout: Seconds | None,
        cancel: CancellationToken | None,
        tenant: str | None,
    ) -> Call:
        core = self._core
        core.check()
        seconds = None if timeout is None else seconds_of(timeout, "timeout")
        if cancel is not None:
            if not isinstance(cancel, CancellationToken):
                raise ConfigurationError(f"cancel: expected a CancellationToken, got {type(cancel).__name__}", field="cancel")
            cancel.raise_if_cancelled()
        if tenant is not None and not isinstance(tenant, str):
            raise ConfigurationError(f"tenant: expected a string, got {type(tenant).__name__}", field="tenant")
        checked = checked_request(request, core.config.default_model)
        return Call(core, checked, streaming=streaming, timeout=seconds, cancel=cancel, tenant=tenant)

    # --- figures ----------------------------------------------------------------------------------------------------------------

    def pool_status(self) -> list[KeyStatus]:
        """Tell how every key stands, in the order given; after ``close()`` too."""
        self._core.mend()
        return list(self._core.store.snapshot().keys)

    def budget_used_usd(self) -> float:
        """Give what was spent under the gateway's own budget, or in all where it has none (USD); after ``close()`` too."""
        self._core.mend()
        return self._core.store.snapshot().spent / PICO

    def budget_remaining_usd(self) -> float:
        """Give what the gateway's own budget has left, what is reserved taken off; ``math.inf`` where there is none (USD)."""
        self._core.mend()
        left = [
            budget.limit - budget.used - budget.reserved
            for budget in self._core.store.snapshot().budgets
            if budget.scope == "gateway"
        ]
        return max(min(left), 0) / PICO if left else math.inf

    def revive(self, label: str) -> None:
        """Take a retired, cooling or set-aside key back into service; raises ``ConfigurationError`` for an unknown label."""
        self._core.check()
        self._core.store.revive(label)

    # --- the end ----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every connection and end every wait and open stream; later calls raise ``ClosedError``."""
        self._core.close()

    def __enter__(self) -> Self:
        self._core.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a Gateway holds connections and does not pickle: send its GatewayConfig, with keys from_env, and make one there"
        )

    def __repr__(self) -> str:
        core = self._core
        keys = sum(len(route.secrets) for route in core.routes)
        return f"<Gateway {', '.join(route.name for route in core.routes)} with {keys} keys{' closed' if core.closed else ''}>"
