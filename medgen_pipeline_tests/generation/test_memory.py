"""Memory that is free is the kernel's again."""

import numpy as np
import psutil

from medgen_pipeline.generation.memory import give_back


def test_free_memory_is_given_back() -> None:
    """Small blocks stay with the allocator when they are freed, until they are given back."""
    process = psutil.Process()
    kept = [np.ones(8_000) for _ in range(2_000)]  # 128 MB, each below the size that is mapped
    last = np.ones(8_000)
    full = process.memory_info().rss
    del kept
    give_back()
    assert process.memory_info().rss < full - 64 * 2**20
    assert last.sum() == 8_000
