"""The error tree: whose fault it was, whether the request was sent, and when to come back.

Every class takes its message first and its parts by keyword with defaults, so that pickling through ``(class, args, __dict__)``
rebuilds it whole. No part ever holds a key, a header or a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Sent = Literal["no", "maybe", "yes"]
NoKeyReason = Literal["window", "cooling", "breaker", "dead", "too_large", "no_key"]

MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try of a call: where it went, how it ended and how long it took (seconds)."""

    endpoint: str
    model: str
    key_label: str | None
    outcome: str
    status: int | None = None
    error: str | None = None
    duration: float = 0.0
    sent: Sent = "yes"


class OmniLLMError(Exception):
    """Raised when anything in this library goes wrong; the base of every error it raises."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """Give the whole text, which ``str()`` cuts to 500 characters."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        text = self.message
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


class ConfigurationError(OmniLLMError, ValueError):
    """Raised when a value given by the caller is wrong; names the field before anything runs."""

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


# --- codecs -------------------------------------------------------------------------------------------------------------------


class ProtocolError(OmniLLMError, ValueError):
    """Raised when a payload is not what its wire format allows, or an answer not what was asked for ``into``.

    ``pointer`` is the JSON Pointer of the place, ``response`` the answer that was asked for, settled and paid for;
    ``beyond`` tells that it is not its form that is wrong but its size.
    """

    def __init__(self, message: str = "", *, pointer: str = "", response: Any = None, beyond: bool = False) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.response = response
        self.beyond = beyond


class InvalidJsonError(ProtocolError):
    """Raised when a text is not JSON, or is JSON beyond the bounds of size, depth or digits."""


class MissingFieldError(ProtocolError):
    """Raised when a field that the format requires is not there."""


class InvalidShapeError(ProtocolError):
    """Raised when a field is there but has another JSON type or form than the format gives it."""


class UnsupportedFeatureError(ProtocolError):
    """Raised when a format cannot carry what was asked of it at all."""


class EndpointMismatchError(ProtocolError):
    """Raised when a request or response of one endpoint kind is given to a wire format of another."""


class TransportRequiredError(ProtocolError):
    """Raised when a wire format has no JSON body (multipart, binary) and needs the transport functions."""


class IncompleteStreamError(ProtocolError):
    """Raised when a stream ended without the terminal mark of its protocol."""

    def __init__(self, message: str = "", *, pointer: str = "", response: Any = None, partial_response: Any = None) -> None:
        super().__init__(message, pointer=pointer, response=response)
        self.partial_response = partial_response


# --- the gateway --------------------------------------------------------------------------------------------------------------


class GatewayError(OmniLLMError):
    """Raised when a call fails; says whether the request was sent, when to come back and what was tried."""

    def __init__(
        self,
        message: str = "",
        *,
        sent: Sent = "no",
        retry_after: float | None = None,
        attempts: tuple[AttemptRecord, ...] = (),
    ) -> None:
        super().__init__(message)
        self.sent: Sent = sent
        self.retry_after = retry_after
        self.attempts = attempts


class AdmissionError(GatewayError):
    """Raised when a call was refused before anything was sent or charged."""


class NoAvailableKeyError(AdmissionError):
    """Raised when no key can take the request; ``retry_after`` is the earliest time at which one could (seconds).

    ``reason``: ``window`` (the limits of the minute are used up), ``cooling`` (after a 429), ``breaker`` (too many failures),
    ``dead`` (refused with 401, or with 403 for this model), ``too_large`` (above every key's ``tpm_limit``), ``no_key``.
    """

    def __init__(self, message: str = "", *, reason: NoKeyReason = "no_key", **parts: Any) -> None:
        super().__init__(message, **parts)
        self.reason: NoKeyReason = reason


class MissingKeyError(NoAvailableKeyError, ConfigurationError):
    """Raised when a provider needs a key and none was given, nor is in its variables; ``field`` names what is missing."""

    def __init__(self, message: str = "", *, field: str | None = None, **parts: Any) -> None:
        super().__init__(message, **parts)
        self.field = field


