"""What keeps the batches of a scenario from being of one making, so that to pool them misleads.

Nothing is refused: whoever makes all batches anew, one after another, passes through it.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from medgen_pipeline.dataset.manifest import Manifest

WHAT: Final = {
    "scenario_sha256": "other content (seed, patients, anything of the scenario)",
    "generator_version": "another version of the generator",
}


def mixtures(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Yield, for each scenario, what its batches are not agreed on."""
    by_name = sorted(manifests, key=lambda each: (each.scenario, each.first_replicate, each.batch))
    for scenario, group in groupby(by_name, key=lambda each: each.scenario):
        of_it = list(group)
        yield from _held_twice(scenario, of_it)
        for name, what in WHAT.items():
            if len({getattr(each, name) for each in of_it}) > 1:
                yield f"{scenario}: its batches were not all made alike: some are of {what}"


def _held_twice(scenario: str, in_order: list[Manifest]) -> Iterator[str]:
    """Yield the first replicate that two batches hold, the only one that needs to be said."""
    last = in_order[0]
    for each in in_order[1:]:
        if each.first_replicate <= last.last_replicate:
            sizes = f"{last.replicates_per_batch} and {each.replicates_per_batch}"
            yield (
                f"{scenario}: batches {last.batch} and {each.batch} both hold replicate "
                f"{each.first_replicate}, for they have {sizes} replicates a batch; its patients "
                "are there twice; generate all batches with one replicates_per_batch"
            )
            return
        last = each
