"""What is in a dataset can be summarised, checked and asked from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline_tests.cli.terminal import takes_ctrl_c
from medgen_pipeline_tests.dataset.handmade import RTD, Tables, row, tables
from medgen_pipeline_tests.dataset.test_invariants import committed

Capture = pytest.CaptureFixture[str]

MEDGEN: Final = str(Path(sys.executable).with_name("medgen"))
ENDLESS: Final = "select count(*) from range(100000000) a, range(100000) b"
BUSY_SECONDS: Final = 6  # of CPU time, of which a start takes one or two


@pytest.fixture
def sound(tmp_path: Path) -> str:
    """Commit the dataset made by hand."""
    committed(tmp_path, tables())
    return str(tmp_path)


@pytest.fixture
def unsound(tmp_path: Path) -> str:
    """Commit it with one violation."""
    made = tables()
    row(made["observations"], subject_id=RTD).update(systolic_mmhg=79)
    committed(tmp_path, made)
    return str(tmp_path)


def document(capsys: Capture, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_sound_dataset_is_valid(sound: str, capsys: Capture) -> None:
    assert main(["validate", "--data-url", sound]) == 0
    assert "invariants, 0 broken" in capsys.readouterr().out


def test_a_violation_exits_1_and_is_shown(unsound: str, capsys: Capture) -> None:
    assert main(["validate", "--data-url", unsound]) == 1
    said = capsys.readouterr().out
    assert "          1  systolic_not_below_diastolic" in said
    assert "'subject_id': 3" in said


def test_violations_as_json(unsound: str, capsys: Capture) -> None:
    checked = document(capsys, "validate", "--data-url", unsound, code=1)["invariants"]
    (broken,) = [one for one in checked if one["violations"]]
    assert broken["name"] == "systolic_not_below_diastolic"
    assert len(broken["sample"]) == 1


def test_a_summary_counts_rows_outcomes_and_rates(sound: str, capsys: Capture) -> None:
    """By hand: of three battle casualties one was killed, one died of wounds, one is wounded."""
    (one,) = document(capsys, "summary", "--data-url", sound)["scenarios"]
    assert one["rows"] == {name: len(rows) for name, rows in tables().items()}
    assert one["replicates"] == 2
    assert {k: v for k, v in one["outcomes"].items() if v} == {
        "KIA": 1,
        "DOW": 1,
        "RTD": 1,
        "IN_CARE": 1,
    }
    assert one["battle_casualties"] == 3
    assert one["case_fatality_percent"] == pytest.approx(200 / 3)
    assert one["killed_percent"] == pytest.approx(100 / 3)
    assert one["died_of_wounds_percent"] == pytest.approx(50)


def test_who_is_back_within_72_hours_is_not_among_the_wounded(
    tmp_path: Path, capsys: Capture
) -> None:
    """Holcomb's definition: counted in the case fatality rate, not in %KIA and %DOW."""
    made = tables()
    row(made["patients"], subject_id=RTD).update(casualty_class="battle_injury")
    committed(tmp_path, made)
    (one,) = document(capsys, "summary", "--data-url", str(tmp_path))["scenarios"]
    assert one["case_fatality_percent"] == pytest.approx(50)
    assert one["died_of_wounds_percent"] == pytest.approx(50)


def test_what_has_no_casualty_is_counted_too(tmp_path: Path, capsys: Capture) -> None:
    """Of two batches of two replicates one has no row; nor has the only one of a scenario."""
    committed(tmp_path, tables())
    nothing: Tables = {name: [] for name in tables()}
    committed(tmp_path, nothing, batch=1)
    (one,) = document(capsys, "summary", "--data-url", str(tmp_path))["scenarios"]
    assert (one["batches"], one["replicates"]) == (2, 4)
    committed(tmp_path, nothing)
    (one,) = document(capsys, "summary", "--data-url", str(tmp_path))["scenarios"]
    assert (one["scenario"], one["batches"], one["replicates"]) == ("handmade", 2, 4)
    assert {*one["rows"].values(), *one["outcomes"].values()} == {0}
    assert one["case_fatality_percent"] is None
    assert main(["summary", "--data-url", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "handmade: 4 replicates in 2 batches" in said
    assert "of 0 battle casualties: case fatality none" in said


def test_a_summary_in_words(sound: str, capsys: Capture) -> None:
    assert main(["summary", "--data-url", sound]) == 0
    said = capsys.readouterr().out
    assert "handmade: 2 replicates in 1 batch" in said
    assert "case fatality 66.7%, %KIA 33.3%, %DOW 50.0%" in said


def test_a_query_is_answered(sound: str, capsys: Capture) -> None:
    sql = "select outcome, min(injured_at) as first from patients group by all order by all"
    rows = document(capsys, "query", sql, "--data-url", sound)
    assert rows[0] == {"outcome": "DOW", "first": "2026-03-01 08:00:00+00:00"}
    assert main(["query", sql, "--data-url", sound]) == 0
    assert "KIA" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select 1 from nowhere", "nowhere"),
        ("select no_column from patients", "no_column"),
        ("selec 1", "syntax error"),
    ],
)
def test_a_faulty_query_is_said(sql: str, said: str, sound: str, capsys: Capture) -> None:
    assert main(["query", sql, "--data-url", sound]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("medgen: the query failed: ")
    assert said in printed


@pytest.mark.parametrize("command", [["validate"], ["summary"], ["query", "select 1"]])
def test_an_empty_place_is_said(command: list[str], tmp_path: Path, capsys: Capture) -> None:
    """Nothing is created where nothing was."""
    where = tmp_path / "nothing"
    assert main([*command, "--data-url", str(where)]) == 2
    assert f"{where} holds no committed batch" in capsys.readouterr().err
    assert not where.exists()


def test_a_corrupted_manifest_is_named(sound: str, capsys: Capture) -> None:
    path = Path(sound) / "_manifests" / "scenario=handmade" / "batch=0000.json"
    path.write_text("{")
    assert main(["summary", "--data-url", sound]) == 2
    assert "batch=0000.json cannot be used" in capsys.readouterr().err


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("shown", [[], ["--json"]])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_query(
    sound: str, shown: list[str], number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [MEDGEN, "query", ENDLESS, "--data-url", sound, *shown],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=takes_ctrl_c,  # noqa: PLW1509  no threads yet
    ) as process:
        try:
            while process.poll() is None and cpu_seconds(process) < BUSY_SECONDS:
                time.sleep(0.05)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code
    assert "Traceback" not in said


def test_what_is_no_number_is_null_in_json(sound: str, capsys: Capture) -> None:
    sql = "select 'nan'::double as a, ['inf'::float, 1] as b, {'c': '-inf'::double} as d, 2.5 as e"
    (row_of,) = document(capsys, "query", sql, "--data-url", sound)
    assert row_of == {"a": None, "b": [None, 1], "d": {"c": None}, "e": "2.5"}


def test_a_name_that_comes_twice_is_refused_in_json(sound: str, capsys: Capture) -> None:
    assert main(["query", "select 1 as a, 2 as a, 3 as b", "--data-url", sound, "--json"]) == 2
    printed = capsys.readouterr()
    assert "columns a come more than once" in printed.err
    assert printed.out == ""
