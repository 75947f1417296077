"""How fast the engine is, measured against the sandboxes: ``python -m tests.benchmarks``."""
