"""Jobs that run at the provider's: batches and long-running operations, asked for and told of in one form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from ..errors import ConfigurationError
from ..types._given import MAYBE_TEXT, check_types, put, wrong_type
from ..types._model import Model
from ..types.primitive import PrimitiveAsyncJobOperation, PrimitiveAsyncJobStatus
from ..types.response import Metered, ResponseMeta
from .request import PrimitiveRequest
from .response import PrimitiveResponse


@dataclass(frozen=True, slots=True)
class PrimitiveAsyncJobRequest(Model):
    """Ask something of a job: to create it, how it stands, which there are, to end, or what came of it.

    Where ``request`` has no path, it is made of the format, the operation and ``job_id``. ``key_label`` names the key that is
    used: a job is seen by the account that made it.
    """

    operation: PrimitiveAsyncJobOperation
    request: PrimitiveRequest
    job_id: str | None = None
    key_label: str | None = None

    def __post_init__(self) -> None:
        try:
            put(self, "operation", PrimitiveAsyncJobOperation(self.operation))
        except ValueError:
            raise ConfigurationError(
                f"operation: expected one of {', '.join(PrimitiveAsyncJobOperation)}", field="operation"
            ) from None
        if not isinstance(self.request, PrimitiveRequest):
            raise wrong_type("request", "a PrimitiveRequest", self.request)
        check_types(self, {"job_id": MAYBE_TEXT, "key_label": MAYBE_TEXT})

    @classmethod
    def create(cls, request: PrimitiveRequest) -> Self:
        """Create a job."""
        return cls(PrimitiveAsyncJobOperation.CREATE, request)

    def with_job_id(self, job_id: str) -> Self:
        """Give the same request for a job."""
        return replace(self, job_id=job_id)


@dataclass(frozen=True, slots=True)
class PrimitiveAsyncJobResponse(Metered, Model):
    """Tell of a job: its id and how it stands, where the answer says so, and the answer itself."""

    _not_in_json: ClassVar[frozenset[str]] = frozenset({"asked"})

    operation: PrimitiveAsyncJobOperation
    status: PrimitiveAsyncJobStatus
    response: PrimitiveResponse
    job_id: str | None = None
    asked: PrimitiveAsyncJobRequest | None = field(default=None, repr=False, compare=False, kw_only=True)

    @property
    def meta(self) -> ResponseMeta:  # type: ignore[override]  # the answer's own
        """Give the gateway's account of the call."""
        return self.response.meta

    def json(self) -> Any:
        """Give the JSON of the answer, ``None`` where it is none."""
        return self.response.json()
