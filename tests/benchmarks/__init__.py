"""Timings beside the plain baseline: ``python -m pytest tests/benchmarks --benchmark-only``."""
