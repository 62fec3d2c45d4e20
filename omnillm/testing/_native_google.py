"""Google's token counts, files, caches, models, batches and operations, of the Gemini API and of Vertex AI."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from .. import _json
from ..errors import InvalidShapeError, ProtocolError
from ..types.enums import ProviderProtocol
from ._limits import retry_after_header
from ._native import Answer, Asked, MissingError, NativeRoute, Reply, known, required
from ._native_run import as_lines, generated, lines, prompt_tokens
from ._native_store import LATER_TEXT, MODELS, MOMENT_TEXT, Kept, NativeStore

FILE, UPLOAD, CACHE, BATCH, OPERATION = (f"google.{kind}" for kind in ("file", "upload", "cache", "batch", "operation"))
_GEMINI = ProviderProtocol.GEMINI_GENERATE_CONTENT
_PLACE = r"/v1(?:beta1)?/(?P<place>projects/[^/]+/locations/[^/]+)"
_MODEL = r"/models/(?P<model>[^/:]+)"
_TIMES = {"createTime": MOMENT_TEXT, "updateTime": MOMENT_TEXT}
_BATCH_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"


def _known(store: NativeStore, kind: str, name: str) -> Kept:
    return known(store, kind, name, f"{name} is not found")


def _page(asked: Asked, field: str, values: list[dict[str, Any]]) -> Reply:
    token = asked.query.get("pageToken", ["0"])[0]
    start = int(token) if token.isdigit() else 0
    shown = values[start : start + asked.page(50)]
    rest = {"nextPageToken": str(start + len(shown))} if start + len(shown) < len(values) else {}
    return Reply({field: shown, **rest})


def _given(value: dict[str, Any], *names: str) -> Any:
    """Give the first field that is there, by either of its spellings."""
    return next((value[name] for name in names if name in value), None)


def _count_tokens(_store: NativeStore, asked: Asked) -> Reply:
    given = asked.json
    inner = _given(given, "generateContentRequest", "generate_content_request") or given
    count = prompt_tokens(_GEMINI, {**inner, "contents": inner.get("contents") or []})
    return Reply({"totalTokens": count, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": count}]})


# --- models ---------------------------------------------------------------------------------------------------------------------


def _model_of(id: str) -> dict[str, Any]:
    return {
        "name": f"models/{id}",
        "baseModelId": id,
        "version": "001",
        "displayName": id.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "batchGenerateContent"],
    }


def _models(_store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, "models", [_model_of(id) for id in MODELS])


def _model(_store: NativeStore, asked: Asked) -> Reply:
    if asked.model not in MODELS:
        raise MissingError(f"models/{asked.model} is not found")
    return Reply(_model_of(asked.model))


# --- files ----------------------------------------------------------------------------------------------------------------------


def _add_file(store: NativeStore, asked: Asked, told: dict[str, Any], data: bytes, media_type: str) -> Kept:
    def made(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "displayName": _given(told, "displayName", "display_name") or name,
            "mimeType": _given(told, "mimeType", "mime_type") or media_type,
            "sizeBytes": str(len(data)),
            **_TIMES,
            "expirationTime": LATER_TEXT,
            "sha256Hash": base64.b64encode(hashlib.sha256(data).digest()).decode("ascii"),
            "uri": f"{asked.root}/v1beta/{name}",
            "state": "ACTIVE",
            "source": "UPLOADED",
        }

    return store.add(FILE, "files/{}", made, data)


def _upload(store: NativeStore, asked: Asked) -> Reply:
    """Take a file: whole, with its description in a part before it, or by the resumable protocol's two steps."""
    headers = asked.received.headers
    command = headers.get("x-goog-upload-command", "")
    if "start" in command and "upload" not in command:
        told = asked.json.get("file") or {}
        media_type = headers.get("x-goog-upload-header-content-type", "application/octet-stream")
        made = store.add(UPLOAD, "{}", lambda _id: {"told": told, "media_type": media_type})
        url = f"{asked.root}{asked.path}?upload_id={made.id}&upload_protocol=resumable"
        return Reply(b"", "text/plain", headers={"x-goog-upload-url": url, "x-goog-upload-status": "active"})
    if "upload_id" in asked.query:
        return _continue(store, asked, command)
    media_type = headers.get("content-type", "application/octet-stream")
    if media_type.startswith("multipart/"):
        told, data, media_type = _related(asked.received.body, media_type)
        return Reply({"file": _add_file(store, asked, told, data, media_type).value})
    return Reply({"file": _add_file(store, asked, {}, asked.received.body, media_type).value})