class BudgetExceededError(AdmissionError):
    """Raised when a budget cannot hold the call's reservation; amounts are USD."""

    def __init__(
        self,
        message: str = "",
        *,
        scope: str = "gateway",
        limit_usd: float = 0.0,
        used_usd: float = 0.0,
        reserved_usd: float = 0.0,
        needed_usd: float = 0.0,
        resets_at: float | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(message, **parts)
        self.scope = scope
        self.limit_usd = limit_usd
        self.used_usd = used_usd
        self.reserved_usd = reserved_usd
        self.needed_usd = needed_usd
        self.resets_at = resets_at


class UnknownPriceError(AdmissionError):
    """Raised when a budget is set and the model has no price."""

    def __init__(self, message: str = "", *, model: str = "", **parts: Any) -> None:
        super().__init__(message, **parts)
        self.model = model


class LossyRequestError(AdmissionError):
    """Raised when the endpoint's protocol cannot carry the whole request and the loss policy is ``raise``."""

    def __init__(self, message: str = "", *, losses: tuple[Any, ...] = (), **parts: Any) -> None:
        super().__init__(message, **parts)
        self.losses = losses


class StateUnavailableError(AdmissionError):
    """Raised when the shared state store cannot be reached."""


class ClosedError(GatewayError):
    """Raised when the gateway is closed, or a stream belongs to another process."""


class CallCancelledError(GatewayError):
    """Raised when the caller's cancellation token ended the call."""


class DeadlineExceededError(GatewayError, TimeoutError):
    """Raised when time ran out; ``phase`` is where (``connect``, ``first_byte``, ``body``, ``idle``, ``admission``, ``tools``).

    ``partial_response`` is what had arrived of a stream, ``None`` where nothing had.
    """

    def __init__(self, message: str = "", *, phase: str = "total", partial_response: Any = None, **parts: Any) -> None:
        super().__init__(message, **parts)
        self.phase = phase
        self.partial_response = partial_response


class TransportError(GatewayError):
    """Raised when the exchange of bytes with the upstream failed; ``final`` where another try would end the same."""

    def __init__(self, message: str = "", *, final: bool = False, **parts: Any) -> None:
        super().__init__(message, **parts)
        self.final = final


class ConnectError(TransportError, ConnectionError):
    """Raised when no connection could be made; nothing was sent."""


class TlsError(TransportError):
    """Raised when the TLS handshake failed or the certificate is not to be trusted; nothing was sent."""


class ConnectionLostError(TransportError, ConnectionError):
    """Raised when the connection broke after the request, or a part of it, was sent."""

    def __init__(self, message: str = "", *, phase: str = "first_byte", **parts: Any) -> None:
        super().__init__(message, **parts)
        self.phase = phase


class MalformedResponseError(TransportError):
    """Raised when the upstream's bytes are no answer: broken HTTP, broken JSON, a redirect, a page of HTML, or too large.

    ``status`` is the answer's, where one was read; a redirect is known by it.
    """

    def __init__(self, message: str = "", *, status: int | None = None, **parts: Any) -> None:
        super().__init__(message, **parts)
        self.status = status


class StreamInterruptedError(GatewayError):
    """Raised when a stream ended before its end; what had arrived is in ``partial_response``."""

    def __init__(
        self,
        message: str = "",
        *,
        partial_response: Any = None,
        phase: Literal["idle", "cut", "error", "no_terminal"] = "cut",
        **parts: Any,
    ) -> None:
        super().__init__(message, **parts)
        self.partial_response = partial_response
        self.phase = phase


class ProviderError(GatewayError):
    """Raised when the provider answered with an error; ``message`` and ``code`` are its own words."""

    def __init__(
        self,
        message: str = "",
        *,
        protocol: Any = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        raw_body: Any = None,
        vendor_extensions: dict[str, Any] | None = None,
        **parts: Any,
    ) -> None:
        parts.setdefault("sent", "yes")
        super().__init__(message, **parts)
        self.protocol = protocol
        self.status = status
        self.code = code
        self.request_id = request_id
        self.raw_body = raw_body
        self.vendor_extensions: dict[str, Any] = vendor_extensions if vendor_extensions is not None else {}


class RateLimitedError(ProviderError):
    """Raised when the provider answered 429: come back after ``retry_after``."""


class QuotaExhaustedError(ProviderError):
    """Raised when the provider answered 429 (or 402) for good: the account is out of credit or quota."""


class UnauthorizedError(ProviderError):
    """Raised when the provider answered 401: the key is not accepted."""


class PermissionDeniedError(ProviderError):
    """Raised when the provider answered 403: the key may not use this model or endpoint."""


class BadRequestError(ProviderError):
    """Raised when the provider answered another 4xx: the request itself is refused. 408 and 409 were tried again first."""


class OverloadedError(ProviderError):
    """Raised when the provider answered 503 or 529: it has no capacity now."""


class ServerError(ProviderError):
    """Raised when the provider answered another 5xx."""
