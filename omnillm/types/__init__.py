"""Canonical values: what every wire format is read into and written from. Pure."""
