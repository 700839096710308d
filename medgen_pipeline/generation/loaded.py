"""What processes that generate batches are forked from: importing it loads the simulation.

Nothing else imports it. Each process of its own would spend a second and a half of a core on this.
"""

import gc

from medgen_pipeline.generation import batch  # noqa: F401  with all it needs
from medgen_pipeline.generation.warm import load_kernels

load_kernels()
gc.freeze()  # what nobody looks through stays shared
