"""One row per native endpoint that generates nothing by itself: method, path, whose it is, and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from .. import _json
from ..errors import InvalidJsonError, InvalidShapeError
from ..types.enums import ProviderProtocol
from ..types.transport import MultipartBody, MultipartFile
from ..wire.multipart import read_form
from ._limits import HeaderRule
from ._native_store import Kept, NativeStore

if TYPE_CHECKING:
    from .local_provider import ReceivedRequest

JSON = "application/json"


class Reply(NamedTuple):
    """What is answered: a JSON value, or bytes of a type; ``headers`` beside those of every answer."""

    value: Any
    media_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = {}

    def body(self) -> bytes:
        """Give the body's bytes."""
        return self.value if isinstance(self.value, bytes) else _json.dump_bytes(self.value)


class MissingError(Exception):
    """Raised where there is nothing of that id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold a native request as it was read."""

    received: ReceivedRequest
    path: str
    query: Mapping[str, list[str]]
    names: Mapping[str, str]  # of the path
    root: str
    model: str = ""

    @property
    def json(self) -> dict[str, Any]:
        """Give the body, which must be a JSON object; an empty one is."""
        if not self.received.body:
            return {}
        try:
            value = _json.loads(self.received.body)
        except InvalidJsonError:
            value = None
        if not isinstance(value, dict):
            raise InvalidShapeError("expected a JSON object")
        return value

    def form(self) -> tuple[dict[str, str], dict[str, MultipartFile]]:
        """Give the texts and the files of a form."""
        body: MultipartBody = read_form(self.received.headers.get("content-type", ""), self.received.body)
        files = {field.name: field.value for field in body.fields if isinstance(field.value, MultipartFile)}
        texts = {field.name: field.value.text for field in body.fields if not isinstance(field.value, MultipartFile)}
        return texts, files

    def page(self, default: int = 20) -> int:
        """Give how many of a list are asked for at once."""
        asked = next((self.query[name][0] for name in ("limit", "pageSize") if name in self.query), str(default))
        return max(int(asked), 1) if asked.isdigit() else default


Answer = Callable[[NativeStore, Asked], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRoute:
    """Serve one method at the paths that match; ``said_by`` is a header without which a path is another provider's."""

    method: str
    paths: re.Pattern[str]
    protocol: ProviderProtocol
    answer: Answer
    limit_headers: HeaderRule
    id_header: str = "x-request-id"
    said_by: str | None = None

    def asked(self, received: ReceivedRequest, query: Mapping[str, list[str]], root: str) -> Asked:
        """Read a request."""
        path = received.path.partition("?")[0]
        found = self.paths.fullmatch(path)
        names = {} if found is None else {name: unquote(text) for name, text in found.groupdict().items() if text is not None}
        return Asked(received, path, query, names, root, names.get("model", ""))


def required(names: Mapping[str, Any], *wanted: str) -> None:
    """Refuse what lacks a field."""
    for name in wanted:
        if names.get(name) in (None, ""):
            raise InvalidShapeError("field required", pointer=f"/{name}")


def known(store: NativeStore, kind: str, id: str, missing: str) -> Kept:
    """Give a thing that must be there; ``missing`` says that it is not."""
    found = store.get(kind, id)
    if found is None:
        raise MissingError(missing)
    return found


def page_after(asked: Asked, name: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the page of a list that comes after the id in the query."""
    after = asked.query.get(name, [""])[0]
    start = next((i + 1 for i, value in enumerate(values) if value["id"] == after), 0)
    shown = values[start : start + asked.page()]
    ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
    return {"data": shown, "has_more": start + len(shown) < len(values), **ends}
