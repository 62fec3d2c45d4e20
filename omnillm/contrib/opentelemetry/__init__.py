"""OpenTelemetry: spans and metrics of a gateway's calls, by the semantic conventions for generative AI, version 1.41.

Extra: ``opentelemetry``, which is the API alone; whoever runs the program brings the SDK and its exporters.
"""

from __future__ import annotations

try:
    from ._hook import OpenTelemetryHook, instrument
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("opentelemetry"):
        raise
    raise ImportError("omnillm.contrib.opentelemetry needs OpenTelemetry: pip install 'omnillm[opentelemetry]'") from None

__all__ = ["OpenTelemetryHook", "instrument"]
