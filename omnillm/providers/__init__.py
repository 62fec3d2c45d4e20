"""The outside, described: where an endpoint is, how it is reached and how a key becomes a header."""
