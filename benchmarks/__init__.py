"""What a call costs, as ratios to what people write by hand, taken in the same run: ``python -m benchmarks``."""
