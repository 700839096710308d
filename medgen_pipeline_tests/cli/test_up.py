"""`medgen up --check`: what would run, and what is in its way."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.runtime.home import held
from medgen_pipeline.service.keys import KeyFile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path / "data"))
    monkeypatch.setenv("METRICS_PORT", str(free_port()))
    monkeypatch.delenv("MEDGEN_API_KEYS", raising=False)
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


@pytest.mark.parametrize("host", ["no.such.invalid", "192.0.2.1"])
def test_a_host_that_is_not_here_is_named_once(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--host", host) == 2
    told = capsys.readouterr().out
    assert told.count("cannot start: ") == 1
    assert f"cannot start: --host is {host!r}; must be an address of this machine: " in told


EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  to see it refused


@pytest.mark.parametrize("content", [None, "garbage", "[]"])
def test_strangers_are_let_in_with_keys_only(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both refuse before anything starts, without a file of keys or with one of no use."""
    if content is not None:
        (tmp_path / "keys.json").write_text(content)
        monkeypatch.setenv("MEDGEN_API_KEYS", str(tmp_path / "keys.json"))
    assert check("--host", EVERYWHERE) == 2
    assert main(["up", "--port", str(free_port()), "--host", EVERYWHERE]) == 2
    assert not (tmp_path / "home" / "process-logs").exists()


def test_keys_let_strangers_in_but_not_to_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a key nothing is in the way; that the web server asks for none is said."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("MEDGEN_API_KEYS", str(path))
    assert check("--host", EVERYWHERE) == 2
    assert "holds no key" in capsys.readouterr().out
    KeyFile(path).create("ann")
    assert check("--host", EVERYWHERE) == 0
    assert "Dagster's web server has no keys" in capsys.readouterr().out
    assert check() == 0
    assert "has no keys" not in capsys.readouterr().out


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
