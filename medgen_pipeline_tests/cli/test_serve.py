"""`medgen serve` says why it cannot listen before it starts anything."""

import socket

import pytest

from medgen_pipeline.cli import main


def test_a_taken_port_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the command or the environment gives it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        said = f"medgen: --port (METRICS_PORT) is {port}; that port of 127.0.0.1 is taken\n"
        assert main(["serve", "--port", port]) == 2
        assert capsys.readouterr().err == said
        monkeypatch.setenv("METRICS_PORT", port)
        assert main(["serve"]) == 2
        assert capsys.readouterr().err == said
