"""Batches that are older than they are to be kept, and their removal."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from medgen_pipeline.dataset import layout
from medgen_pipeline.dataset.derived import FOLDER
from medgen_pipeline.dataset.manifest import Manifest, read_manifest
from medgen_pipeline.dataset.store import Store


def expired(
    manifests: list[Manifest], kept_for: Mapping[str, timedelta], now: datetime
) -> list[Manifest]:
    """Return the batches of each scenario that were committed longer ago than it keeps them."""
    return [
        manifest
        for manifest in manifests
        if manifest.scenario in kept_for
        and now - manifest.run.created_at > kept_for[manifest.scenario]
    ]


def remove_partition(store: Store, manifest: Manifest) -> int:
    """Remove a batch and what was derived from it; return the bytes freed, 0 if it is newer now.

    The manifest goes first, so whatever stops this leaves no batch, or litter.
    """
    partition = manifest.partition
    with store.exclusive(layout.manifest_folder(partition.scenario)):
        try:
            if read_manifest(store, partition).run.commit != manifest.run.commit:
                return 0
        except FileNotFoundError:
            return 0
        store.delete([layout.manifest_path(partition)])
        store.delete(manifest.paths())
    derived = [
        entry
        for folder in store.folders(FOLDER)
        for entry in store.entries(f"{folder}/{partition}")
    ]
    store.delete(entry.path for entry in derived)
    return sum(file.bytes for file in manifest.files) + sum(entry.size for entry in derived)
