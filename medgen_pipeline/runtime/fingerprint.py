"""What decides the data that a machine makes: this package, its sources, what it computes with.

Two machines whose fingerprints are equal make equal bytes, if their architecture is the same.
"""

import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import medgen_pipeline

PACKAGE: Final = Path(medgen_pipeline.__file__).parent
SUFFIXES: Final = (".py", ".json", ".yaml")
# Beside this package: what runs it, and what its numbers and files come from.
LIBRARIES: Final = ("dagster", "numba", "numpy", "pyarrow", "faker")


@functools.cache
def fingerprint() -> Mapping[str, str]:
    """Return versions by name, that of this package with a hash of its sources."""
    own = f"{importlib.metadata.version('medgen_pipeline')} ({source_hash(PACKAGE)})"
    major, minor, *_ = sys.version_info
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"medgen_pipeline": own, "python": f"{major}.{minor}", **versions}


def source_hash(package: Path) -> str:
    """Return a hash of the sources and tables of a package, wherever it is installed."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in SUFFIXES and "__" not in str(path.parent.relative_to(package)):
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return what differs, as `name: here, there`."""
    return [
        f"{name}: {here.get(name, 'none')} here, {there.get(name, 'none')} there"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
