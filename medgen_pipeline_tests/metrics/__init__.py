"""Tests of medgen_pipeline.metrics."""
