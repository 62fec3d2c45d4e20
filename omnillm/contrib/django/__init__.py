"""Django: gateways of ``settings.OMNILLM``, checks of it, answers as server-sent events, and ``manage.py omnillm_status``.

``"omnillm.contrib.django"`` in ``INSTALLED_APPS`` brings the checks and the command; ``get_gateway`` works without.
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401
except ImportError as _error:
    raise ImportError("omnillm.contrib.django needs Django: pip install 'omnillm[django]'") from _error

from .gateways import close_gateways, get_gateway
from .responses import error_response, sse_response

__all__ = ["close_gateways", "error_response", "get_gateway", "sse_response"]
