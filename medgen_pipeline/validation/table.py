"""The check table of a dataset: each check with its value, its interval, and whether it passes."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from medgen_pipeline.dataset.damage import readable_tables
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.validation.checks import CHECKS, Check, Part
from medgen_pipeline.validation.figures import ScenarioFigures, scenario_figures
from medgen_pipeline.validation.measures import prepare
from medgen_pipeline.validation.statistics import Estimate, estimate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A scenario's data decide a check from either size on: medical-anchors 4.
ENOUGH_PATIENTS: Final = 20_000
ENOUGH_REPLICATES: Final = 150


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part of a check with what was measured; `passed` is None where nothing was."""

    part: Part
    found: Estimate

    @property
    def passed(self) -> bool | None:
        """Whether the value lies in the band."""
        if self.found.value is None:
            return None
        least, most = self.part.band
        return self.found.value >= least and (most is None or self.found.value <= most)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check with what was measured; `undecided` says why it neither passed nor failed."""

    check: Check
    parts: tuple[PartResult, ...]
    undecided: str | None

    @property
    def passed(self) -> bool | None:
        """Whether every part passed; None where the data do not decide it."""
        if self.undecided is not None:
            return None
        return all(part.passed for part in self.parts)

    @property
    def decisive(self) -> PartResult:
        """The part that stands for the check: the first that did not pass, else the first."""
        return next((part for part in self.parts if not part.passed), self.parts[0])


@dataclass(frozen=True, slots=True)
class Table:
    """What a dataset says of the checks, and the figures of each of its scenarios."""

    checks: tuple[CheckResult, ...]
    scenarios: tuple[ScenarioFigures, ...]


def check_table(
    dataset: Dataset,
    scenarios: Collection[str] | None = None,
    batches: Collection[int] | None = None,
) -> Table:
    """Return the check table of a dataset; or of some scenarios, with the checks on those alone."""
    names = dataset.scenarios() if scenarios is None else sorted(scenarios)
    manifests = [manifest for name in names for manifest in dataset.manifests(name, batches)]
    sizes = _sizes(manifests)
    with closing(dataset.duckdb(batches=batches)) as connection, readable_tables(connection):
        prepare(connection, manifests)
        return Table(
            tuple(
                _result(connection, check, sizes)
                for check in CHECKS
                if scenarios is None or {*check.scenarios} <= {*scenarios}
            ),
            tuple(scenario_figures(connection, {name: size[1] for name, size in sizes.items()})),
        )


def _sizes(manifests: Iterable[Manifest]) -> Mapping[str, tuple[int, int]]:
    """Return the patients and replicates of each scenario."""
    sizes: dict[str, tuple[int, int]] = {}
    for manifest in manifests:
        patients, replicates = sizes.get(manifest.scenario, (0, 0))
        sizes[manifest.scenario] = (
            patients + manifest.rows["patients"],
            replicates + manifest.replicates_per_batch,
        )
    return sizes


def _result(
    connection: "DuckDBPyConnection", check: Check, sizes: Mapping[str, tuple[int, int]]
) -> CheckResult:
    parts = tuple(PartResult(part, _measured(connection, part)) for part in check.parts)
    return CheckResult(check, parts, _undecided(check, parts, sizes))


def _undecided(
    check: Check, parts: Iterable[PartResult], sizes: Mapping[str, tuple[int, int]]
) -> str | None:
    """Return why a dataset cannot decide a check, None when it can."""
    missing = [name for name in check.scenarios if name not in sizes]
    if missing:
        return f"missing: no data of {', '.join(missing)}"
    for name in check.scenarios:
        patients, replicates = sizes[name]
        has_patients = patients >= ENOUGH_PATIENTS and not check.counts_days
        if not has_patients and replicates < ENOUGH_REPLICATES:
            least = "" if check.counts_days else f"{ENOUGH_PATIENTS:,} patients or "
            return (
                f"too few: {patients:,} patients and {replicates:,} replicates of {name}, "
                f"of {least}{ENOUGH_REPLICATES} replicates"
            )
    if any(part.passed is None for part in parts):
        return "missing: nobody in the data to measure it on"
    return None


def _measured(connection: "DuckDBPyConnection", part: Part) -> Estimate:
    block, *columns = connection.sql(part.query).fetchnumpy().values()
    rows = [np.ma.filled(np.ma.asarray(column, np.float64), 0.0) for column in columns]
    return estimate(np.column_stack(rows), np.asarray(block, np.int64), part.measure)
