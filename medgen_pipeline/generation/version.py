"""Which version made a batch; apart from what makes it, for who only asks needs no compiler."""

import importlib.metadata


def generator_version() -> str:
    """Return the version that decides the data, beside the scenario and its seed."""
    return importlib.metadata.version("medgen_pipeline")
