"""How cost grows: with keys, threads, the length of a stream and the number of messages."""
FAMILIES = {}
