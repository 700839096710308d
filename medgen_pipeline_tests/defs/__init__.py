"""Tests of medgen_pipeline.defs."""
