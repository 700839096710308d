"""The code location: it loads, and reads the environment only when Dagster asks for it."""

from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline import definitions
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.errors import SettingError
from medgen_pipeline.settings import Settings


def test_definitions_are_loadable() -> None:
    """Every asset, check, job, schedule and sensor fits the others."""
    dg.Definitions.validate_loadable(build_defs(Settings()))


def test_each_build_is_fresh() -> None:
    """Two deployments in one process share no definitions."""
    assert build_defs(Settings()) is not build_defs(Settings())


def test_the_environment_is_read_when_dagster_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The data root is that of the environment at the time of loading."""
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path / "there"))
    resources = definitions.defs().resources or {}
    assert resources["engine"].settings.data_url == str(tmp_path / "there")


def test_a_bad_environment_keeps_the_code_location_from_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The UI shows the setting and what is allowed."""
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", "many")
    with pytest.raises(SettingError, match="MAX_CONCURRENT_JOBS is 'many'"):
        definitions.defs()
