"""DAGSTER_HOME: held by one, written with the environment's settings, refused with a reason."""

import os
from pathlib import Path

import pytest
import yaml

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime import home as homes
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.settings import Settings


def test_a_home_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert homes.holder(home) is None
    with homes.held(home):
        assert homes.holder(home) == str(os.getpid())
        with pytest.raises(SettingError, match=f"in use by `medgen up`, process {os.getpid()}"):
            homes.held(home).__enter__()
    assert homes.holder(home) is None


def test_a_home_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    """The lock is the kernel's; what the file says does not matter."""
    tmp_path.joinpath(homes.LOCK).write_text("1\n")
    assert homes.holder(tmp_path) is None


@pytest.mark.parametrize("name", ["file", "file/home"])
def test_a_home_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("no folder")
    assert str(tmp_path / name) in (homes.not_writable(tmp_path / name) or "")
    with pytest.raises(SettingError, match="cannot be written"):
        homes.held(tmp_path / name).__enter__()


def test_a_home_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root everything may be; so the answer of the kernel is another's here."""
    assert homes.not_writable(tmp_path / "new") is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "permission denied" in (homes.not_writable(tmp_path / "new") or "")


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="must be a path of at most 90 bytes"):
        homes.socket_of(tmp_path / ("x" * 100))


def test_the_instance_is_written_anew_unless_it_is_somebodys(tmp_path: Path) -> None:
    file = tmp_path / homes.INSTANCE
    homes.write_instance(tmp_path, Settings())
    assert file.read_text() == render_instance_yaml({})
    homes.write_instance(tmp_path, Settings(max_concurrent_jobs=5))
    assert file.read_text() == render_instance_yaml({"MAX_CONCURRENT_JOBS": "5"})
    assert not homes.is_foreign(tmp_path)
    file.write_text("telemetry: {enabled: false}\n")
    homes.write_instance(tmp_path, Settings())
    assert file.read_text() == "telemetry: {enabled: false}\n"
    assert homes.is_foreign(tmp_path)


def test_the_workspace_names_the_socket(tmp_path: Path) -> None:
    homes.write_workspace(tmp_path / "w.yaml", tmp_path / "s")
    (server,) = yaml.safe_load((tmp_path / "w.yaml").read_text())["load_from"]
    assert server["grpc_server"]["socket"] == str(tmp_path / "s")
