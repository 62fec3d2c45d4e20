"""A native request: whose endpoint, of which kind, in which format, and the body as it goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from .._late import importing
from ..errors import ConfigurationError
from ..providers.primitive_endpoint import check_path, checked_header
from ..types._content import Content
from ..types._given import MAYBE_TEXT, check_types, put, wrong_type
from ..types._model import Model
from ..types.enums import HttpMethod
from ..types.primitive import (
    PrimitiveBudgetClass,
    PrimitiveEndpointKind,
    PrimitiveProviderKind,
    PrimitiveStreamMode,
    ProviderPrimitiveWireFormat,
)
from ..types.transport import (
    BinaryBody,
    JsonBody,
    MultipartBody,
    MultipartField,
    MultipartFile,
    MultipartText,
    RequestBody,
    TextBody,
)

_BODIES = (JsonBody, MultipartBody, TextBody, BinaryBody)
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SHOW_A_KEY = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "ak"})
_ENUMS: dict[str, type] = {
    "provider": PrimitiveProviderKind,
    "endpoint": PrimitiveEndpointKind,
    "wire_format": ProviderPrimitiveWireFormat,
    "method": HttpMethod,
    "stream": PrimitiveStreamMode,
}


@dataclass(frozen=True, slots=True)
class PrimitiveRequest(Model):
    """Ask a provider in its own words; made by ``json``, ``bytes``, ``form`` or ``get``, and by the ``with_…`` of one.

    ``path`` is below the endpoint's base; where it is ``None``, the format's own is taken. ``model`` is what the call is priced
    by, and stands in the path where the format has it there. The body goes out as it is: a JSON value as compact JSON, bytes byte
    for byte, files of a form as they are read. ``idempotency_key`` is sent, and lets the call be tried again where it may have
    been received. ``cost_usd`` is what the call is known to cost at most: it is reserved, and charged, instead of an estimate.

    Raises ``ConfigurationError``, naming the field, for what cannot be sent.
    """

    provider: PrimitiveProviderKind
    endpoint: PrimitiveEndpointKind
    wire_format: ProviderPrimitiveWireFormat
    model: str | None = None
    method: HttpMethod = HttpMethod.POST
    path: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    accept: str | None = None
    body: RequestBody | None = field(default=None, repr=False)
    stream: PrimitiveStreamMode = PrimitiveStreamMode.NONE
    idempotency_key: str | None = None
    cost_usd: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in _ENUMS.items():
            put(self, name, _member(kind, getattr(self, name), name))
        check_types(self, dict.fromkeys(("model", "path", "accept", "idempotency_key"), MAYBE_TEXT))
        if self.path is not None:
            check_path(self.path)
        for name in ("accept", "idempotency_key"):
            value = getattr(self, name)
            if value is not None and not _VISIBLE.fullmatch(value):
                raise ConfigurationError(f"{name}: expected printable ASCII text", field=name)
        put(self, "query", _query(self.query))
        put(self, "headers", {name: checked_header(name, value) for name, value in _mapping(self.headers, "headers").items()})
        if self.body is not None and not isinstance(self.body, _BODIES):
            raise wrong_type("body", "a JsonBody, MultipartBody, TextBody, BinaryBody or None", self.body)
        if self.cost_usd is not None and (
            isinstance(self.cost_usd, bool) or not isinstance(self.cost_usd, int | float) or not 0 <= self.cost_usd < 1e9
        ):
            raise ConfigurationError("cost_usd: expected an amount from 0", field="cost_usd")

    # --- making one -------------------------------------------------------------------------------------------------------------

    @classmethod
    def json(
        cls,
        provider: PrimitiveProviderKind | str,
        endpoint: PrimitiveEndpointKind | str,
        wire_format: ProviderPrimitiveWireFormat | str,
        model: str | None,
        value: Any,
        **more: Any,
    ) -> Self:
        """Post a JSON value, or JSON that is text or bytes already: those go out byte for byte."""
        if isinstance(value, str):
            value = value.encode("utf-8")
        body = BinaryBody(bytes(value), "application/json") if isinstance(value, bytes | bytearray) else JsonBody(value)
        return cls(provider, endpoint, wire_format, model, body=body, **more)  # type: ignore[arg-type]  # members by value too

    @classmethod
    def get(
        cls,
        provider: PrimitiveProviderKind | str,
        endpoint: PrimitiveEndpointKind | str,
        wire_format: ProviderPrimitiveWireFormat | str,
        model: str | None = None,
        **more: Any,
    ) -> Self:
        """Read what is there, without a body."""
        return cls(provider, endpoint, wire_format, model, HttpMethod.GET, **more)  # type: ignore[arg-type]  # as above

    @classmethod
    def delete(
        cls,
        provider: PrimitiveProviderKind | str,
        endpoint: PrimitiveEndpointKind | str,
        wire_format: ProviderPrimitiveWireFormat | str,
        path: str,
        **more: Any,
    ) -> Self:
        """Delete what is at the path."""
        return cls(provider, endpoint, wire_format, None, HttpMethod.DELETE, path, **more)  # type: ignore[arg-type]  # as above

    @classmethod
    def form(
        cls,
        provider: PrimitiveProviderKind | str,
        endpoint: PrimitiveEndpointKind | str,
        wire_format: ProviderPrimitiveWireFormat | str,
        model: str | None,
        fields: Mapping[str, Any] | MultipartBody,
        **more: Any,
    ) -> Self:
        """Post a form: texts, numbers, and files as bytes, ``Path``, open file or ``MultipartFile``; a list repeats the name.

        A file on disk is read while it is sent.
        """
        body = fields if isinstance(fields, MultipartBody) else MultipartBody(tuple(_fields(fields)))
        return cls(provider, endpoint, wire_format, model, body=body, **more)  # type: ignore[arg-type]  # as above

    # --- changing one -----------------------------------------------------------------------------------------------------------

    def with_path(self, path: str) -> Self:
        """Give the same request for another path: below the base, or a whole URL of the endpoint's own host."""
        return replace(self, path=path)

    def with_header(self, name: str, value: str) -> Self:
        """Give the same request with one more header; those that show a key or frame the message are refused."""
        return replace(self, headers={**self.headers, name: value})

    def with_query(self, name: str, value: str) -> Self:
        """Give the same request with one more parameter of the query."""
        return replace(self, query={**self.query, name: value})

    def with_stream(self, stream: PrimitiveStreamMode | str) -> Self:
        """Give the same request with its answer coming otherwise; what the body must say for it, the caller writes there."""
        return replace(self, stream=stream)  # type: ignore[arg-type]  # by its value, too

    def with_method(self, method: HttpMethod | str) -> Self:
        """Give the same request by another method."""
        return replace(self, method=method)  # type: ignore[arg-type]  # by its value, too

    def with_idempotency_key(self, key: str) -> Self:
        """Give the same request with a key by which the provider knows it again; it may be tried again after any failure."""
        return replace(self, idempotency_key=key)

    # --- what it is -------------------------------------------------------------------------------------------------------------

    @property
    def budget_class(self) -> PrimitiveBudgetClass:
        """Tell how the request is budgeted."""
        with importing:
            from .registry import budget_class_of

        return budget_class_of(self.endpoint, self.wire_format)

    def json_body(self) -> Any:
        """Give the JSON value of the body, ``None`` where it is none."""
        return self.body.value if isinstance(self.body, JsonBody) else None


