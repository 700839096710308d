"""Settings: defaults, what each variable accepts, and what a refusal says."""

import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.errors import SettingError
from medgen_pipeline.settings import RULES, Settings, variable_of

DEFAULTS = {  # DESIGN section 9, and how long runs are kept
    "DB_POOL_SIZE": 10,
    "DB_MAX_OVERFLOW": 5,
    "DB_POOL_TIMEOUT": 30,
    "DB_POOL_RECYCLE": 3600,
    "JOB_MAX_MEMORY_MB": 512,
    "JOB_MAX_CPU_SECONDS": 300,
    "JOB_MAX_RUNTIME_SECONDS": 600,
    "MAX_CONCURRENT_JOBS": 2,
    "JOB_BATCH_SIZE": 100,
    "PROMETHEUS_ENABLED": True,
    "METRICS_PORT": 9090,
    "MEDGEN_DATA_URL": "data",
    "MEDGEN_DATABASE_URL": None,
    "MEDGEN_SCENARIO_DIR": None,
    "MEDGEN_API_KEYS": None,
    "MEDGEN_RUN_RETENTION_DAYS": 90,
    "MEDGEN_RAY_ADDRESS": None,
    "MEDGEN_BATCHES_PER_RUN": None,
    "DAGSTER_HOME": None,
}


def test_defaults_are_those_of_the_design() -> None:
    """An empty environment gives every documented default, under its documented name."""
    settings = asdict(Settings.from_env({}))
    assert {variable_of(name): value for name, value in settings.items()} == DEFAULTS


def test_every_setting_has_a_rule() -> None:
    """No field can be set without its text being checked."""
    assert set(RULES) == {field.name for field in fields(Settings)}


def test_defaults_obey_their_own_rules() -> None:
    """A default written out in the environment changes nothing."""
    written = {name: str(value) for name, value in DEFAULTS.items() if value is not None}
    assert Settings.from_env(written) == Settings()


def test_values_are_read(tmp_path: Path) -> None:
    """Each kind of value arrives as its type."""
    settings = Settings.from_env(
        {
            "MEDGEN_DATA_URL": "s3://bucket/prefix",
            "MEDGEN_SCENARIO_DIR": str(tmp_path),
            "MEDGEN_DATABASE_URL": "postgresql://medgen:secret@localhost:5432/medgen",
            "MAX_CONCURRENT_JOBS": " 8 ",
            "PROMETHEUS_ENABLED": "No",
            "UNRELATED": "ignored",
        }
    )
    assert settings.data_url == "s3://bucket/prefix"
    assert settings.scenario_dir == tmp_path
    assert settings.max_concurrent_jobs == 8
    assert settings.prometheus_enabled is False


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("JOB_MAX_MEMORY_MB", "0", "a whole number from 64 to 1048576"),
        ("JOB_MAX_MEMORY_MB", "-512", "a whole number from 64 to 1048576"),
        ("JOB_MAX_CPU_SECONDS", "1.5", "a whole number from 1 to"),
        ("MAX_CONCURRENT_JOBS", "two", "a whole number from 1 to 1000"),
        ("METRICS_PORT", "70000", "a whole number from 1 to 65535"),
        ("PROMETHEUS_ENABLED", "maybe", "one of true, 1, yes, on, false, 0, no, off"),
        ("MEDGEN_DATA_URL", "ftp://host/x", "a local folder or s3://bucket/prefix"),
        ("MEDGEN_DATA_URL", "s3:///prefix", "a local folder or s3://bucket/prefix"),
        ("MEDGEN_SCENARIO_DIR", "/no/such/folder", "an existing folder"),
        ("MEDGEN_RAY_ADDRESS", "ray://head:10001", "http://host:port, where Ray's dashboard"),
        ("MEDGEN_RAY_ADDRESS", "http://head", "http://host:port, where Ray's dashboard"),
        ("MEDGEN_BATCHES_PER_RUN", "0", "a whole number from 1 to 1000"),
    ],
)
def test_refusal_names_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str
) -> None:
    """A value that cannot be used is refused in one line a person can act on."""
    with pytest.raises(
        SettingError, match=re.escape(f"{variable} is '{value}'; must be {allowed}")
    ):
        Settings.from_env({variable: value})


def test_all_faults_are_listed_at_once() -> None:
    """Three bad variables give three lines."""
    bad = {"DB_POOL_SIZE": "x", "METRICS_PORT": "0", "JOB_BATCH_SIZE": "-1"}
    with pytest.raises(SettingError) as refused:
        Settings.from_env(bad)
    lines = str(refused.value).splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(bad)


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "postgresql://u:hunter2@h"])
def test_password_is_not_printed(url: str) -> None:
    """A refused database URL never shows what it held."""
    with pytest.raises(SettingError, match="MEDGEN_DATABASE_URL") as refused:
        Settings.from_env({"MEDGEN_DATABASE_URL": url})
    assert "hunter2" not in str(refused.value)


@given(
    st.sampled_from(sorted(DEFAULTS)), st.text(max_size=20).filter(lambda text: "\0" not in text)
)
def test_any_text_is_read_or_refused(variable: str, text: str) -> None:
    """No text of any variable ends in anything but settings or a SettingError."""
    try:
        settings = Settings.from_env({variable: text})
    except SettingError as refused:
        assert str(refused).startswith(variable)  # noqa: PT017
    else:
        assert isinstance(settings, Settings)


def test_a_local_dataset_may_be_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    assert Settings.from_env({"MEDGEN_DATA_URL": "~/x"}).data_url == "/somebody/x"
    assert Settings.from_env({"MEDGEN_DATA_URL": "s3://b/~/x"}).data_url == "s3://b/~/x"
