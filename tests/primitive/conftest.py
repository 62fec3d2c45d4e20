"""A provider on loopback, and gateways to it that are closed when the test is over."""

from gateway_fixtures import build, clock, closing, events, provider

__all__ = ["build", "clock", "closing", "events", "provider"]
