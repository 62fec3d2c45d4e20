"""OpenTelemetry: spans and metrics of a gateway's calls, by the semantic conventions for generative AI, version 1.41.

Extra: ``opentelemetry``, which is the API alone; whoever runs the program brings the SDK and its exporters.
"""

from __future__ import annotations

try:
    import opentelemetry.metrics as _metrics  # noqa: F401
    import opentelemetry.trace as _trace  # noqa: F401
except ImportError as _error:
    raise ImportError("omnillm.contrib.opentelemetry needs OpenTelemetry: pip install 'omnillm[opentelemetry]'") from _error

from ._hook import OpenTelemetryHook, instrument

__all__ = ["OpenTelemetryHook", "instrument"]
