"""Tests of medgen_pipeline.simulation."""
