"""One call of a user's, as its attempts share it: the request, what it may cost, its time, what was tried."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from .. import _json
from .._cancel import CancellationToken
from .._clock import Deadline, spoken
from .._late import importing
from .._secret import Headers
from ..errors import (
    AttemptRecord,
    DeadlineExceededError,
    GatewayError,
    InvalidJsonError,
    LossyRequestError,
    ProtocolError,
    Sent,
    UnknownPriceError,
)
from ..hooks import logger, on_one_line
from ..policy.catalogue import SAMPLING_PARAMETERS, model_info
from ..policy.limits import LossPolicy
from ..policy.pricing import Cost, ModelPrice
from ..providers.envelope import STREAM_TYPES
from ..transport import MAX_BODY, Upload
from ..transport.http import HttpRequest
from ..types.message import Message
from ..types.parts import AudioPart
from ..types.report import Loss
from ..types.request import AUDIO_TOKENS, BYTES_PER_TOKEN, LlmRequest
from ..types.response import LlmResponse
from ..types.usage import TokenUsage, UsageDetails
from ..wire import emit_request_with_losses, parse_response, usage_details
from .strict import check_payload, strict_prompt_tokens, unbounded
from .telling import tell_end, tell_start

if TYPE_CHECKING:
    from ..people.structured import Target
    from ..policy.retry import CallTicket
    from ..transport.body import HttpResponse
    from ..transport.websocket import Handshake, WebSocketConnection
    from .attempt import Attempt
    from .core import Core, Route

LOG_LOSSES = 5
MOST_TOKENS = 10**9  # no call has more; a count beyond it is a fault of who counted
_NOT_ASKED = ("/capabilities/structured_output/name", "/capabilities/structured_output/strict")  # of who gave a type to read into
_SENT: tuple[Sent, ...] = ("no", "maybe", "yes")


@dataclass(frozen=True, slots=True)
class Emitted:
    """A request as one endpoint is sent it."""

    body: bytes | Upload | None
    path: str  # below the base, or a whole URL
    losses: tuple[Loss, ...] = ()
    headers: Mapping[str, str] | None = None  # beside those of every request of the route
    beside: str | None = None  # the path that an endpoint given as a whole URL ends in, where this one is another
    method: str = "POST"

    @property
    def size(self) -> int:
        """Give the length of the body in bytes."""
        return 0 if self.body is None else len(self.body)

    def request(self, url: str, headers: Mapping[str, str]) -> HttpRequest:
        """Give the request that goes to the URL."""
        if self.headers is not None:
            headers = Headers({**headers, **self.headers})
        if self.body is None:
            headers = Headers({name: value for name, value in headers.items() if name != "Content-Type"})
        return HttpRequest(self.method, url, headers, self.body)


class Estimate(NamedTuple):
    """What an attempt reserves: tokens for the window, pico-dollars for the budgets, and the prompt's share of both.

    ``output_cap`` is the output cap that the provider is told, where it is told one; ``tier`` the tier of service, as asked.
    """

    prompt_tokens: int
    tokens: int
    prompt_charge: int
    charge: int
    price: ModelPrice | None
    output_cap: int | None
    tier: str | None = None

    def output_of(self, size: int) -> int:
        """Estimate the tokens of output by its length in bytes; never more than the cap that was asked for."""
        tokens = -(-size // BYTES_PER_TOKEN)
        return tokens if self.output_cap is None else min(tokens, self.output_cap)


SETTLED_TIERS = ("default", "standard", "standard_only")
UNASKED_TIERS = ("priority",)
UNASKED_REGIONS = ("us",)


def asked_tier(request: LlmRequest) -> str | None:
    """Give the tier of service that a request asks for, under whichever wire's name."""
    given = request.vendor_extensions
    for place in (given, *(value for value in given.values() if isinstance(value, dict))) if given else ():
        for name in ("service_tier", "serviceTier"):
            tier = place.get(name)
            if isinstance(tier, dict):
                tier = tier.get("type")
            if isinstance(tier, str):
                return tier
    return None


def audio_tokens(request: LlmRequest) -> int:
    """Give how many of the prompt's estimated tokens are audio."""
    heard = 0
    for item in request.normalized_input():
        if isinstance(item, Message):
            heard += AUDIO_TOKENS * sum(isinstance(part, AudioPart) for part in item.parts)
    return heard


