"""What every call of a gateway shares: state, transport, prices, clock, hooks, and the routes with their prepared headers.

A fork is mended in the child before any thread of it can run; a process that forked behind Python's back, at its first operation.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from .._clock import SYSTEM_CLOCK, Clock
from .._late import importing
from .._secret import Headers, Secret
from ..config import GatewayConfig, RouteConfig
from ..errors import AttemptRecord, ClosedError, ConfigurationError
from ..hooks import asking, dispatch
from ..policy.catalogue import model_info
from ..policy.downgrade import ModelRouter
from ..policy.pricing import ModelPrice
from ..policy.retry import RetryAllowance
from ..providers.auth import AuthScheme, Signer, authorize, signer_of
from ..providers.endpoint import ProviderEndpoint, is_loopback
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..providers.served_by import served_by
from ..state import Ask, KeySpec, StateStore
from ..state.memory import MemoryState
from ..state.pool import KeyPool
from ..transport.http import HttpTransport
from ..types.enums import WireFormat
from ..types.hooks import AttemptEnded, HookEvent
from ..wire import codec
from ..wire._codec import Codec
from .reading import check_stream_type

if TYPE_CHECKING:
    from ..policy.estimates import PromptEstimates
    from ..policy.limits import PromptEstimate
    from ..transport.body import HttpResponse
    from .call import Call
    from .workers import Workers

PRICES_KEPT = 1024
LEAST_OUTPUT_CAP = 1024  # hardly a model that answers has a smaller one
PRICE_SECONDS = 1800  # prices change at a date or an hour of the day, whole or half


class Reading(NamedTuple):
    """What is left of a stream that nobody left: enough to close and to report it, and not its lease, which must go with it."""

    http: HttpResponse
    call: Call
    endpoint: str
    model: str
    key_label: str
    started: float
    reservation: str


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """One endpoint, ready to be called: its codec, its pool of labels, and the headers of each of its keys.

    ``signers`` are of the keys that are shown request by request.
    """

    endpoint: ProviderEndpoint
    name: str
    codec: Codec
    pool: KeyPool
    model_map: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]
    stream_headers: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Secret]
    signers: Mapping[str, Signer]
    provider: str | None = None  # whose prices hold here, and where
    region: str | None = None
    primitive: PrimitiveProviderEndpoint | None = None  # of a route for native calls

    def model(self, asked: str) -> str:
        """Name the model here for the model asked for."""
        return self.model_map.get(asked, asked)

    def url(self, path: str, label: str, beside: str | None = None) -> str:
        """Give the URL of a request with that key; ``beside`` is the path of generation, where it is another one's."""
        auth = self.endpoint.auth
        if self.primitive is not None:
            url = path
        else:
            url = self.endpoint.url(path) if beside is None else self.endpoint.url_beside(path, beside)
        return authorize(auth, self.secrets[label], url, {})[0] if auth is not None and auth.kind == "query" else url


