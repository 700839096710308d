"""`medgen up --check`: what would run, and what is in its way."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.runtime.home import held


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path / "data"))
    monkeypatch.setenv("METRICS_PORT", "1")  # which an API may come to listen on; not asked here
    return tmp_path / "home"


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that someone listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def check(*arguments: str) -> int:
    return main(["up", "--check", "--port", str(free_port()), *arguments])


def test_check_says_what_would_run_and_touches_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check() == 0
    told = capsys.readouterr().out
    for part in ("code server", "web server: http://127.0.0.1:", "daemon", str(home), "512 MB"):
        assert part in told
    assert f"database: SQLite below {home}" in told
    assert not home.exists()


def test_a_taken_port_is_named(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--port", str(taken)) == 2
    line = f"cannot start: --port is {taken}; that port of 127.0.0.1 is taken"
    assert line in capsys.readouterr().out


def test_a_home_in_use_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(home):
        assert check() == 2
    assert f"in use by `medgen up`, process {os.getpid()}" in capsys.readouterr().out


def test_a_home_that_cannot_be_made_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file")
    assert check() == 2
    assert f"cannot start: DAGSTER_HOME {home} cannot be made" in capsys.readouterr().out


def test_definitions_that_are_not_there_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--definitions", "no.such.module") == 2
    assert "--definitions is 'no.such.module'" in capsys.readouterr().out


def test_what_would_not_work_as_meant_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit beyond the host's memory, and an instance file of the user's own, are no faults."""
    home.mkdir()
    (home / "dagster.yaml").write_text("# mine\n")
    monkeypatch.setenv("JOB_MAX_MEMORY_MB", "1048576")
    assert check() == 0
    told = capsys.readouterr().out
    assert "warning: the queue would wait" in told
    assert "JOB_MAX_MEMORY_MB" in told
    assert "dagster.yaml is not ours" in told


def test_up_refuses_what_check_names(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--port", str(taken)]) == 2
    assert f"--port is {taken}" in capsys.readouterr().err
