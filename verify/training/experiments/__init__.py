"""Experiments: grids of training runs with tuned rates, their tables, and what they say about the paper's claims."""
