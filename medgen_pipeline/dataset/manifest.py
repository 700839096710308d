"""The commit record of a partition: what was generated, from what, and where its bytes are.

Everything that differs between two runs of the same scenario is under `run`; the rest is equal for
equal data. The path of a file follows from its table, its part and `run.commit` (`layout.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from medgen_pipeline.dataset import layout, schema
from medgen_pipeline.dataset.store import Store
from medgen_pipeline.errors import DatasetError

FORMAT: Final = 1

Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ManifestFile(_Record):
    """One Parquet file of a table."""

    table: str
    part: Count
    rows: Count
    bytes: Count
    sha256: Digest


class Run(_Record):
    """What differs from run to run: who made it, when, and what it took."""

    run_id: str
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]+$")]
    created_at: AwareDatetime
    measured: dict[str, float | int | str | None] = {}  # seconds, peak memory and the like


class Manifest(_Record):
    """One committed partition."""

    format: Literal[1] = FORMAT
    scenario: str
    batch: Count
    first_replicate: Count
    last_replicate: Count
    replicates_per_batch: Annotated[int, Field(ge=1)]
    seed: Count
    generator_version: str
    schema_version: int
    scenario_sha256: Digest
    resolved_scenario: dict[str, Any]
    rows: dict[str, Count]  # by table
    outcomes: dict[str, Count]  # patients by outcome
    rates: dict[str, float]  # outcomes as shares of the patients
    files: tuple[ManifestFile, ...]
    run: Run

    @property
    def partition(self) -> layout.Partition:
        """The partition it records."""
        return layout.Partition(self.scenario, self.batch)

    def path(self, file: ManifestFile) -> str:
        """Return the path of one of its files."""
        return layout.data_path(file.table, self.partition, file.part, self.run.commit)

    def paths(self, table: str | None = None) -> list[str]:
        """Return the paths of its files, or of those of one table."""
        return [self.path(file) for file in self.files if table in {None, file.table}]

    def comparable(self) -> dict[str, Any]:
        """Return all that is equal between two runs with equal data."""
        return self.model_dump(mode="json", exclude={"run"})

    def encode(self) -> bytes:
        """Return it as a JSON document."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def scenario_digest(resolved: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a resolved scenario, whatever the order of its keys."""
    text = json.dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def content_commit(files: Iterable[ManifestFile]) -> str:
    """Return the commit id that follows from the files: equal bytes, equal names."""
    lines = [f"{file.table} {file.part} {file.sha256}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def parse_manifest(data: bytes, where: str, partition: layout.Partition) -> Manifest:
    """Return the manifest in a document; a fault is an error that names document and fault."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _corrupted(where, _first_fault(error)) from error
    fault = _inconsistency(manifest, partition)
    if fault:
        raise _corrupted(where, fault)
    return manifest


def _corrupted(where: str, fault: str) -> DatasetError:
    return DatasetError(
        f"manifest {where} cannot be used: {fault}; remove it and generate the batch again"
    )


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(step) for step in first["loc"])
    return f"{path}: {first['msg']}" if path else first["msg"]


def _inconsistency(manifest: Manifest, partition: layout.Partition) -> str | None:
    """Return what contradicts itself in a manifest that is well-formed."""
    if (manifest.scenario, manifest.batch) != (partition.scenario, partition.batch):
        return f"it records {manifest.scenario} batch {manifest.batch}"
    if manifest.schema_version != schema.SCHEMA_VERSION:
        return f"schema_version is {manifest.schema_version}; this is {schema.SCHEMA_VERSION}"
    if manifest.rows.keys() != {file.table for file in manifest.files}:
        return "rows and files do not name the same tables"
    for table, rows in manifest.rows.items():
        listed = sum(file.rows for file in manifest.files if file.table == table)
        if listed != rows:
            return f"rows.{table} is {rows}, but its files have {listed}"
    return None


def read_manifest(store: Store, partition: layout.Partition) -> Manifest:
    """Return the manifest of a partition; FileNotFoundError when it has none."""
    path = layout.manifest_path(partition)
    return parse_manifest(store.read(path).data, f"{store.url}/{path}", partition)


def read_manifests(
    store: Store, partitions: Iterable[layout.Partition], *, skip_corrupted: bool = False
) -> Iterator[Manifest]:
    """Yield the manifests of partitions, without those that are gone since they were listed."""

    def read(partition: layout.Partition) -> Manifest | None:
        try:
            return read_manifest(store, partition)
        except FileNotFoundError:
            return None
        except DatasetError:
            if not skip_corrupted:
                raise
            return None

    if store.requests_at_once == 1:
        yield from filter(None, map(read, partitions))
        return
    with ThreadPoolExecutor(store.requests_at_once) as pool:
        yield from filter(None, pool.map(read, partitions))
