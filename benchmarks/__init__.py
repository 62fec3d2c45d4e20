"""How much the library's own work costs, as ratios to ``json.loads`` taken in the same run: ``python -m benchmarks``."""
