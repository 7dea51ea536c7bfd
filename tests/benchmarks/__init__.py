"""Timings beside the plain baseline: ``python -m pytest -n 0 tests/benchmarks --benchmark-only``."""