class Core:
    """Hold what calls share; changed by ``close``, and in the child of a fork, alone."""

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
        self.store: StateStore = config.state or MemoryState(clock=clock, rng=random.Random(self.rng.random()))
        self.store.add_budgets(config.budgets)
        self.transport = transport or _transport(config, clock)
        self.allowance = RetryAllowance()
        self.content_hooks = asking(config.hooks, "wants_content")
        self.chunk_hooks = asking(config.hooks, "wants_chunks")
        self.header_hooks = asking(config.hooks, "wants_headers")
        self.routes = tuple(self._route(route) for route in config.routes)
        self._natives = tuple(self._native()) if config.primitives else None
        routes = (*self.routes, *(self._natives or ()))
        self._secrets = tuple(secret for route in routes for secret in route.secrets.values())
        self._signers = tuple(signer for route in routes for signer in route.signers.values())
        self.router = ModelRouter(config.downgrades) if config.downgrades and config.budgets else None
        self.estimates = _estimates(config.pool.prompt_estimates)
        self.strict = any(budget.estimate == "strict" for budget in config.budgets)
        self.charged_jobs: dict[str, object] = {}  # jobs whose end was paid for, by whoever saw it first
        self._prices: dict[tuple[str, str | None, str | None, str | None], ModelPrice | None] = {}
        self._prices_until = 0.0  # on the wall clock
        self.closed = False
        self.pid = os.getpid()
        # What open streams read, by a reference to the stream that queues itself here when the stream is lost: a socket must
        # not go with it, unclosed. Appending is one step of C, which no interrupt cuts and which takes no lock.
        self.lost: deque[weakref.ref[object]] = deque()
        self.reading: dict[weakref.ref[object], Reading] = {}
        self._workers: dict[str, Workers] = {}  # none, or one, made on first use: setdefault is atomic
        _CORES.add(self)

    def _route(self, config: RouteConfig, shared: KeyPool | None = None) -> Route:
        endpoint = config.endpoint
        if endpoint.base_url.startswith("http:") and not (self.config.transport.allow_http or is_loopback(endpoint.base_url)):
            raise ConfigurationError(
                "base_url: plain http to another host needs GatewayBuilder.transport(TransportConfig(allow_http=True))",
                field="base_url",
            )
        wire: WireFormat = endpoint.protocol.wire_protocol.wire_format
        found = codec(wire)
        own = endpoint.envelope.headed(found.headers)
        common = {"Content-Type": "application/json", "User-Agent": "omnillm-python", **own, **endpoint.default_headers}
        secrets = {str(key.label): key.key for key in config.keys}
        auth = endpoint.auth or AuthScheme.bearer()
        asked = {label: signer_of(auth, secret, self.transport, self.clock) for label, secret in secrets.items()}
        signers = {label: signer for label, signer in asked.items() if signer is not None}
        headers = {
            label: common if label in signers else authorize(auth, secret, "", common)[1] for label, secret in secrets.items()
        }
        stream_type = endpoint.envelope.stream_type
        check_stream_type(stream_type)
        calls = {label: Headers({**given, "Accept": "application/json"}) for label, given in headers.items()}
        streams = {label: Headers({**given, "Accept": stream_type}) for label, given in headers.items()}
        pool = self._pool(config) if shared is None else shared
        served = served_by(endpoint)
        return Route(endpoint, endpoint.name, found, pool, config.model_map, calls, streams, secrets, signers, *served)

    def _pool(self, config: RouteConfig) -> KeyPool:
        specs = [
            KeySpec(str(key.label), tpm_limit=key.tpm_limit, rpm_limit=key.rpm_limit, models=dict(key.models or {}))
            for key in config.keys
        ]
        name = pool_name(config)
        self.store.add_pool(name, specs, config=self.config.pool)
        return KeyPool(self.store, name, clock=self.clock, acquire_timeout=self.config.pool.acquire_timeout)

    def _native(self) -> Iterator[Route]:
        """Make the routes of native calls: those that were configured, then those of the routes there are, with their keys."""
        first = self.config.routes[0]
        for given in self.config.primitives:
            config = RouteConfig(given.endpoint.as_endpoint(), given.keys or first.keys)
            yield replace(self._route(config, None if given.keys else self.routes[0].pool), primitive=given.endpoint)
        taken = {given.endpoint.provider for given in self.config.primitives}
        for route in self.routes:
            endpoint = PrimitiveProviderEndpoint.of(route.endpoint)
            if endpoint is not None and endpoint.provider not in taken:
                yield replace(route, primitive=endpoint, model_map={})

    @property
    def native(self) -> tuple[Route, ...]:
        """Give the routes of native calls, made where they are first asked for."""
        if self._natives is None:
            self._natives = tuple(self._native())
        return self._natives

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Give what must not stand in an error: the keys, and what signs or was given for them now."""
        return (*self._secrets, *(secret for signer in self._signers for secret in signer.secrets()))

    def price(
        self, model: str, provider: str | None = None, *, region: str | None = None, tier: str | None = None
    ) -> ModelPrice | None:
        """Give the model's price there, looked up once in the time in which no price changes."""
        now = self.clock.wall()
        if now >= self._prices_until or len(self._prices) >= PRICES_KEPT:
            self._prices, self._prices_until = {}, (now // PRICE_SECONDS + 1) * PRICE_SECONDS
        kept, key = self._prices, (model, provider, region, tier)
        try:
            return kept[key]
        except KeyError:
            at = dt.datetime.fromtimestamp(now, dt.UTC)
            found = kept[key] = self.config.pricing.price(model, provider, tier=tier, region=region, at=at)
            return found

    def default_output_tokens(self, model: str, route: Route) -> int:
        """Give the output to reserve for a request without a cap: as configured, and never more than the model can write."""
        output = self.config.pool.default_output_tokens
        if output <= LEAST_OUTPUT_CAP:
            return output  # no need to read the catalogue for
        info = model_info(model, route.provider)
        return output if info is None or info.max_output_tokens is None else min(output, info.max_output_tokens)

    def affordable(self, router: ModelRouter, asked: str, tenant: str | None) -> tuple[str, float]:
        """Name the model that the call gets for the one asked for, and give the fraction of the tightest budget that is left."""
        if not router.maps(asked):
            return asked, 1.0
        first = self.routes[0]
        left = self.store.budget_left(Ask(first.pool.name, first.model(asked), 0, 0, tenant))
        return router.model(asked, left), left

    def check(self) -> None:
        """Begin an operation: refuse it where the gateway is closed."""
        self.mend()
        if self.closed:
            raise ClosedError("the gateway is closed")

    def mend(self) -> None:
        """Mend what a fork left, and close what finalisers queued."""
        if self.pid != os.getpid():
            _mend_all()
        if self.lost:
            self.drain()

    def drain(self) -> None:
        """Close the connections of streams that were lost, and tell the hooks of them."""
        while self.lost:
            try:
                lost = self.lost[0]
                found = self._reading(lost)
                if found is not None:
                    found.http.close()
                    if self.reading.pop(lost, None) is found:  # one thread reports it
                        self._report(found)
                self.lost.remove(lost)  # last: what was interrupted is done again
            except (IndexError, ValueError):
                continue  # another thread was faster

    def _reading(self, lost: weakref.ref[object]) -> Reading | None:
        try:
            return self.reading.get(lost)
        except TypeError:  # it has no hash: an interrupt came before it was entered
            return None

    def _report(self, lost: Reading) -> None:
        call = lost.call
        if call.over:
            return
        record = AttemptRecord(
            endpoint=lost.endpoint,
            model=lost.model,
            key_label=lost.key_label,
            outcome="failed",
            status=lost.http.status,
            error="the stream was lost: neither read to its end nor closed",
            duration=self.clock.monotonic() - lost.started,
        )
        call.records.append(record)
        if self.config.hooks:
            self.emit(AttemptEnded(record, call.id, f"{call.id}-{lost.reservation}"))
        call.ended(self, "closed")

    @property
    def workers(self) -> Workers:
        """Give the threads of this gateway; none runs before it has something to do."""
        with importing:
            from .workers import Workers

        found = self._workers.get("them") or self._workers.setdefault("them", Workers(self.config.max_workers))
        if self.closed:
            found.close()  # perhaps made while the gateway was being closed
        return found

    def after_fork(self) -> None:
        """Begin anew in a forked child, its store apart, which others may share."""
        self.allowance = RetryAllowance()
        self.lost = deque()
        self.reading = {}
        self._workers = {}
        self.rng.seed()
        for route in (*self.routes, *(self._natives or ())):
            route.pool.after_fork()
        self.pid = os.getpid()  # last: from here on other threads of the child take it for mended

    def emit(self, event: HookEvent) -> None:
        """Tell the hooks."""
        dispatch(self.config.hooks, event)

    def close(self) -> None:
        """End what runs and what waits; calling it again does nothing more."""
        self.closed = True
        for route in (*self.routes, *(self._natives or ())):
            route.pool.close()
        for workers in list(self._workers.values()):
            workers.close()
        self.drain()
        self.transport.close()
        self.transport.abort()


def _transport(config: GatewayConfig, clock: Clock) -> HttpTransport:
    options = config.transport
    return HttpTransport(
        allow_http=options.allow_http,
        ca_bundle=options.ca_bundle,
        trust_proxy_env=options.trust_proxy_env,
        proxies=options.proxies,
        pool_size=config.max_workers,
        clock=clock,
    )


def _estimates(kind: PromptEstimate) -> PromptEstimates | None:
    """Give the estimates that learn, or ``None`` for the fixed rule."""
    if kind == "fixed":
        return None
    with importing:
        from ..policy.estimates import prompt_estimates

    return prompt_estimates(kind)


def pool_name(route: RouteConfig) -> str:
    """Name a route's pool by what it is: its endpoint and the labels of its keys, so that gateways alike share a store's."""
    identity = json.dumps([route.endpoint.base_url, sorted(str(key.label) for key in route.keys)])
    return f"{route.endpoint.name}#{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


# --- forks --------------------------------------------------------------------------------------------------------------------

_CORES: weakref.WeakSet[Core] = weakref.WeakSet()
_MENDING: dict[int, threading.RLock] = {}  # by process: whoever held it in the parent does not hold that of the child


def _mend_all() -> None:
    """Mend all that a fork left, once: each store, then each core."""
    with _MENDING.setdefault(os.getpid(), threading.RLock()):  # Critical section: the first thread mends, the others find it done
        cores = [core for core in list(_CORES) if core.pid != os.getpid()]
        for store in {id(core.store): core.store for core in cores}.values():
            store.after_fork()
        for core in cores:
            core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend_all)
