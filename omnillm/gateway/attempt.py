"""One attempt: admit, emit, send, parse, settle; a context manager, so that quota and money come back on every way out.

The lease is settled once: by the response's usage, or by what the error says. Where neither is reached (an interrupt between two
bytecodes, a lost stream) the state's ledger settles it by what is noted in the reservation as the attempt goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from .. import _json
from .._secret import Headers, Secret, scrub
from ..errors import (
    AttemptRecord,
    GatewayError,
    InvalidJsonError,
    MalformedResponseError,
    OmniLLMError,
    ProviderError,
    QuotaExhaustedError,
    Sent,
    StreamInterruptedError,
    TransportError,
)
from ..hooks import headers_of
from ..policy.budget import PICO
from ..policy.pricing import Cost
from ..policy.retry import Disposition, classify, is_quota_exhausted, observed_limits, server_hint, should_retry
from ..state import Ask, KeyLease, Settlement, Verdict
from ..transport import Watch
from ..transport.body import HttpResponse
from ..transport.http import HttpRequest
from ..types.hooks import AttemptEnded, AttemptStarted
from ..types.response import LlmResponse, Metered, ResponseMeta
from ..types.usage import TokenUsage
from ..wire import parse_error
from .call import Call, Estimate, is_credible

if TYPE_CHECKING:
    from ..providers.auth import Signer
    from ..transport.websocket import Handshake, WebSocketConnection
    from .core import Core, Route

Response = TypeVar("Response", bound=Metered)

ERROR_BODY_BYTES = 64 << 10
ERROR_BODY_SECONDS = 2.0
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
PAGE_CHARS = 200  # of a page that is no answer: enough to know whose it is


class Attempt:
    """Hold one admitted attempt; leave it by ``complete``, or by ``open`` and later ``settle``.

    ``elsewhere`` tells, of a failed one, that the server forbids another try of what another endpoint may be asked.
    """

    __slots__ = (
        "_handshake",
        "call",
        "charged",
        "connection",
        "core",
        "disposition",
        "elsewhere",
        "estimate",
        "http",
        "lease",
        "model",
        "reported",
        "route",
        "settled",
        "started",
        "watch",
    )

    def __init__(self, core: Core, call: Call, route: Route, lease: KeyLease, estimate: Estimate) -> None:
        self.core = core
        self.call = call
        self.route = route
        self.model = route.model(call.request.model)
        self.lease = lease
        self.estimate = estimate
        self.http: HttpResponse | None = None
        self.connection: WebSocketConnection | None = None  # of a session
        self.watch: Watch | None = None
        self._handshake: Handshake | None = None
        self.settled = False
        self.reported = False  # whether what was observed is the provider's own count: it is charged, however little it is
        self.charged: tuple[int, int] | None = None  # tokens and pico-dollars, of a failed one
        self.disposition: Disposition | None = None
        self.elsewhere = False
        self.started = core.clock.monotonic()

    @classmethod
    def admit(cls, core: Core, call: Call, route: Route, exclude: frozenset[str], *, timeout: float | None = None) -> Attempt:
        """Take a key with room for the call, and the money, in one step; raises ``AdmissionError``, and nothing is held then.

        ``timeout`` is how long to wait for a key (seconds), the pool's own where unset.
        """
        estimate = call.estimate(core, route)
        if call.only_key is not None:
            exclude |= route.headers.keys() - {call.only_key}
        ask = Ask(
            pool=route.pool.name,
            model=route.model(call.request.model),
            tokens=estimate.tokens,
            charge=estimate.charge,
            tenant=call.tenant,
            exclude=exclude,
            prompt_tokens=estimate.prompt_tokens,
            prompt_charge=estimate.prompt_charge,
        )
        lease = route.pool.acquire(ask, deadline=call.deadline, cancel=call.cancel, timeout=timeout)
        return cls(core, call, route, lease, estimate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.hang_up()
            self.fail(error)

    @property
    def id(self) -> str:
        """Name it among all that hooks are told of."""
        return f"{self.call.id}-{self.lease.reservation.id}"

    # --- the road -------------------------------------------------------------------------------------------------------------

    def complete(self) -> Any:
        """Send the request and give the whole answer, settled."""
        http = self._send()
        response = self.whole(http)
        http.close()
        return self.settle(response)

    def open(self) -> Attempt:
        """Send the request for a stream and read the status; whoever keeps the attempt must ``settle`` or ``fail`` it."""
        http = self._send()
        if self._handshake is not None:
            self.connection = self.call.connected(self, http, self._handshake)
        return self

    def _send(self) -> HttpResponse:
        core, call, route, lease = self.core, self.call, self.route, self.lease
        emitted = call.emitted(core, route)
        headers = (route.stream_headers if call.streaming else route.headers)[lease.label]
        if core.config.hooks:
            # a lease of its own, which the ledger does not watch: a hook may keep it, and reserves nothing
            seen = KeyLease(lease.reservation)
            started = AttemptStarted(route.name, self.model, seen, call.id, self.id, route.provider)
            core.emit(started)
            if core.header_hooks:
                headers = Headers({**headers_of(core.header_hooks, started), **headers})
        request = emitted.request(route.url(emitted.path, lease.label, emitted.beside), headers)
        signer = route.signers.get(lease.label) if route.signers else None
        http = self._exchange(request) if signer is None else self._signed(request, signer)
        limits = observed_limits(http.headers, now_wall=core.clock.wall())
        if limits is not None:
            core.store.report(route.pool.name, lease.label, self.model, limits)
        if not (200 <= http.status < 300 if self._handshake is None else http.status == 101):
            self._refused(http)
        if call.records:
            core.allowance.end_retry(call.ticket)  # the answer has begun: it keeps no place from another call's retry
        return http

    def _signed(self, request: HttpRequest, signer: Signer) -> HttpResponse:
        """Send a request as its key signs it: once more, signed anew, where it is refused and that may help."""
        deadline, cancel = self.call.deadline, self.call.cancel
        signed = signer.sign(request, deadline=deadline, cancel=cancel)
        http = self._exchange(signed)
        if http.status == 401 and signer.refused(signed):
            http.close()
            http = self._exchange(signer.sign(request, deadline=deadline, cancel=cancel))
        return http

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        core, call, reservation = self.core, self.call, self.lease.reservation
        reservation.observed_tokens = self.estimate.prompt_tokens
        reservation.observed_charge = self.estimate.prompt_charge
        timeouts = core.config.timeouts
        self._handshake = call.handshake()
        self.http = core.transport.send(
            request,
            deadline=call.deadline,
            connect=timeouts.connect,
            first_byte=timeouts.first_byte if call.streaming else math.inf,
            cancel=call.cancel,
            stream=call.streaming,
            begun=partial(setattr, reservation, "sent", "maybe"),
            watch=self.watch,
            upgrade=None if self._handshake is None else self._handshake.headers,
        )
        reservation.sent = "yes"
        return self.http

    def _refused(self, http: HttpResponse) -> NoReturn:
        """Raise the error that a status of failure means."""
        if http.status < 400:
            http.close()
            why = "redirects are not followed" if http.status >= 300 else "expected 101, a session"
            raise MalformedResponseError(f"the upstream answered {http.status}: {why}", status=http.status, sent="yes")
        wire = self.route.endpoint.protocol.wire_protocol
        raise self.described(parse_error(wire, http.status, self._error_body(http)), http)  # no local holds what may show a key

    def _error_body(self, http: HttpResponse) -> Any:
        """Read an error's body as far as it is worth it: the status decides, however slowly or endlessly it comes."""
        http.deadline = self.call.deadline.sooner(ERROR_BODY_SECONDS)
        read = bytearray()
        try:
            for chunk in http.chunks():
                read += chunk
                if len(read) > ERROR_BODY_BYTES:
                    break
        except (TransportError, TimeoutError):
            pass
        finally:
            http.close()
        text = bytes(read[:ERROR_BODY_BYTES]).decode("utf-8", "replace")
        try:
            return _json.loads(text) if text else None
        except InvalidJsonError:
            return text

    def described(self, error: ProviderError, http: HttpResponse) -> ProviderError:
        """Give a provider's error without a key, and with when to come back and the request's id, which the headers know."""
        hint = error.retry_after
        if hint is None:
            hint = server_hint(http.headers, error.raw_body, now_wall=self.core.clock.wall())
        parts = {
            "code": _named(http) or error.code if error.code in (None, str(error.status)) else error.code,
            "request_id": error.request_id or next(filter(None, map(http.headers.get, _REQUEST_IDS)), None),
            "raw_body": error.raw_body,
            "vendor_extensions": error.vendor_extensions,
        }
        spent = is_quota_exhausted(error.status, error.code, error.message, error.raw_body)
        return (QuotaExhaustedError if spent else type(error))(
            scrub(error.message, self.core.secrets),
            protocol=error.protocol,
            status=error.status,
            retry_after=hint,
            sent=error.sent,
            **{name: _without_keys(part, self.core.secrets) for name, part in parts.items()},
        )

    def malformed(self, why: str, *, final: bool = False) -> MalformedResponseError:
        """Say that the answer is none, without a key; ``final`` where the next one would be none either."""
        status = None if self.http is None else self.http.status
        return MalformedResponseError(scrub(why, self.core.secrets), status=status, sent="yes", final=final)

    def beginning(self, page: bytes) -> str:
        """Quote a page that is no answer; scrubbed before it is cut, for half a key is none to look for."""
        text = " ".join(page[:ERROR_BODY_BYTES].decode("utf-8", "replace").split())
        return scrub(text, self.core.secrets)[:PAGE_CHARS]

    def whole(self, http: HttpResponse) -> Any:
        """Read a whole answer; its bytes, which may echo the key, are no local where an error is raised."""
        answer = self.call.read(self, http, http.read(self.call.max_bytes))
        if not isinstance(answer, GatewayError):
            return answer
        try:
            raise answer
        finally:
            del answer  # its traceback holds this frame, and what its callers are making

    # --- the end --------------------------------------------------------------------------------------------------------------

    def settle(self, response: Response, *, first_event: float | None = None) -> Response:
        """Settle by the response's usage, and give the response with what the gateway knows of it."""
        now = self.core.clock.monotonic()
        usage = self.call.believed(self, response)
        cost = self.call.cost(self, usage, response)
        settlement = Settlement(
            tokens=max(usage.total(), usage.prompt_tokens + usage.completion_tokens),
            charge=cost.total_pico if cost is not None else 0,
            verdict=Verdict.success(latency=(first_event or now) - self.started),
        )
        if self._settle(settlement):
            self._record("ok", None, now, settlement)
        object.__setattr__(response, "meta", self._meta(cost, now, first_event))  # ours alone until it is handed over
        return response

    def retell(self, response: Metered) -> None:
        """Tell in the response of the attempts that were still under way when it was settled."""
        object.__setattr__(response, "meta", replace(response.meta, attempts=tuple(self.call.records)))

    def _meta(self, cost: Cost | None, now: float, first_event: float | None = None) -> ResponseMeta:
        return ResponseMeta(
            attempts=tuple(self.call.records),
            cost=cost,
            cost_usd=None if cost is None else cost.usd,
            request_losses=self.call.emitted(self.core, self.route).losses,
            key_label=self.lease.label,
            latency=now - self.call.started,
            time_to_first_event=None if first_event is None else first_event - self.call.started,
            downgraded_from=self.call.downgraded_from,
        )

    def as_charged(self, partial: LlmResponse | None) -> LlmResponse | None:
        """Give what had arrived of a broken stream with the tokens and the money that the failed attempt was charged for it."""
        if partial is None or self.charged is None:
            return partial
        tokens, charge = self.charged
        prompt = min(max(self.estimate.prompt_tokens, partial.usage.prompt_tokens), tokens)
        price, cost = self.estimate.price, None
        if price is not None:
            output = min((tokens - prompt) * price.output, charge)
            cost = Cost(input_pico=charge - output, output_pico=output)
        usage = TokenUsage(prompt, tokens - prompt, estimated=True)
        return replace(partial, usage=usage, meta=self._meta(cost, self.core.clock.monotonic()))

    def observe(self, size: int, usage: TokenUsage | None = None) -> None:
        """Note how much output has arrived (bytes) and what was reported, so that a lost stream is charged for the larger."""
        estimate, reservation = self.estimate, self.lease.reservation
        prompt, output = estimate.prompt_tokens, estimate.output_of(size)
        price, prompt_charge = estimate.price, estimate.prompt_charge
        if usage is not None and is_credible(usage):
            output = max(output, usage.completion_tokens)
            if price is not None:
                told = price.cost(usage)
                prompt_charge = max(prompt_charge, told.total_pico - told.completion_pico)
            prompt = max(prompt, usage.prompt_tokens)
        reservation.observed_tokens = prompt + output
        if price is not None:
            reservation.observed_charge = prompt_charge + output * price.output

    def tell(self, response: Metered) -> None:
        """Tell in what is left of an answer what the failed attempt was charged for it."""
        _, charge = self.charged or (0, 0)
        cost = None if self.estimate.price is None and not charge else Cost(request_pico=charge)
        object.__setattr__(response, "meta", self._meta(cost, self.core.clock.monotonic()))

    def hang_up(self) -> None:
        """Close the connection, unless its answer was read to the end; for the thread that reads it."""
        if self.http is not None:
            self.http.close()

    def fail(self, error: BaseException) -> None:
        """Settle by what the error says, and write the attempt down."""
        if self.settled:
            return
        reservation = self.lease.reservation
        says = error.sent if isinstance(error, GatewayError) else reservation.sent
        unsent = reservation.sent == "no" and says == "no"
        said = None if self.http is None else should_retry(self.http.headers)
        sent = None if isinstance(error, GatewayError) else reservation.sent
        disposition = self.disposition = classify(error, should_retry=said, sent=sent)
        self.elsewhere = said is False and self.core.config.retry.permits(classify(error, sent=sent))
        if not unsent and not self.call.may_repeat and disposition.retry != "another_key":
            disposition = self.disposition = replace(disposition, retry="never")
            self.elsewhere = False
        # what was noted as sent and received so far: the prompt estimate, and a stream's output, whatever ended it
        received = self.reported or reservation.observed_tokens > self.estimate.prompt_tokens
        charged = (disposition.charge != "none" or received) and not unsent
        tokens, charge = (reservation.observed_tokens, reservation.observed_charge) if charged else (0, 0)
        unsent = unsent or (says == "no" and reservation.sent != "yes")
        now, key = self.core.clock.monotonic(), disposition.key
        took = now - self.started if self.http is None else None  # until it was clear that no answer would come
        verdict = Verdict(key.kind, key.seconds, key.per_model, took)
        settlement = Settlement(tokens=tokens, charge=charge, verdict=verdict, refund_request=unsent)
        if self._settle(settlement):
            self._record("failed", error, now, settlement)
        self.charged = tokens, charge
        if isinstance(error, StreamInterruptedError):
            error.partial_response = self.as_charged(error.partial_response)

    def cancel(self) -> None:
        """Give everything back: nothing was begun."""
        self.route.pool.release(self.lease)
        self.settled = True

    def _settle(self, settlement: Settlement) -> bool:
        first = self.route.pool.settle(self.lease, settlement)
        self.settled = True  # last: what was interrupted is done again, and settled once all the same
        return first

    def _record(self, outcome: str, error: BaseException | None, now: float, settled: Settlement) -> None:
        status = getattr(error, "status", None)
        if status is None and self.http is not None:
            status = self.http.status
        record = AttemptRecord(
            endpoint=self.route.name,
            model=self.model,
            key_label=self.lease.label,
            outcome=outcome,
            status=status,
            error=None if error is None else _said(error),
            duration=now - self.started,
            sent=self._sent(error),
        )
        self.call.records.append(record)
        if self.core.config.hooks:
            cost_usd = None if self.estimate.price is None else settled.charge / PICO
            self.core.emit(AttemptEnded(record, self.call.id, self.id, settled.tokens, cost_usd))

    def _sent(self, error: BaseException | None) -> Sent:
        if error is None:
            return "yes"
        return error.sent if isinstance(error, GatewayError) else self.lease.reservation.sent


def _named(http: HttpResponse) -> str | None:
    """Give the name of an error that AWS says in a header alone, without the link behind it."""
    return http.headers.get("x-amzn-errortype", "").partition(":")[0] or None


def _without_keys(value: Any, secrets: Iterable[Secret]) -> Any:
    """Give a JSON value with every key in it replaced, however the text it was read from had escaped it."""
    if isinstance(value, str):
        return scrub(value, secrets)
    if isinstance(value, dict):
        return {scrub(str(name), secrets): _without_keys(item, secrets) for name, item in value.items()}
    return [_without_keys(item, secrets) for item in value] if isinstance(value, list) else value


def _said(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, OmniLLMError) else name
