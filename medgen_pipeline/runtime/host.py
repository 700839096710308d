"""How much memory this host, or the control group it is confined to, has left."""

import contextlib
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from medgen_pipeline.runtime.processes import MIB

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")


class _Version(NamedTuple):
    """Where a version of the kernel's control groups states memory."""

    folder: str
    limit: str
    used: str
    reclaimable: str  # in memory.stat: cached files, which make room when asked


VERSIONS: Final = (
    _Version("", "memory.max", "memory.current", "inactive_file"),
    _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_mb() -> float:
    """Return the memory that new processes can have here without others being pushed out, MiB."""
    host = psutil.virtual_memory().available / MIB
    return min([host, *cgroups_available_mb(CGROUPS, own_groups(OWN_GROUPS))])


def total_mb() -> float:
    """Return the memory of the host, or of the control group that is confined the most, MiB."""
    host = psutil.virtual_memory().total / MIB
    return min([host, *cgroups_total_mb(CGROUPS, own_groups(OWN_GROUPS))])


def own_groups(listing: Path) -> list[str]:
    """Return the paths of this process's groups; in a container often just the root."""
    with contextlib.suppress(OSError):
        lines = listing.read_text(encoding="utf-8").splitlines()
        paths = {
            path.strip("/")
            for _, controllers, path in (line.split(":", 2) for line in lines)
            if controllers in {"", "memory"}
        }
        return sorted({"", *paths})
    return [""]


def cgroups_available_mb(root: Path, groups: list[str]) -> list[float]:
    """Return what each limited group has left, MiB; none where nothing is limited."""
    found = (
        _left(root / version.folder / group, version) for version in VERSIONS for group in groups
    )
    return [left / MIB for left in found if left is not None]


def cgroups_total_mb(root: Path, groups: list[str]) -> list[float]:
    """Return what each limited group may have, MiB; none where nothing is limited."""
    found = (
        _limit(root / version.folder / group, version) for version in VERSIONS for group in groups
    )
    return [limit / MIB for limit in found if limit is not None]


def _limit(folder: Path, version: _Version) -> int | None:
    """Return the bytes a group may have, None for a group without a limit or without files."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / version.limit).read_text())
    return None


def _left(folder: Path, version: _Version) -> int | None:
    """Return the bytes a group has left, None for a group without a limit or without files."""
    with contextlib.suppress(OSError, ValueError):
        limit = int((folder / version.limit).read_text())
        used = int((folder / version.used).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
        stat = dict(line.split() for line in lines)
        return limit - used + int(stat.get(version.reclaimable, 0))
    return None
