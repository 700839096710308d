"""The rendered dagster.yaml: the checked-in one is the default, and Dagster accepts every one."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.coordinator import BoundedRunCoordinator
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.launcher import GuardedRunLauncher

TOP = Path(__file__).parents[2]


def test_the_checked_in_file_is_the_rendering_of_the_defaults() -> None:
    """Whoever changes a default renders the file again."""
    assert (TOP / "dagster.yaml").read_text(encoding="utf-8") == render_instance_yaml({})


@pytest.mark.parametrize(
    ("env", "runs", "limits"),
    [
        ({}, 2, {"medgen/tenant": 1, "medgen/workload": 1, "dagster/backfill": 1}),
        (
            {"MAX_CONCURRENT_JOBS": "8"},
            8,
            {"medgen/tenant": 7, "medgen/workload": 1, "dagster/backfill": 7},
        ),
        (
            {"MAX_CONCURRENT_JOBS": "1"},
            1,
            {"medgen/tenant": 1, "medgen/workload": 1, "dagster/backfill": 1},
        ),
    ],
)
def test_dagster_takes_the_file_and_the_limits_in_it(
    env: Mapping[str, str], runs: int, limits: Mapping[str, int], tmp_path: Path
) -> None:
    """An instance made from the file holds the number of runs and the limits by tag."""
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml(env), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.run_coordinator
        assert isinstance(queue, BoundedRunCoordinator)
        assert queue.slots == runs
        by_tag = queue.get_run_queue_config().tag_concurrency_limits
        assert {limit["key"]: limit["limit"] for limit in by_tag} == limits
        assert isinstance(instance.run_launcher, GuardedRunLauncher)
        assert instance.get_concurrency_config().pool_config.default_pool_limit == runs
        assert instance.run_monitoring_enabled
        assert instance.telemetry_enabled is False


def test_the_runtime_limit_leaves_the_guard_its_turn() -> None:
    """The daemon's limit follows the job's, a minute later."""
    text = render_instance_yaml({"JOB_MAX_RUNTIME_SECONDS": "900"})
    assert yaml.safe_load(text)["run_monitoring"]["max_runtime_seconds"] == 960


def test_a_database_is_referred_to_and_its_password_is_not_written() -> None:
    """With Postgres the file names the variable that holds the URL, and sizes the pool."""
    text = render_instance_yaml(
        {"MEDGEN_DATABASE_URL": "postgresql://u:hunter2@h:5432/d", "DB_POOL_SIZE": "4"}
    )
    storage = yaml.safe_load(text)["storage"]["custom"]
    assert storage["class"] == "PooledPostgresStorage"
    assert storage["config"] == {
        "postgres_url": {"env": "MEDGEN_DATABASE_URL"},
        "pool_size": 4,
        "max_overflow": 5,
        "pool_timeout": 30,
        "pool_recycle": 3600,
    }
    assert "hunter2" not in text


def test_a_bad_environment_is_refused() -> None:
    """No file is rendered from settings that cannot be used."""
    with pytest.raises(SettingError, match="MAX_CONCURRENT_JOBS"):
        render_instance_yaml({"MAX_CONCURRENT_JOBS": "many"})
