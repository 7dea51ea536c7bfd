"""Tests of meanfield and verify."""
