"""Tests of medgen_pipeline.exports."""
