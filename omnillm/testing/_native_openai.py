"""OpenAI's files, uploads, models, batches and image variations, as they are spoken of on its wire."""

from __future__ import annotations

import base64
import re
from typing import Any

from ..errors import InvalidShapeError, ProtocolError
from ..types.enums import ProviderProtocol
from ._endpoint_answers import picture
from ._limits import openai_headers
from ._native import Answer, Asked, MissingError, NativeRoute, Reply, known, page_after, required
from ._native_run import answered, as_lines, lines
from ._native_store import LATER, MODELS, MOMENT, Kept, NativeStore

FILE, UPLOAD, PART, BATCH = "open_ai.file", "open_ai.upload", "open_ai.part", "open_ai.batch"
OCTETS = "application/octet-stream"


def _known(store: NativeStore, kind: str, id: str) -> Kept:
    return known(store, kind, id, f"No such {kind.rpartition('.')[2]} object: {id}")


def _page(asked: Asked, values: list[dict[str, Any]]) -> Reply:
    return Reply({"object": "list", **page_after(asked, "after", values)})


# --- files and uploads ----------------------------------------------------------------------------------------------------------


def add_file(store: NativeStore, filename: str, purpose: str, data: bytes) -> Kept:
    """Keep a file."""
    told = {"object": "file", "bytes": len(data), "created_at": MOMENT, "filename": filename, "purpose": purpose}
    return store.add(FILE, "file-{}", lambda name: {"id": name, **told, "status": "processed", "expires_at": None}, data)


def _upload_file(store: NativeStore, asked: Asked) -> Reply:
    texts, files = asked.form()
    required({**texts, **files}, "purpose", "file")
    file = files["file"]
    return Reply(add_file(store, file.filename, texts["purpose"], file.data).value)


def _list_files(store: NativeStore, asked: Asked) -> Reply:
    purpose = asked.query.get("purpose", [None])[0]
    return _page(asked, [kept.value for kept in store.all(FILE) if purpose in (None, kept.value["purpose"])])


def _file(store: NativeStore, asked: Asked) -> Reply:
    return Reply(_known(store, FILE, asked.names["id"]).value)


def _content(store: NativeStore, asked: Asked) -> Reply:
    return Reply(_known(store, FILE, asked.names["id"]).data, OCTETS)


def _delete_file(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, FILE, asked.names["id"])
    store.drop(FILE, found.id)
    return Reply({"id": found.id, "object": "file", "deleted": True})


def _begin_upload(store: NativeStore, asked: Asked) -> Reply:
    given = asked.json
    required(given, "filename", "purpose", "bytes", "mime_type")
    told = {name: given[name] for name in ("filename", "purpose", "bytes")}
    times = {"created_at": MOMENT, "expires_at": LATER}
    made = store.add(
        UPLOAD, "upload_{}", lambda name: {"id": name, "object": "upload", **told, **times, "status": "pending", "file": None}
    )
    return Reply(made.value)


def _pending(store: NativeStore, id: str) -> Kept:
    found = _known(store, UPLOAD, id)
    if found.value["status"] != "pending":
        raise InvalidShapeError(f"the upload is {found.value['status']}")
    return found


def _add_part(store: NativeStore, asked: Asked) -> Reply:
    found = _pending(store, asked.names["id"])
    _texts, files = asked.form()
    required(files, "data")
    told = {"object": "upload.part", "created_at": MOMENT, "upload_id": found.id}
    return Reply(store.add(PART, "part_{}", lambda name: {"id": name, **told}, files["data"].data).value)


def _complete_upload(store: NativeStore, asked: Asked) -> Reply:
    found, parts = _pending(store, asked.names["id"]), asked.json.get("part_ids")
    if not isinstance(parts, list):
        raise InvalidShapeError("field required", pointer="/part_ids")
    data = b"".join(_known(store, PART, str(id)).data for id in parts)
    if len(data) != found.value["bytes"]:
        raise InvalidShapeError(f"expected {found.value['bytes']} bytes, got {len(data)}")
    file = add_file(store, found.value["filename"], found.value["purpose"], data)
    found.value = {**found.value, "status": "completed", "file": file.value}
    return Reply(found.value)


def _cancel_upload(store: NativeStore, asked: Asked) -> Reply:
    found = _pending(store, asked.names["id"])
    found.value = {**found.value, "status": "cancelled"}
    return Reply(found.value)


# --- batches --------------------------------------------------------------------------------------------------------------------


def _create_batch(store: NativeStore, asked: Asked) -> Reply:
    given = asked.json
    required(given, "input_file_id", "endpoint", "completion_window")
    source = _known(store, FILE, given["input_file_id"])
    try:
        asks = lines(source.data)
    except ProtocolError:
        raise InvalidShapeError("the input file is no JSON lines", pointer="/input_file_id") from None
    told = {
        "object": "batch",
        "endpoint": given["endpoint"],
        "errors": None,
        "input_file_id": source.id,
        "completion_window": given["completion_window"],
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": MOMENT,
        "expires_at": LATER,
        "request_counts": {"total": len(asks), "completed": 0, "failed": 0},
        "metadata": given.get("metadata"),
    }
    return Reply(store.add(BATCH, "batch_{}", lambda name: {"id": name, **told}, source.data).value)


