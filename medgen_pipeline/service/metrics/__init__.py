"""`GET /metrics`: where its figures come from, how they are kept, how they are written."""
