"""Metrics for Prometheus, and a dashboard of Grafana's that shows them (extra: ``prometheus``).

``PrometheusMetrics`` counts what gateways do, by ``hook()``, and tells how keys, windows, breakers and budgets stand when they
are scraped, by ``watch()``. ``dashboard()`` is the dashboard's JSON. No label holds a key, a prompt, an answer or a tenant.
"""

from __future__ import annotations

try:
    import prometheus_client as _prometheus_client  # noqa: F401
except ImportError:
    raise ImportError("omnillm.contrib.prometheus needs prometheus_client: pip install 'omnillm[prometheus]'") from None

from importlib import resources

from .metrics import PrometheusMetrics
from .status import StatusCollector

__all__ = ["PrometheusMetrics", "StatusCollector", "dashboard"]


def dashboard() -> str:
    """Give the dashboard, as JSON that Grafana imports."""
    return resources.files(__name__).joinpath("dashboard.json").read_text("utf-8")
