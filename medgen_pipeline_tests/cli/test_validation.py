"""`medgen validate` reads a dataset or generates one, and its exit code says how that went."""

import json
from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.validation.checks import COIN, SARIN
from medgen_pipeline.validation.table import ENOUGH_REPLICATES
from medgen_pipeline_tests.dataset.handmade import tables
from medgen_pipeline_tests.dataset.test_invariants import committed
from medgen_pipeline_tests.validation.casualties import commit, hit

Capture = pytest.CaptureFixture[str]

SEED: Final = 20


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDGEN_DATA_URL", raising=False)


def test_a_dataset_without_the_scenarios_of_the_checks_is_judged_by_its_rows(
    tmp_path: Path, capsys: Capture
) -> None:
    committed(tmp_path, tables())
    assert main(["validate", "--data-url", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "missing: no data of coin" in said
    assert "0 of 22 checks pass, 0 fail, 22 undecided" in said


def test_the_environment_names_the_dataset_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    committed(tmp_path, tables())
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path))
    assert main(["validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == f"the dataset {tmp_path}"


def test_a_dataset_that_contradicts_a_published_figure_exits_1(
    tmp_path: Path, capsys: Capture
) -> None:
    """Half of those hit die in it: rows that keep every rule, and are wrong together."""
    cast = [hit(), hit(outcome="KIA")]
    commit(tmp_path, {COIN: cast}, replicates=ENOUGH_REPLICATES)
    assert main(["validate", "--data-url", str(tmp_path), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    (fatality,) = [one for one in checks if one["id"] == "O6"]
    assert fatality["passed"] is False
    assert fatality["value"] == 50


def test_a_seed_generates_what_the_checks_need(tmp_path: Path, capsys: Capture) -> None:
    """20,000 casualties of sarin decide O22; the dataset stays, and so does the page."""
    root, page = tmp_path / "data", tmp_path / "page.md"
    arguments = ["--scenario", SARIN, "--seed", str(SEED), "--processes", "1", "--quiet"]
    places = ["--data-url", str(root), "--write", str(page)]
    assert main(["validate", *arguments, *places, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["passed"]) for one in document["checks"]] == [("O22", True)]
    assert sum(one["violations"] for one in document["invariants"]) == 0
    assert {manifest.seed for manifest in Dataset(root).manifests()} == {SEED}
    assert "| O22 | sarin |" in page.read_text()
    assert main(["validate", *arguments, *places]) == 2
    assert "name a place that is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "1", "--batches", "0"], "--batches is about a dataset that is there"),
        (
            ["--seed", "1", "--scenario", "demo"],
            "no check is made on scenario demo; there are coin",
        ),
        (["--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_a_slip_is_said_and_exits_2(arguments: list[str], said: str, capsys: Capture) -> None:
    assert main(["validate", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_page_that_cannot_be_written_loses_no_report(tmp_path: Path, capsys: Capture) -> None:
    committed(tmp_path, tables())
    assert main(["validate", "--data-url", str(tmp_path), "--write", "/dev/full"]) == 2
    printed = capsys.readouterr()
    assert "checks pass" in printed.out
    assert "--write is /dev/full, which cannot be written: No space left" in printed.err
