"""What the user gave wrongly is said in one block, with exit code 2 and no traceback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import pytest

from medgen_pipeline.cli import commands, main
from medgen_pipeline.cli.commands import COMMANDS, medgen
from medgen_pipeline_tests.dataset.handmade import tables
from medgen_pipeline_tests.dataset.test_invariants import committed

Capture = pytest.CaptureFixture[str]

MEDGEN: Final = str(Path(sys.executable).with_name("medgen"))


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDGEN_DATA_URL", "MEDGEN_SCENARIO_DIR", "JOB_MAX_MEMORY_MB"):
        monkeypatch.delenv(name, raising=False)


def test_help_lists_every_command(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    assert set(COMMANDS) <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name: str, capsys: Capture) -> None:
    """The list names commands without importing them; each can be imported, and has help."""
    assert main([name, "--help"]) == 0
    assert f"medgen {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"dagster", "numba", "pyarrow", "duckdb", "pandas"}),
        (["scenarios", "list"], {"dagster", "numba", "pyarrow", "duckdb", "pandas"}),
        (["generate", "--help"], {"dagster", "matplotlib", "pandas", "fastapi"}),
        (["summary", "--help"], {"dagster", "matplotlib", "numba", "fastapi"}),
    ],
)
def test_a_command_imports_what_it_uses(arguments: list[str], heavy: set[str]) -> None:
    """No command pays for the libraries of another."""
    code = (
        "import sys; from medgen_pipeline.cli import main; "
        f"main({arguments!r}); print(*{heavy!r} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scenarios", "show", "dmo"], "medgen: there is no scenario 'dmo'; did you mean demo?"),
        (["scenarios", "show", "no/such.yaml"], "medgen: there is no scenario file no/such.yaml"),
        (["generate", "demo", "--batches", "9-1"], "counts down; write 1-9"),
        (["generate", "demo", "--patients", "0"], "0 is not in the range"),
        (["generate", "demo", "--keep-capacity"], "--keep-capacity is about --patients"),
        (["generate", "demo", "--data-url", ""], "'' is no place; must be a local folder"),
        (["validate", "--data-url", " "], "' ' is no place; must be a local folder"),
        (["validate", "--write", "/nonexistent/x.md"], "/nonexistent is no folder that can be"),
        (["memory-profile", "--plot", "/nonexistent/x.png"], "/nonexistent is no folder that"),
        (["generate"], "Missing argument 'SCENARIO'"),
        (["gnerate"], "No such command 'gnerate'"),
    ],
)
def test_a_slip_is_said_and_exits_2(arguments: list[str], said: str, capsys: Capture) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_an_unusable_environment_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("JOB_MAX_MEMORY_MB", "plenty")
    assert main(["scenarios", "list"]) == 2
    assert "JOB_MAX_MEMORY_MB is 'plenty'; must be" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["serve"], ["generate"], ["keys"], ["keys", "create"]])
def test_help_needs_no_setting(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("METRICS_PORT", "none")
    assert main([*arguments, "--help"]) == 0
    assert " ".join(["Usage: medgen", *arguments]) in capsys.readouterr().out


def test_no_command_runs_without_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Nor one below another; the next call, with right ones, does."""
    monkeypatch.setenv("METRICS_PORT", "none")
    create = ["keys", "--file", str(tmp_path / "keys.json"), "create", "ann"]
    for arguments in (create, ["scenarios", "list"], ["query", "select 1", "--data-url", "--help"]):
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert "METRICS_PORT is 'none'; must be" in printed.err
        assert printed.out == ""
    assert not any(tmp_path.iterdir())
    monkeypatch.delenv("METRICS_PORT")
    assert main(create) == 0


def test_ctrl_c_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(medgen, "invoke", interrupted)
    assert main(["scenarios", "list"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(medgen, "invoke", buggy)
    with pytest.raises(ZeroDivisionError):
        main(["scenarios", "list"])


def closed_pipe() -> int:
    """Return the end of a pipe to write to, of which the other is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data")
    committed(root, tables())
    return str(root)


def ended(arguments: list[str], dataset: str, output: int) -> tuple[int, str]:
    """Run a command with an output, and return its exit code and what it said beside."""
    done = subprocess.run(
        [MEDGEN, *arguments],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"MEDGEN_DATA_URL": dataset},
    )
    os.close(output)
    return done.returncode, done.stderr


PRINTING: Final = [
    ["summary"],
    ["summary", "--json"],
    ["validate"],
    ["parameters"],
    ["query", "select 1"],
    ["scenarios", "list"],
    ["--help"],
    ["query", "--help"],
]


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_failure(arguments: list[str], dataset: str) -> None:
    assert ended(arguments, dataset, closed_pipe()) == (0, "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_an_output_that_is_full_is_said(arguments: list[str], dataset: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    said = "medgen: cannot write to standard output: No space left on device\n"
    assert ended(arguments, dataset, full) == (2, said)


def test_another_broken_pipe_is_no_reader_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that to a worker: what was asked for is not done."""

    def broken(*_: object, **__: object) -> None:
        os.write(closed_pipe(), b"x")

    monkeypatch.setattr(commands, "_is_closed", lambda: False)
    monkeypatch.setattr(click.Group, "invoke", broken)
    with pytest.raises(SystemExit, match="1"):
        main(["scenarios", "list"])


def test_work_goes_on_when_nobody_reads_how_far_it_is() -> None:
    code = (
        "from medgen_pipeline.cli.progress import Aside; aside = Aside(); "
        "aside.print('1 of 2'); aside.print('2 of 2'); print('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=closed_pipe(),
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
