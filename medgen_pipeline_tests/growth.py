"""What grows with the number of partitions, measured: `make bench-growth`.

Tiny partitions are committed to a folder and to an S3 server, and their materialisations reported
to Dagster on Postgres; at each size the things that look at all of them are timed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from medgen_pipeline.dataset.janitor import find_litter
from medgen_pipeline.dataset.layout import MANIFESTS
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import Store, open_store
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.partitions import BATCHES, SCENARIO, partition_key, partitions
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests import postgres_server
from medgen_pipeline_tests.dataset import sample
from medgen_pipeline_tests.dataset.s3_server import BUCKET, running

SIZES: Final = (100, 1_000, 10_000)
AT_ONCE: Final = 8  # commits


def commit(store: Store, number: int) -> None:
    """Commit a partition of a few rows; a thousand batches belong to one scenario."""
    name = f"tiny-{number // BATCHES}"
    with sample.writer(store, number % BATCHES, id=name) as opened:
        sample.fill(opened, count=1)
        opened.commit(outcomes={"RTD": 3})


def grow(store: Store, first: int, last: int) -> float:
    """Commit partitions, some at a time; return seconds for each."""
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(commit, store, number) for number in range(first, last)]:
            done.result()
    return (time.perf_counter() - started) / (last - first)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def looks(store: Store) -> dict[str, float]:
    """Return the seconds of each thing that looks at all partitions."""
    data = Dataset(store)
    return {
        "list manifests": timed(data.partitions),
        "one scenario's batches": timed(lambda: data.partitions("tiny-0")),
        "read manifests": timed(data.manifests),
        "janitor": timed(lambda: find_litter(store)),
        "query of one batch": timed(
            lambda: data.to_pandas("patients", scenario="tiny-0", batches=[0], columns=["outcome"])
        ),
    }


def bytes_below(store: Store, folder: str) -> int:
    """Return the bytes of all files below a folder."""
    return sum(entry.size for entry in store.entries(folder))


@contextmanager
def instance(home: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """Open an instance on Postgres, as a deployment's."""
    os.environ["MEDGEN_DATABASE_URL"] = url
    home.mkdir()
    (home / "dagster.yaml").write_text(render_instance_yaml(os.environ))
    with dg.DagsterInstance.from_config(str(home)) as opened:
        opened.add_dynamic_partitions(SCENARIO, [f"tiny-{n}" for n in range(SIZES[-1] // BATCHES)])
        yield opened


def report(instance: dg.DagsterInstance, first: int, last: int) -> float:
    """Report the materialisation of partitions of one table; return seconds for each."""
    started = time.perf_counter()
    for number in range(first, last):
        key = str(partition_key(f"tiny-{number // BATCHES}", number % BATCHES))
        metadata: dict[str, int | str] = {
            "dagster/partition_row_count": 3,
            "bytes": 10_000,
            "commit": "0" * 12,
        }
        event = dg.AssetMaterialization("patients", partition=key, metadata=metadata)
        instance.report_runless_asset_event(event)
    return (time.perf_counter() - started) / (last - first)


def questions(instance: dg.DagsterInstance) -> dict[str, float]:
    """Return the seconds of what the UI and sensors ask about partitions."""
    key = dg.AssetKey("patients")
    return {
        "materialised partitions": timed(lambda: instance.get_materialized_partitions(key)),
        "status of each": timed(
            lambda: instance.get_status_by_partition(
                key, partitions.get_partition_keys(dynamic_partitions_store=instance), partitions
            )
        ),
        "load the definitions": timed(lambda: build_defs(Settings()).get_repository_def()),
    }


def show(size: int, where: str, figures: dict[str, float]) -> None:
    """Print what was measured at one size."""
    for name, value in figures.items():
        sys.stdout.write(f"{size:>7,}  {where:<9} {name:<28} {value:>12,.4f}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print, size by size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    most = parser.parse_args().most
    sizes = [size for size in SIZES if size <= most]
    with tempfile.TemporaryDirectory(prefix="medgen-growth-") as name:
        folder = Path(name)
        grow_store(open_store(folder / "data"), "folder", sizes)
        (folder / "s3").mkdir()
        with running(folder / "s3") as bucket:
            os.environ.update(bucket.environment)
            grow_store(open_store(f"s3://{BUCKET}/growth"), "S3", sizes)
        with (
            postgres_server.running() as server,
            instance(folder / "home", server.new_database()) as opened,
        ):
            grow_instance(opened, server, sizes)


def grow_store(store: Store, where: str, sizes: list[int]) -> None:
    """Measure a dataset at each size."""
    before = 0
    for size in sizes:
        show(size, where, {"s a commit": grow(store, before, size)})
        show(size, where, looks(store))
        show(size, where, {"bytes a manifest": bytes_below(store, MANIFESTS) / size})
        before = size


def grow_instance(
    instance: dg.DagsterInstance, server: postgres_server.PostgresServer, sizes: list[int]
) -> None:
    """Measure Dagster's part at each size."""
    before = 0
    for size in sizes:
        show(size, "Postgres", {"s an event": report(instance, before, size)})
        show(size, "Postgres", questions(instance))
        ((held,),) = server.execute("select pg_database_size('medgen_1')")
        show(size, "Postgres", {"bytes an event": held / size})
        before = size


if __name__ == "__main__":
    main()
