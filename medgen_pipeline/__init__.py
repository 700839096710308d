"""Synthetic military casualties for medical exercises and planning: scenario in, Parquet out."""
