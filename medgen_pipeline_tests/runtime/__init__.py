"""Tests of medgen_pipeline.runtime."""