def utf8_size(text: str) -> int:
    """Give the text's bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Call:
    """Hold what the attempts of one call share, and say what they send, how the answer is read, and what it costs."""

    max_bytes: ClassVar[int] = MAX_BODY  # of the answer
    may_downgrade: ClassVar[bool] = True

    __slots__ = (
        "_asked",
        "_emitted",
        "_estimates",
        "_handle",
        "cancel",
        "deadline",
        "downgraded_from",
        "first_at",
        "funds",
        "id",
        "left",
        "limit",
        "may_repeat",
        "only_key",
        "over",
        "prompt_tokens",
        "records",
        "request",
        "routes",
        "shape",
        "started",
        "streaming",
        "target",
        "tenant",
        "ticket",
    )

    def __init__(
        self,
        core: Core,
        request: LlmRequest,
        *,
        streaming: bool,
        timeout: float | None,
        cancel: CancellationToken | None,
        tenant: str | None,
        target: Target | None = None,
    ) -> None:
        total = timeout if timeout is not None else (math.inf if streaming else core.config.timeouts.total)
        router = core.router if self.may_downgrade else None
        model, self.funds = (request.model, 1.0) if router is None else core.affordable(router, request.model, tenant)
        self.downgraded_from = None if model == request.model else request.model
        self.request = request if model == request.model else dataclasses.replace(request, model=model)
        self.streaming = streaming
        self.cancel = self._asked = cancel
        self._handle: int | None = None  # with the caller's token, where ``cancel`` is the call's own
        self.tenant, self.target = tenant, target  # what the answer is read into
        self.may_repeat = True  # where it may have been received
        self.only_key: str | None = None  # the label of the one that may be used
        self.left = self.over = False  # its stream was closed; it came to its end
        self.routes = core.routes
        self.started = core.clock.monotonic()
        self.id = ""  # until the hooks are told of it
        self.first_at: float | None = None  # when a stream's first event came
        self.deadline = Deadline(self.started + total, core.clock)
        self.limit = f"the {'request_timeout' if timeout is None else 'timeout'} of {spoken(total)} is over"
        self.records: list[AttemptRecord] = []
        estimates = core.estimates if isinstance(self.request, LlmRequest) else None  # it may be an endpoint's
        self.shape = None if estimates is None else estimates.shape(self.request)
        self.prompt_tokens = (
            self.request.estimated_prompt_tokens()
            if estimates is None or self.shape is None
            else estimates.prompt_tokens(model, self.shape)
        )
        self.ticket: CallTicket = core.allowance.enter()
        self._emitted: dict[str, Emitted] = {}
        self._estimates: dict[str, Estimate] = {}

    def estimate(self, core: Core, route: Route) -> Estimate:
        """Give what an attempt at the route reserves: the prompt and the whole output cap, each at its uncached rate.

        Raises ``UnknownPriceError`` where a budget is set and the model has no price.
        """
        found = self._estimates.get(route.pool.name)
        if found is None:
            found = self._estimates[route.pool.name] = self._estimate(core, route)
        return found

    def _estimate(self, core: Core, route: Route) -> Estimate:
        model, tier = route.model(self.request.model), asked_tier(self.request)
        price = core.price(model, route.provider, region=route.region, tier=tier)
        if price is None and core.config.budgets:
            raise unpriced(model)
        prompt = self.prompt_tokens
        if core.strict:
            prompt = strict_prompt_tokens(self.request, self.emitted(core, route).size)
        cap = self.request.generation.max_output_tokens
        output = core.default_output_tokens(model, route) if cap is None else cap
        prompt_charge = charge = 0
        if price is not None:
            if core.strict and price.citation is not None:
                raise unbounded("the model cites what it finds by itself, and that is charged")
            heard = 0 if price.audio_input is None else audio_tokens(self.request)
            made = [kind.value for kind in self.request.capabilities.modalities]
            prompt_charge = price.estimate(self.prompt_tokens, 0, heard=heard)
            if core.strict:
                charge = self._ceiling(core, route, prompt, output)
            else:
                charge = price.estimate(prompt, output, heard=heard, made=made)
        told_cap = output if core.strict else cap
        return Estimate(self.prompt_tokens, self.prompt_tokens + output, prompt_charge, charge, price, told_cap, tier)

    def _ceiling(self, core: Core, route: Route, prompt: int, output: int) -> int:
        """Bound the cost by the dearest tier and region that may answer: an account may have set what is not asked for here."""
        model, asked = route.model(self.request.model), asked_tier(self.request)
        tiers = (asked,) if asked in SETTLED_TIERS else (asked, *UNASKED_TIERS)
        regions = (route.region,) if route.region is not None else (None, *UNASKED_REGIONS)
        prices = [core.price(model, route.provider, region=region, tier=tier) for tier in tiers for region in regions]
        return max(price.ceiling(prompt, output) for price in prices if price is not None)

    def emitted(self, core: Core, route: Route) -> Emitted:
        """Give the request as the route is sent it, written once; raises ``LossyRequestError`` where the policy says so."""
        found = self._emitted.get(route.pool.name)  # not the endpoint's name: one endpoint may be two routes
        if found is None:
            found = self._emitted[route.pool.name] = self._emit(core, route)
        return found

    def read(self, attempt: Attempt, http: HttpResponse, body: bytes) -> Any:
        """Give the answer that a body is, or the error: raised elsewhere, where no local holds what may echo a key."""
        kind = http.headers.get("content-type", "")
        if kind.startswith(STREAM_TYPES):
            return _gathered(attempt, body)
        if not body:
            return attempt.malformed(f"the upstream answered {http.status} with an empty body")
        try:
            payload = _json.loads(body)
            failed = attempt.route.codec.embedded_error(payload) if isinstance(payload, dict) else None
            if failed is None:
                return parse_response(attempt.route.endpoint.protocol.wire_protocol, payload)
            return attempt.described(failed, http)
        except InvalidJsonError as error:
            page = f"a page of HTML: {attempt.beginning(body)}" if "html" in kind else error.message
            return attempt.malformed(f"the upstream answered {http.status} with {page}", final=error.beyond)
        except ProtocolError as error:
            return attempt.malformed(f"the upstream's answer is not its protocol's: {error.message}", final=error.beyond)

    def handshake(self) -> Handshake | None:
        """Give what asks for a session over a WebSocket, where the call is one."""
        return None

    def connected(self, _attempt: Attempt, _http: HttpResponse, _handshake: Handshake) -> WebSocketConnection | None:
        """Give the connection of a session that was opened, what is said first having been said."""
        return None

    def reader(self, attempt: Attempt) -> Any:
        """Give what reads the answer's bytes into the events of a stream."""
        with importing:
            from .reading import Reader

        return Reader(attempt)

    def believed(self, attempt: Attempt, response: Any) -> TokenUsage:
        """Give the usage, estimating what was not reported or cannot be: the prompt as admitted, the output by its length."""
        usage: TokenUsage = response.usage
        if not is_credible(usage):
            usage = TokenUsage(estimated=True)
        estimates = attempt.core.estimates
        if estimates is not None and self.shape is not None and not usage.estimated and attempt.model == self.request.model:
            estimates.learn(attempt.model, self.shape, usage.prompt_tokens)
        if not usage.estimated or (usage.prompt_tokens and usage.completion_tokens):
            if usage is not response.usage:
                object.__setattr__(response, "usage", usage)
            return usage
        size = utf8_size(response.content_text) + utf8_size(response.reasoning_text)
        size += sum(utf8_size(call.name) + utf8_size(call.arguments_text()) for call in response.tool_calls)
        usage = dataclasses.replace(
            usage,
            prompt_tokens=usage.prompt_tokens or self.prompt_tokens,
            completion_tokens=usage.completion_tokens or attempt.estimate.output_of(size),
        )
        object.__setattr__(response, "usage", usage)
        return usage

    def cost(self, attempt: Attempt, usage: TokenUsage, response: Any) -> Cost | None:
        """Give what the usage costs, at the tier and in the region that answered, or ``None`` where the model has no price."""
        return None if attempt.estimate.price is None else cost_of(attempt, usage, usage_details(usage, response))

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the caller's own token ended the call."""
        return self._asked is not None and self._asked.cancelled

    def leave(self) -> None:
        """Say that its stream was closed: what opens it again, in another thread, ends at once."""
        self.left = True
        if self.cancel is not None and self.cancel is not self._asked:
            self.cancel.cancel()

    def obey(self) -> None:
        """Obey ``leave`` beside the caller's token from here on, wherever an attempt may wait."""
        if self.cancel is self._asked:
            own = CancellationToken()
            if self._asked is not None:
                self._handle = self._asked.subscribe(own.cancel)
            self.cancel = own
        if self.left:  # perhaps while there was no token yet
            self.leave()

    def account(self, error: GatewayError) -> None:
        """Write into the error that ends the call what was tried, whether any of it was sent, and which time was over."""
        if isinstance(error, DeadlineExceededError) and self.deadline.expired and self.limit not in error.message:
            error.args = (f"{error.message}: {self.limit}",)
        error.attempts = tuple(self.records)
        error.sent = max((error.sent, *(record.sent for record in self.records)), key=_SENT.index)

    def begun(self, core: Core) -> None:
        """Tell the hooks that it begins, once."""
        if not self.id:
            self.id = os.urandom(8).hex()
            tell_start(core, self)

    @property
    def kind(self) -> str:
        """Name what is asked for, for the hooks."""
        return "generation"

    @property
    def asked(self) -> Any:
        """Give the request as the caller gave it, for the hooks that want it."""
        return self.request

    def told(self, response: Any) -> tuple[TokenUsage | None, float | None]:
        """Give the usage and the cost (USD) that the hooks are told of."""
        return response.usage, response.cost_usd

    def ended(self, core: Core, outcome: str, response: Any = None, error: BaseException | None = None) -> None:
        """Count the call out, and tell the hooks, once; the error is what is raised just now where none is given."""
        if self.over:
            return
        self.over = True
        if self._asked is not None and self._handle is not None:
            self._asked.unsubscribe(self._handle)
        core.allowance.leave(self.ticket)
        if core.config.hooks:
            self.begun(core)  # it may have failed before
            tell_end(core, self, outcome, response, error or (sys.exception() if outcome == "failed" else None))

    def _emit(self, core: Core, route: Route) -> Emitted:
        request = self.request
        model = route.model(request.model)
        if model != request.model:
            request = dataclasses.replace(request, model=model)
        if core.strict and request.generation.max_output_tokens is None:
            cap = core.default_output_tokens(model, route)
            capped = dataclasses.replace(request.generation, max_output_tokens=cap)
            request = dataclasses.replace(request, generation=capped)
        if self.target is not None:
            request = self.target.asked_in(request, route.codec.fit_format)
        stream = True if self.streaming else (None if request.stream is None else False)
        endpoint = route.endpoint
        payload, losses = emit_request_with_losses(
            route.codec.wire_format,
            request,
            stream=stream,
            text_content=endpoint.text_content,
            output_cap=endpoint.output_cap,
        )
        if self.target is not None:
            losses = tuple(loss for loss in losses if loss.pointer not in _NOT_ASKED)
        if losses:
            self._account(core, losses)
        if core.config.losses is LossPolicy.WARN:
            _warn_of_refused(request, route)
        if self.streaming and endpoint.asks_for_usage:
            payload = route.codec.ask_for_usage(payload)
        payload = endpoint.envelope.filled(route.codec.prepare_body(payload))
        if core.strict:
            check_payload(payload, request.generation.max_output_tokens)
        path = endpoint.envelope.addressed(route.codec.path(request, self.streaming), request.model, streamed=self.streaming)
        return Emitted(_json.dump_bytes(payload), path, losses)

    @staticmethod
    def _account(core: Core, losses: tuple[Loss, ...]) -> None:
        policy = core.config.losses
        if policy is LossPolicy.RAISE:
            raise LossyRequestError(f"the endpoint cannot carry the whole request: {losses[0].reason}", losses=losses)
        if policy is LossPolicy.WARN:
            for loss in losses[:LOG_LOSSES]:
                logger.warning("lost in translation: %s (%s)", on_one_line(loss.pointer), on_one_line(loss.reason))


