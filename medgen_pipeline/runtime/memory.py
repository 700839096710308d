"""Giving memory that is free back to the kernel, which counts it against a run until then."""

import ctypes
import gc
import sys


def give_back() -> None:
    """Return what the allocators of C and of Arrow keep for later, where they can be asked.

    After a replicate of 1,000,000 patients that is 100 MB of 370, measured with glibc 2.36.
    """
    gc.collect()
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
