"""Batches are generated from the command line, and the end says what there is and how to ask it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.cli.results import command
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline_tests.cli.terminal import takes_ctrl_c

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEDGEN_DATA_URL", "MEDGEN_SCENARIO_DIR", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


def generated(capsys: Capture, *arguments: str) -> dict[str, Any]:
    """Run a command that ends well, and return the JSON document it printed."""
    assert main([*arguments, "--json", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    document: dict[str, Any] = json.loads(printed.out)
    return document


def test_the_result_counts_what_was_committed(tmp_path: Path, capsys: Capture) -> None:
    """Exactly the patients asked for, in the batches asked for, with an outcome each."""
    result = generated(
        capsys,
        *("generate", "demo", "--patients", "40", "--batches", "1,3", "--replicates-per-batch"),
        *("2", "--seed", "7", "--processes", "1", "--data-url", str(tmp_path / "d")),
    )
    assert result["rows"]["patients"] == 40 * 2 * 2
    assert sum(result["outcomes"].values()) == 160
    assert result["batches"] == [1, 3]
    manifests = Dataset(tmp_path / "d").manifests("demo")
    assert [(m.batch, m.first_replicate, m.seed) for m in manifests] == [(1, 2, 7), (3, 6, 7)]


def test_any_number_of_processes_gives_the_same(tmp_path: Path, capsys: Capture) -> None:
    """Manifests, which hold a digest of every file, differ only in the run."""
    found = []
    for processes in ("1", "2"):
        where = str(tmp_path / processes)
        generated(
            capsys,
            *("generate", "demo", "--patients", "60", "--batches", "0-2"),
            *("--processes", processes, "--data-url", where),
        )
        found.append([manifest.comparable() for manifest in Dataset(where).manifests()])
    assert found[0] == found[1]


def test_dagster_makes_the_same(tmp_path: Path, capsys: Capture) -> None:
    """`materialize` commits what `generate` commits, file by file."""
    what = ("demo", "--patients", "60", "--batches", "0-1", "--processes", "1", "--data-url")
    generated(capsys, "generate", *what, str(tmp_path / "engine"))
    result = generated(capsys, "materialize", *what, str(tmp_path / "dagster"))
    assert result["rows"]["patients"] == 120
    engine, dagster = (
        [manifest.comparable() for manifest in Dataset(tmp_path / name).manifests()]
        for name in ("engine", "dagster")
    )
    assert engine == dagster


def test_capacity_scales_unless_it_is_kept(tmp_path: Path, capsys: Capture) -> None:
    """More patients meet more units; with --keep-capacity those that are written."""
    units = {}
    for name, more in (("scaled", []), ("kept", ["--keep-capacity"])):
        where = str(tmp_path / name)
        arguments = ["generate", "demo", "--patients", "4000", "--data-url", where, *more]
        generated(capsys, *arguments)
        resolved = Dataset(where).manifest("demo", 0).resolved_scenario
        units[name] = resolved["facilities"]["role2"]["units"]
    assert units["scaled"] == 4 * units["kept"]


def test_the_query_at_the_end_can_be_pasted(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed last is a command that works in the shell it was printed to."""
    monkeypatch.setattr("sys.argv", [str(Path(sys.executable).with_name("medgen"))])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    where = tmp_path / "it's here"
    assert main(["generate", "demo", "--patients", "30", "--data-url", str(where), "--quiet"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].strip()
    assert last == command(str(where))
    done = subprocess.run(
        [*shlex.split(last), "--json"], capture_output=True, text=True, check=True, timeout=120
    )
    assert sum(row["patients"] for row in json.loads(done.stdout)) == 30


def test_plain_text_names_place_tables_and_outcomes(tmp_path: Path, capsys: Capture) -> None:
    assert main(["generate", "demo", "--patients", "30", "--data-url", "d", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert f"data: {tmp_path / 'd'}\n" in said
    for table in ("patients", "injuries", "timeline", "treatments", "observations"):
        assert f"  {table} " in said
    for outcome in ("KIA ", "DOW ", "RTD ", "EVACUATED "):
        assert outcome in said


@pytest.mark.parametrize("url", ["s3://", "ftp://host/x"])
def test_an_unusable_place_is_refused(url: str, capsys: Capture) -> None:
    assert main(["generate", "demo", "--patients", "5", "--data-url", url]) == 2
    assert "data URL is" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: Capture) -> None:
    """A file where the dataset should be: one message, and the file as it was."""
    (tmp_path / "file").write_text("mine")
    assert main(["generate", "demo", "--patients", "5", "--data-url", "file", "--quiet"]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_stopped_run_leaves_nothing(
    sent: signal.Signals, code: int, processes: int, tmp_path: Path
) -> None:
    """Stopped while it writes, as a terminal does it: to every process at once."""
    where = tmp_path / "stopped"
    running = _writing(where, processes)
    os.killpg(running.pid, sent)
    _, said = running.communicate(timeout=120)
    assert running.returncode == code
    assert "Traceback" not in said
    assert [path for path in where.rglob("*") if path.is_file()] == []


def test_who_generates_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Killed outright, the command can stop nobody; its processes leave by themselves, tidily."""
    where = tmp_path / "killed"
    running = _writing(where, processes=2)
    started = psutil.Process(running.pid).children(recursive=True)
    assert len(started) >= 2
    running.kill()
    _, alive = psutil.wait_procs(started, timeout=60)
    running.communicate()
    assert alive == []
    assert [path for path in where.rglob("*") if path.is_file()] == []


def _writing(where: Path, processes: int) -> subprocess.Popen[str]:
    """Return a command that generates for long, in a session of its own, and has begun to write."""
    running = subprocess.Popen(
        [
            *(
                sys.executable,
                "-c",
                "import sys; from medgen_pipeline.cli import main; sys.exit(main())",
            ),
            *("generate", "conventional", "--patients", "1000000", "--batches", "0-1"),
            *("--processes", str(processes), "--data-url", str(where)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=takes_ctrl_c,  # noqa: PLW1509  no threads yet
    )
    while not list(where.glob("_staging/*/*.parquet")) and running.poll() is None:
        time.sleep(0.05)  # a look costs little, but not nothing
    return running
