"""What came back of a native call, as it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..types._model import Model
from ..types.primitive import PrimitiveEndpointKind, PrimitiveProviderKind, ProviderPrimitiveWireFormat
from ..types.response import NO_META, Metered, ResponseMeta
from ..types.transport import BinaryBody, JsonBody, ResponseBody, TextBody
from .usage import PrimitiveUsageTelemetry


@dataclass(frozen=True, slots=True)
class PrimitiveResponse(Metered, Model):
    """Hold a native answer: the body is JSON, text or bytes, by its content type; a stream's is ``None``.

    Header names are lower case. ``meta`` is the gateway's account of the call: it is not compared, and not in ``to_json()``.
    """

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"meta", "measure"})

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    body: ResponseBody | None = None
    usage: PrimitiveUsageTelemetry | None = None
    provider: PrimitiveProviderKind | None = field(default=None, kw_only=True)
    endpoint: PrimitiveEndpointKind | None = field(default=None, kw_only=True)
    wire_format: ProviderPrimitiveWireFormat | None = field(default=None, kw_only=True)
    metadata: dict[str, Any] = field(default_factory=dict, kw_only=True)
    meta: ResponseMeta = field(default=NO_META, compare=False, repr=False, kw_only=True)
    measure: Any = field(default=None, compare=False, repr=False, kw_only=True)  # what the gateway settles it by

    def json(self) -> Any:
        """Give the JSON of the body, ``None`` where it is none."""
        return self.body.value if isinstance(self.body, JsonBody) else None

    @property
    def text(self) -> str | None:
        """Give the text of the body, ``None`` where it is none."""
        return self.body.text if isinstance(self.body, TextBody) else None

    @property
    def content(self) -> bytes | None:
        """Give the bytes of the body, ``None`` where it is JSON or text."""
        return self.body.data if isinstance(self.body, BinaryBody) else None
