"""Flask: an extension with the gateways of ``app.config["OMNILLM"]``, answers as server-sent events, ``flask omnillm status``."""

from __future__ import annotations

try:
    import flask as _flask  # noqa: F401
except ImportError as _error:
    raise ImportError("omnillm.contrib.flask needs Flask: pip install 'omnillm[flask]'") from _error

from .extension import OmniLLM, get_gateway
from .responses import error_response, sse_response

__all__ = ["OmniLLM", "error_response", "get_gateway", "sse_response"]
