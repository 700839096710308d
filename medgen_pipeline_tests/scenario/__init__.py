"""Tests of medgen_pipeline.scenario."""
