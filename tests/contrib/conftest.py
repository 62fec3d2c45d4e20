"""Gateways and servers as in the tests of the gateway."""

from gateway_fixtures import build, clock, closing, events, provider

__all__ = ["build", "clock", "closing", "events", "provider"]
