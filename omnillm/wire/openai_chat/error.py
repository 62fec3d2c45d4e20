"""Errors of Chat Completions and of the servers that speak it."""

from __future__ import annotations

from typing import Any

from ...errors import ProviderError
from .._codec import Payload
from .._openai_error import embedded_status, read_error, write_error
from ._content import CHAT


def parse_error(status: int | None, body: Any) -> ProviderError:
    """Read an error body of any form."""
    return read_error(CHAT, status, body)


def emit_error(error: ProviderError) -> Payload:
    """Write an error; one that came in this form goes out as it came."""
    if error.protocol is CHAT and isinstance(error.raw_body, dict):
        return error.raw_body
    return write_error(error)


def embedded_error(body: Payload) -> ProviderError | None:
    """Find the error of a body that came with a status of success."""
    if not body.get("error") or body.get("choices"):
        return None
    return parse_error(embedded_status(body), body)


__all__ = ["embedded_error", "embedded_status", "emit_error", "parse_error"]
