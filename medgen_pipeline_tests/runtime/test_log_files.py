"""Logs of services: appended to, cut off when long, the old ones numbered and few."""

import os
from pathlib import Path

from medgen_pipeline.runtime.log_files import open_log, path_of, rotate, tail


def test_a_long_log_is_emptied_and_kept_while_its_writer_goes_on(tmp_path: Path) -> None:
    """The writer needs not open it again; the last few are kept, the oldest is dropped."""
    path = path_of(tmp_path, "web server")
    log = open_log(tmp_path, "web server")
    for number in range(5):
        os.write(log, b"%d" % number * 100)
        rotate(path, most_bytes=99, kept=2)
    os.write(log, b"now")
    os.close(log)
    assert path.name == "web-server.log"
    assert path.read_text() == "now"
    kept = {each.name: each.read_text()[0] for each in tmp_path.glob("*.log.*")}
    assert kept == {"web-server.log.1": "4", "web-server.log.2": "3"}


def test_a_short_log_or_none_is_left_alone(tmp_path: Path) -> None:
    rotate(tmp_path / "none.log")
    (tmp_path / "short.log").write_text("a line")
    rotate(tmp_path / "short.log", most_bytes=6)
    assert [each.name for each in tmp_path.iterdir()] == ["short.log"]


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert tail(path, lines=2) == "line 9998\nline 9999"
