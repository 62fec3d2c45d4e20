"""What plays a fault, and gateways that are closed when the test is over."""

from fault_play import outcome, play, serve
from gateway_fixtures import build, clock, closing, events, provider

__all__ = ["build", "clock", "closing", "events", "outcome", "play", "provider", "serve"]