def _batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    found.steps += 1
    if found.value["status"] in ("validating", "in_progress"):
        found.value = _finished(store, found) if found.is_done else {**found.value, "status": "in_progress"}
    return Reply(found.value)


def _finished(store: NativeStore, batch: Kept) -> dict[str, Any]:
    """Run the requests, and give the batch as it is then."""
    written, usage, models = [], {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, []
    for number, line in enumerate(lines(batch.data), 1):
        status, body = answered(str(line.get("url")), line.get("body"), number)
        response = {"status_code": status, "request_id": f"req_{number}", "body": body}
        written.append({"id": f"batch_req_{number}", "custom_id": line.get("custom_id"), "response": response, "error": None})
        _add_up(usage, body)
        models += [body["model"]] if isinstance(body, dict) and "model" in body else []
    output = add_file(store, f"{batch.id}_output.jsonl", "batch_output", as_lines(written))
    done = sum(1 for line in written if line["response"]["status_code"] == 200)
    return {
        **batch.value,
        "status": "completed",
        "output_file_id": output.id,
        "completed_at": MOMENT,
        "request_counts": {"total": len(written), "completed": done, "failed": len(written) - done},
        "usage": {**usage, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
        "model": models[0] if models else None,
    }


def _add_up(usage: dict[str, int], body: Any) -> None:
    told = body.get("usage") if isinstance(body, dict) else None
    for into, names in (
        ("input_tokens", ("input_tokens", "prompt_tokens")),
        ("output_tokens", ("output_tokens", "completion_tokens")),
    ):
        count = next((told[name] for name in names if name in told), 0) if isinstance(told, dict) else 0
        usage[into] += count
        usage["total_tokens"] += count


def _list_batches(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, [kept.value for kept in store.all(BATCH)])


def _cancel_batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, asked.names["id"])
    if found.value["status"] not in ("validating", "in_progress"):
        raise InvalidShapeError(f"cannot cancel a batch that is {found.value['status']}")
    found.value = {**found.value, "status": "cancelled", "cancelling_at": MOMENT, "cancelled_at": MOMENT}
    return Reply(found.value)


# --- models and images ----------------------------------------------------------------------------------------------------------


def _model_of(id: str) -> dict[str, Any]:
    return {"id": id, "object": "model", "created": MOMENT, "owned_by": "local"}


def _models(_store: NativeStore, _asked: Asked) -> Reply:
    return Reply({"object": "list", "data": [_model_of(id) for id in MODELS]})


def _model(_store: NativeStore, asked: Asked) -> Reply:
    if asked.names["id"] not in MODELS:
        raise MissingError(f"The model '{asked.names['id']}' does not exist")
    return Reply(_model_of(asked.names["id"]))


def _variations(_store: NativeStore, asked: Asked) -> Reply:
    texts, files = asked.form()
    required(files, "image")
    count = int(texts["n"]) if texts.get("n", "").isdigit() else 1
    drawn = [base64.b64encode(picture(f"{i} {files['image'].data!r}")).decode("ascii") for i in range(count)]
    return Reply({"created": MOMENT, "data": [{"b64_json": data} for data in drawn]})


def _row(method: str, path: str, answer: Answer) -> NativeRoute:
    return NativeRoute(
        method=method,
        paths=re.compile(rf"(?:/v1|/openai/v1){path}"),
        protocol=ProviderProtocol.OPENAI_RESPONSES,
        answer=answer,
        limit_headers=openai_headers,
    )


_ID = r"/(?P<id>[^/]+)"
OPENAI_ROWS = (
    _row("POST", "/files", _upload_file),
    _row("GET", "/files", _list_files),
    _row("GET", f"/files{_ID}", _file),
    _row("GET", f"/files{_ID}/content", _content),
    _row("DELETE", f"/files{_ID}", _delete_file),
    _row("POST", "/uploads", _begin_upload),
    _row("POST", f"/uploads{_ID}/parts", _add_part),
    _row("POST", f"/uploads{_ID}/complete", _complete_upload),
    _row("POST", f"/uploads{_ID}/cancel", _cancel_upload),
    _row("POST", "/batches", _create_batch),
    _row("GET", "/batches", _list_batches),
    _row("GET", f"/batches{_ID}", _batch),
    _row("POST", f"/batches{_ID}/cancel", _cancel_batch),
    _row("GET", "/models", _models),
    _row("GET", f"/models{_ID}", _model),
    _row("POST", "/images/variations", _variations),
)
