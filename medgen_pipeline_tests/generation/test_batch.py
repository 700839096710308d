"""A batch is committed whole with what it took, says how far it is, or leaves what there was."""

from pathlib import Path

import pytest

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.generation.batch import Progress, generate_batch
from medgen_pipeline.generation.version import generator_version
from medgen_pipeline.simulation.engine import Replicate
from medgen_pipeline_tests.simulation.operations import operation, rates
from medgen_pipeline_tests.simulation.running import small


def test_a_batch_holds_its_replicates_and_says_what_they_came_to(tmp_path: Path) -> None:
    """Batch 2 of three replicates each has the replicates 6, 7 and 8, of 50 patients each."""
    result = generate_batch(small(replicates_per_batch=3), 2, tmp_path, run_id="a-run")
    manifest = result.manifest
    assert (manifest.first_replicate, manifest.last_replicate) == (6, 8)
    assert manifest.rows["patients"] == 150
    assert sum(manifest.outcomes.values()) == 150
    assert manifest.generator_version == generator_version()
    assert manifest.run.run_id == "a-run"
    assert manifest.run.measured.keys() >= {"wall_seconds", "cpu_seconds", "peak_memory_mb"}
    assert result.peak_memory_mb > 0
    dataset = Dataset(str(tmp_path))
    for table in TABLES:
        assert dataset.scan(table).read_all().num_rows == manifest.rows[table]
    replicates = dataset.scan("patients").read_all().column("replicate").to_pylist()
    assert sorted(set(replicates)) == [6, 7, 8]


def test_progress_never_goes_back_and_ends_with_everyone(tmp_path: Path) -> None:
    told: list[Progress] = []
    scenario = small(patients=200, replicates_per_batch=2)
    result = generate_batch(scenario, 0, tmp_path, progress=told.append, buffer_rows=256)
    done = [word.patients_done for word in told]
    assert done == sorted(done)
    assert len(set(done)) > 10
    last = told[-1]
    assert last.patients_done == last.patients_expected == 400
    assert (last.replicate, last.replicates) == (1, 2)
    assert {k: v for k, v in last.outcome_counts.items() if v} == {
        k: v for k, v in result.manifest.outcomes.items() if v
    }
    assert {word.patients_expected for word in told} == {400}


def test_progress_of_rates_knows_the_replicate_in_hand_and_expects_the_others(
    tmp_path: Path,
) -> None:
    told: list[Progress] = []
    constant = rates({"family": "constant", "mean_per_1000": 4.0}, other=1.0)
    scenario = operation(patients=None, rates=constant, replicates_per_batch=2)
    generate_batch(scenario, 0, tmp_path, progress=told.append)
    assert told[-1].patients_done == told[-1].patients_expected
    first = [word.patients_expected for word in told if word.replicate == 0]
    assert first[-1] == pytest.approx(told[-1].patients_expected, rel=0.5)


def test_a_batch_in_which_nobody_is_hurt_is_committed_too(tmp_path: Path) -> None:
    quiet = {"family": "constant", "mean_per_1000": 0.0001}
    result = generate_batch(operation(patients=None, rates=rates(quiet)), 0, tmp_path)
    assert set(result.manifest.rows.values()) == {0}
    assert Dataset(str(tmp_path)).scan("patients").read_all().num_rows == 0


def test_an_error_leaves_the_dataset_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second replicate of a second attempt, with rows of the first already written."""
    scenario = small(replicates_per_batch=2)
    before = generate_batch(scenario, 0, tmp_path).manifest
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    whole = Replicate.portions

    def failing(running: Replicate) -> object:
        if running.replicate == 1:
            raise OSError("no space left on device")
        return whole(running)

    monkeypatch.setattr(Replicate, "portions", failing)
    with pytest.raises(OSError, match="no space left"):
        generate_batch(scenario, 0, tmp_path)
    assert Dataset(str(tmp_path)).manifests() == [before]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files
