"""Bytes to and from an origin, within time and bounds; knows no model, pool, price or wire format."""

from ._exchange import Watch
from .body import MAX_BODY, HttpResponse
from .http import HttpRequest, HttpTransport, Timeouts
from .upload import Upload

__all__ = ["MAX_BODY", "HttpRequest", "HttpResponse", "HttpTransport", "Timeouts", "Upload", "Watch"]
