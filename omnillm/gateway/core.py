"""What every call of a gateway shares: state, transport, prices, clock, hooks, and the routes with their prepared headers."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._clock import SYSTEM_CLOCK, Clock
from .._secret import Secret
from ..config import GatewayConfig, RouteConfig
from ..errors import ClosedError, ConfigurationError
from ..hooks import dispatch
from ..policy.pricing import ModelPrice
from ..policy.retry import RetryAllowance
from ..providers.auth import AuthScheme, authorize
from ..providers.endpoint import ProviderEndpoint, is_loopback
from ..state import KeySpec, StateStore
from ..state.memory import MemoryState
from ..state.pool import KeyPool
from ..transport.http import HttpTransport
from ..types.enums import WireFormat
from ..types.hooks import HookEvent
from ..wire import codec
from ..wire._codec import Codec

if TYPE_CHECKING:
    from ..transport.body import HttpResponse

PRICES_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint, ready to be called: its codec, its pool of labels, and the headers of each of its keys."""

    endpoint: ProviderEndpoint
    name: str
    codec: Codec
    pool: KeyPool
    model_map: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]
    stream_headers: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Secret]

    def model(self, asked: str) -> str:
        """Name the model here for the model asked for."""
        return self.model_map.get(asked, asked)

    def url(self, path: str, label: str) -> str:
        """Give the URL of a request with that key."""
        auth = self.endpoint.auth
        url = self.endpoint.url(path)
        return authorize(auth, self.secrets[label], url, {})[0] if auth is not None and auth.kind == "query" else url


class Core:
    """Hold what calls share; changed by ``close`` and, in the child of a fork, by ``check`` alone."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        transport: HttpTransport | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.rng = rng or random.Random()
        self.store: StateStore = config.state or MemoryState(
            pool_config=config.pool, budgets=config.budgets, clock=clock, rng=random.Random(self.rng.random())
        )
        options = config.transport
        self.transport = transport or HttpTransport(
            allow_http=options.allow_http,
            ca_bundle=options.ca_bundle,
            trust_proxy_env=options.trust_proxy_env,
            proxies=options.proxies,
            pool_size=config.max_workers,
            clock=clock,
        )
        self.allowance = RetryAllowance()
        self.routes = tuple(self._route(index, route) for index, route in enumerate(config.routes))
        self.secrets = tuple(secret for route in self.routes for secret in route.secrets.values())
        self.strict = any(budget.estimate == "strict" for budget in config.budgets)
        self._prices: dict[str, ModelPrice | None] = {}
        self.closed = False
        self.pid = os.getpid()
        self.lost: deque[HttpResponse] = deque()
        # what open streams read, by id(): a stream lost in a cycle must not take its socket with it, unclosed
        self.reading: dict[int, HttpResponse] = {}

    def _route(self, index: int, config: RouteConfig) -> Route:
        endpoint = config.endpoint
        if endpoint.base_url.startswith("http:") and not (self.config.transport.allow_http or is_loopback(endpoint.base_url)):
            raise ConfigurationError(
                "base_url: plain http to another host needs TransportConfig(allow_http=True)", field="base_url"
            )
        wire: WireFormat = endpoint.protocol.wire_protocol.wire_format
        found = codec(wire)
        common = {"Content-Type": "application/json", "User-Agent": "omnillm-python", **found.headers, **endpoint.default_headers}
        secrets = {str(key.label): key.key for key in config.keys}
        auth = endpoint.auth or AuthScheme.bearer()
        headers = {label: authorize(auth, secret, "", common)[1] for label, secret in secrets.items()}
        calls = {label: {**given, "Accept": "application/json"} for label, given in headers.items()}
        streams = {label: {**given, "Accept": "text/event-stream"} for label, given in headers.items()}
        name = f"route-{index}"
        specs = [
            KeySpec(str(key.label), tpm_limit=key.tpm_limit, rpm_limit=key.rpm_limit, models=dict(key.models or {}))
            for key in config.keys
        ]
        self.store.add_pool(name, specs)
        pool = KeyPool(self.store, name, clock=self.clock, acquire_timeout=self.config.pool.acquire_timeout)
        return Route(endpoint, endpoint.name, found, pool, config.model_map, calls, streams, secrets)

    def price(self, model: str) -> ModelPrice | None:
        """Give the model's price, looked up once."""
        try:
            return self._prices[model]
        except KeyError:
            if len(self._prices) >= PRICES_KEPT:
                self._prices.clear()
            found = self._prices[model] = self.config.pricing.price(model)
            return found

    def check(self) -> None:
        """Begin an operation: refuse it where the gateway is closed, mend what a fork left, close what finalisers queued."""
        if self.pid != os.getpid():
            self._after_fork()
        if self.lost:
            self.drain()
        if self.closed:
            raise ClosedError("the gateway is closed")

    def drain(self) -> None:
        """Close the connections of streams that were lost."""
        while self.lost:
            try:
                http = self.lost.popleft()
            except IndexError:
                return
            self.reading.pop(id(http), None)
            http.close()

    def _after_fork(self) -> None:
        self.pid = os.getpid()
        self.store.after_fork()
        self.allowance = RetryAllowance()
        self.lost = deque()
        self.reading = {}
        self.rng.seed()
        for route in self.routes:
            route.pool.after_fork()

    def emit(self, event: HookEvent) -> None:
        """Tell the hooks."""
        dispatch(self.config.hooks, event)

    def close(self) -> None:
        """End what runs and what waits; calling it again does nothing more."""
        self.closed = True
        for route in self.routes:
            route.pool.close()
        for http in list(self.reading.values()):
            http.abort()
        self.drain()
        self.transport.close()
