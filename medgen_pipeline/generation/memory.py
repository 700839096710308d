"""Giving memory that is free back to the kernel, which counts it against a run until then."""

import ctypes
import gc
import sys


def give_back() -> None:
    """Return what the allocators of C and of Arrow keep for later, where they can be asked.

    After a replicate of 1,000,000 patients that is 100 MB of 370, measured with glibc 2.36.
    """
    gc.collect()
    trim()


def trim() -> None:
    """Do the same without looking for what nobody refers to, which takes a third of a second."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if malloc_trim is not None:
        malloc_trim(0)
