"""Bytes to and from an origin, within time and bounds; knows no model, pool, price or wire format."""

from ._exchange import Watch
from .body import HttpResponse
from .http import HttpRequest, HttpTransport, Timeouts

__all__ = ["HttpRequest", "HttpResponse", "HttpTransport", "Timeouts", "Watch"]
