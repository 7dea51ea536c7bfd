"""Singular values of random networks' Jacobians: measured, and held against a law."""
