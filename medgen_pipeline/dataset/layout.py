"""Where everything in a dataset lies. No file is touched here.

    {table}/scenario={scenario}/batch={batch}/part-{part}-{commit}.parquet
    _manifests/scenario={scenario}/batch={batch}.json
    _staging/{run}.{token}/...
    _logs/{run}/...                     what runs print, where they are on several machines

A manifest is the commit record of one partition, a batch of a scenario: what it lists is the
dataset, anything else is invisible to whoever follows manifests. Whoever globs `*.parquet` sees
whole files only, but may for the moment of a commit, or after a crash within one until the janitor
has passed, see both the files of the old commit and those of the new.
"""

import re
from dataclasses import dataclass
from typing import Final

from medgen_pipeline.errors import DatasetError

MANIFESTS: Final = "_manifests"
STAGING: Final = "_staging"
LOGS: Final = "_logs"

_SCENARIO: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DATA: Final = re.compile(
    r"(?P<table>\w+)/scenario=(?P<scenario>[^/]+)/batch=(?P<batch>\d+)"
    r"/part-(?P<part>\d+)-(?P<commit>[0-9a-f]+)\.parquet"
)
_MANIFEST: Final = re.compile(
    MANIFESTS + r"/scenario=(?P<scenario>[^/]+)/batch=(?P<batch>\d+)\.json"
)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One batch of one scenario: the unit that is committed."""

    scenario: str
    batch: int

    def __post_init__(self) -> None:
        if not _SCENARIO.fullmatch(self.scenario):
            raise DatasetError(
                f"scenario id is {self.scenario!r}; must be small letters, digits and hyphens"
            )
        if self.batch < 0:
            raise DatasetError(f"batch is {self.batch}; must be at least 0")

    def __str__(self) -> str:
        return f"scenario={self.scenario}/batch={self.batch:04d}"


@dataclass(frozen=True, slots=True)
class DataFile:
    """What the path of a data file says."""

    table: str
    partition: Partition
    part: int
    commit: str


def data_path(table: str, partition: Partition, part: int, commit: str) -> str:
    """Return the path of a data file."""
    return f"{table}/{partition}/part-{part:05d}-{commit}.parquet"


def manifest_path(partition: Partition) -> str:
    """Return the path of the manifest of a partition."""
    return f"{MANIFESTS}/{partition}.json"


def manifest_folder(scenario: str | None = None) -> str:
    """Return the folder of the manifests of a scenario, or of all."""
    return MANIFESTS if scenario is None else f"{MANIFESTS}/scenario={scenario}"


def data_folder(table: str, scenario: str) -> str:
    """Return the folder of a table's files of one scenario."""
    return f"{table}/scenario={scenario}"


def staging_folder(run: str, token: str) -> str:
    """Return the folder where one writer of a run keeps what is not committed yet."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"run id is {run!r}; must be letters, digits, dots, hyphens, underscores")
    return f"{STAGING}/{run}.{token}"


def parse_staging(folder: str) -> tuple[str, str]:
    """Return run and token of a staging folder."""
    run, _, token = folder.rpartition("/")[2].rpartition(".")
    return run, token


def parse_data(path: str) -> DataFile | None:
    """Return what the path of a data file says, None for any other path."""
    found = _DATA.fullmatch(path)
    if found is None or not _SCENARIO.fullmatch(found["scenario"]):
        return None
    partition = Partition(found["scenario"], int(found["batch"]))
    return DataFile(found["table"], partition, int(found["part"]), found["commit"])


def parse_manifest(path: str) -> Partition | None:
    """Return the partition of a manifest's path, None for any other path."""
    found = _MANIFEST.fullmatch(path)
    if found is None or not _SCENARIO.fullmatch(found["scenario"]):
        return None
    return Partition(found["scenario"], int(found["batch"]))


def parse_scenario(folder: str) -> str | None:
    """Return the scenario of a folder such as `data_folder` names, None for any other."""
    name = folder.rpartition("/")[2].removeprefix("scenario=")
    return name if folder.endswith(f"/scenario={name}") and _SCENARIO.fullmatch(name) else None