def _warn_of_refused(request: LlmRequest, route: Route) -> None:
    """Say which settings the model is known to refuse; they are sent all the same, as the list may be behind."""
    given = [name for name in SAMPLING_PARAMETERS if getattr(request.generation, name) is not None]
    info = model_info(request.model, route.provider) if given else None
    for name in given:
        if info is not None and info.refuses(name):
            logger.warning("%s is known to refuse %s", request.model, name)


def cost_of(attempt: Attempt, usage: TokenUsage, details: UsageDetails) -> Cost | None:
    """Give what an attempt's usage costs, at the tier and in the region that answered, or ``None`` without a price."""
    price, asked, route = attempt.estimate.price, attempt.estimate.tier, attempt.route
    if price is None:
        return None
    tier, region = details.tier or asked, details.region or route.region
    if (tier, region) != (asked, route.region):
        price = attempt.core.price(attempt.model, route.provider, region=region, tier=tier) or price
    return price.cost(usage, details)


def unpriced(model: str) -> UnknownPriceError:
    """Give the error of a model that has no price where there is a budget."""
    how = f'pricing=PriceTable({{"{model}": {{"input": …, "output": …}}}}), in USD per million tokens'
    return UnknownPriceError(f"{model} has no price, and a budget is set: give it one by {how}", model=model)


def is_credible(usage: TokenUsage) -> bool:
    """Tell whether a call may have had so many tokens."""
    return max(usage.prompt_tokens, usage.completion_tokens, usage.total()) <= MOST_TOKENS


def _gathered(attempt: Attempt, body: bytes) -> LlmResponse | GatewayError:
    """Read a stream that came where none was asked for."""
    with importing:
        from .reading import gather

    return gather(attempt, body)
