"""Recorded exchanges that may be kept: a request and its response, sanitised, as JSON at rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .._dataclass import dataclass
from .._secret import Secret
from ..types._model import Model
from ..types.enums import WireFormat
from ..types.transport import (
    BinaryBody,
    JsonBody,
    MultipartBody,
    MultipartField,
    MultipartFile,
    MultipartText,
    RequestBody,
    TextBody,
    TransportRequest,
    TransportResponse,
)
from .names import is_harmless_header, is_secret_name
from .scrubbing import Scrubber, redacted

Secrets = Iterable[Secret | str]


def sanitize_json_value(value: Any, *, secrets: Secrets = ()) -> Any:
    """Give a JSON value without what looks secret, without blobs, and without the live keys in ``secrets``.

    What goes reads ``<redacted:NAME>``, a blob ``<redacted:NAME_blob>``, a live key ``<redacted:key>``.
    """
    return Scrubber(secrets).json(value)


def sanitize_transport_request(request: TransportRequest, *, secrets: Secrets = ()) -> TransportRequest:
    """Give the request without secrets: in its path and query, its headers (of which a list stays) and its body."""
    return _request(request, Scrubber(secrets))


def sanitize_transport_response(response: TransportResponse, *, secrets: Secrets = ()) -> TransportResponse:
    """Give the response without secrets: in its headers (of which a list stays) and its body."""
    return _response(response, Scrubber(secrets))


@dataclass(frozen=True, slots=True)
class ReplayFixture(Model):
    """Keep an exchange: what was sent in a wire format, and what came back. Write it as ``fixture.sanitized().to_json()``."""

    wire_format: WireFormat
    request: TransportRequest
    response: TransportResponse

    def sanitized(self, *, secrets: Secrets = ()) -> ReplayFixture:
        """Give the fixture without what looks secret, and without the live keys in ``secrets`` wherever they stand."""
        scrubber = Scrubber(secrets)
        return ReplayFixture(self.wire_format, _request(self.request, scrubber), _response(self.response, scrubber))


def _request(request: TransportRequest, scrubber: Scrubber) -> TransportRequest:
    return replace(
        request,
        path=scrubber.path(request.path),
        headers=_headers(request.headers, scrubber),
        accept=None if request.accept is None else scrubber.plain(request.accept),
        body=_body(request.body, scrubber),
    )


def _response(response: TransportResponse, scrubber: Scrubber) -> TransportResponse:
    return replace(
        response,
        headers=_headers(response.headers, scrubber),
        content_type=None if response.content_type is None else scrubber.plain(response.content_type),
        body=_body(response.body, scrubber),
    )


def _headers(headers: dict[str, str], scrubber: Scrubber) -> dict[str, str]:
    shown = {scrubber.live(name): value for name, value in headers.items()}
    return {name: scrubber.plain(value) if is_harmless_header(name) else redacted(name) for name, value in shown.items()}


def _body(body: RequestBody | None, scrubber: Scrubber) -> RequestBody | None:
    if isinstance(body, JsonBody):
        return JsonBody(scrubber.json(body.value))
    if isinstance(body, TextBody):
        return TextBody(scrubber.text(body.text))
    if isinstance(body, MultipartBody):
        return MultipartBody(tuple(_field(field, scrubber) for field in body.fields))
    if isinstance(body, BinaryBody):
        return BinaryBody(b"<redacted:binary_blob>", body.media_type)
    return body


def _field(field: MultipartField, scrubber: Scrubber) -> MultipartField:
    name, value = scrubber.live(field.name), field.value
    if isinstance(value, MultipartFile):
        data = f"<redacted:{name}_blob>".encode()
        return MultipartField(name, MultipartFile(scrubber.plain(value.filename), data, value.media_type))
    return MultipartField(name, MultipartText(redacted(name) if is_secret_name(name) else scrubber.text(value.text)))


__all__ = ["ReplayFixture", "sanitize_json_value", "sanitize_transport_request", "sanitize_transport_response"]