def _continue(store: NativeStore, asked: Asked, command: str) -> Reply:
    begun = _known(store, UPLOAD, asked.query["upload_id"][0])
    begun.data += asked.received.body
    if "finalize" not in command:
        return Reply(b"", "text/plain", headers={"x-goog-upload-status": "active"})
    store.drop(UPLOAD, begun.id)
    made = _add_file(store, asked, begun.value["told"], begun.data, begun.value["media_type"])
    return Reply({"file": made.value}, headers={"x-goog-upload-status": "final"})


def _related(body: bytes, content_type: str) -> tuple[dict[str, Any], bytes, str]:
    """Read what was sent as ``multipart/related``: a JSON object, and the file behind it (RFC 2387)."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]
    if len(parts) != 2:
        raise InvalidShapeError("expected two parts")
    (_, first), (head, data) = ((part.partition(b"\r\n\r\n")[0], part.partition(b"\r\n\r\n")[2]) for part in parts)
    told = _json.loads(first)
    named = re.search(rb"content-type:\s*([^\r\n]+)", head, re.IGNORECASE)
    media_type = "application/octet-stream" if named is None else named[1].decode("latin-1").strip()
    return (told.get("file") or {}) if isinstance(told, dict) else {}, data, media_type


def _files(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, "files", [kept.value for kept in store.all(FILE)])


def _file(store: NativeStore, asked: Asked) -> Reply:
    return Reply(_known(store, FILE, f"files/{asked.names['id']}").value)


def _download(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, FILE, f"files/{asked.names['id']}")
    return Reply(found.data, found.value["mimeType"])


def _delete_file(store: NativeStore, asked: Asked) -> Reply:
    name = f"files/{asked.names['id']}"
    _known(store, FILE, name)
    store.drop(FILE, name)
    return Reply({})


# --- caches ---------------------------------------------------------------------------------------------------------------------


def _place(asked: Asked) -> str:
    return f"{asked.names['place']}/" if "place" in asked.names else ""


def _create_cache(store: NativeStore, asked: Asked) -> Reply:
    given = asked.json
    required(given, "model")
    count = prompt_tokens(_GEMINI, {"contents": given.get("contents") or []})
    shown: dict[str, Any] = {name: given[name] for name in ("model", "displayName") if name in given}
    usage = {"usageMetadata": {"totalTokenCount": count}}
    form = f"{_place(asked)}cachedContents/{{}}"
    return Reply(store.add(CACHE, form, lambda name: {"name": name, **shown, **_TIMES, "expireTime": LATER_TEXT, **usage}).value)


def _caches(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, "cachedContents", [kept.value for kept in store.all(CACHE)])


def _cache(store: NativeStore, asked: Asked) -> Reply:
    return Reply(_known(store, CACHE, f"{_place(asked)}cachedContents/{asked.names['id']}").value)


def _change_cache(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, CACHE, f"{_place(asked)}cachedContents/{asked.names['id']}")
    found.value = {**found.value, **{name: text for name, text in asked.json.items() if name == "expireTime"}}
    return Reply(found.value)


def _delete_cache(store: NativeStore, asked: Asked) -> Reply:
    name = f"{_place(asked)}cachedContents/{asked.names['id']}"
    _known(store, CACHE, name)
    store.drop(CACHE, name)
    return Reply({})


# --- batches --------------------------------------------------------------------------------------------------------------------


def _create_batch(store: NativeStore, asked: Asked) -> Reply:
    batch = asked.json.get("batch")
    config = _given(batch, "inputConfig", "input_config") if isinstance(batch, dict) else None
    if not isinstance(batch, dict) or not isinstance(config, dict):
        raise InvalidShapeError("field required", pointer="/batch/inputConfig")
    source = _given(config, "fileName", "file_name")
    if isinstance(source, str):
        asks = lines(_known(store, FILE, source).data)
    else:
        asks = list((config.get("requests") or {}).get("requests") or [])
    if not asks:
        raise InvalidShapeError("expected requests", pointer="/batch/inputConfig/requests")
    named = str(_given(batch, "displayName", "display_name") or "batch")
    told = {"displayName": named, "model": f"models/{asked.model}", **_TIMES, "of_file": isinstance(source, str)}
    made = store.add(BATCH, "batches/{}", lambda _name: told)
    made.results = asks
    return Reply(_batch_told(store, asked, made))


def _batch_told(store: NativeStore, asked: Asked, batch: Kept) -> dict[str, Any]:
    """Give a batch as the operation that it is."""
    told = {name: value for name, value in batch.value.items() if name not in ("of_file", "response")}
    state = "CANCELLED" if batch.is_cancelled else "SUCCEEDED" if batch.is_done else "RUNNING" if batch.steps else "PENDING"
    count = str(len(batch.results))
    stats = {"requestCount": count, "pendingRequestCount": "0" if batch.is_done else count}
    metadata = {"@type": _BATCH_TYPE, **told, "name": batch.id, "state": f"BATCH_STATE_{state}", "batchStats": stats}
    shown: dict[str, Any] = {"name": batch.id, "metadata": metadata}
    if not batch.is_done:
        return shown
    if batch.is_cancelled:
        return {**shown, "done": True, "error": {"code": 1, "message": "the batch was cancelled"}}
    if "response" not in batch.value:
        batch.value = {**batch.value, "response": _responses(store, asked, batch)}
    metadata["output"] = batch.value["response"]
    return {**shown, "done": True, "response": {"@type": f"{_BATCH_TYPE}Output", **batch.value["response"]}}


def _responses(store: NativeStore, asked: Asked, batch: Kept) -> dict[str, Any]:
    model = batch.value["model"].removeprefix("models/")
    written = [_response(item, number, model) for number, item in enumerate(batch.results, 1)]
    if not batch.value["of_file"]:
        return {"inlinedResponses": {"inlinedResponses": written}}
    file = _add_file(store, asked, {}, as_lines(written), "application/jsonl")
    return {"responsesFile": file.id}


def _response(item: dict[str, Any], number: int, model: str) -> dict[str, Any]:
    kept: dict[str, Any] = {name: item[name] for name in ("key", "metadata") if name in item}
    try:
        return {**kept, "response": generated(_GEMINI, item.get("request"), number, model)}
    except ProtocolError as error:
        return {**kept, "error": {"code": 3, "message": str(error)}}


def _batch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, BATCH, f"batches/{asked.names['id']}")
    found.steps += 1
    return Reply(_batch_told(store, asked, found))


def _batches(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, "operations", [_batch_told(store, asked, kept) for kept in store.all(BATCH)])


def _cancel_batch(store: NativeStore, asked: Asked) -> Reply:
    _known(store, BATCH, f"batches/{asked.names['id']}").is_cancelled = True
    return Reply({})


def _delete_batch(store: NativeStore, asked: Asked) -> Reply:
    name = f"batches/{asked.names['id']}"
    _known(store, BATCH, name)
    store.drop(BATCH, name)
    return Reply({})


# --- operations -----------------------------------------------------------------------------------------------------------------


def _start(store: NativeStore, asked: Asked) -> Reply:
    instances = asked.json.get("instances")
    if not isinstance(instances, list) or not instances:
        raise InvalidShapeError("field required", pointer="/instances")
    publisher = "publishers/google/" if "place" in asked.names else ""
    form = f"{_place(asked)}{publisher}models/{asked.model}/operations/{{}}"
    made = store.add(OPERATION, form, lambda name: {"name": name})
    made.results = instances
    return Reply(made.value)


def _operation_told(operation: Kept) -> dict[str, Any]:
    if operation.is_cancelled:
        return {**operation.value, "done": True, "error": {"code": 1, "message": "the operation was cancelled"}}
    if not operation.is_done:
        return operation.value
    made = [{"uri": f"https://example.com/{i}.mp4", "mimeType": "video/mp4"} for i in range(len(operation.results))]
    if operation.id.startswith("projects/"):
        videos = [{"gcsUri": video["uri"], "mimeType": video["mimeType"]} for video in made]
        return {**operation.value, "done": True, "response": {"videos": videos}}
    samples = [{"video": video} for video in made]
    return {**operation.value, "done": True, "response": {"generateVideoResponse": {"generatedSamples": samples}}}


def _name(asked: Asked) -> str:
    return f"{_place(asked)}{asked.names['name']}"


def _operation(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, OPERATION, _name(asked))
    found.steps += 1
    return Reply(_operation_told(found))


def _fetch(store: NativeStore, asked: Asked) -> Reply:
    found = _known(store, OPERATION, str(asked.json.get("operationName")))
    found.steps += 1
    return Reply(_operation_told(found))


def _operations(store: NativeStore, asked: Asked) -> Reply:
    return _page(asked, "operations", [_operation_told(kept) for kept in store.all(OPERATION)])


def _cancel_operation(store: NativeStore, asked: Asked) -> Reply:
    _known(store, OPERATION, _name(asked)).is_cancelled = True
    return Reply({})


_ID = r"/(?P<id>[^/:]+)"
_OPERATION = r"/(?P<name>(?:models/[^/]+/|publishers/[^/]+/models/[^/]+/)?operations/[^/:]+)"
_PUBLISHED = f"/publishers/google{_MODEL}"
_KEPT: tuple[tuple[str, str, Answer], ...] = (
    ("POST", "/cachedContents", _create_cache),
    ("GET", "/cachedContents", _caches),
    ("GET", f"/cachedContents{_ID}", _cache),
    ("PATCH", f"/cachedContents{_ID}", _change_cache),
    ("DELETE", f"/cachedContents{_ID}", _delete_cache),
    ("GET", _OPERATION, _operation),
    ("POST", f"{_OPERATION}:cancel", _cancel_operation),
    ("GET", "/operations", _operations),
)
_OF_THE_API: tuple[tuple[str, str, Answer], ...] = (
    ("POST", f"{_MODEL}:countTokens", _count_tokens),
    ("GET", "/models", _models),
    ("GET", _MODEL, _model),
    ("GET", "/files", _files),
    ("GET", f"/files{_ID}", _file),
    ("DELETE", f"/files{_ID}", _delete_file),
    ("GET", f"/files{_ID}:download", _download),
    ("POST", f"{_MODEL}:batchGenerateContent", _create_batch),
    ("GET", "/batches", _batches),
    ("GET", f"/batches{_ID}", _batch),
    ("POST", f"/batches{_ID}:cancel", _cancel_batch),
    ("DELETE", f"/batches{_ID}", _delete_batch),
    ("POST", f"{_MODEL}:predictLongRunning", _start),
    *_KEPT,
)
_OF_VERTEX: tuple[tuple[str, str, Answer], ...] = (
    ("POST", f"{_PUBLISHED}:countTokens", _count_tokens),
    ("POST", f"{_PUBLISHED}:predictLongRunning", _start),
    ("POST", f"{_PUBLISHED}:fetchPredictOperation", _fetch),
    *_KEPT,
)


def _rows(root: str, rows: tuple[tuple[str, str, Answer], ...], said_by: str | None = None) -> tuple[NativeRoute, ...]:
    return tuple(
        NativeRoute(
            method=method,
            paths=re.compile(root + path),
            protocol=_GEMINI,
            answer=answer,
            limit_headers=retry_after_header,
            said_by=said_by,
        )
        for method, path, answer in rows
    )


GOOGLE_ROWS = (
    *_rows("(?:/download)?/v1(?:alpha|beta)", _OF_THE_API),
    *_rows("(?:/download)?/v1", _OF_THE_API, "x-goog-api-key"),  # a path of others, too
    *_rows("/upload/v1(?:alpha|beta)?", (("POST", "/files", _upload),)),
    *_rows(_PLACE, _OF_VERTEX),
)