def _member(kind: type, value: Any, name: str) -> Any:
    if isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        accepted = ", ".join(member.value for member in kind)  # type: ignore[attr-defined]  # every kind here is an enum
        raise ConfigurationError(f"{name}: expected one of {accepted}; got {value!r:.80}", field=name) from None


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong_type(name, "texts by name", value)
    return value


def _query(given: Any) -> dict[str, str]:
    for name, value in _mapping(given, "query").items():
        if not name or not isinstance(value, str):
            raise ConfigurationError(f"query: {name!r:.80}: expected a text", field="query")
        if name.lower() in _SHOW_A_KEY:
            raise ConfigurationError(f"query: {name} shows the key, which is the endpoint's to do", field="query")
    return dict(given)


def _fields(given: Mapping[str, Any]) -> list[MultipartField]:
    if not isinstance(given, Mapping):
        raise wrong_type("fields", "values by name", given)
    made: list[MultipartField] = []
    for name, value in given.items():
        if not isinstance(name, str) or not name:
            raise ConfigurationError("fields: expected values by name", field="fields")
        items = value if isinstance(value, list | tuple) else (value,)
        made += [MultipartField(name, _value(name, item)) for item in items]
    return made


def _value(name: str, value: Any) -> MultipartText | MultipartFile:
    with importing:
        from ..types._content import checked_content, named

    if isinstance(value, MultipartText | MultipartFile):
        return value
    if isinstance(value, bool):
        return MultipartText("true" if value else "false")
    if isinstance(value, str | int | float):
        return MultipartText(str(value))
    content: Content = checked_content(name, value)
    filename, media_type = named(content, name)
    return MultipartFile(filename, content, media_type)
