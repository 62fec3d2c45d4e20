"""Anthropic's token counts, message batches, files and models, as they are spoken of on its wire."""

from __future__ import annotations

import re
from typing import Any

from ..errors import InvalidShapeError, ProtocolError
from ..types.enums import ProviderProtocol
from ._limits import anthropic_headers
from ._native import Answer, Asked, MissingError, NativeRoute, Reply, known, page_after, required
from ._native_run import as_lines, generated, prompt_tokens
from ._native_store import LATER_TEXT, MODELS, MOMENT_TEXT, Kept, NativeStore

FILE, BATCH = "anthropic.file", "anthropic.batch"
LINES = "application/x-jsonl"
_MESSAGES = ProviderProtocol.CLAUDE_MESSAGES
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


def _known(store: NativeStore, kind: str, id: str) -> Kept:
    return known(store, kind, id, f"{kind.rpartition('.')[2]} {id} not found")


def _page(asked: Asked, values: list[dict[str, Any]]) -> Reply:
    return Reply(page_after(asked, "after_id", values))


def _count_tokens(_store: NativeStore, asked: Asked) -> Reply:
    given = asked.json
    required(given, "model", "messages")
    return Reply({"input_tokens": prompt_tokens(_MESSAGES, {"max_tokens": 1, **given})})


# --- batches --------------------------------------------------------------------------------------------------------------------


def _counts(**told: int) -> dict[str, int]:
    return {name: told.get(name, 0) for name in _COUNTS}


def _create_batch(store: NativeStore, asked: Asked) -> Reply:
    requests = asked.json.get("requests")
    if not isinstance(requests, list) or not requests:
        raise InvalidShapeError("field required", pointer="/requests")
    for i, item in enumerate(requests):
        if not isinstance(item, dict) or not isinstance(item.get("custom_id"), str) or not isinstance(item.get("params"), dict):
            raise InvalidShapeError("expected custom_id and params", pointer=f"/requests/{i}")
    told = {
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": _counts(processing=len(requests)),
        "ended_at": None,
        "created_at": MOMENT_TEXT,
        "expires_at": LATER_TEXT,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    made = store.add(BATCH, "msgbatch_{}", lambda name: {"id": name, **told})
    made.results = requests
    return Reply(made.value)


def _ended(found: Kept, asked: Asked) -> dict[str, Any]:
    kind = "canceled" if found.is_cancelled else "succeeded"
    url = f"{asked.root}/v1/messages/batches/{found.id}/results"
    counts = _counts(**{kind: len(found.results)})
    return {**found.value, "processing_status": "ended", "request_counts": counts, "ended_at": MOMENT_TEXT, "results_url": url}


def _batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    found.steps += 1
    if found.is_done and found.value["processing_status"] != "ended":
        found.value = _ended(found, asked)
    return Reply(found.value)


def _list_batches(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, [kept.value for kept in store.all(BATCH)])


def _cancel_batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    if found.value["processing_status"] == "ended":
        raise InvalidShapeError("the batch has ended")
    found.is_cancelled = True
    found.value = {**found.value, "processing_status": "canceling", "cancel_initiated_at": MOMENT_TEXT}
    return Reply(found.value)


def _results(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    if found.value["processing_status"] != "ended":
        raise MissingError("the batch has no results yet")
    return Reply(as_lines([_result(found, number, item) for number, item in enumerate(found.results, 1)]), LINES)


def _result(batch: Kept, number: int, item: dict[str, Any]) -> dict[str, Any]:
    if batch.is_cancelled:
        return {"custom_id": item["custom_id"], "result": {"type": "canceled"}}
    try:
        result: dict[str, Any] = {"type": "succeeded", "message": generated(_MESSAGES, item["params"], number)}
    except ProtocolError as error:
        told = {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)}}
        result = {"type": "errored", "error": told}
    return {"custom_id": item["custom_id"], "result": result}


def _delete_batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    store.drop(BATCH, found.id)
    return Reply({"id": found.id, "type": "message_batch_deleted"})


# --- files and models -----------------------------------------------------------------------------------------------------------


def _upload_file(store: NativeStore, asked: Asked) -> Reply:
    _texts, files = asked.form()
    required(files, "file")
    file = files["file"]
    told = {
        "type": "file",
        "filename": file.filename,
        "mime_type": file.media_type or "application/octet-stream",
        "size_bytes": len(file.data),
        "created_at": MOMENT_TEXT,
        "downloadable": True,
    }
    return Reply(store.add(FILE, "file_{}", lambda name: {"id": name, **told}, file.data).value)


def _list_files(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, [kept.value for kept in store.all(FILE)])


def _file(store: NativeStore, asked: Asked) -> Reply:
    return Reply(_known(store, FILE, asked.names["id"]).value)


def _content(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, FILE, asked.names["id"])
    return Reply(found.data, found.value["mime_type"])


def _delete_file(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, FILE, asked.names["id"])
    store.drop(FILE, found.id)
    return Reply({"id": found.id, "type": "file_deleted"})


def _model_of(id: str) -> dict[str, Any]:
    return {"type": "model", "id": id, "display_name": id.replace("-", " ").title(), "created_at": MOMENT_TEXT}


def _models(_store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, [_model_of(id) for id in MODELS])


def _model(_store: NativeStore, asked: Asked) -> Reply:
    if asked.names["id"] not in MODELS:
        raise MissingError(f"model: {asked.names['id']}")
    return Reply(_model_of(asked.names["id"]))


def _row(method: str, path: str, answer: Answer) -> NativeRoute:
    return NativeRoute(
        method=method,
        paths=re.compile(f"/v1{path}"),
        protocol=_MESSAGES,
        answer=answer,
        limit_headers=anthropic_headers,
        id_header="request-id",
        said_by="anthropic-version",
    )


_ID = r"/(?P<id>[^/]+)"
ANTHROPIC_ROWS = (
    _row("POST", "/messages/count_tokens", _count_tokens),
    _row("POST", "/messages/batches", _create_batch),
    _row("GET", "/messages/batches", _list_batches),
    _row("GET", f"/messages/batches{_ID}", _batch),
    _row("DELETE", f"/messages/batches{_ID}", _delete_batch),
    _row("POST", f"/messages/batches{_ID}/cancel", _cancel_batch),
    _row("GET", f"/messages/batches{_ID}/results", _results),
    _row("POST", "/files", _upload_file),
    _row("GET", "/files", _list_files),
    _row("GET", f"/files{_ID}", _file),
    _row("GET", f"/files{_ID}/content", _content),
    _row("DELETE", f"/files{_ID}", _delete_file),
    _row("GET", "/models", _models),
    _row("GET", f"/models{_ID}", _model),
)
