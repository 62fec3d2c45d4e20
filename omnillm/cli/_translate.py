"""``omnillm transcode`` and ``omnillm sanitize``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .. import _json
from .._secret import Secret
from ..config import EnvironmentVariable
from ..replay import ReplayFixture, sanitize_json_value
from ..types._display import printable
from ..types.enums import WireFormat
from ..types.report import ConversionReport
from ..wire import SseDecoder, SseFrame, StreamTranscoder, encode_sse, transcode_api_request, transcode_api_response
from ._streams import read_bytes, read_chunks
from ._terminal import print_json

LOSSY = 3


def transcode(options: argparse.Namespace) -> int:
    """Rewrite stdin; 3 where ``--strict`` and something was lost."""
    source, target = options.source, options.target
    if options.stream:
        return _stream(source, target, as_json=options.json)
    rewrite = transcode_api_response if options.response else transcode_api_request
    report: ConversionReport[Any] = rewrite(source, target, _json.loads(read_bytes()))
    losses = [{"pointer": loss.pointer, "reason": loss.reason} for loss in report.losses]
    if options.json:
        print_json({"value": report.value, "bridged": report.bridged, "lossy": report.lossy, "losses": losses}, indent=2)
    else:
        print_json(report.value, indent=2)
        for loss in losses:
            print(printable(f"lost: {loss['pointer']}: {loss['reason']}"), file=sys.stderr)
    return LOSSY if options.strict and report.lossy else 0


def _stream(source: WireFormat, target: WireFormat, *, as_json: bool) -> int:
    decoder, transcoder = SseDecoder(), StreamTranscoder(source.protocol, target.protocol)
    for chunk in read_chunks():
        for frame in decoder.feed(chunk):
            _write(transcoder.feed(frame), as_json=as_json)
    for frame in decoder.finish():
        _write(transcoder.feed(frame), as_json=as_json)
    _write(transcoder.finish(), as_json=as_json)
    return 0


def _write(frames: list[SseFrame], *, as_json: bool) -> None:
    for frame in frames:
        text = json.dumps({"event": frame.event, "data": frame.data}, ensure_ascii=False) + "\n" if as_json else None
        sys.stdout.write(encode_sse(frame).decode("utf-8") if text is None else text)
        sys.stdout.flush()


def sanitize(options: argparse.Namespace) -> int:
    """Write stdin without secrets: a fixture, or a recording of them, by its parts; any other JSON value as it is."""
    secrets = [Secret.by_reference(EnvironmentVariable(name)) for name in options.secret_env]
    value = _json.loads(read_bytes())
    if isinstance(value, dict) and set(value) == {"version", "exchanges"} and isinstance(value["exchanges"], list):
        print_json({**value, "exchanges": [_sanitized(exchange, secrets) for exchange in value["exchanges"]]}, indent=2)
    else:
        print_json(_sanitized(value, secrets), indent=2)
    return 0


def _sanitized(value: Any, secrets: list[Secret]) -> Any:
    if isinstance(value, dict) and set(value) == {"wire_format", "request", "response"}:
        return ReplayFixture.from_dict(value).sanitized(secrets=secrets).to_dict()
    return sanitize_json_value(value, secrets=secrets)
