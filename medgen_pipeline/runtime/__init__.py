"""What bounds and supervises a run."""
