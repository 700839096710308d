"""The code location: what Dagster loads, made from the environment when it asks."""

import os

import dagster as dg

from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the deployment that the environment describes."""
    return build_defs(Settings.from_env(os.environ))
