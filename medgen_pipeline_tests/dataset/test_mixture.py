"""Batches of a scenario that are not of one making are told apart from those that are."""

from pathlib import Path

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.dataset.mixture import mixtures
from medgen_pipeline.dataset.reader import Dataset

DEMO = ("generate", "demo", "--patients", "60", "--processes", "1", "--quiet")


def made(root: Path, *what: str) -> None:
    """Generate a little of demo."""
    assert main([*DEMO, *what, "--data-url", str(root)]) == 0


def test_batches_of_one_making_are_no_mixture(tmp_path: Path) -> None:
    made(tmp_path, "--batches", "0-2", "--replicates-per-batch", "2")
    assert [*mixtures(Dataset(tmp_path).manifests())] == []


def test_a_replicate_in_two_batches_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whoever commits the second, and by whoever counts; making all alike mends it."""
    made(tmp_path, "--batches", "0", "--replicates-per-batch", "3")
    assert "warning" not in capsys.readouterr().err
    made(tmp_path, "--batches", "1", "--seed", "9")
    said = "demo: batches 0 and 1 both hold replicate 1, for they have 3 and 1 replicates a batch"
    assert said in capsys.readouterr().err
    assert main(["summary", "--data-url", str(tmp_path)]) == 0
    assert said in capsys.readouterr().err
    made(tmp_path, "--batches", "1", "--replicates-per-batch", "3")
    assert [*mixtures(Dataset(tmp_path).manifests())] == []


def test_batches_of_other_content_are_told(tmp_path: Path) -> None:
    """Each with replicates of its own, but of two seeds."""
    made(tmp_path, "--batches", "0")
    made(tmp_path, "--batches", "1", "--seed", "9")
    (found,) = mixtures(Dataset(tmp_path).manifests())
    assert found == (
        "demo: its batches were not all made alike: some are of other content "
        "(seed, patients, anything of the scenario)"
    )
