"""Tests of medgen_pipeline.reference."""
