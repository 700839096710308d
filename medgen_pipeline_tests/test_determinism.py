"""The same scenario and seed give the same bytes, and a policy changes only what it can reach."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.generation.batch import generate_batch
from medgen_pipeline.generation.pool import generate_batches
from medgen_pipeline.reference.vocabulary import TREATMENTS
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import with_patients, with_replicates_per_batch, with_seed
from medgen_pipeline_tests.simulation.running import Columns, changed, small, tables

PERSON = (
    *("subject_id", "front", "warfare_type", "mechanism", "mechanism_group", "casualty_class"),
    *("is_mass_casualty", "environment", "injured_at", "day", "nationality", "sex", "age_years"),
    *("birth_date", "given_name", "family_name", "blood_group", "weight_kg", "religion"),
    *("primary_condition_code", "injury_count", "max_ais", "iss", "niss", "triage_true"),
)


def scenario(scenario_id: str, patients: int, replicates: int = 1) -> Scenario:
    """Return a shipped scenario at another size."""
    shipped = with_patients(Catalogue().get(scenario_id), patients)
    return with_replicates_per_batch(shipped, replicates)


def digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every data file under a root, by its path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.parquet"))
    }


def manifests(made: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what must be equal in the manifests of some batches."""
    return [result.manifest.comparable() for result in made]


def test_files_are_equal_for_any_number_of_processes(tmp_path: Path) -> None:
    """Byte by byte, names included, for three batches of two replicates in 1, 2 and 3 processes."""
    little = scenario("demo", 300, 2)
    roots = [tmp_path / str(processes) for processes in (1, 2, 3)]
    found = [
        manifests(generate_batches(little, [0, 1, 2], root, processes=processes))
        for processes, root in enumerate(roots, 1)
    ]
    files = [digests(root) for root in roots]
    assert len(files[0]) == 3 * len(TABLES)
    assert files[0] == files[1] == files[2]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("scenario_id", ["high-intensity", "arctic-operation"])
def test_files_are_equal_for_any_size_of_buffers(scenario_id: str, tmp_path: Path) -> None:
    some = scenario(scenario_id, 2_000)
    made = {}
    for buffer_rows in (256, 4_096, 65_536):
        root = tmp_path / str(buffer_rows)
        result = generate_batch(some, 0, root, buffer_rows=buffer_rows)
        made[buffer_rows] = (digests(root), result.manifest.comparable())
    assert made[256] == made[4_096] == made[65_536]


def test_another_seed_gives_other_patients(tmp_path: Path) -> None:
    """So that equal digests mean something."""
    little = scenario("demo", 100)
    generate_batch(little, 0, tmp_path / "a")
    generate_batch(with_seed(little, little.seed + 1), 0, tmp_path / "b")
    assert set(digests(tmp_path / "a").values()).isdisjoint(digests(tmp_path / "b").values())


def rows_of(root: Path, table: str, replicate: int) -> dict[str, list[Any]]:
    """Return the rows of a replicate, column by column, as words and numbers."""
    batches = list(Dataset(str(root)).scan(table, replicates=[replicate]))
    read = pa.Table.from_batches(batches)
    return {name: read.column(name).to_pylist() for name in read.column_names if name != "batch"}


@pytest.mark.parametrize("replicate", [0, 5])
def test_a_replicate_is_the_same_alone_and_among_others(replicate: int, tmp_path: Path) -> None:
    """Row by row in every table: in a batch of its own, and in one of eight replicates."""
    alone, among = tmp_path / "alone", tmp_path / "among"
    generate_batch(scenario("coin", 400, 1), replicate, alone)
    generate_batch(scenario("coin", 400, 8), 0, among)
    for table in TABLES:
        found, expected = (rows_of(root, table, replicate) for root in (among, alone))
        assert len(expected["replicate"]) > 100
        assert found == expected, table


def test_policy_changes_what_is_done_and_not_who_is_hurt_or_how() -> None:
    """Fast and slow evacuation of the same war: same people, same wounds, other courses."""
    fast, slow = (
        tables(with_patients(Catalogue().get(name), 3_000))
        for name in ("coin", "coin-slow-evacuation")
    )
    for column, values in fast["injuries"].items():
        np.testing.assert_array_equal(values, slow["injuries"][column], column)
    for column in PERSON:
        np.testing.assert_array_equal(fast["patients"][column], slow["patients"][column], column)
    assert (fast["patients"]["outcome"] != slow["patients"]["outcome"]).any()
    assert not np.array_equal(fast["patients"]["outcome_at"], slow["patients"]["outcome_at"])


def test_one_casualty_touches_another_only_through_what_they_share() -> None:
    """With room for all, a treatment that fails changes the courses of those who are given it.

    Everybody else has the very same events, treatments and signs, though all is drawn while the
    others take longer. Buses and aircraft that wait for a load are left out: they are shared.
    """
    units = {f"facilities__role{role}__units": 500 for role in (1, 2, 3)}
    vehicles = {
        f"evacuation__vehicles__{kind}": 0 if kind == "buses" else 5_000
        for kind in ("ground_ambulances", "helicopters", "buses", "theatre_ambulances")
    }
    base = small(patients=600, evacuation__policy_days=180.0, **units, **vehicles)
    failing = changed(base, overrides__treatment_effectiveness={"antibiotics": 0.0})
    before, after = tables(base), tables(failing)
    antibiotics = TREATMENTS.index("antibiotics")
    treated = before["treatments"]["treatment"] == antibiotics
    touched = np.unique(before["treatments"]["subject_id"][treated])
    assert 50 < len(touched) < 550
    for table in ("timeline", "treatments", "observations"):
        kept, found = (of_others(each[table], touched) for each in (before, after))
        for column, values in kept.items():
            np.testing.assert_array_equal(values, found[column], f"{table}.{column}")
    worked = [each["treatments"]["is_effective"].sum() for each in (before, after)]
    assert worked[0] > worked[1]


def of_others(columns: Columns, subjects: npt.NDArray[np.int64]) -> Columns:
    """Return the rows of all but some casualties, casualty by casualty in the order they have."""
    others = ~np.isin(columns["subject_id"], subjects)
    order = np.argsort(columns["subject_id"][others], kind="stable")
    return {name: values[others][order] for name, values in columns.items()}


def test_a_manifest_tells_the_run_apart_and_nothing_else(tmp_path: Path) -> None:
    """Made twice, two manifests differ in `run` only."""
    little = scenario("demo", 100)
    first, second = (
        generate_batch(little, 0, tmp_path / name, run_id=name).manifest for name in ("a", "b")
    )
    assert isinstance(first, Manifest)
    assert first.run.run_id != second.run.run_id
    assert first.comparable() == second.comparable()
